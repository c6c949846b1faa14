"""Rules for the models: what they need of other parts, their entries, their source, names and times."""

from __future__ import annotations

import ast
import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..common.kubernetes_names import is_label, label_problem
from ..common.suggestions import did_you_mean
from ..jupyterhub.sizes import storage_problem
from ..model.entries import DEFAULTS, complete
from ..model.programs import PROGRAMS
from .names import unusable_names
from .platform import Platform

SETTINGS = Path(__file__).resolve().parents[3] / "files" / "model" / "metalworks_model" / "settings.py"
# Those that the chart and the inventory's other inputs set.
TAKEN = {"model", "model_version", "kind", "registry_url", "registry_token_file", "cache_dir", "data_url",
         "port", "source", "source_url", "quarantine_bound", "volume_bound", "linger", "grace",
         "showings_url", "watch_port", "retrain_cronjob", "servers_url", "champion", "candidate",
         "requirements", "fallback_version", "workers"}  # fmt: skip
# Names of what the role itself makes in the namespace, and the longest that leaves room for those of Jobs.
OWN_NAMES = {"shop", "ingest-invoices", "ingest-shop", "model-train", "model", "training"}
LONGEST_NAME = 32
MOST_WORKERS = 50
CPU = re.compile(r"[1-9][0-9]*m?|0\.[0-9]*[1-9]")
SOURCES = ("http://", "https://", "s3://", "generated://")
# Minutes, hours, days of the month, months, days of the week; or a name (robfig/cron, as in Kubernetes).
FIELD = r"[0-9A-Za-z*/,?-]+"
SCHEDULE = re.compile(rf"({FIELD})( +{FIELD}){{4}}|@(yearly|annually|monthly|weekly|daily|midnight|hourly)")


def _models(platform: Platform) -> list[dict[str, Any]]:
    return [complete(each) for each in platform.values["model_models"]]


def model_parts(platform: Platform) -> Iterator[str]:
    """Refuse models without a registry, without a place for data, or without a token for either."""
    if not platform.has_part("mlflow"):
        yield "metalworks_parts has model and not mlflow, whose registry says what is served: add mlflow"
        return
    have = {str(each.get("name")) for each in platform.values["mlflow_programs"]}
    if missing := [name for name in PROGRAMS if name not in have]:
        yield (
            f"mlflow_programs lacks {', '.join(missing)}, with which the models use MLflow: add "
            "{name: model-trainer, groups: [deployers]}, {name: model-watch, groups: [deployers]} and "
            "{name: model-server}"
        )
    if platform.values["model_namespace"] not in platform.values["mlflow_client_namespaces"]:
        yield (
            "mlflow_client_namespaces lacks model_namespace, whose pods would not reach MLflow: add "
            f"{platform.values['model_namespace']}"
        )
    if not any(each["kind"] for each in _models(platform)):
        return
    if not platform.has_part("object_store"):
        yield (
            "model_models has models that are trained here, whose data lie in the object store, which "
            "metalworks_parts leaves out: add object_store, or take their kind out"
        )
        return
    its = platform.values["object_store_consumers"].get("model-data") or {}
    wanted = {"namespace": platform.values["model_namespace"], "name": "object-store"}
    if wanted not in (its.get("secrets") or []):
        yield (
            "object_store_consumers lacks model-data, the bucket of the models: add "
            f"model-data: {{secrets: [{wanted}]}}"
        )


def model_entries(platform: Platform) -> Iterator[str]:
    """Refuse entries that cannot be told apart, or that no server could follow."""
    models = _models(platform)
    if not models:
        yield "model_models is empty: write an entry, or take model out of metalworks_parts"
    names = Counter(str(each["name"]) for each in models)
    taken = OWN_NAMES | {
        f"{each['name']}-{end}" for each in models if each["kind"] for end in ("watch", "servers")
    }
    for each in models:
        name = str(each["name"])
        where = f"model_models, {name}"
        if not is_label(name) or not name[:1].isalpha():
            problem = label_problem(name, "recommender") or f"{name!r} begins with no letter"
            yield f"model_models, name: {problem}"
        elif len(name) > LONGEST_NAME or name in taken:
            yield f"{where}: the name is taken, or longer than {LONGEST_NAME}: write another one"
        elif names[name] > 1:
            yield f"model_models lists {name} {names[name]} times: give each model a name of its own"
        yield from _entry_problems(where, each)


def _entry_problems(where: str, entry: Mapping[str, Any]) -> Iterator[str]:
    if int(entry["replicas"]) < 1:
        yield f"{where}: replicas is {entry['replicas']}: write 1 or more, or take the entry out"
    if not re.fullmatch(r"[0-9]*", str(entry["version"])):
        yield f"{where}: version is {entry['version']!r}: write the number of a version, or take it out"
    if not is_label(str(entry["alias"])) or not str(entry["alias"])[:1].isalpha():
        yield f"{where}: alias is {entry['alias']!r}: write small letters, digits and -, like champion"
    elif entry["kind"] and entry["alias"] != DEFAULTS["alias"]:
        yield f"{where}: alias is {entry['alias']}, and a model with a kind has champion: take it out"
    if entry["node_port"] is not None and entry["service_type"] == "ClusterIP":
        yield (
            f"{where}: node_port is {entry['node_port']}, and the service is ClusterIP: write service_type: "
            "NodePort"
        )
    if not CPU.fullmatch(str(entry["scale_above"])):
        yield f"{where}: scale_above is {entry['scale_above']!r}: write CPU like 400m, or 0.4 for the same"
    workers = int(entry["training_workers"])
    if not 0 <= workers <= MOST_WORKERS:
        yield f"{where}: training_workers is {workers}: write 0 to {MOST_WORKERS}"
    elif workers and entry["kind"] != "recommender":
        yield f"{where}: training_workers is {workers}, and only a recommender has some: take it out"
    for name in ("memory", "cache", "training_memory"):
        if problem := storage_problem(entry[name]):
            yield f"{where}, {name}: {problem}"
    known = known_settings() - TAKEN
    for name in entry["settings"]:
        if name in TAKEN:
            yield f"{where}, settings: {name} is set by the platform: take it out"
        elif name not in known:
            yield f"{where}, settings: there is no {name}{did_you_mean(name, known)}"


@cache
def known_settings() -> frozenset[str]:
    """Return the names of the settings that the model's image takes, from its source."""
    tree = ast.parse(SETTINGS.read_text(encoding="utf-8"))
    (settings,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    return frozenset(
        node.target.id
        for node in settings.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    )


def model_shop(platform: Platform) -> Iterator[str]:
    """Refuse a shop that has nothing to recommend."""
    kinds = [each["kind"] for each in _models(platform)]
    if platform.values["model_shop"] and "recommender" not in kinds:
        yield (
            "model_shop is true, and model_models has no recommender, which the shop asks: write model_shop: "
            "false"
        )


def model_source(platform: Platform) -> Iterator[str]:
    """Refuse a source that pods do not reach, and days that are none."""
    source = str(platform.values["model_source"])
    if not source.startswith(SOURCES):
        yield (
            f"model_source is {source!r}: write an address that pods reach, which begins with "
            f"{', '.join(SOURCES)}"
        )
    days = {}
    for name in ("model_source_first", "model_source_last"):
        if text := str(platform.values[name]):
            try:
                days[name] = dt.date.fromisoformat(text)
            except ValueError:
                yield f"{name} is {text!r}: write a day like 2010-12-01"
    if len(days) == 2 and days["model_source_first"] > days["model_source_last"]:
        yield "model_source_first is after model_source_last: change one"
    if not 0 <= (share := float(platform.values["model_quarantine_bound"])) <= 1:
        yield f"model_quarantine_bound is {share:g}: write a share from 0 to 1"
    if (times := float(platform.values["model_volume_bound"])) <= 1:
        yield f"model_volume_bound is {times:g}: write more than 1"


def model_names(platform: Platform) -> Iterator[str]:
    """Refuse names, sizes and times that Kubernetes does not accept."""
    yield from unusable_names(platform, {"model_namespace": "model"}, "model_storage_class")
    if problem := storage_problem(platform.values["model_shop_size"]):
        yield f"model_shop_size: {problem}"
    for name in ("model_ingest_schedule", "model_training_schedule"):
        text = str(platform.values[name])
        if not SCHEDULE.fullmatch(text.strip()):
            yield f"{name} is {text!r}: write the five fields of cron, like 30 2 * * *, or @daily"


PART = "model"
