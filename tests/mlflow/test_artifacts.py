"""Artifacts in S3 pass through the server, for each client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

INFO = """
import anyio, json, os
from metalworks_mlflow.app import make_app
from metalworks_mlflow.settings import Settings
routes = make_app(Settings.read(os.environ)).routes
from mlflow.server import handlers
def told(path):
    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
    name, _ = routes.find(scope)
    (answers,) = {route.endpoint for route in routes.own if getattr(route, "path", "") == path
                  and route.endpoint.__module__.startswith("metalworks_mlflow")}
    return name, anyio.run(while_flask_has_all_threads, answers)
async def while_flask_has_all_threads(answers):
    threads = anyio.to_thread.current_default_thread_limiter()
    for number in range(int(threads.total_tokens)):
        threads.acquire_on_behalf_of_nowait(number)
    with anyio.fail_after(60):
        return await answers()
print(json.dumps({
    "own": handlers.build_server_info_payload(),
    "told": [told(f"/{api}/3.0/mlflow/server-info") for api in ("api", "ajax-api")],
}))
"""
MULTIPART = ("multipart_uploads_enabled", "multipart_downloads_enabled")


def test_no_client_is_sent_to_the_store(ask_python: Callable[..., Any]) -> None:
    """With S3, MLflow offers signed addresses of it, and its client follows where it can or not.

    The answer does not wait for requests that hold all threads of Flask's routes.
    """
    found = ask_python(INFO, MLFLOW_ARTIFACTS_DESTINATION="s3://mlflow", AWS_DEFAULT_REGION="us-east-1")
    assert [found["own"][name] for name in MULTIPART] == [True, True]
    for name, told in found["told"]:
        assert name == "app.server_info"
        assert told == {**found["own"], **dict.fromkeys(MULTIPART, False)}
