"""A cluster that is already there is refused with its reason, before an image is built or pushed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from playing import ROOT, Outcome, play
from tests.support import registry as a_registry
from tests.support.cluster_api import CLASSES, SERVICES, answers, hub, kubeconfig, serving

PLAYBOOK = ROOT / "playbooks" / "check_existing.yml"
REGISTRY = {"address": "registry.example:5000"}
# Each part asks the cluster in the same way: where one answer is enough, the others are left out.
HUB_ALONE = {"metalworks_parts": ["jupyterhub"]}


def judged(folder: Path, path: Path, playbook: Path = PLAYBOOK, **variables: Any) -> Outcome:
    """The example's inventory, its cluster being the one of this kubeconfig."""
    given = {
        "metalworks_kubeconfig": str(path),
        "metalworks_context": "test",
        "metalworks_state_dir": str(folder / "state"),
        "metalworks_registry": REGISTRY,
        "jupyterhub_namespace": "hub",
        **variables,
    }
    return play(playbook, ROOT / "inventories" / "existing", **given)


def assert_refused(outcome: Outcome, *says: str) -> None:
    assert outcome.code == 2, outcome.said
    assert outcome.changed_nothing
    for part in says:
        assert part in outcome.said


def test_a_fit_cluster_is_accepted(tmp_path: Path) -> None:
    with serving(answers(), tmp_path) as path:
        outcome = judged(tmp_path, path)
    assert outcome.code == 0, outcome.said
    assert outcome.changed_nothing


def test_missing_kubeconfig(tmp_path: Path) -> None:
    assert_refused(judged(tmp_path, tmp_path / "gone"), "gone cannot be read: No such file or directory")


def test_unknown_context(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://192.0.2.1:6443")
    outcome = judged(tmp_path, path, metalworks_context="prod", **HUB_ALONE)
    assert_refused(outcome, "has no context 'prod'. It has: test.")


def test_unreachable_api(tmp_path: Path) -> None:
    outcome = judged(tmp_path, kubeconfig(tmp_path, "http://127.0.0.1:1"), **HUB_ALONE)
    assert_refused(outcome, "the API of the context test cannot be reached", "Connection refused")


def test_unfit_cluster(tmp_path: Path) -> None:
    """All is said at once."""
    ports = [{"port": 80, "nodePort": 30080}]
    taken = {"metadata": {"namespace": "other", "name": "web"}, "spec": {"ports": ports}}
    unfit = {
        CLASSES: {"items": []},
        "denied": ["secrets"],
        "/version": {"gitVersion": "v1.27.3"},
        SERVICES: {"items": [taken]},
    }
    with serving(answers(**unfit), tmp_path) as path:
        assert_refused(
            judged(tmp_path, path),
            "no default storage class: name one in jupyterhub_storage_class",
            "this user may not create secrets for the namespace hub",
            "runs Kubernetes v1.27.3",
            "node port 30080 is taken by the service other/web",
        )


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (
            {"metalworks_registry": {}, "metalworks_parts": ["jupyterhub"]},
            "images are built here (datascience), and only a registry brings them",
        ),
        (
            {"jupyterhub_values": {"proxy": {"service": {"type": "LoadBalancer"}}}},
            "its service is a LoadBalancer), so its address is not known here: write it into jupyterhub_url",
        ),
    ],
    ids=["no_registry", "no_address"],
)
def test_contradictions_are_found_before_the_cluster_is_asked(
    variables: dict[str, Any], says: str, tmp_path: Path
) -> None:
    assert_refused(
        judged(tmp_path, tmp_path / "gone", ROOT / "playbooks" / "preflight.yml", **variables), says
    )


def test_a_hub_of_another_inventory(tmp_path: Path) -> None:
    """It has the hub's own node port, too."""
    ports = [{"port": 80, "nodePort": 30080}]
    service = {"metadata": {"namespace": "hub", "name": "proxy-public"}, "spec": {"ports": ports}}
    services = {SERVICES: {"items": [service]}}
    theirs = answers(**services, **hub({"hub.services.metalworks.apiToken": "t" * 64}))
    with serving(theirs, tmp_path) as path:
        assert_refused(
            judged(tmp_path, path, **HUB_ALONE),
            "holds a hub (Deployment hub) that this inventory did not make",
        )
        assert judged(tmp_path, path, jupyterhub_adopt=True, **HUB_ALONE).code == 0
    token = (tmp_path / "state" / "secrets" / "hub_api_token").read_text().strip()
    with serving(answers(**services, **hub({"hub.services.metalworks.apiToken": token})), tmp_path) as path:
        assert judged(tmp_path, path, **HUB_ALONE).code == 0


@pytest.mark.parametrize(
    ("login", "says"),
    [
        (
            {"username": "ada", "password": "not-it"},
            "does not let ada in: username or password in metalworks_registry",
        ),
        ({}, "wants a login: write username and password into metalworks_registry"),
    ],
    ids=["wrong_password", "no_login"],
)
def test_registry_s_login(login: dict[str, str], says: str, tmp_path: Path) -> None:
    with a_registry.serving(auth="basic") as state:
        outcome = play(
            ROOT / "playbooks" / "images.yml",
            ROOT / "inventories" / "existing",
            metalworks_artifact_source="build",
            metalworks_rehearsal=True,
            metalworks_state_dir=str(tmp_path),
            metalworks_registry={"address": state.address, **login},
        )
        assert state.blobs == {}
    assert outcome.code == 2, outcome.said
    assert says in outcome.said
    assert "not-it" not in outcome.said


def test_the_example_of_this_repository_passes_the_rules_of_inventories(tmp_path: Path) -> None:
    outcome = play(
        ROOT / "playbooks" / "check_inventory.yml",
        ROOT / "inventories" / "existing",
        metalworks_state_dir=str(tmp_path),
        metalworks_registry=REGISTRY,
    )
    assert outcome.code == 0, outcome.said


def test_the_operator_s_context_stays(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, "https://192.0.2.1:6443")
    before = path.read_text()
    outcome = play(
        ROOT / "playbooks" / "down.yml",
        ROOT / "inventories" / "existing",
        metalworks_kubeconfig=str(path),
        metalworks_context="test",
        metalworks_state_dir=str(tmp_path / "state"),
    )
    assert outcome.code == 0, outcome.said
    assert outcome.changed_nothing
    assert "kubectl --context test delete namespace jupyterhub" in outcome.said
    assert yaml.safe_load(path.read_text()) == yaml.safe_load(before)
