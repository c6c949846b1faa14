"""The second half of helm_release: apply a chart that is not applied yet, and wait until it is rolled out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.common.scrub import scrub

READ = ("name", "namespace", "binary", "chart", "values", "workloads", "revision")
CLUSTER = ("kubeconfig", "context")
# What is returned. Everything else that a module returns may hold the values, and so secrets.
PUBLIC = ("changed", "failed", "msg", "warnings", "revision", "actions", "current")


def traceback_of(result: Mapping[str, Any]) -> str:
    """Return the traceback of a module that crashed; empty where there is none."""
    event = getattr(result.get("exception"), "event", None)
    return getattr(event, "formatted_traceback", None) or ""


class ActionModule(ActionBase):
    """Run the module. Where something is left to do, run kubernetes.core.helm and k8s_rollout.

    The methods are those of Ansible's action plugins.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was found, and whether anything was changed."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._variables, given = task_vars or {}, self._task.args
        found = self._run(None, {"plugin": True} | {key: given[key] for key in READ if key in given})
        result |= {key: found[key] for key in PUBLIC if key in found}
        # Helm's own words, when it was to go back; or where the module crashed.
        said = {"msg": result.get("msg"), "exception": traceback_of(found)}
        result |= {key: self._scrubbed(str(text)) for key, text in said.items() if text}
        if found.get("failed") or found["current"] or int(given.get("revision") or 0):
            return result
        if found["actions"]:
            Display().display(f"Release {given['name']}: {'; '.join(found['actions'])}.")
        applied = self._apply()
        if "msg" in applied:
            return {**result, "failed": True, "msg": self._refusal(applied)}
        result["changed"] = result["changed"] or applied["changed"]
        return {**result, **self._wait()}

    def _apply(self) -> dict[str, Any]:
        given = self._task.args
        arguments = {
            "name": given["name"],
            "namespace": given["namespace"],
            "create_namespace": True,
            "chart_ref": given["chart"],
            "chart_version": given.get("version") or None,
            "chart_repo_url": given.get("repository") or None,
            "values": given.get("values") or {},
            "binary_path": given.get("binary"),
        }
        return self._run("kubernetes.core.helm", arguments)

    def _wait(self) -> dict[str, Any]:
        """Return nothing once the workloads are rolled out, and otherwise the failure."""
        given = self._task.args
        if not given.get("workloads"):
            return {}
        arguments = {
            "namespace": given["namespace"],
            "workloads": given["workloads"],
            "timeout": given.get("timeout"),
            "secrets": [secret for secret in (given.get("secrets") or {}).values() if secret],
        }
        done = self._run("k8s_rollout", arguments)
        return {key: done[key] for key in ("failed", "msg") if key in done}

    def _run(self, module: str | None, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a module that gets the connection to the cluster, too."""
        given = self._task.args
        cluster = {key: given[key] for key in CLUSTER if given.get(key)}
        arguments = {key: value for key, value in {**arguments, **cluster}.items() if value is not None}
        result: dict[str, Any] = self._execute_module(module, arguments, task_vars=self._variables)
        return result

    def _refusal(self, applied: dict[str, Any]) -> str:
        """Return why Helm refused: its output, or Ansible's message where Helm was not started."""
        given = self._task.args
        said = applied.get("stderr") or applied.get("msg") or "Helm said nothing"
        return self._scrubbed(
            f"The chart {given['chart']} was not applied as release {given['name']}: {said}"
        )

    def _scrubbed(self, text: str) -> str:
        scrubbed: str = scrub(text, self._task.args.get("secrets") or {})
        return scrubbed
