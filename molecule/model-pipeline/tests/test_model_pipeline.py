"""From a push to a served answer. Each test goes on from what the one before left."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from module_utils.metalworks.images.names import pulled_name
from tests.support.artifacts import built_path
from tests.support.logged_model import NAME, log, said
from tests.support.models import MODEL, NAMESPACE, Asker, asking_pod, let_in, pods, ready
from tests.support.playbooks import Outcome, play
from tests.support.scenario import CLUSTER_STATE, INVENTORIES
from tests.support.waiting import wait_for

from kubernetes import client

SCENARIO = Path(__file__).parents[1]
ROOT = SCENARIO.parents[1]
MISTAKE = "the next commit has a mistake"
IMAGE = re.compile(
    r"(?P<registry>[\d.]+:5000)/metalworks/(?P<image>model:[\w.-]+)@(?P<digest>sha256:[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Images:
    """The images in the registry, each as its name with its digest."""

    published: str
    next: str
    broken: str


@pytest.fixture(scope="module")
def inventories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the pipeline is told, with the inventory of an environment."""
    folder = tmp_path_factory.mktemp("inventories")
    staging = folder / "staging"
    shutil.copytree(INVENTORIES / "group_vars", staging / "group_vars")
    shutil.copy(INVENTORIES / "cluster.yml", staging)
    shutil.copy(SCENARIO / "vars.yml", staging / "group_vars" / "shared_cluster" / "scenario.yml")
    (staging / ".state").symlink_to(INVENTORIES / ".state")
    return folder


@pytest.fixture(scope="module")
def inventory(inventories: Path) -> Path:
    return inventories / "staging"


def make(verb: str, inventory: Path, **variables: Any) -> Outcome:
    """Run a verb as a person would, and as the pipeline does."""
    given = [f"{name}={value}" for name, value in {"INVENTORY": inventory, **variables}.items()]
    done = subprocess.run(
        ["make", verb, *given],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


def deploy(inventory: Path, image: str) -> Outcome:
    return make("deploy-model", inventory, IMAGE=image)


@pytest.fixture(scope="module")
def published(inventory: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that `make publish-model` wrote, and the image's name with its digest."""
    into = tmp_path_factory.mktemp("published")
    make("publish-model", inventory, INTO=into).check()
    return into, (into / "image").read_text().strip()


@pytest.fixture(scope="module")
def images(inventory: Path, published: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Images:
    """The published image, and two that are built on it."""
    into = tmp_path_factory.mktemp("images") / "image"
    found = IMAGE.fullmatch(published[1])
    assert found
    base = f"metalworks.local/{found['image']}"

    def push(mistake: str) -> str:
        play(SCENARIO / "push.yml", inventory, base=base, mistake=mistake, into=str(into)).check()
        return into.read_text()

    made = Images(published[1], push(""), push(MISTAKE))
    assert len({made.published, made.next, made.broken}) == 3
    return made


@pytest.fixture(scope="module")
def asker(core: client.CoreV1Api) -> Asker:
    """Somebody who asks the models; they have to run."""
    return let_in(core)


def running(core: client.CoreV1Api) -> dict[str, str]:
    """The digest that each server runs, by the server's own identity."""
    return {
        pod.metadata.uid: pod.status.container_statuses[0].image_id.rpartition("@")[2] for pod in pods(core)
    }


def assert_all_run(core: client.CoreV1Api, image: str) -> None:
    """Three servers run this image, and all take requests."""
    assert list(running(core).values()) == [image.rpartition("@")[2]] * 3
    assert len(ready(core)) == 3


def test_what_is_published_is_in_the_registry_with_what_is_in_it(
    inventory: Path, published: tuple[Path, str]
) -> None:
    into, image = published
    found = IMAGE.fullmatch(image)
    assert found, image
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            f"https://{found['registry']}/v2/metalworks/model/manifests/{found['digest']}",
            auth=("metalworks", (CLUSTER_STATE / "registry" / "password").read_text().strip()),
            headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
            verify=str(CLUSTER_STATE / "registry" / "ca.crt"),
        )
    assert answer.status_code == 200, answer.text
    components = json.loads((into / "packages.cdx.json").read_text())["components"]
    assert {"numpy", "dpkg"} <= {each["name"] for each in components}
    assert "| pypi | numpy |" in (into / "packages.md").read_text()
    assert make("publish-model", inventory, INTO=into).check().changed_nothing


def test_a_first_deployment_that_does_not_start_has_nothing_to_go_back_to(
    inventory: Path, images: Images
) -> None:
    done = deploy(inventory, images.broken)
    assert done.code != 0
    assert "nothing was deployed before that one could go back to" in done.said, done.output
    assert MISTAKE in done.said, done.output


def test_an_image_is_deployed_by_its_digest_and_answers(
    inventory: Path, images: Images, core: client.CoreV1Api
) -> None:
    deploy(inventory, images.published).check()
    assert_all_run(core, images.published)
    status, found = asking_pod(core, "people", {"asks": "models"}).ask("/recommend?user=nobody&count=3")
    assert (status, found["model_name"], len(found["items"])) == (200, MODEL, 3)


def test_the_same_image_again_changes_nothing(
    inventory: Path, images: Images, core: client.CoreV1Api
) -> None:
    before = running(core)
    assert deploy(inventory, images.published).check().changed_nothing
    assert running(core) == before


def test_an_image_that_does_not_start_is_taken_back_and_no_request_notices(
    inventory: Path, images: Images, core: client.CoreV1Api, asker: Asker
) -> None:
    before = running(core)
    with asker.load() as asked:
        done = deploy(inventory, images.broken)
    assert done.code != 0
    assert asked["failures"] == []
    assert sum(asked["seen"].values()) > 1000
    assert running(core) == before
    assert_all_run(core, images.published)
    said = done.said.partition("Explain what runs now")[2]
    assert f"{images.broken} does not serve. Revision" in said, done.output
    assert "of the release was brought back, and every replica serves again" in said
    assert MISTAKE in said
    # Nothing of it is left.
    assert deploy(inventory, images.published).check().changed_nothing


def test_the_next_image_replaces_all_servers_and_no_request_notices(
    inventory: Path, images: Images, core: client.CoreV1Api, asker: Asker
) -> None:
    before = running(core)
    with asker.load() as asked:
        deploy(inventory, images.next).check()
    assert asked["failures"] == []
    assert sum(asked["seen"].values()) > 1000
    assert not set(before) & set(running(core))
    assert_all_run(core, images.next)


def test_the_workflow_takes_a_push_to_the_servers(
    inventories: Path, images: Images, core: client.CoreV1Api, asker: Asker, tmp_path: Path
) -> None:
    """Act runs its jobs on this computer. `production` waits for an approval, which only GitHub knows."""
    own = [f"--platform={label}=-self-hosted" for label in ("ubuntu-latest", "self-hosted")]
    done = subprocess.run(
        [
            *(built_path("act"), "push", "--workflows", ".github/workflows/model.yml", "--job=staging"),
            *own,
            *("--var", f"METALWORKS_INVENTORIES={inventories}", "--action-cache-path", tmp_path / "actions"),
        ],
        cwd=ROOT,
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-6000:]
    ended = re.findall(r"\[model/(\w+)\s*\].*Job succeeded", said)
    assert ended == ["test", "image", "staging"], said[-6000:]
    assert images.published in said
    assert_all_run(core, images.published)
    status, found = asker.ask("/recommend?user=nobody&count=3")
    assert (status, found["model_name"]) == (200, MODEL)


def layers(reference: str) -> list[str]:
    """The layers of an image that Docker has."""
    command = ["docker", "image", "inspect", "--format", "{{json .RootFS.Layers}}", reference]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def test_servers_of_a_logged_model_run_the_code_that_is_deployed(
    inventory: Path, images: Images, core: client.CoreV1Api, asker: Asker
) -> None:
    """Their image is built on the one that is deployed, which is pulled where it was not built."""
    log("first", "humanize==4.17.0")
    scenario = inventory / "group_vars" / "shared_cluster" / "scenario.yml"
    known = yaml.safe_load(scenario.read_text())
    entry = {"name": NAME, "replicas": 1, "max_replicas": 1, "settings": {"poll_every": 1}}
    scenario.write_text(yaml.safe_dump({**known, "model_models": [*known["model_models"], entry]}))
    pulled = pulled_name(images.next)
    found = IMAGE.fullmatch(images.next)
    assert found
    built_here = f"metalworks.local/{found['image']}"
    subprocess.run(["docker", "image", "rm", built_here], capture_output=True, check=True)
    try:
        deploy(inventory, images.next).check()
        assert_all_run(core, images.next)
        wait_for(lambda: said(asker)[1] == "first 1.0 kB", lambda: f"{NAME} says {said(asker)}")
        (pod,) = core.list_namespaced_pod(NAMESPACE, label_selector=f"app.kubernetes.io/name={NAME}").items
        served = pod.spec.containers[0].image
        assert served.startswith(f"{found['registry']}/metalworks/served-{NAME}:")
        base, whole = layers(pulled), layers(f"metalworks.local/{served.rpartition('/')[2]}")
        assert whole[: len(base)] == base
        assert len(whole) > len(base)
        assert deploy(inventory, images.next).check().changed_nothing
    finally:
        subprocess.run(["docker", "image", "rm", pulled], capture_output=True, check=False)
