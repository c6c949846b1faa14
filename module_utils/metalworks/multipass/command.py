"""Run the multipass command, for modules and for the inventory plugin."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from ansible.module_utils.metalworks.multipass.answers import NOT_FOUND, Multipass

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def runner(module: AnsibleModule, executable: str) -> Multipass:
    """Return a function that runs multipass. A missing command gives exit code 127, as in a shell."""

    def run(arguments: list[str], stdin: str) -> tuple[int, str, str]:
        try:
            code, out, err = module.run_command(
                [executable, *arguments], data=stdin, binary_data=True, handle_exceptions=False
            )
        except OSError as error:
            return NOT_FOUND, "", str(error)
        return int(code), str(out), str(err)

    return run


def host_memory() -> int | None:
    """Return the memory of this computer in bytes, or None if the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def plain_runner(executable: str) -> Multipass:
    """Return a function that runs multipass, for code that is no module."""

    def run(arguments: list[str], stdin: str) -> tuple[int, str, str]:
        try:
            done = subprocess.run(
                [executable, *arguments],
                input=stdin,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                timeout=60,
            )
        except OSError as error:
            return NOT_FOUND, "", str(error)
        except subprocess.TimeoutExpired:
            return 1, "", f"{executable} {arguments[0]} gave no answer within 60 s"
        return done.returncode, done.stdout, done.stderr

    return run
