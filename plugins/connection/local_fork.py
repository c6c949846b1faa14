"""Run modules on the operator's computer in a fork of Ansible, which has imported what they need."""

from __future__ import annotations

DOCUMENTATION = r"""
name: local_fork
short_description: Runs tasks on the operator's computer, and modules in a fork of Ansible
description:
  - Does what ansible.builtin.local does, and is several times as fast for modules in Python
    (docs/decisions/0017).
  - ansible.builtin.local starts a Python interpreter for each module, which unpacks and compiles the module
    and all that it imports. This plugin runs the same module in a fork of Ansible's worker, where most of it
    is imported already, and takes the rest from compiled files.
  - Ansible packs a module together with all that it imports. A fork does not need that, so it is left out.
  - Everything else is left to ansible.builtin.local, which are commands, modules for another interpreter or
    another user, and modules that run in the background. On macOS that is everything.
author: Metalworks
requirements: [the Python interpreter that runs Ansible]
extends_documentation_fragment: [connection_pipelining]
options:
  become_success_timeout:
    description: The seconds after which becoming another user has failed.
    type: int
    default: 10
    vars: [{name: ansible_local_become_success_timeout}]
  become_strip_preamble:
    description: Whether what becoming another user prints is removed from the output.
    type: bool
    default: true
    vars: [{name: ansible_local_become_strip_preamble}]
"""

import ast
import atexit
import contextlib
import os
import selectors
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import ansible.module_utils
from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible.executor import module_common
from ansible.module_utils._internal._ansiballz import _loader
from ansible.plugins.action import ActionBase
from ansible.plugins.connection.local import Connection as LocalConnection
from ansible.plugins.loader import module_loader
from ansible.utils.display import Display

# The last statement of what Ansible sends to an interpreter calls this function.
START = "_ansiballz_main"
LAST_STATEMENT = b"\nif __name__ =="
LEGACY = "ansible.legacy"
# Libraries of macOS end a program that uses them in a fork, and urllib asks them for proxies.
FORKS_ARE_SAFE = sys.platform != "darwin"

display = Display()


@dataclass(frozen=True)
class Module:
    """A module to run: its name in Python, its parameters as JSON, and its additional environment."""

    import_name: str
    parameters: bytes
    profile: str
    environment: Mapping[str, str] = field(default_factory=dict)


class Connection(LocalConnection):
    """Run modules in a fork and leave the rest to Ansible's own plugin."""

    # The module that is sent next, if it was packed without what it imports.
    module: Module | None = None
    # With this transport, Ansible and its action plugins look for files here, and from the playbook's folder.
    transport = "local"

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int, bytes, bytes]:
        """Return the exit code, standard output and standard error of a command or a module."""
        if not in_data or not self.module:
            done: tuple[int, bytes, bytes] = super().exec_command(cmd, in_data, sudoable)
            return done
        environment = read_environment(cmd)
        if environment is None:
            raise AnsibleConnectionFailure(
                "local_fork does not understand what this Ansible sends: write ansible_connection: local"
            )
        module, self.module = replace(self.module, environment=environment), None
        display.vvv(f"FORK {module.import_name}", host=self._play_context.remote_addr)
        return run_in_fork(module, self.cwd)


def read_environment(command: str) -> dict[str, str] | None:
    """Return the environment that Ansible adds for a module, or None if the command is another one.

    The command is "/bin/sh -c 'NAME=value ... python && sleep 0'", with the interpreter that runs Ansible.
    """
    shell = shlex.split(command)
    if len(shell) != 3 or shell[1] != "-c":
        return None
    *assignments, interpreter = shlex.split(shell[2].removesuffix(" && sleep 0"))
    environment = dict(word.split("=", 1) for word in assignments if "=" in word)
    return environment if interpreter == sys.executable and len(environment) == len(assignments) else None


def read_module(source: bytes) -> Module | None:
    """Return the module in a wrapped module's last statement, or None where that is something else."""
    last = ast.parse(source[source.rfind(LAST_STATEMENT) + 1 :]).body[-1]
    calls = [
        node
        for node in ast.walk(last)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == START
    ]
    if len(calls) != 1:
        return None
    arguments: dict[str | None, Any] = {
        word.arg: word.value.value for word in calls[0].keywords if isinstance(word.value, ast.Constant)
    }
    extensions = next((word.value for word in calls[0].keywords if word.arg == "extensions"), None)
    # An extension is a debugger or the measurement of coverage, both of which want a process of their own.
    if not isinstance(extensions, ast.Dict) or extensions.keys:
        return None
    return Module(arguments["module_fqn"], arguments["params"].encode(), arguments["profile"])


def configure_for_fork(
    action: ActionBase, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]
) -> tuple[Any, str]:
    """Return the wrapped module of a task, without what it imports if it will run in a fork.

    To find and pack that takes as long as most modules run.
    """
    connection = action._connection
    asynchronous = bool(action._task.async_val)
    if isinstance(connection, Connection):
        connection.module = None
        may_fork = FORKS_ARE_SAFE and not connection.become and not asynchronous
        if may_fork and action._is_pipelining_enabled("new", asynchronous):
            with without_imports():
                built, path = configure(action, module_name, module_args, task_vars)
            if (built.module_style, built.shebang) == ("new", f"#!{sys.executable}"):
                connection.module = read_module(built.b_module_data)
            if connection.module:
                return built, path
    whole: tuple[Any, str] = configure(action, module_name, module_args, task_vars)
    return whole


@contextlib.contextmanager
def without_imports() -> Iterator[None]:
    """Let Ansible pack modules without what they import, and keep these apart from its other ones."""
    kept, find = constants.DEFAULT_LOCAL_TMP, module_common.recursive_finder
    constants.DEFAULT_LOCAL_TMP = f"{kept}/fork"
    module_common.recursive_finder = find_nothing
    try:
        yield
    finally:
        constants.DEFAULT_LOCAL_TMP, module_common.recursive_finder = kept, find


def find_nothing(name: str, _full_name: str, source: str | bytes, *_: Any) -> Any:
    """Return what a module says of itself, as Ansible's function does, and find nothing that it imports."""
    return module_common._get_module_metadata(module_common._compile_module_ast(name, source))


configure = ActionBase._configure_module
# Ansible packs a module before it asks the connection anything, so that the connection has to step in here.
ActionBase._configure_module = configure_for_fork


def run_in_fork(module: Module, folder: str | None = None) -> tuple[int, bytes, bytes]:
    """Run a module in a fork of this process and return its exit code, standard output and standard error."""
    output, to_output = os.pipe()
    errors, to_errors = os.pipe()
    child = os.fork()
    if not child:
        become_module(module, folder, to_output, to_errors)
    os.close(to_output)
    os.close(to_errors)
    parts: dict[int, list[bytes]] = {output: [], errors: []}
    with selectors.DefaultSelector() as selector:
        for pipe in parts:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                part = os.read(key.fd, 1 << 16)
                parts[key.fd].append(part)
                if not part:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    # Ansible expects a shell's exit code. For a program that a signal has ended, that is 128 plus its number.
    return (code if code >= 0 else 128 - code), b"".join(parts[output]), b"".join(parts[errors])


def become_module(module: Module, folder: str | None, to_output: int, to_errors: int) -> NoReturn:
    """Run the module in this process as an interpreter of its own would, and end the process."""
    code = 1
    try:
        # Ansible removes its own temporary files at its exit, which is not this one.
        atexit._clear()
        for number in (signal.SIGALRM, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(to_output, 1)
        os.dup2(to_errors, 2)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = [""]
        os.environ.update(module.environment)
        os.chdir(folder or ".")
        find_files_of(module.import_name)
        code = exit_code_of(module)
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def find_files_of(import_name: str) -> None:
    """Let Python import the project's modules and what they share from where Ansible finds them."""
    package, _, _ = import_name.rpartition(".")
    path = module_loader.find_plugin(import_name)
    # So Ansible calls a module that is neither its own nor of a collection, and there is no such package.
    if package == LEGACY and path:
        sys.modules[LEGACY] = ModuleType(LEGACY)
        sys.modules[LEGACY].__path__ = [str(Path(path).parent)]
    ansible.module_utils.__path__.extend(constants.DEFAULT_MODULE_UTILS_PATH)


def exit_code_of(module: Module) -> int:
    """Run a module to its end."""
    arguments: dict[str, Any] = {"module_fqn": module.import_name, "modlib_path": "", "extensions": {}}
    try:
        _loader.run_module(json_params=module.parameters, profile=module.profile, **arguments)
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
    return 1
