"""The objects that helm makes of a chart and values."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from .artifacts import built_path

# By kind and name.
Objects = dict[tuple[str, str], dict[str, Any]]


@cache
def helm() -> Path:
    """Return helm, which is looked for once."""
    return built_path("helm")


def rendered(release: str, values: Mapping[str, Any], *chart: str | Path, namespace: str = "") -> Objects:
    """Return the objects of a release in a namespace, by default one of the same name.

    `chart` is what helm takes for one. The test fails with helm's words where it refuses the values.
    """
    where = ["--namespace", namespace or release, "--values", "-"]
    done = subprocess.run(
        [helm(), "template", release, *chart, *where],
        input=yaml.safe_dump(values),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [each for each in yaml.safe_load_all(done.stdout) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}
