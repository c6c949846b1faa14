"""Each wrong inventory and each unfit machine is refused with its message, and nothing is changed."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from playing import ENVIRONMENT, ROOT, Machine, play
from tests.support import playbooks
from tests.support.artifacts import built_path
from tests.support.merging import merged
from tests.support.waiting import wait_for

HERE = Path(__file__).parent
CASES = yaml.safe_load((HERE / "cases.yml").read_text())
BASE = yaml.safe_load((HERE / "base.yml").read_text())
PLAYBOOKS = ROOT / "playbooks"
# The machines alone are judged, so that their inventory needs no users and no notebooks.
NOTHING_ON_THEM: dict[str, Any] = {"metalworks_parts": []}


def named(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in CASES[kind]]


# Inventories.


def written(folder: Path, case: dict[str, Any]) -> Path:
    hosts = merged(BASE["hosts"], case.get("hosts", {}))
    groups = {group: {"hosts": members} for group, members in hosts.items()}
    inventory = {
        "all": {"vars": merged(BASE["vars"], case.get("vars", {}))},
        "k3s_cluster": {"children": groups},
    }
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory))
    return path


def test_right_inventory_is_accepted(tmp_path: Path) -> None:
    outcome = play(PLAYBOOKS / "check_inventory.yml", written(tmp_path, {}))
    assert outcome.code == 0, outcome.said
    assert outcome.changed_nothing


@pytest.mark.parametrize("case", named("inventory"))
def test_inventory_is_refused(case: dict[str, Any], tmp_path: Path) -> None:
    # The whole preflight: had the inventory passed, the machines would have been asked.
    outcome = play(PLAYBOOKS / "preflight.yml", written(tmp_path, case))
    assert outcome.code == 2, outcome.said
    for part in case["says"]:
        assert part in outcome.said
    assert outcome.said.count("Nothing was changed on the machines.") == 1
    assert outcome.changed_nothing
    assert "[Check the machines]" not in outcome.said
    assert [path.name for path in tmp_path.iterdir()] == ["hosts.yml"]


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    wrong = {"vars": {"jupyterhub_node_port": 80, "k3s_token": "x", "metalworks_artifact_source": "web"}}
    outcome = play(PLAYBOOKS / "preflight.yml", written(tmp_path, wrong))
    for number, part in enumerate(
        ("metalworks_artifact_source", "the cluster's token", "jupyterhub_node_port"), 1
    ):
        assert f"{number}. {part}" in outcome.said


def test_a_database_of_others_that_does_not_answer_is_refused_before_anything_changes(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{closed.getsockname()[1]}/runs"
        part = {"metalworks_parts": ["mlflow"], "mlflow_artifacts": "/data/artifacts"}
        others = {"mlflow_database_url": f"postgresql://team:not-to-be-seen@{where}"}
        path = written(tmp_path, {"vars": {**part, **others}})
        outcome = play(PLAYBOOKS / "check_existing.yml", path)
        assert outcome.code == 2, outcome.said
        assert f"mlflow_database_url: the database at {where} cannot be used" in outcome.said
        assert "refused" in outcome.said
        assert "not-to-be-seen" not in outcome.output
        assert outcome.changed_nothing

        path = written(tmp_path, {"vars": {**part, **others, "mlflow_database_probe": False}})
        outcome = play(PLAYBOOKS / "check_existing.yml", path)
        assert outcome.code == 0, outcome.said


def test_a_ca_for_all_clusters_is_refused_before_anything_changes(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "K8S_AUTH_SSL_CA_CERT": "/etc/ssl/company.pem"}
    outcome = playbooks.play(PLAYBOOKS / "fetch.yml", written(tmp_path, {}), environment=environment)
    assert outcome.code == 2, outcome.said
    assert "K8S_AUTH_SSL_CA_CERT is set in the environment" in outcome.said
    assert outcome.changed_nothing


def test_a_rule_that_is_left_out_is_named_at_each_run(tmp_path: Path) -> None:
    case = {"hosts": {"k3s_server": {"metal-3": {"ansible_host": "198.18.0.13"}}}}
    path = written(tmp_path, {**case, "vars": {"preflight_skip": ["number_of_servers"]}})
    outcome = play(PLAYBOOKS / "check_inventory.yml", path)
    assert outcome.code == 0, outcome.said
    assert "The inventory is not judged by the rules number_of_servers (preflight_skip)." in outcome.said


def test_programs_that_this_computer_lacks_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    ansible = shutil.which("ansible-playbook")
    assert ansible
    (programs / "ansible-playbook").symlink_to(ansible)
    path = written(tmp_path, {"vars": {"metalworks_registry": {"address": "registry.example:5000"}}})
    monkeypatch.setitem(ENVIRONMENT, "PATH", str(programs))
    outcome = play(PLAYBOOKS / "check_inventory.yml", path)
    assert outcome.code == 2, outcome.said
    for part in ("apt-get install docker.io", "apt-get install skopeo"):
        assert part in outcome.said


def test_refusal_shows_no_secret(tmp_path: Path) -> None:
    users = [
        {"name": "ada", "password": "S3cr3t-w0rd"},
        {"name": "bob", "password": "S3cr3t-w0rd-long", "x": 1},
    ]
    wrong = {"vars": {"jupyterhub_users": users, "k3s_token": "t0ken-12345"}}
    outcome = play(PLAYBOOKS / "preflight.yml", written(tmp_path, wrong))
    assert outcome.code == 2
    assert "S3cr3t-w0rd" not in outcome.said
    assert "t0ken-12345" not in outcome.said


def test_values_that_the_chart_does_not_take_are_refused_before_a_machine_is_asked(tmp_path: Path) -> None:
    own = {"hub": {"dbs": {"password": "S3cr3t-w0rd"}}, "singleuser": {"startTimeout": "S3cr3t-w0rd"}}
    stand_ins = {"metalworks_artifact_source": "build", "metalworks_rehearsal": True}
    path = written(tmp_path, {"vars": {**stand_ins, "jupyterhub_values": own}})
    outcome = play(PLAYBOOKS / "fetch.yml", path)
    assert outcome.code == 2, outcome.said
    assert "1. jupyterhub_values, hub: the chart has no key dbs; did you mean db?" in outcome.said
    assert "2. jupyterhub_values, singleuser.startTimeout: write a value of the type integer" in outcome.said
    assert "S3cr3t-w0rd" not in outcome.said
    assert outcome.changed_nothing


# Machines.


def filled(value: Any, words: dict[str, str]) -> Any:
    """The case with what only the machines know put in for its {placeholders}."""
    if isinstance(value, dict):
        return {key: filled(item, words) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, words) for item in value]
    if isinstance(value, str):
        for word, meaning in words.items():
            value = value.replace("{" + word + "}", meaning)
    return value


@pytest.fixture
def case(request: pytest.FixtureRequest, machines: dict[str, Machine]) -> dict[str, Any]:
    network = machines["server-1"].run("hostname -I").split()[0].rpartition(".")[0]
    architecture = machines["server-1"].run("uname -m")
    words = {
        "other_machine_id": machines["agent-1"].run("cat /etc/machine-id"),
        "other_architecture": "arm64" if architecture == "x86_64" else "amd64",
        "free_address": f"{network}.99",
    }
    result: dict[str, Any] = filled(request.param, words)
    return result


@pytest.fixture(scope="session")
def k3s() -> Path:
    """The lab's k3s, whose version the machine really answers."""
    return built_path("k3s")


@contextmanager
def in_state(machine: Machine, case: dict[str, Any], k3s: Path | None) -> Iterator[None]:
    if k3s:
        machine.install(k3s)
    if "before" in case:
        machine.run(case["before"])
    if "ready" in case:
        wait_for(
            lambda: machine.run(f"{case['ready']} && echo yes || true"),
            f"the machine is not in the state of {case['id']}",
            every=0.1,
        )
    machine.run("touch /run/marker")
    try:
        yield
    finally:
        machine.run(case.get("after", "true"))
        machine.run("rm -f /usr/local/bin/k3s")


def test_good_machines_are_accepted(machines: dict[str, Machine], inventory: Path) -> None:
    machines["server-1"].run("touch /run/marker")
    outcome = play(PLAYBOOKS / "preflight.yml", inventory, **NOTHING_ON_THEM)
    assert outcome.code == 0, outcome.said
    assert outcome.changed_nothing
    assert machines["server-1"].files_changed_since("/run/marker") == []


@pytest.mark.parametrize("case", named("machine"), indirect=True)
def test_machine_is_refused(
    case: dict[str, Any],
    machines: dict[str, Machine],
    inventory: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    machine = machines[case.get("where", "server-1")]
    program = request.getfixturevalue("k3s") if case.get("needs") == "k3s" else None
    chosen = with_host(inventory, case["host"], tmp_path) if "host" in case else inventory
    with in_state(machine, case, program):
        outcome = play(PLAYBOOKS / "preflight.yml", chosen, **NOTHING_ON_THEM, **case.get("vars", {}))
        changed = machine.files_changed_since("/run/marker")
    assert outcome.code == 2, outcome.said
    for part in case["says"]:
        assert part in outcome.said
    assert outcome.changed_nothing
    assert changed == []


def test_a_rule_for_machines_that_is_left_out_is_named_at_each_run(
    machines: dict[str, Machine], inventory: Path
) -> None:
    (case,) = (each for each in CASES["machine"] if each["id"] == "no_default_route")
    with in_state(machines["server-1"], case, None):
        outcome = play(
            PLAYBOOKS / "preflight.yml", inventory, **NOTHING_ON_THEM, preflight_skip=["default_route"]
        )
    assert outcome.code == 0, outcome.said
    assert "The machines are not judged by the rules default_route (preflight_skip)." in outcome.said


def with_host(inventory: Path, host: dict[str, Any], folder: Path) -> Path:
    """The machines' inventory and one host more."""
    (folder / "more.yml").write_text(yaml.safe_dump({"k3s_agent": {"hosts": host}}))
    (folder / "machines.yml").symlink_to(inventory)
    (folder / "group_vars").symlink_to(inventory.parent / "group_vars")
    return folder
