"""MLflow's stores with owners: every method that writes asks first whether the identity may.

All of MLflow's interfaces (REST, the pages' own API, GraphQL, OpenTelemetry) write through these two stores.
A method that is judged nowhere here is for admins only; the tests hold the lists against MLflow's classes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities import ExperimentTag, LoggedModelTag, RunTag
from mlflow.entities.model_registry import RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository
from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlRegisteredModel,
    SqlRegisteredModelAlias,
    SqlRegisteredModelTag,
)
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.dbmodels.models import (
    SqlExperiment,
    SqlExperimentTag,
    SqlLoggedModel,
    SqlLoggedModelTag,
    SqlRun,
    SqlTraceInfo,
    SqlTraceTag,
)
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore
from mlflow.utils.mlflow_tags import MLFLOW_ARTIFACT_LOCATION
from mlflow.utils.uri import append_to_uri_path

from .identity import Forbidden, Identity, current
from .rights import MISSING, OWNER_TAG, TWO_WAYS, Rights

# Methods of both stores that change nothing, by the beginning of their names and by name.
READS = (
    "get_",
    "search_",
    "list_",
    "batch_get_",
    "query_",
    "find_",
    "calculate_",
    "filter_",
    "sum_",
    "supports_",
)
OTHER_READS = {
    "resolve_endpoint_in_scorer",
    "resolve_trace_archival_config",
    "sanitize_metric_value",
    "secret_cache",
}
# Their names begin like reads, and they write.
WRITES_THAT_READ_LIKE = {"get_or_create_user_queue"}
# What the server itself does: it is no answer to a request, or the end of one that was judged.
OWN_WORK = {
    "end_async_logging",
    "flush_async_logging",
    "shut_down_async_logging",
    "log_spans_async",  # becomes log_spans
    "set_model_versions_tags",  # the end of create_model_version
}
RUN_CHANGES = {
    "delete_run",
    "delete_tag",
    "link_traces_to_run",
    "log_batch",
    "log_inputs",
    "log_metric",
    "log_outputs",
    "log_param",
    "record_logged_model",
    "restore_run",
    "set_tag",
    "unlink_traces_from_run",
    "update_run_info",
}
EXPERIMENT_CHANGES = {
    "delete_experiment_tag",
    "rename_experiment",
    "restore_experiment",
    "set_experiment_tag",
}
LOGGED_MODEL_CHANGES = {
    "delete_logged_model",
    "delete_logged_model_tag",
    "finalize_logged_model",
    "log_logged_model_params",
    "set_logged_model_tags",
}
TRACE_CHANGES = {
    "delete_assessment",
    "delete_trace_tag",
    "link_prompts_to_trace",
    "set_trace_tag",
    "update_assessment",
}
REGISTERED_MODEL_CHANGES = {
    "delete_model_version_tag",
    "delete_registered_model_tag",
    "set_model_version_tag",
    "set_registered_model_tag",
    "update_model_version",
    "update_registered_model",
}
# Methods of the registry that only call judged ones.
PROMPTS = {
    "create_prompt",
    "create_prompt_version",
    "delete_prompt",
    "delete_prompt_alias",
    "delete_prompt_tag",
    "delete_prompt_version",
    "delete_prompt_version_tag",
    "set_prompt_alias",
    "set_prompt_tag",
    "set_prompt_version_tag",
}
# Tags that say whose a thing is, or where the server reads: nobody sets them by hand.
RESERVED = {OWNER_TAG, MLFLOW_ARTIFACT_LOCATION}


def reads_only(name: str) -> bool:
    """Whether a method of a store changes nothing."""
    return (name.startswith(READS) or name in OTHER_READS) and name not in WRITES_THAT_READ_LIKE


def as_mlflow_says(error: Forbidden) -> MlflowException:
    """Return the refusal in the form that MLflow answers with status 403."""
    return MlflowException(str(error), error_code=PERMISSION_DENIED)


def judged(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method's refusal reach the client as MLflow's own errors do."""

    @functools.wraps(method)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except Forbidden as error:
            raise as_mlflow_says(error) from None

    return wrapper


def tag_keys(arguments: dict[str, Any]) -> set[str]:
    """Return the keys of the tags that a call sets or deletes."""
    keys = {arguments["key"]} if "key" in arguments else set()
    tags = [arguments["tag"]] if "tag" in arguments else list(arguments.get("tags") or ())
    return keys | {tag.key for tag in tags}


def refuse_reserved(keys: Iterable[str], identity: Identity) -> None:
    """Refuse to set or delete a tag that the server sets itself. Admins may correct one."""
    if (reserved := sorted(RESERVED.intersection(keys))) and not identity.is_admin:
        raise Forbidden(f"the server sets the tag {', '.join(reserved)} itself")


def owner_only(base: type, name: str, kind: str, argument: str) -> Callable[..., Any]:
    """Return a method of a store that first asks whether the identity may change the thing in `argument`."""
    method = getattr(base, name)
    signature = inspect.signature(method)

    @functools.wraps(method)
    @judged
    def wrapper(self: Any, *arguments: Any, **named: Any) -> Any:
        given = signature.bind(self, *arguments, **named).arguments
        identity = current()
        self.require_change(kind, given[argument], identity)
        refuse_reserved(tag_keys(given), identity)
        return method(self, *arguments, **named)

    return wrapper


def admins_only(base: type, name: str) -> Callable[..., Any]:
    """Return a method of a store that only admins may call."""
    method = getattr(base, name)

    @functools.wraps(method)
    @judged
    def wrapper(self: Any, *arguments: Any, **named: Any) -> Any:
        self.rights.require_admin(current(), f"{name.replace('_', ' ')}")
        return method(self, *arguments, **named)

    return wrapper


def seal(base: type, changes: dict[str, tuple[str, str]], free: set[str]) -> Callable[[type], type]:
    """Return a decorator that completes a store's class.

    `changes` are the methods by name, each with the kind of thing and the argument that names it. `free` are
    those that need no judgement. Every other public method that the class does not have itself is for admins.
    """

    def decorate(cls: type) -> type:
        for name in dir(base):
            if name.startswith("_") or name in vars(cls) or not inspect.isfunction(getattr(base, name)):
                continue
            if name in changes:
                setattr(cls, name, owner_only(base, name, *changes[name]))
            elif not reads_only(name) and name not in free:
                setattr(cls, name, admins_only(base, name))
        return cls

    return decorate


class Owners:
    """Looking up whose a thing is, for both stores."""

    rights = Rights()

    def owner(self, kind: str, key: Any) -> Any:
        """Return the owner's name, None for a thing of nobody, or MISSING."""
        raise NotImplementedError

    def require_change(self, kind: str, key: Any, identity: Identity) -> None:
        """Refuse who may not change the thing. MLflow itself says that a thing is missing."""
        owner = self.owner(kind, key)
        if owner is not MISSING:
            self.rights.require_change(identity, f"{kind} {key}", owner)

    def tag_owner(self, thing: tuple[Any, Any], tag: Any, *conditions: Any) -> Any:
        """Return the owner that a tag names.

        `thing` is the column that identifies the thing, and its value; `tag` the column of the tag's value.
        """
        column, value = thing
        with self.ManagedSessionMaker() as session:  # type: ignore[attr-defined]
            if session.query(column).filter(column == value).first() is None:
                return MISSING
            found = session.query(tag).filter(*conditions).first()
        return found[0] if found else None


TRACKING_CHANGES = {
    **dict.fromkeys(RUN_CHANGES, ("run", "run_id")),
    **dict.fromkeys(EXPERIMENT_CHANGES, ("experiment", "experiment_id")),
    **dict.fromkeys(LOGGED_MODEL_CHANGES, ("logged model", "model_id")),
    **dict.fromkeys(TRACE_CHANGES, ("trace", "trace_id")),
}

# Kind of thing -> the column that identifies it, and of its tags the columns of value, thing and key.
OWNER_TAGS = {
    "experiment": (
        SqlExperiment.experiment_id,
        SqlExperimentTag.value,
        SqlExperimentTag.experiment_id,
        SqlExperimentTag.key,
    ),
    "logged model": (
        SqlLoggedModel.model_id,
        SqlLoggedModelTag.tag_value,
        SqlLoggedModelTag.model_id,
        SqlLoggedModelTag.tag_key,
    ),
    "trace": (SqlTraceInfo.request_id, SqlTraceTag.value, SqlTraceTag.request_id, SqlTraceTag.key),
}


@seal(TrackingStore, TRACKING_CHANGES, OWN_WORK)
class OwnedTrackingStore(Owners, TrackingStore):
    """Experiments, runs, logged models and traces, each of somebody."""

    def owner(self, kind: str, key: Any) -> Any:
        """Return the owner of a run, an experiment, a logged model or a trace."""
        if kind == "run":
            with self.ManagedSessionMaker() as session:
                found = session.query(SqlRun.user_id).filter(SqlRun.run_uuid == str(key)).first()
            return (found[0] or None) if found else MISSING
        if kind == "experiment" and not str(key).isdecimal():
            return MISSING
        identity, tag, tagged, name = OWNER_TAGS[kind]
        found_by = int(key) if kind == "experiment" else str(key)
        return self.tag_owner((identity, found_by), tag, tagged == found_by, name == OWNER_TAG)

    @judged
    def create_experiment(self, name: str, artifact_location: Any = None, tags: Any = None) -> str:
        """Make an experiment that belongs to who asks. Where artifacts lie is not the client's choice."""
        identity = current()
        if artifact_location and not identity.is_admin:
            raise Forbidden("the server decides where artifacts lie: leave artifact_location out")
        others = [tag for tag in tags or () if tag.key not in RESERVED]
        own = ExperimentTag(OWNER_TAG, identity.name)
        return str(super().create_experiment(name, artifact_location, [*others, own]))

    @judged
    def delete_experiment(self, experiment_id: str) -> Any:
        """Delete an experiment of one's own, if nobody else's runs are in it."""
        identity = current()
        self.require_change("experiment", experiment_id, identity)
        if not self.rights.may_deploy(identity) and str(experiment_id).isdecimal():
            with self.ManagedSessionMaker() as session:
                other = (
                    session.query(SqlRun.user_id)
                    .filter(SqlRun.experiment_id == int(experiment_id), SqlRun.lifecycle_stage == "active")
                    .filter(SqlRun.user_id != identity.name)
                    .first()
                )
            if other:
                raise Forbidden(f"experiment {experiment_id} holds runs of {other[0]}")
        return super().delete_experiment(experiment_id)

    @judged
    def create_run(self, experiment_id: str, user_id: str, start_time: int, tags: Any, run_name: str) -> Any:
        """Make a run of who asks, whatever user the client names."""
        identity = current()
        others = [tag for tag in tags or () if tag.key not in RESERVED]
        own = RunTag(OWNER_TAG, identity.name)
        return super().create_run(experiment_id, identity.name, start_time, [*others, own], run_name)

    @judged
    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Any = None,
        params: Any = None,
        model_type: str | None = None,
    ) -> Any:
        """Make a logged model of who asks, in a run of theirs."""
        identity = current()
        if source_run_id:
            self.require_change("run", source_run_id, identity)
        others = [tag for tag in tags or () if tag.key not in RESERVED]
        own = LoggedModelTag(OWNER_TAG, identity.name)
        return super().create_logged_model(
            experiment_id, name, source_run_id, [*others, own], params, model_type
        )

    @judged
    def start_trace(self, trace_info: Any) -> Any:
        """Record a trace of who asks; one that is there already must be theirs."""
        identity = current()
        self.require_change("trace", trace_info.trace_id, identity)
        for key in RESERVED:
            trace_info.tags.pop(key, None)
        trace_info.tags[OWNER_TAG] = identity.name
        return super().start_trace(trace_info)

    @judged
    def log_spans(self, location: str, spans: list[Any], tracking_uri: Any = None) -> list[Any]:
        """Record spans; the traces that begin with them belong to who asks."""
        identity = current()
        begun = []
        for trace_id in dict.fromkeys(span.trace_id for span in spans):
            if self.owner("trace", trace_id) is MISSING:
                begun.append(trace_id)
            else:
                self.require_change("trace", trace_id, identity)
        logged: list[Any] = super().log_spans(location, spans, tracking_uri)
        for trace_id in begun:
            TrackingStore.set_trace_tag(self, trace_id, OWNER_TAG, identity.name)
        return logged

    @judged
    def create_assessment(self, assessment: Any) -> Any:
        """Assess a trace of one's own."""
        self.require_change("trace", assessment.trace_id, current())
        return super().create_assessment(assessment)

    @judged
    def delete_traces(
        self,
        experiment_id: str,
        max_timestamp_millis: int | None = None,
        max_traces: int | None = None,
        trace_ids: list[str] | None = None,
    ) -> int:
        """Delete traces of one's own; by time only in an experiment of one's own."""
        identity = current()
        if trace_ids:
            for trace_id in trace_ids:
                self.require_change("trace", trace_id, identity)
        else:
            self.require_change("experiment", experiment_id, identity)
        return int(super().delete_traces(experiment_id, max_timestamp_millis, max_traces, trace_ids))


@seal(
    RegistryStore,
    dict.fromkeys(REGISTERED_MODEL_CHANGES, ("registered model", "name")),
    {*PROMPTS, *OWN_WORK},
)
class OwnedRegistryStore(Owners, RegistryStore):
    """Registered models with their versions; who may deploy decides what is in production."""

    def owner(self, kind: str, key: Any) -> Any:
        """Return the owner of a registered model, which its versions have as well."""
        tag = SqlRegisteredModelTag
        return self.tag_owner(
            (SqlRegisteredModel.name, str(key)), tag.value, tag.name == str(key), tag.key == OWNER_TAG
        )

    def aliases(self, name: str, version: Any = None) -> list[str]:
        """Return the protected aliases of a model, or of one of its versions."""
        alias = SqlRegisteredModelAlias
        with self.ManagedSessionMaker() as session:
            found = session.query(alias.alias, alias.version).filter(alias.name == str(name)).all()
        return self.rights.protected(
            each for each, number in found if version is None or str(number) == str(version)
        )

    def in_production(self, path: str) -> list[str]:
        """Return the versions with a protected alias whose artifacts a path would change, as `name@alias`."""
        alias, model = SqlRegisteredModelAlias, SqlModelVersion
        with self.ManagedSessionMaker() as session:
            found = (
                session.query(alias.name, alias.alias, model.storage_location, model.source)
                .join(model, (model.name == alias.name) & (model.version == alias.version))
                .filter(alias.alias.in_(self.rights.protected_aliases))
                .all()
            )
            return [
                f"{name}@{label}"
                for name, label, place, source in found
                if any(lies_in(path, each) for each in places(session, place or source or ""))
            ]

    @judged
    def create_registered_model(
        self, name: str, tags: Any = None, description: Any = None, deployment_job_id: Any = None
    ) -> Any:
        """Make a registered model that belongs to who asks."""
        others = [tag for tag in tags or () if tag.key not in RESERVED]
        own = RegisteredModelTag(OWNER_TAG, current().name)
        return super().create_registered_model(name, [*others, own], description, deployment_job_id)

    @judged
    def rename_registered_model(self, name: str, new_name: str) -> Any:
        """Rename a model of one's own; one in production only who may deploy."""
        self.require_change("registered model", name, current())
        self.require_no_alias(name)
        return super().rename_registered_model(name, new_name)

    @judged
    def delete_registered_model(self, name: str) -> Any:
        """Delete a model of one's own; one in production only who may deploy."""
        self.require_change("registered model", name, current())
        self.require_no_alias(name)
        return super().delete_registered_model(name)

    @judged
    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Any = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> Any:
        """Add a version to a model of one's own, from artifacts that this server keeps."""
        identity = current()
        self.require_change("registered model", name, identity)
        refuse_reserved(tag_keys({"tags": tags}), identity)
        place = urlsplit(source or "")
        # The server would fetch any other address with its own rights.
        kept = ("",) if is_prompt(tags) else ("runs", "models", "mlflow-artifacts")
        # A model's name may have any character, and MLflow looks up where it lies.
        unclear = place.scheme != "models" and TWO_WAYS.intersection(source or "")
        if not identity.is_admin and (place.scheme not in kept or place.netloc or unclear):
            raise MlflowException(
                f"The source {source} is not kept by this server: log the model in a run first, and register "
                "it from there (runs:/ or models:/)",
                error_code=INVALID_PARAMETER_VALUE,
            )
        return super().create_model_version(
            name, source, run_id, tags, run_link, description, local_model_path, model_id
        )

    @judged
    def delete_model_version(self, name: str, version: Any) -> Any:
        """Delete a version of one's own; one in production only who may deploy."""
        self.require_change("registered model", name, current())
        self.require_no_alias(name, version)
        return super().delete_model_version(name, version)

    @judged
    def transition_model_version_stage(
        self, name: str, version: Any, stage: str, archive_existing_versions: bool
    ) -> Any:
        """Move a version to a stage: like an alias of production, for who may deploy."""
        self.rights.require_deployer(current(), f"the stage of {name}")
        return super().transition_model_version_stage(name, version, stage, archive_existing_versions)

    @judged
    def set_registered_model_alias(self, name: str, alias: str, version: Any) -> Any:
        """Set an alias of one's own model; a protected one only who may deploy."""
        self.require_alias(name, alias)
        return super().set_registered_model_alias(name, alias, version)

    @judged
    def delete_registered_model_alias(self, name: str, alias: str) -> Any:
        """Delete an alias of one's own model; a protected one only who may deploy."""
        self.require_alias(name, alias)
        return super().delete_registered_model_alias(name, alias)

    def require_alias(self, name: str, alias: str) -> None:
        """Refuse who may not move an alias."""
        if self.rights.is_protected(alias):
            self.rights.require_deployer(current(), f"the alias {alias} of {name}")
        self.require_change("registered model", name, current())

    def require_no_alias(self, name: str, version: Any = None) -> None:
        """Refuse to take away what is in production."""
        if found := self.aliases(name, version):
            self.rights.require_deployer(current(), f"{name} has the alias {', '.join(found)}")


def is_prompt(tags: Any) -> bool:
    """Whether a new version is a prompt, whose text stands in a tag and whose source is not read."""
    return any(tag.key == "mlflow.prompt.is_prompt" for tag in tags or ())


def places(session: Any, source: str) -> list[str]:
    """Return where the artifacts of a version lie.

    MLflow keeps `runs:/RUN/NAME` as it is. Who loads it gets what the run has in that folder, and over it
    what a logged model of that name has. The run may have several of these, and all of them are meant.
    """
    if not RunsArtifactRepository.is_runs_uri(source):
        return [source]
    run, path = RunsArtifactRepository.parse_runs_uri(source)
    name, _, below = (path or "").strip("/").partition("/")
    model = SqlLoggedModel
    of_run = session.query(SqlRun.artifact_uri).filter(SqlRun.run_uuid == run)
    of_models = session.query(model.artifact_location).filter(model.source_run_id == run, model.name == name)
    return [
        *(append_to_uri_path(place, name, below) for (place,) in of_run),
        *(append_to_uri_path(place, below) for (place,) in of_models),
    ]


def lies_in(path: str, place: str) -> bool:
    """Whether an artifact's path is in a place like `mlflow-artifacts:/1/models/m-2/artifacts`, or above."""
    folder = urlsplit(place).path.strip("/")
    path = path.strip("/")
    return bool(folder) and (f"{path}/".startswith(f"{folder}/") or f"{folder}/".startswith(f"{path}/"))
