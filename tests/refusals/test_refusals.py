"""Each wrong inventory is refused with its message, before a machine is asked."""

from __future__ import annotations

import re
import shutil
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from playing import ENVIRONMENT, ROOT, Outcome, play
from sharing import CASES, Case, changed, inventories, number_of
from tests.support import playbooks

PLAYBOOKS = ROOT / "playbooks"


def written(folder: Path, *cases: Case) -> Path:
    groups = {group: {"hosts": members} for group, members in changed(cases, "hosts").items()}
    inventory = {"all": {"vars": changed(cases, "vars")}, "k3s_cluster": {"children": groups}}
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory))
    return path


def test_right_inventory_is_accepted(tmp_path: Path) -> None:
    outcome = play(PLAYBOOKS / "check_inventory.yml", written(tmp_path, {}))
    assert outcome.code == 0, outcome.said
    assert outcome.changed_nothing


@dataclass(frozen=True)
class Run:
    """What one run said of its cases, and what it left beside the inventory."""

    cases: list[Case]
    outcome: Outcome
    files: list[str]


@cache
def played(number: int) -> Run:
    """Play a run, once for all tests of its cases."""
    cases = inventories()[number]
    with TemporaryDirectory() as name:
        folder = Path(name)
        # The whole preflight: had the inventory passed, the machines would have been asked.
        outcome = play(PLAYBOOKS / "preflight.yml", written(folder, *cases))
        return Run(cases, outcome, [path.name for path in folder.iterdir()])


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES["inventory"]])
def test_inventory_is_refused(case: Case) -> None:
    run = played(number_of(case, inventories()))
    for part in case["says"]:
        assert part in run.outcome.said, run.outcome.output
    assert run.outcome.code == 2, run.outcome.said
    assert run.outcome.said.count("Nothing was changed on the machines.") == 1
    assert run.outcome.changed_nothing
    assert "[Check the machines]" not in run.outcome.said
    assert run.files == ["hosts.yml"]


def test_nothing_but_the_problems_of_the_cases_is_said() -> None:
    for number, cases in enumerate(inventories()):
        output = played(number).outcome.output
        found = re.findall(r"^ +(\d+)\. ", output, re.MULTILINE)
        assert len(found) == sum(case.get("sentences", 1) for case in cases), output


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


@pytest.mark.parametrize(
    ("playbook", "part"),
    [("logs", "logging"), ("report", "monitoring"), ("operations/retrain_model", "model")],
)
def test_a_part_that_the_inventory_leaves_out_is_not_asked(playbook: str, part: str, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {hosts: {localhost: {ansible_connection: local}}}")
    given = {
        "metalworks_parts": ["jupyterhub"],
        "metalworks_machines": "existing",
        "metalworks_context": "none",
    }
    given |= {
        "metalworks_name": "small",
        "metalworks_state_dir": str(tmp_path / "state"),
        "logging_search": "level=error",
    }
    outcome = play(ROOT / "playbooks" / f"{playbook}.yml", inventory, **given)
    assert outcome.code == 2, outcome.said
    assert f"Nothing was done: metalworks_parts of this inventory has no {part}." in outcome.said
