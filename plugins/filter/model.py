"""Filters of the role model: the values of the chart, and the Jobs that give each other something to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.model.canary import canary_problem
from ansible.module_utils.metalworks.model.entries import CONTEXT, complete, image_name

EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")


def model_entries(
    models: Iterable[Mapping[str, Any]],
    logged: Mapping[str, Mapping[str, Any]],
    images: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return model_models in the form of the chart, with what an entry leaves out.

    `logged` is what MLflow has of models that somebody else logged. Those that it does not have are left out.
    `images` are the names of images for pods.
    """
    return [
        {
            "name": each["name"],
            "kind": each["kind"],
            "version": str(each["version"]),
            "alias": each["alias"],
            "builtFor": logged.get(each["name"], {}).get("version", ""),
            "image": images.get(image_name(each["name"]), "") if each["name"] in logged else "",
            "replicas": int(each["replicas"]),
            "maxReplicas": max(int(each["max_replicas"]), int(each["replicas"])),
            "scaleAbove": str(each["scale_above"]),
            "service": {"type": each["service_type"], "nodePort": each["node_port"]},
            "settings": {name: setting(value) for name, value in each["settings"].items()},
            "cache": each["cache"],
            "memory": {"serve": each["memory"], "train": each["training_memory"]},
            "workers": int(each["training_workers"]),
        }
        for each in map(complete, models)
        if each["kind"] or logged.get(each["name"], {}).get("version")
    ]


def setting(value: Any) -> str:
    """Return a setting as text. Helm would write 2000000 as 2e+06.

    PyYAML takes 1e-06 for text and writes it without quotes, and Helm takes that for a number.
    """
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return format(Decimal(text), "f") if EXPONENT.fullmatch(text) else text


def logged_models(models: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of models that somebody else logs, with what they leave out."""
    return [each for each in map(complete, models) if not each["kind"]]


def results_by_model(results: Iterable[Mapping[str, Any]], key: str = "") -> dict[str, Any]:
    """Return the results of a loop over models, or one key of each, by the models' names."""
    return {each["item"]["name"]: each[key] if key else each for each in results}


def logged_images(logged: Mapping[str, Mapping[str, Any]], base: str, python: str) -> list[dict[str, Any]]:
    """Return the images of models that somebody else logged, in the form of container_images_list."""
    return [
        {
            "name": image_name(name),
            "context": CONTEXT,
            "base": base,
            "arguments": {
                "PYTHON": python,
                "RECORDED": "\n".join(its["recorded"]),
                "REQUIREMENTS": "\n".join(its["requirements"]),
            },
        }
        for name, its in logged.items()
        if its["recorded"]
    ]


def trained(models: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the models that are trained here."""
    return [each["name"] for each in map(complete, models) if each["kind"]]


def model_jobs(models: Iterable[Mapping[str, Any]], shop: bool = False) -> list[str]:
    """Return the CronJobs that ingest and then train these models; none where nothing is trained here."""
    trainings = [f"{name}-train" for name in trained(models)]
    return ["ingest-invoices", *(["ingest-shop"] if shop else []), *trainings] if trainings else []


def model_watches(models: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the workloads that watch the models which are trained here."""
    return [f"deployment/{name}-watch" for name in trained(models)]


def model_api_egress(ports: Iterable[int]) -> list[dict[str, int]]:
    """Return the ways to the API: the port of its Service, the usual one, and those of this cluster."""
    return [{"port": port} for port in dict.fromkeys((443, 6443, *ports))]


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that templates use."""
        return {
            "canary_problem": canary_problem,
            "logged_images": logged_images,
            "results_by_model": results_by_model,
            "logged_models": logged_models,
            "model_api_egress": model_api_egress,
            "model_entries": model_entries,
            "model_jobs": model_jobs,
            "model_watches": model_watches,
        }
