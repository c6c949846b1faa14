"""Do once in Ansible's main process what each of its workers would do again.

Each task runs in a worker, which is a fork of the main process and ends with the task.
"""

from __future__ import annotations

DOCUMENTATION = r"""
name: shared_work
type: aggregate
short_description: Does work once that each of Ansible's workers would do again
description:
  - A module is sent with all that it imports, and Ansible finds that by parsing each file. The files that
    every module needs are parsed here once, and workers inherit the result.
  - A machine compiles all that a module imports before each task. What every module needs is compiled here
    once and sent beside its source. A machine whose Python is of another minor version takes the source.
  - The first use of a filter or a test loads the plugins of all of them, which takes longer than most tasks.
    They are loaded here once.
  - The clients of Kubernetes and of S3 take longer to import than a module takes to ask. They are imported
    here before the first module that needs them, for all modules that the connection local_fork runs.
  - Objects that exist before a task are left out of its worker's garbage collection, so that the memory that
    they share with the main process is not copied.
author: Metalworks
requirements: [enabled in ansible.cfg]
"""

import contextlib
import functools
import gc
import importlib
import io
import marshal
import sys
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path
from typing import Any
from zlib import crc32

from ansible._internal._ansiballz._builder import ExtensionManager
from ansible.executor import module_common
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader, module_loader, test_loader

# A module that imports nothing beyond what every module does.
SMALLEST = "ansible.builtin.ping"
# A playbook with so many tasks gets back the time that the preparations take. Shorter ones go without them.
LONG_ENOUGH = 8
# Modules, each with the library that it imports. The import takes about a second.
LIBRARIES = {
    "kubernetes.core.k8s": "kubernetes.dynamic",
    "kubernetes.core.k8s_info": "kubernetes.dynamic",
    "object_store_buckets": "botocore.session",
}


class CallbackModule(CallbackBase):
    """Share the work in playbooks that are long enough to earn it back."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "shared_work"
    CALLBACK_NEEDS_ENABLED = True

    tasks = 0

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Share the work before the worker of a task is made."""
        self.tasks += 1
        if library := LIBRARIES.get(getattr(task, "action", "")):
            import_once(library)
        if self.tasks == LONG_ENOUGH:
            compile_once(parse_once())
            load_once()
            share_memory()
        elif self.tasks > LONG_ENOUGH:
            # What was made since then is left out, too. To collect first would take as long as a small task.
            gc.freeze()


def import_once(library: str) -> None:
    """Import a library for the workers that come. The module says so if it is missing."""
    if library not in sys.modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(library)
        share_memory()


def load_once() -> None:
    """Load all filters and tests, as the first use of one does."""
    for loader in (filter_loader, test_loader):
        for _plugin in loader.all():
            pass


def share_memory() -> None:
    """Leave what exists by now out of the workers' garbage collection, which would copy it."""
    gc.collect()
    gc.freeze()


def parse_once() -> dict[str, bytes]:
    """Parse what every module imports, let Ansible find it parsed, and return the sources by their names.

    ansible-core 2.19 keeps what it makes of a module, but parses for the next one all files anew.
    """
    module_common._compile_module_ast = functools.cache(module_common._compile_module_ast)
    path = Path(module_loader.find_plugin(SMALLEST))
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        module_common.recursive_finder(
            path.stem,
            f"ansible.modules.{path.stem}",
            path.read_bytes(),
            archive,
            datetime.now(UTC),
            ExtensionManager(),
        )
        return {name: archive.read(name) for name in archive.namelist()}


def compile_once(sources: Mapping[str, bytes]) -> None:
    """Compile these files, and let Ansible put the result beside each of them in the archive of a module."""
    compiled = {(name, crc32(source)): compiled_file(name, source) for name, source in sources.items()}
    add_module = module_common._add_module_to_zip

    def add_all(archive: zipfile.ZipFile, *given: Any, **named: Any) -> None:
        add_module(archive, *given, **named)
        for each in archive.infolist():
            if content := compiled.get((each.filename, each.CRC)):
                archive.writestr(f"{each.filename}c", content)

    module_common._add_module_to_zip = add_all


def compiled_file(name: str, source: bytes) -> bytes:
    """Return a compiled file as PEP 552 describes it: found by its place, and compared with no source.

    zipimport takes it before the source, unless it is of another version of Python.
    """
    header = MAGIC_NUMBER + (1).to_bytes(4, "little") + source_hash(source)
    return header + marshal.dumps(compile(source, name, "exec", dont_inherit=True))
