"""Which of MLflow's routes are open to all users, and how each is judged.

The names are those of the functions that answer, as MLflow registers them. A route that is not listed here
is for admins only, and one of `CLOSED` for nobody; the tests hold the lists against MLflow's own routes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

from starlette.routing import Match, Mount
from werkzeug.exceptions import HTTPException

# Answers anybody, without the door: probes and the scraper of metrics.
OPEN = {"/health", "/version", "/metrics"}

# The tables of functions are in the modules of MLflow that are named before the point; Flask's have none.
READS = {
    # the pages
    "serve",
    "serve_static_file",
    "static",
    "serve_get_ui_telemetry",
    "serve_post_ui_telemetry",  # telemetry is off, so it does nothing
    "_get_server_info",
    "server_info_api.get_server_info",
    "app.server_info",
    "app.no_gateway",
    "_not_implemented",
    "_graphql",  # has queries only
    # experiments and runs
    "_get_experiment",
    "_get_experiment_by_name",
    "_search_experiments",
    "_get_run",
    "_search_runs",
    "_get_metric_history",
    "get_metric_history_bulk_interval_handler",
    "serve_get_metric_history_bulk",
    "serve_get_metric_history_bulk_interval",
    "serve_search_datasets",
    # artifacts
    "_list_artifacts",
    "_list_artifacts_mlflow_artifacts",
    "_download_artifact",
    "artifact_router.download_artifact",
    "app.download",
    "serve_artifacts",
    "serve_model_version_artifact",
    "serve_get_trace_artifact",
    "serve_get_logged_model_artifact",
    "_list_logged_model_artifacts",
    # models
    "_get_logged_model",
    "_search_logged_models",
    "_get_registered_model",
    "_search_registered_models",
    "_get_latest_versions",
    "_get_model_version",
    "_get_model_version_by_alias",
    "_get_model_version_download_uri",
    "_search_model_versions",
    # traces
    "_deprecated_get_trace_info_v2",
    "_deprecated_search_traces_v2",
    "_get_trace",
    "_get_trace_info_v3",
    "_search_traces_v3",
    "_batch_get_traces",
    "_batch_get_trace_infos",
    "_calculate_trace_filter_correlation",
    "_query_trace_metrics",
    "_get_assessment",
    # what is looked at by the pages, and changed by admins only
    "_get_dataset_handler",
    "_get_dataset_experiment_ids_handler",
    "_get_dataset_records_handler",
    "_search_evaluation_datasets_handler",
    "_get_scorer",
    "_list_scorers",
    "_list_scorer_versions",
    "_get_online_scoring_configs",
    "_get_issue",
    "_search_issues",
    "_get_label_schema",
    "_get_label_schema_by_name",
    "_list_label_schemas",
    "_get_review_queue",
    "_get_review_queue_by_name",
    "_list_review_queues",
    "_list_review_queue_items",
    "_list_supported_providers",
    "_list_supported_models",
    "_get_provider_config",
    "_get_gateway_endpoint",
    "_list_gateway_endpoints",
    "_get_gateway_model_definition",
    "_list_gateway_model_definitions",
    "_list_workspaces_handler",
    "_get_workspace_handler",
}

# Each of these writes through a method of the stores that asks for the owner (stores.py).
JUDGED_BY_STORES = {
    "_create_experiment",
    "_delete_experiment",
    "_restore_experiment",
    "_update_experiment",
    "_set_experiment_tag",
    "_delete_experiment_tag",
    "_create_run",
    "_update_run",
    "_delete_run",
    "_restore_run",
    "_log_batch",
    "_log_metric",
    "_log_param",
    "_log_inputs",
    "_log_outputs",
    "_log_model",
    "_set_tag",
    "_delete_tag",
    "_create_logged_model",
    "_finalize_logged_model",
    "_delete_logged_model",
    "_log_logged_model_params",
    "_set_logged_model_tags",
    "_delete_logged_model_tag",
    "_create_registered_model",
    "_rename_registered_model",
    "_update_registered_model",
    "_delete_registered_model",
    "_set_registered_model_tag",
    "_delete_registered_model_tag",
    "_set_registered_model_alias",
    "_delete_registered_model_alias",
    "_create_model_version",
    "_update_model_version",
    "_delete_model_version",
    "_transition_stage",
    "_set_model_version_tag",
    "_delete_model_version_tag",
    "_start_trace_v3",
    "_set_trace_tag",
    "_set_trace_tag_v3",
    "_delete_trace_tag",
    "_delete_trace_tag_v3",
    "_delete_traces",
    "_link_prompts_to_trace",
    "_link_traces_to_run",
    "_create_assessment",
    "_update_assessment",
    "_delete_assessment",
    "otel_api.export_traces",
}

# Each of these changes the artifact that its path names (artifact_owner in door.py).
JUDGED_BY_PATH = {
    "_upload_artifact",
    "artifact_router.upload_artifact",
    "_delete_artifact_mlflow_artifacts",
    "_create_multipart_upload_artifact",
    "_complete_multipart_upload_artifact",
    "_abort_multipart_upload_artifact",
}

# They run programs on the server, or call other addresses from it.
CLOSED = ("assistant.api.", "gateway_api.")


class Routes:
    """MLflow's routes: which function answers a request."""

    def __init__(self, app: Any, flask_app: Any) -> None:
        """Take the application, and the Flask application that is mounted in it after all other routes."""
        self.own = list(flat(route for route in app.router.routes if not isinstance(route, Mount)))
        self.flask = flask_app.url_map
        self._matcher = flask_app.url_map.bind("mlflow")

    def find(self, scope: MutableMapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the name of the function that answers, and the path's parameters.

        Like FastAPI, the first route whose path and method fit; what none fits, goes to Flask. The name is
        empty if nothing answers.
        """
        for route in self.own:
            match, child = route.matches(dict(scope))
            if match is Match.FULL:
                endpoint = child.get("endpoint") or getattr(route, "endpoint", None)
                return name_of(endpoint), dict(child.get("path_params") or {})
        try:
            name, parameters = self._matcher.match(scope["path"], method=scope["method"])
        except HTTPException:  # not found, another method, or a redirection
            return "", {}
        return str(name), dict(parameters)


def flat(routes: Iterable[Any]) -> Iterator[Any]:
    """Yield routes, those of included routers in their place."""
    for route in routes:
        if hasattr(route, "effective_candidates"):
            yield from flat(route.effective_candidates())
        else:
            yield route


def name_of(endpoint: Any) -> str:
    """Return a function's name with its module, as the lists above write it."""
    module = str(getattr(endpoint, "__module__", "?")).removeprefix("mlflow.server.")
    return f"{module.removeprefix('metalworks_mlflow.')}.{getattr(endpoint, '__name__', '?')}"
