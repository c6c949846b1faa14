#!/usr/bin/python
"""Merge one context into the operator's kubeconfig, or take it out again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeconfig_context
short_description: Keep one context in a kubeconfig
description:
  - Merges one cluster, one user and one context of the same name into a kubeconfig, or takes them out.
  - In these entries the module writes the address, the CA and the login. Other keys that the operator added
    stay, such as a namespace or C(proxy-url). A warning names those that change where kubectl goes, and those
    that are removed because they contradict the module's own, such as another login.
  - Everything else in the file stays, in its order. A file that cannot be read is refused, never replaced.
  - The file is replaced in one step and is readable by its owner only. Its former content, without this
    module's context, is kept in C(<path>.metalworks-backup). The module takes the same lock as kubectl.
  - If nothing is left in the file after the context was taken out, the file is removed.
author: Metalworks
requirements: [PyYAML]
options:
  name:
    description: The name of context, cluster and user.
    type: str
    required: true
  path:
    description: The kubeconfig. If it is a symbolic link, the file that it points to is edited.
    type: path
    default: ~/.kube/config
  state:
    description: Whether the context is in the file.
    type: str
    default: present
    choices: [present, absent]
  source:
    description: The text of a kubeconfig, for example k3s's k3s.yaml. Its current context is used. Required
      if O(state=present).
    type: str
    no_log: true
  server:
    description: The address of the API. Replaces that of O(source).
    type: str
  current:
    description: Whether to select the context if no context is selected yet. A selection is never changed.
    type: bool
    default: true
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the change, keys and certificates masked.
    support: full
  idempotent:
    description: Writes only what differs.
    support: full
"""

EXAMPLES = r"""
- name: Add the cluster to the operator's kubeconfig
  kubeconfig_context:
    name: metalworks-lab
    source: "{{ k3s_yaml }}"
    server: https://192.168.7.11:6443
  delegate_to: localhost

- name: Remove the cluster from the operator's kubeconfig
  kubeconfig_context:
    name: metalworks-lab
    state: absent
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The file that was edited, links followed.
  type: str
  returned: always
backup:
  description: What the file held before, without this context.
  type: str
  returned: when an existing file changed that held something else
kept:
  description: Keys in the context's entries that the operator added and that change where kubectl goes.
  type: list
  elements: str
  returned: always
  sample: [proxy-url]
replaced:
  description:
    - Keys in the context's entries that contradict the module's own, and are gone or have the module's value.
    - C(server) is one, also if it is the cluster that has another address by now.
  type: list
  elements: str
  returned: always
  sample: [exec]
current:
  description: Whether the context is the selected one.
  type: bool
  returned: always
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.files import read_text, write_atomically
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.kubernetes import kubeconfig

ARGUMENTS = options_of(DOCUMENTATION)
LOCK_SECONDS = 10.0
STALE_SECONDS = 10.0  # other programs hold the lock for milliseconds only


def plan(found: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """Return the wanted kubeconfig."""
    if params["state"] == "absent":
        return dict(kubeconfig.remove(found, params["name"]))
    wanted = kubeconfig.from_source(params["name"], params["source"], params["server"])
    return dict(kubeconfig.merge(found, wanted, params["current"]))


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold kubectl's lock: a file beside the kubeconfig, which only one program can create."""
    held = path.with_name(f"{path.name}.lock")
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            os.close(os.open(held, os.O_CREAT | os.O_EXCL, 0o600))
            break
        except FileExistsError as error:
            if removed_as_stale(held):
                continue
            if time.monotonic() > until:
                sentence = f"{held} is there: another program edits the file. Remove it if none does"
                raise kubeconfig.KubeconfigError(sentence) from error
            time.sleep(0.1)
    try:
        yield
    finally:
        held.unlink(missing_ok=True)


def removed_as_stale(held: Path) -> bool:
    """Remove the lock of a killed program, and return whether it is gone.

    The folder is locked meanwhile, so that two programs do not both remove it: the second would remove the
    new lock of the first.
    """
    folder = os.open(held.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        stale = time.time() - held.stat().st_mtime > STALE_SECONDS
        if stale:
            held.unlink()
    except FileNotFoundError:
        return True
    finally:
        os.close(folder)
    return stale


def without(name: str, kept: str | None) -> str | None:
    """Return the backup's text without our context; None if nothing else is in it."""
    try:
        found = kubeconfig.parse(kept or "", "the backup")
    except kubeconfig.KubeconfigError:
        return kept
    clean = kubeconfig.remove(found, name)
    if kubeconfig.is_shell(clean):
        return None
    return kept if clean == found else kubeconfig.dump(clean)


def plan_backup(text: str, found: dict[str, Any], kept: str | None, name: str) -> str | None:
    """Return the wanted text of the backup: the operator's entries, and never the keys of our context."""
    kept = without(name, kept)
    clean = kubeconfig.remove(found, name)
    if kubeconfig.is_shell(clean) or holds(kept, clean):
        # The backup says the same already, and a new text would lack the operator's comments.
        return kept
    return text if clean == found else kubeconfig.dump(clean)


def holds(text: str | None, config: dict[str, Any]) -> bool:
    """Return whether a kubeconfig's text says the same as a configuration."""
    try:
        return bool(kubeconfig.same(kubeconfig.parse(text or "", "the backup"), config))
    except kubeconfig.KubeconfigError:
        return False


def write(path: Path, text: str | None) -> None:
    """Write a file with mode 0600 in one step, or remove it where there is no text."""
    if text is None:
        path.unlink(missing_ok=True)
    else:
        write_atomically(path, text, 0o600)


def edit(path: Path, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read both files, plan, and write what differs unless this is check mode. Return the module's result."""
    text, kept = read_text(path), read_text(kubeconfig.backup_of(path))
    found = kubeconfig.parse(text or "", str(path))
    wanted = plan(found, params)
    if params["state"] == "absent" and wanted != found and kubeconfig.is_shell(wanted):
        wanted = {}
    backup = kept
    if wanted != found:
        backup = plan_backup(text or "", found, kept, params["name"])
    elif params["state"] == "absent":
        backup = without(params["name"], kept)
    result: dict[str, Any] = {
        "changed": wanted != found or backup != kept,
        "path": str(path),
        "current": wanted.get("current-context") == params["name"],
        "kept": kubeconfig.kept_keys(wanted, params["name"]),
        "replaced": (
            kubeconfig.replaced_keys(found, wanted, params["name"]) if params["state"] == "present" else []
        ),
        "diff": {
            "before_header": str(path),
            "after_header": str(path),
            "before": kubeconfig.masked(found) if text else "",
            "after": kubeconfig.masked(wanted) if wanted else "",
        },
    }
    if result["changed"] and text and backup is not None:
        result["backup"] = str(kubeconfig.backup_of(path))
    if result["changed"] and not check_mode:
        if backup != kept:
            write(kubeconfig.backup_of(path), backup)
        if wanted != found:
            write(path, kubeconfig.dump(wanted) if wanted else None)
    return result


def main() -> None:
    """Enter one context into the kubeconfig or take it out, under the lock that kubectl uses."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("state", "present", ["source"])],
    )
    params = module.params
    path = Path(params["path"])
    try:
        path = kubeconfig.located(params["path"])
        nothing = not path.exists() and not kubeconfig.backup_of(path).exists()
        absent = params["state"] == "absent" and nothing
        problem = None if absent else kubeconfig.write_problem(params["path"])
        if problem:
            raise kubeconfig.KubeconfigError(problem)
        if module.check_mode or absent:
            result = edit(path, params, True)
        else:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with lock(path):
                result = edit(path, params, False)
    except kubeconfig.KubeconfigError as error:
        module.fail_json(msg=f"The kubeconfig is left as it is: {error}.")
    except OSError as error:
        module.fail_json(msg=f"The kubeconfig is left as it is: {kubeconfig.explain(error, path)}.")
    if result["kept"]:
        module.warn(
            f"The context {params['name']} keeps {', '.join(result['kept'])}, which somebody added to it in "
            f"{path}: kubectl uses them, too."
        )
    if result["replaced"]:
        module.warn(
            f"The context {params['name']} in {path} loses {', '.join(result['replaced'])}, which somebody "
            "changed in it, or which the cluster has changed: it is the platform's. To keep what you wrote, "
            "make a context of your own with another name."
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
