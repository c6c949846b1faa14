#!/usr/bin/python
"""Merge one context into the operator's kubeconfig, or take it out again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeconfig_context
short_description: Keep one context in a kubeconfig
description:
  - Merges one cluster, one user and one context of the same name into a kubeconfig, or takes them out.
  - Everything else in the file stays, in its order. A file that cannot be read is refused, never replaced.
  - The file is replaced in one step and is readable by its owner only. What it was before stands beside it,
    in C(<path>.metalworks-backup). kubectl's own lock is honoured.
author: Metalworks
requirements: [PyYAML]
options:
  name:
    description: The name of context, cluster and user.
    type: str
    required: true
  path:
    description: The kubeconfig. Where it is a link, the file that it points at is edited.
    type: path
    default: ~/.kube/config
  state:
    description: Whether the context is there.
    type: str
    default: present
    choices: [present, absent]
  source:
    description: The text of a kubeconfig whose current context is taken, like k3s's k3s.yaml.
    type: str
  server:
    description: The address of the API. Replaces that of O(source).
    type: str
  ca:
    description: The certificate authority of the API, PEM or base64. Instead of O(source).
    type: str
  cert:
    description: The client's certificate, PEM or base64.
    type: str
  key:
    description: The client's key, PEM or base64.
    type: str
  current:
    description: Select the context where none is selected. A selection is never changed.
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
- name: The operator's kubectl knows the cluster
  kubeconfig_context:
    name: metalworks-lab
    source: "{{ k3s_yaml }}"
    server: https://192.168.7.11:6443
  delegate_to: localhost

- name: The operator's kubectl forgets the cluster
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
  description: The file as it was before.
  type: str
  returned: when an existing file changed
current:
  description: Whether the context is the selected one.
  type: bool
  returned: always
"""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.metalworks import kubeconfig
from ansible.module_utils.metalworks.files import read_text, write_text

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "path": {"type": "path", "default": "~/.kube/config"},
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "source": {"type": "str", "no_log": True},
    "server": {"type": "str"},
    "ca": {"type": "str"},
    "cert": {"type": "str", "no_log": True},
    "key": {"type": "str", "no_log": True},
    "current": {"type": "bool", "default": True},
}
LOCK_SECONDS = 10.0


def plan(found: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    """The kubeconfig as it is to be."""
    if params["state"] == "absent":
        return dict(kubeconfig.remove(found, params["name"]))
    if params["source"]:
        wanted = kubeconfig.from_source(params["name"], params["source"], params["server"])
    else:
        parts = (params[name] for name in ("server", "ca", "cert", "key"))
        wanted = kubeconfig.from_parts(params["name"], *parts)
    return dict(kubeconfig.merge(found, wanted, params["current"]))


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock that kubectl takes: a file beside the kubeconfig that must not exist yet."""
    held = path.with_name(f"{path.name}.lock")
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            os.close(os.open(held, os.O_CREAT | os.O_EXCL, 0o600))
            break
        except FileExistsError as error:
            if time.monotonic() > until:
                sentence = f"{held} is there: another program edits the file. Remove it if none does"
                raise kubeconfig.KubeconfigError(sentence) from error
            time.sleep(0.1)
    try:
        yield
    finally:
        held.unlink(missing_ok=True)


def edit(path: Path, params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Read, plan, and write what differs."""
    text = read_text(path)
    found = kubeconfig.parse(text or "", str(path))
    wanted = plan(found, params)
    result: dict[str, Any] = {
        "changed": wanted != found,
        "path": str(path),
        "current": wanted.get("current-context") == params["name"],
        "diff": {
            "before_header": str(path),
            "after_header": str(path),
            "before": kubeconfig.masked(found) if text else "",
            "after": kubeconfig.masked(wanted) if wanted else "",
        },
    }
    if result["changed"] and text:
        result["backup"] = f"{path}.metalworks-backup"
    if result["changed"] and not check_mode:
        if text:
            shutil.copy2(path, result["backup"])
            Path(result["backup"]).chmod(0o600)
        write_text(path, kubeconfig.dump(wanted), 0o600)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        mutually_exclusive=[("source", "ca"), ("source", "cert"), ("source", "key")],
        required_together=[("ca", "cert", "key")],
    )
    params = module.params
    if not kubeconfig.HAS_YAML:
        module.fail_json(msg=missing_required_lib("PyYAML"))
    if params["state"] == "present" and not (params["source"] or (params["server"] and params["key"])):
        module.fail_json(msg="state is present: give source, or server, ca, cert and key")
    path = Path(params["path"]).expanduser().resolve()
    try:
        if module.check_mode or (params["state"] == "absent" and not path.exists()):
            module.exit_json(**edit(path, params, True))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with lock(path):
            result = edit(path, params, False)
    except kubeconfig.KubeconfigError as error:
        module.fail_json(msg=f"The kubeconfig is left as it is: {error}.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
