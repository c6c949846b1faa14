"""No secret of the platform is where somebody without a right to it could read it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from kubernetes import client

# What programs draw at random is at least this long; digests of images look the same and are no secrets.
RANDOM = re.compile(r"(?<!sha256:)\b[A-Za-z0-9]{32,}\b")
# Keys with these ends are not looked for: certificates are public, and Helm's record of a release is packed.
PUBLIC_KEYS = (".crt", "ca.pem", "cert.pem", "release")


@pytest.fixture(scope="module")
def secrets(core: client.CoreV1Api) -> dict[str, str]:
    """Each random word in a Secret, with the name of the Secret."""
    found = {}
    for secret in core.list_secret_for_all_namespaces().items:
        for key, value in (secret.data or {}).items():
            if key.endswith(PUBLIC_KEYS):
                continue
            text = base64.b64decode(value).decode("utf-8", "ignore")
            for word in RANDOM.findall(text):
                found[word] = f"{secret.metadata.namespace}/{secret.metadata.name}, {key}"
    assert found, "no Secret has a random word"
    return found


def shown(secrets: dict[str, str], text: str) -> set[str]:
    """The names of the Secrets whose words stand in a text."""
    return {secrets[word] for word in RANDOM.findall(text) if word in secrets}


def test_a_secret_that_is_shown_would_be_found(secrets: dict[str, str]) -> None:
    word, name = next(iter(secrets.items()))
    assert shown(secrets, f'{{"env": [{{"name": "TOKEN", "value": "{word}"}}]}}') == {name}


def test_no_secret_is_in_the_definition_of_a_pod_or_in_a_config_map(
    api: Any, core: client.CoreV1Api, secrets: dict[str, str]
) -> None:
    public = [*core.list_pod_for_all_namespaces().items, *core.list_config_map_for_all_namespaces().items]
    found = {
        f"{each.metadata.namespace}/{each.metadata.name}": names
        for each in public
        if (names := shown(secrets, json.dumps(api.sanitize_for_serialization(each))))
    }
    assert found == {}


def logs(core: client.CoreV1Api) -> Iterator[tuple[str, str]]:
    """The last lines of each container that runs."""
    for pod in core.list_pod_for_all_namespaces().items:
        for container in pod.status.container_statuses or []:
            if container.state.running:
                where = (pod.metadata.name, pod.metadata.namespace)
                text = core.read_namespaced_pod_log(*where, container=container.name, tail_lines=5000)
                yield f"{pod.metadata.namespace}/{pod.metadata.name}, {container.name}", text


def test_no_secret_is_in_a_log(core: client.CoreV1Api, secrets: dict[str, str]) -> None:
    texts = dict(logs(core))
    assert any(texts.values())
    assert {where: names for where, text in texts.items() if (names := shown(secrets, text))} == {}


def test_no_secret_is_in_what_an_image_says_of_itself(
    core: client.CoreV1Api, secrets: dict[str, str]
) -> None:
    used = {
        container.image
        for pod in core.list_pod_for_all_namespaces().items
        for container in [*pod.spec.containers, *(pod.spec.init_containers or [])]
    }
    listed = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
    if not shutil.which("docker"):
        pytest.skip("this computer has no Docker, with which images are built")
    here = set(subprocess.run(listed, capture_output=True, text=True, check=False).stdout.split())
    built = sorted(image for image in here if any(name.endswith(image) for name in used))
    if not built:
        pytest.skip("the images of this platform were not built on this computer")
    commands = [["docker", "image", "inspect", *built]]
    commands += [["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", image] for image in built]
    for command in commands:
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert shown(secrets, text) == set(), command
