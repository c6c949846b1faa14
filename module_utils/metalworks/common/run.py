"""Run programs through a function that tests can replace."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Run = Callable[[list[str]], tuple[int, str, str]]

NOT_FOUND = 127
# Where administrators' programs are: `su` and the secure_path of some sudoers leave out one or another.
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def runner(module: AnsibleModule) -> Run:
    """Return a function that runs programs. A missing program gives exit code 127, as in a shell.

    Programs answer in the language of their source code, whatever the machine's, and are found wherever
    administrators' programs are.
    """
    path = os.pathsep.join((os.environ.get("PATH", ""), *FOLDERS)).lstrip(os.pathsep)
    module.run_command_environ_update = {"LC_ALL": "C", "LANGUAGE": "C", "PATH": path}

    def run(command: list[str]) -> tuple[int, str, str]:
        try:
            code, out, err = module.run_command(command, handle_exceptions=False)
        except OSError as error:
            return NOT_FOUND, "", str(error)
        return int(code), str(out), str(err)

    return run
