"""The part of image_send that runs on the operator's computer.

It reads image records and sends missing layers.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.artifacts.cache import cache_root
from ansible.module_utils.metalworks.images.oci import BlobStore, write_archive
from ansible.module_utils.metalworks.images.record import Record

# Archives are written beside the records: they are large, and /tmp may be in memory.
ARCHIVES = "images"


class ActionModule(ActionBase):
    """Ask the node what it lacks, send it, and import it.

    The methods are those of Ansible's action plugins.
    """

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module on the node twice: to learn what is missing, and to import what was sent."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        paths = [Path(path) for path in self._task.args.get("images", [])]
        # In check mode an image that is not built yet has no record. It would be sent as a whole.
        unbuilt = [path for path in paths if self._task.check_mode and not path.exists()]
        paths = [path for path in paths if path not in unbuilt]
        records = [self._load(path) for path in paths]
        names = [str(path) for path in paths]
        content = [asdict(record) for record in records]
        architectures = {record.reference: self._store.architecture(record) for record in records}
        filled_in = {"images": names, "records": content, "architectures": architectures}
        arguments = {**self._task.args, **filled_in}
        answer: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        arriving = [image["reference"] for image in answer.get("images", []) if image["sent"]]
        if answer.get("failed") or self._task.check_mode or not arriving:
            return {**result, **_public(answer), "changed": answer.get("changed", False) or bool(unbuilt)}
        start = time.monotonic()
        sending = [record for record in records if record.reference in arriving]
        done = self._deliver(sending, set(answer["lacking"]), arguments, task_vars)
        if done.get("failed"):
            return {**result, **_public(done)}
        return {**result, **_public(answer), "seconds": round(time.monotonic() - start, 1)}

    def _load(self, path: Path) -> Record:
        """Return a record; fail if it, or one of its layers, is missing."""
        try:
            record: Record = Record.load(path)
        except FileNotFoundError as error:
            raise AnsibleActionFail(
                f"images: there is no image record {path}; image_build and artifact "
                f"return the path of one as `record`"
            ) from error
        if not self._store.has(record.blobs):
            raise AnsibleActionFail(
                f"{record.reference}: layers are missing from {self._store.root}; build the image again"
            )
        return record

    @property
    def _store(self) -> BlobStore:
        return BlobStore(cache_root() / "blobs")

    def _deliver(
        self,
        records: list[Record],
        lacking: set[str],
        arguments: dict[str, Any],
        task_vars: dict[str, Any] | None,
    ) -> dict[str, Any]:
        """Send one archive with the missing layers, and import it."""
        made_here = not self._connection._shell.tmpdir
        if made_here:
            self._make_tmp_path()
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, "images.tar")
        try:
            with tempfile.NamedTemporaryFile(prefix=".send.", dir=cache_root() / ARCHIVES) as archive:
                write_archive(self._store, records, Path(archive.name), lacking)
                self._transfer_file(archive.name, remote)
            self._fixup_perms2((self._connection._shell.tmpdir, remote))
            done: dict[str, Any] = self._execute_module(
                module_args={**arguments, "archive": remote}, task_vars=task_vars
            )
            return done
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)


def _public(result: dict[str, Any]) -> dict[str, Any]:
    """Return the module's result without its parameters, which are large."""
    return {key: value for key, value in result.items() if key not in ("invocation", "ansible_facts")}
