"""The half of image_send that runs on the operator's computer: reads the records, sends what a node lacks."""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# Ansible finds a project's module_utils for what it sends to a node; this half runs here and shares them.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.artifacts.cache import cache_root
from ansible.module_utils.metalworks.images.oci import BlobStore, write_archive
from ansible.module_utils.metalworks.images.record import Record

# Beside the records: big, and not for the computer's memory-backed /tmp.
ARCHIVES = "images"


class ActionModule(ActionBase):
    """Asks the node what it lacks, sends that, and has it imported."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Carry the images to the node."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        paths = [Path(path) for path in self._task.args.get("images", [])]
        # In check mode an image that is yet to be built has no record: all of it will be sent.
        coming = [path for path in paths if self._task.check_mode and not path.exists()]
        paths = [path for path in paths if path not in coming]
        records = [self._load(path) for path in paths]
        told_paths = [str(path) for path in paths]
        content = [asdict(record) for record in records]
        architectures = {record.reference: self._store.architecture(record) for record in records}
        told_of = {"images": told_paths, "records": content, "architectures": architectures}
        arguments = {**self._task.args, **told_of}
        told: dict[str, Any] = self._execute_module(module_args=arguments, task_vars=task_vars)
        arriving = [image["reference"] for image in told.get("images", []) if image["sent"]]
        if told.get("failed") or self._task.check_mode or not arriving:
            return {**result, **_public(told), "changed": told.get("changed", False) or bool(coming)}
        start = time.monotonic()
        sending = [record for record in records if record.reference in arriving]
        done = self._deliver(sending, set(told["lacking"]), arguments, task_vars)
        if done.get("failed"):
            return {**result, **_public(done)}
        return {**result, **_public(told), "seconds": round(time.monotonic() - start, 1)}

    def _load(self, path: Path) -> Record:
        """Read a record whose layers are all there."""
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
        """Send one archive with the lacking layers and have it imported."""
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


def _public(told: dict[str, Any]) -> dict[str, Any]:
    """Return what the module said, without the records that it was handed."""
    return {key: value for key, value in told.items() if key not in ("invocation", "ansible_facts")}
