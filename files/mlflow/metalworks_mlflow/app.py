"""MLflow's server behind the door, as one ASGI application in one process.

`mlflow server` would run a second process and import everything twice. It hands its options to the
application in environment variables, whose names MLflow keeps in mlflow.server.constants. The version is
pinned and the tests run this module, so a changed name is noticed there.
"""

from __future__ import annotations

import os
from typing import Any

from mlflow.server import constants

from .door import Door
from .identity import Vouchers, read_clients
from .metrics import Metrics
from .settings import Settings


def make_app(settings: Settings) -> Door:
    """Return the application. One process has one, because MLflow keeps its stores in globals."""
    os.environ.update(
        {
            constants.BACKEND_STORE_URI_ENV_VAR: settings.database,
            constants.REGISTRY_STORE_URI_ENV_VAR: settings.database,
            constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
            constants.ARTIFACTS_DESTINATION_ENV_VAR: settings.artifacts,
            constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        }
    )
    # These read the environment when they are imported.
    from mlflow.server import app as flask_app
    from mlflow.server import handlers
    from mlflow.server.fastapi_app import app
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry
    from mlflow.utils.uri import extract_db_type_from_uri

    from . import artifacts
    from .routes import Routes
    from .stores import OwnedRegistryStore, OwnedTrackingStore, Owners

    Owners.rights = settings.rights
    scheme = extract_db_type_from_uri(settings.database)
    handlers._tracking_store_registry.register(
        scheme, lambda store_uri, artifact_uri: OwnedTrackingStore(store_uri, artifact_uri)
    )
    handlers._model_registry_store_registry.register(scheme, lambda store_uri: OwnedRegistryStore(store_uri))
    # Opened now: a database that is not there ends the start, and not somebody's first request.
    stores = handlers._get_tracking_store(), handlers._get_model_registry_store()
    _artifact_repository_registry.register("s3", artifacts.StreamedS3)
    add_routes(app, handlers._get_artifact_repo_mlflow_artifacts())
    return Door(
        app,
        Routes(app, flask_app),
        Vouchers(settings.door_secret, read_clients(settings.clients_file)),
        settings.rights,
        stores,
        Metrics(),
    )


def add_routes(app: Any, repository: Any) -> None:
    """Put routes of our own before MLflow's: what the server can do, and downloads in pieces."""
    import anyio
    from fastapi import APIRouter
    from fastapi.responses import JSONResponse, StreamingResponse
    from mlflow.exceptions import MlflowException
    from mlflow.server import handlers
    from mlflow.utils import server_info as names
    from mlflow.utils.uri import validate_path_is_safe

    from .artifacts import StreamedS3

    router = APIRouter()
    # Apart from the threads that Flask's routes take, as in MLflow's own route: a client asks this first, and
    # must not wait until somebody's long request has ended.
    threads = anyio.CapacityLimiter(8)

    @router.get("/api/3.0/mlflow/server-info")
    @router.get("/ajax-api/3.0/mlflow/server-info")
    async def server_info() -> dict[str, Any]:
        """All artifacts pass through the server: a client may not know the store, or not reach it.

        MLflow offers addresses of the store that it has signed wherever that is S3, and its client then
        takes no other way.
        """
        payload = await anyio.to_thread.run_sync(handlers.build_server_info_payload, limiter=threads)
        return {
            **payload,
            names.SERVER_INFO_MULTIPART_UPLOADS_ENABLED: False,
            names.SERVER_INFO_MULTIPART_DOWNLOADS_ENABLED: False,
        }

    @router.get("/ajax-api/2.0/mlflow/gateway-proxy")
    async def no_gateway() -> dict[str, Any]:
        """Each run's page asks for it, and would show people that it is for admins only. There is none."""
        return {"endpoints": []}

    def download(artifact_path: str) -> Any:
        """MLflow's own route fetches the whole file before it answers."""
        try:
            size, pieces = repository.open(validate_path_is_safe(artifact_path))
        except MlflowException as error:
            content = {"error_code": error.error_code, "message": error.message}
            return JSONResponse(content, error.get_http_status_code())
        headers = {
            "Content-Length": str(size),
            "Content-Disposition": "attachment",
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(pieces, media_type="application/octet-stream", headers=headers)

    if isinstance(repository, StreamedS3):
        for api in ("api", "ajax-api"):
            router.get(f"/{api}/2.0/mlflow-artifacts/artifacts/{{artifact_path:path}}")(download)

    before = len(app.router.routes)
    app.include_router(router)
    app.router.routes[:] = app.router.routes[before:] + app.router.routes[:before]
