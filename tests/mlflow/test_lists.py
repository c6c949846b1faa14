"""The lists of what is judged, against MLflow's own source: what nobody has judged is for admins only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ROUTES = """
import json
from metalworks_mlflow.app import make_app
from metalworks_mlflow.settings import Settings
from metalworks_mlflow import routes
import os, tempfile
folder = tempfile.mkdtemp()
door = make_app(Settings.read({**os.environ, "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/x.db"}))
found = door.routes
native = {
    routes.name_of(getattr(each, "endpoint", None)): sorted(getattr(each, "methods", None) or ())
    for each in found.own
}
flask = {}
for rule in found.flask.iter_rules():
    flask.setdefault(rule.endpoint, set()).update(rule.methods - {"HEAD", "OPTIONS"})
from metalworks_mlflow import stores
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as T
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as R
def methods(base, cls):
    names = [name for name in dir(base) if not name.startswith("_") and callable(getattr(base, name))]
    return {name: getattr(cls, name) is getattr(base, name) for name in names}
print(json.dumps({
    "native": native,
    "flask": {name: sorted(methods) for name, methods in flask.items()},
    "reads": sorted(routes.READS),
    "stores": sorted(routes.JUDGED_BY_STORES),
    "paths": sorted(routes.JUDGED_BY_PATH),
    "closed": list(routes.CLOSED),
    "tracking": methods(T, stores.OwnedTrackingStore), "registry": methods(R, stores.OwnedRegistryStore),
}))
"""

# Routes that change something and are for admins only, because MLflow's stores keep no owner for what they
# change, or because they act outside of the stores. A route that is in no list fails the test: judge it.
ADMINS = [
    "_add_dataset_to_experiments_handler",
    "_add_guardrail_to_endpoint",
    "_add_items_to_review_queue",
    "_attach_model_to_gateway_endpoint",
    "_cancel_job",
    "_cancel_prompt_optimization_job",
    "_create_budget_policy",
    "_create_dataset_handler",
    "_create_gateway_endpoint",
    "_create_gateway_endpoint_binding",
    "_create_gateway_guardrail",
    "_create_gateway_model_definition",
    "_create_gateway_secret",
    "_create_issue",
    "_create_label_schema",
    "_create_presigned_download_url",
    "_create_presigned_upload_url",
    "_create_prompt_optimization_job",
    "_create_review_queue",
    "_create_webhook",
    "_create_workspace_handler",
    "_delete_budget_policy",
    "_delete_dataset_handler",
    "_delete_dataset_records_handler",
    "_delete_dataset_tag_handler",
    "_delete_demo",
    "_delete_gateway_endpoint",
    "_delete_gateway_endpoint_binding",
    "_delete_gateway_endpoint_tag",
    "_delete_gateway_guardrail",
    "_delete_gateway_model_definition",
    "_delete_gateway_secret",
    "_delete_label_schema",
    "_delete_prompt_optimization_job",
    "_delete_review_queue",
    "_delete_scorer",
    "_delete_webhook",
    "_delete_workspace_handler",
    "_deprecated_end_trace_v2",
    "_deprecated_start_trace_v2",
    "_detach_model_from_gateway_endpoint",
    "_generate_demo",
    "_get_or_create_user_queue",
    "_invoke_genai_evaluate_handler",
    "_invoke_issue_detection_handler",
    "_invoke_scorer_handler",
    "_register_scorer",
    "_remove_dataset_from_experiments_handler",
    "_remove_guardrail_from_endpoint",
    "_remove_items_from_review_queue",
    "_search_prompt_optimization_jobs",
    "_set_dataset_tags_handler",
    "_set_gateway_endpoint_tag",
    "_set_review_queue_item_status",
    "_test_webhook",
    "_update_budget_policy",
    "_update_endpoint_guardrail_config",
    "_update_gateway_endpoint",
    "_update_gateway_model_definition",
    "_update_gateway_secret",
    "_update_issue",
    "_update_label_schema",
    "_update_review_queue",
    "_update_webhook",
    "_update_workspace_handler",
    "_upsert_dataset_records_handler",
    "_upsert_online_scoring_config",
    "serve_create_promptlab_run",
    "serve_gateway_proxy",
    "serve_upload_artifact",
    "job_api.cancel_job",
    "job_api.search_jobs",
    "job_api.submit_job",
    "mcp_server_api.create_mcp_access_endpoint",
    "mcp_server_api.create_mcp_server",
    "mcp_server_api.create_mcp_server_version",
    "mcp_server_api.delete_mcp_access_endpoint",
    "mcp_server_api.delete_mcp_server",
    "mcp_server_api.delete_mcp_server_alias",
    "mcp_server_api.delete_mcp_server_tag",
    "mcp_server_api.delete_mcp_server_version",
    "mcp_server_api.delete_mcp_server_version_tag",
    "mcp_server_api.set_mcp_server_alias",
    "mcp_server_api.set_mcp_server_tag",
    "mcp_server_api.set_mcp_server_version_tag",
    "mcp_server_api.update_mcp_access_endpoint",
    "mcp_server_api.update_mcp_server",
    "mcp_server_api.update_mcp_server_version",
]


@pytest.fixture(scope="module")
def found(ask_python: Callable[..., Any]) -> Any:
    return ask_python(ROUTES)


def writing(found: Any) -> set[str]:
    """The functions that answer another method than GET."""
    everything = {**found["native"], **found["flask"]}
    return {name for name, methods in everything.items() if set(methods) - {"GET", "HEAD", "OPTIONS"}}


def test_every_route_that_writes_has_been_judged(found: Any) -> None:
    listed = {*found["reads"], *found["stores"], *found["paths"], *ADMINS}
    closed = {name for name in writing(found) if name.startswith(tuple(found["closed"]))}
    assert sorted(writing(found) - listed - closed) == []


def test_the_lists_name_no_route_that_mlflow_does_not_have(found: Any) -> None:
    own = {"app.download", "app.no_gateway", "app.server_info", "health", "version"}
    known = {*found["native"], *found["flask"], *own}
    assert sorted({*found["reads"], *found["stores"], *found["paths"], *ADMINS} - known) == []


def test_a_route_is_in_one_list_only(found: Any) -> None:
    lists = [found["reads"], found["stores"], found["paths"], ADMINS]
    names = [name for each in lists for name in each]
    assert sorted({name for name in names if names.count(name) > 1}) == []


# Methods of the stores that are not judged: they read, or they belong to what was judged.
NOT_JUDGED = {
    "tracking": {
        "end_async_logging", "flush_async_logging", "shut_down_async_logging", "log_spans_async",
        "resolve_endpoint_in_scorer", "resolve_trace_archival_config", "sanitize_metric_value",
        "set_model_versions_tags", "batch_get_trace_infos", "batch_get_traces",
        "calculate_trace_filter_correlation", "filter_active_experiment_ids", "find_completed_sessions",
        "query_trace_metrics", "sum_gateway_trace_cost",
    },
    "registry": {
        "create_prompt", "create_prompt_version", "delete_prompt", "delete_prompt_alias", "delete_prompt_tag",
        "delete_prompt_version", "delete_prompt_version_tag", "set_prompt_alias", "set_prompt_tag",
        "set_prompt_version_tag",
    },
}  # fmt: skip


@pytest.mark.parametrize("store", ["tracking", "registry"])
def test_every_method_of_a_store_that_writes_is_judged(found: Any, store: str) -> None:
    unjudged = {name for name, same in found[store].items() if same}
    reads = {name for name in unjudged if name.startswith(("get_", "search_", "list_"))}
    assert sorted(unjudged - reads) == sorted(NOT_JUDGED[store])


WRITE_LIKE = """
import inspect, json
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as T
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as R
from metalworks_mlflow.stores import OwnedTrackingStore, OwnedRegistryStore
signs = ("read_only=False", "session.add", "session.delete", "session.merge")
wrong = []
for base, cls in ((T, OwnedTrackingStore), (R, OwnedRegistryStore)):
    for name in dir(base):
        method = getattr(base, name)
        unjudged = inspect.isfunction(method) and getattr(cls, name) is method
        if not name.startswith("_") and unjudged and any(sign in inspect.getsource(method) for sign in signs):
            wrong.append(name)
print(json.dumps(wrong))
"""


def test_no_method_that_reads_by_name_writes(ask_python: Callable[..., Any]) -> None:
    # It makes the built-in schemas of an experiment where they are missing; they are the same for everybody.
    assert ask_python(WRITE_LIKE) == ["list_label_schemas"]
