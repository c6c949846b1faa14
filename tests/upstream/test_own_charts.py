"""The charts of the platform's own parts, rendered: how their pods pull from a registry with a login."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.artifacts import built_path

FILES = Path(__file__).resolve().parents[2] / "files"
# What the charts demand beside the values of a test.
NEEDED = {
    "mlflow": {"image": "r.example/mlflow:1", "door": {"secret": "s" * 32}},
    "object_store": {"images": {"gateway": "r.example/gateway:1", "front": "r.example/front:1"}},
}


def rendered(part: str, **values: Any) -> list[dict[str, Any]]:
    """Return the objects of a chart."""
    command = [built_path("helm"), "template", "part", FILES / part / "chart", "--values", "-"]
    given = yaml.safe_dump({**NEEDED[part], **values})
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def pull_secrets(objects: list[dict[str, Any]]) -> list[str]:
    """Return the names of the logins that the pods use."""
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    names = deployment["spec"]["template"]["spec"].get("imagePullSecrets", [])
    return [each["name"] for each in names]


@pytest.mark.parametrize("part", NEEDED)
@pytest.mark.parametrize("names", [[], ["metalworks-registry", "another"]])
def test_pods_pull_with_the_logins_that_are_named(part: str, names: list[str]) -> None:
    assert pull_secrets(rendered(part, pullSecrets=names)) == names
