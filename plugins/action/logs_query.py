"""The part of logs_query that prints: line by line, also those that come later."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.kubernetes.api import KubernetesApi
from ansible.module_utils.metalworks.logging.search import MOST, Search, parse
from ansible.module_utils.metalworks.logging.store import (
    LATENESS_SECONDS,
    ApiError,
    Line,
    LogStore,
    new_lines,
)
from ansible.module_utils.parsing.convert_bool import boolean

EVERY_SECONDS = 2


class ActionModule(ActionBase):
    """Run the module, print its lines, and ask again if it follows.

    The methods are those of Ansible's action plugins.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result; where its lines were printed, without them."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        answer: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        if answer.get("failed") or not boolean(arguments.get("prints", False)):
            return {**result, **answer}
        lines = [Line(**line) for line in answer.pop("lines")]
        show(lines)
        search = parse(arguments.get("search", ""))
        if search.follows:
            self._follow(search, lines)
        return {**result, **answer, "said": f"{len(lines)} lines"}

    def _follow(self, search: Search, printed: list[Line]) -> None:
        """Print what comes after the lines that are printed, for ever.

        A line that comes late, within a minute, is printed when it arrives.
        """
        arguments, search = self._task.args, replace(search, limit=str(MOST))
        newest = printed[-1].order if printed else ("", "")
        try:
            api = KubernetesApi(arguments.get("kubeconfig"), arguments.get("context"))
            with LogStore.opened(api, arguments["namespace"]) as store:
                # Beside the printed ones there may be older ones, which the search's limit left out.
                seen = {line for line in store.lines(search, LATENESS_SECONDS) if line.order <= newest}
                while True:
                    show(new_lines(store.lines(search, LATENESS_SECONDS), seen))
                    time.sleep(EVERY_SECONDS)
        except ApiError as error:
            raise AnsibleActionFail(str(error)) from error


def show(lines: list[Line]) -> None:
    """Print lines."""
    for line in lines:
        Display().display(str(line))
