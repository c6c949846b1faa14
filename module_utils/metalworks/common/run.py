"""Run programs through a function that tests can replace."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Run = Callable[[list[str]], tuple[int, str, str]]

NOT_FOUND = 127


def runner(module: AnsibleModule) -> Run:
    """Return a function that runs programs. A missing program gives exit code 127, as in a shell."""

    def run(command: list[str]) -> tuple[int, str, str]:
        try:
            code, out, err = module.run_command(command, handle_exceptions=False)
        except OSError as error:
            return NOT_FOUND, "", str(error)
        return int(code), str(out), str(err)

    return run
