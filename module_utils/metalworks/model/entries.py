"""An entry of model_models with what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# As roles/model/meta/argument_specs.yml has them: Ansible fills in no default inside of a list.
DEFAULTS: dict[str, Any] = {
    "name": "",
    "kind": "",
    "version": "",
    "alias": "champion",
    "replicas": 3,
    "max_replicas": 5,
    "scale_above": "400m",
    "service_type": "ClusterIP",
    "node_port": None,
    "settings": {},
    "memory": "512Mi",
    "cache": "2Gi",
    "training_memory": "2Gi",
    "training_workers": 0,
}


# The folder with the Dockerfile of images for models that somebody else logged.
CONTEXT = "files/logged_model"


def image_name(model: str) -> str:
    """Return the name of the image with the environment of a model that somebody else logged."""
    return f"served-{model}"


def complete(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with its defaults. A value that is None counts as left out."""
    return {**DEFAULTS, **{name: value for name, value in entry.items() if value is not None}}
