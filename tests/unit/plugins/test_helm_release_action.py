"""What the action plugin of helm_release runs beside its module, and that it shows no secret."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils._internal import _messages
from plugins.action import helm_release as plugin

SECRET = "open-sesame-2026"
GIVEN = {
    "name": "web",
    "namespace": "web",
    "binary": "helm",
    "chart": "charts/web",
    "values": {"password": SECRET},
    "secrets": {"password": SECRET, "none": ""},
    "workloads": ["deployment/web"],
    "timeout": 9,
    "kubeconfig": "config",
    "context": "",
}
FOUND = {"changed": False, "actions": [], "revision": 1, "current": False, "invocation": GIVEN}


class Modules:
    """Answer as the modules do, and remember their parameters."""

    def __init__(self, **answers: dict[str, Any]) -> None:
        self.answers = {"helm": {"changed": True, "status": {"values": SECRET}}, "rollout": {}, **answers}
        self.asked: dict[str, dict[str, Any]] = {}

    def __call__(
        self, name: str | None, arguments: dict[str, Any], task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        kind = {None: "release", "kubernetes.core.helm": "helm", "k8s_rollout": "rollout"}[name]
        self.asked[kind] = arguments
        return {"invocation": {"module_args": arguments}, **self.answers[kind]}


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(plugin, "Display", lambda: SimpleNamespace(display=found.append))
    return found


def run(monkeypatch: pytest.MonkeyPatch, modules: Modules, **arguments: Any) -> dict[str, Any]:
    task = SimpleNamespace(args={**GIVEN, **arguments}, async_val=0, check_mode=False)
    made = plugin.ActionModule(task, None, None, None, None, None)
    monkeypatch.setattr(made, "_execute_module", modules)
    monkeypatch.setattr(plugin.ActionBase, "run", lambda *_: {})
    result: dict[str, Any] = made.run()
    assert SECRET not in str(result), "no result may show a secret"
    return result


def test_what_helm_says_when_it_cannot_go_back_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    event = _messages.Event(msg="Module failed.", formatted_traceback=f"at {SECRET}")
    crash = _messages.ErrorSummary(event=event)
    said = {"failed": True, "msg": f"Helm says: invalid value {SECRET}", "exception": crash}
    result = run(monkeypatch, Modules(release=said), revision=3)
    assert result["failed"]
    assert (result["msg"], result["exception"]) == ("Helm says: invalid value <password>", "at <password>")


def test_a_release_that_is_as_wanted_starts_no_helm(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = Modules(release={**FOUND, "current": True})
    result = run(monkeypatch, modules)
    assert result == {"changed": False, "actions": [], "revision": 1, "current": True}
    assert list(modules.asked) == ["release"]


def test_another_release_is_applied_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, printed: list[str]
) -> None:
    mended = {**FOUND, "changed": True, "actions": ["Roll back to revision 1 - revision 2 is failed"]}
    modules = Modules(release=mended)
    result = run(monkeypatch, modules)
    assert (result["changed"], result["revision"]) == (True, 1)
    assert modules.asked["helm"]["values"] == GIVEN["values"]
    assert modules.asked["rollout"] == {
        "namespace": "web",
        "workloads": ["deployment/web"],
        "timeout": 9,
        "secrets": [SECRET],
        "kubeconfig": "config",
    }
    assert printed == ["Release web: Roll back to revision 1 - revision 2 is failed."]


def test_a_release_that_is_only_rolled_back_is_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = Modules(release={**FOUND, "changed": True})
    assert run(monkeypatch, modules, revision=1)["changed"]
    assert list(modules.asked) == ["release"]


def test_a_cluster_that_does_not_answer_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = Modules(release={"failed": True, "msg": "connection refused", "invocation": GIVEN})
    assert run(monkeypatch, modules) == {"failed": True, "msg": "connection refused"}


def test_what_helm_refuses_is_told_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"failed": True, "msg": "Helm failed", "stderr": f"the password {SECRET} is refused"}
    result = run(monkeypatch, Modules(release=FOUND, helm=refused))
    assert result["failed"]
    assert result["msg"].endswith("was not applied as release web: the password <password> is refused")
    assert result["revision"] == 1, "who goes back has to know what ran before"


def test_a_rollout_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"failed": True, "msg": "Not rolled out after 9 s"}
    result = run(monkeypatch, Modules(release=FOUND, rollout=failed))
    assert (result["failed"], result["msg"], result["changed"]) == (True, "Not rolled out after 9 s", True)
