"""Each machine that cannot be a node is refused with its message, and nothing is changed on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sharing
import yaml
from playing import ROOT, Machine, Outcome, play
from sharing import Case
from tests.support.artifacts import built_path
from tests.support.merging import merged
from tests.support.waiting import wait_for

PLAYBOOKS = ROOT / "playbooks"
# The machines alone are judged, so that their inventory needs no users and no notebooks.
NOTHING_ON_THEM: dict[str, Any] = {"metalworks_parts": []}


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


@contextmanager
def in_state(machine: Machine, case: Case) -> Iterator[None]:
    if case.get("needs") == "k3s":
        # The lab's, whose version the machine really answers.
        machine.install(built_path("k3s"))
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


@dataclass(frozen=True)
class Run:
    """What one run said of its cases, and which files it changed on the machines."""

    outcome: Outcome
    changed: list[str]


@pytest.fixture(scope="module")
def words(machines: dict[str, Machine]) -> dict[str, str]:
    network = machines["server-1"].run("hostname -I").split()[0].rpartition(".")[0]
    architecture = machines["server-1"].run("uname -m")
    return {
        "other_machine_id": machines["agent-1"].run("cat /etc/machine-id"),
        "other_architecture": "arm64" if architecture == "x86_64" else "amd64",
        "free_address": f"{network}.99",
    }


@pytest.fixture(scope="module")
def played(
    machines: dict[str, Machine],
    inventory: Path,
    words: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[int], Run]:
    @cache
    def play_run(number: int) -> Run:
        """Bring the machines into the states of a run's cases, and play it once for all their tests."""
        variables, hosts = dict(NOTHING_ON_THEM), dict[str, Any]()
        with ExitStack() as states:
            for machine in machines.values():
                machine.run("touch /run/marker")
            for case in filled(sharing.machines()[number], words):
                states.enter_context(in_state(machines[case.get("where", "server-1")], case))
                variables = merged(variables, case.get("vars", {}))
                hosts.update(case.get("host", {}))
            chosen = with_hosts(inventory, hosts, tmp_path_factory.mktemp("more")) if hosts else inventory
            outcome = play(PLAYBOOKS / "preflight.yml", chosen, **variables)
            changed = [
                file for machine in machines.values() for file in machine.files_changed_since("/run/marker")
            ]
        return Run(outcome, changed)

    return play_run


def test_good_machines_are_accepted(machines: dict[str, Machine], inventory: Path) -> None:
    machines["server-1"].run("touch /run/marker")
    outcome = play(PLAYBOOKS / "preflight.yml", inventory, **NOTHING_ON_THEM)
    assert outcome.code == 0, outcome.said
    assert outcome.changed_nothing
    assert machines["server-1"].files_changed_since("/run/marker") == []


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in sharing.CASES["machine"]])
def test_machine_is_refused(case: Case, played: Callable[[int], Run], words: dict[str, str]) -> None:
    run = played(sharing.number_of(case, sharing.machines()))
    for part in filled(case["says"], words):
        assert part in run.outcome.said, run.outcome.output
    assert run.outcome.code == 2, run.outcome.said
    assert run.outcome.changed_nothing
    assert run.changed == []


def test_a_rule_for_machines_that_is_left_out_is_named_at_each_run(
    machines: dict[str, Machine], inventory: Path
) -> None:
    (case,) = (each for each in sharing.CASES["machine"] if each["id"] == "no_default_route")
    with in_state(machines["server-1"], case):
        outcome = play(
            PLAYBOOKS / "preflight.yml", inventory, **NOTHING_ON_THEM, preflight_skip=["default_route"]
        )
    assert outcome.code == 0, outcome.said
    assert "The machines are not judged by the rules default_route (preflight_skip)." in outcome.said


def with_hosts(inventory: Path, hosts: dict[str, Any], folder: Path) -> Path:
    """The machines' inventory and more hosts. The machines' keys lie beside it."""
    (folder / "more.yml").write_text(yaml.safe_dump({"k3s_agent": {"hosts": hosts}}))
    (folder / "machines.yml").symlink_to(inventory)
    for name in ("group_vars", ".state"):
        (folder / name).symlink_to(inventory.parent / name)
    return folder
