#!/usr/bin/python
"""Select the version of k3s that a node runs, and find out which of its files have to be sent."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k3s_binary
short_description: Select the k3s binary of a node
description:
  - Compares the node's k3s files with those wanted, by sha256, and returns those that are missing. They are
    sent by another task; then this module is called again.
  - If no file is missing, makes C(k3s) a link to C(k3s-<version>) and C(kubectl) a link to C(k3s). A
    C(kubectl) that is not a link is not changed.
  - Refuses an older version than the installed one, and one that skips a minor version.
  - Restarts nothing.
author: Metalworks
options:
  version:
    description: The wanted version, like V(v1.36.5+k3s1).
    type: str
    required: true
  files:
    description: The files that make up this version on a node.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where the file belongs.
        type: path
        required: true
      sha256:
        description: The file's checksum.
        type: str
        required: true
      source:
        description: Where the file is on the operator's computer. Returned with the missing ones, not used.
        type: str
      mode:
        description: The file's mode. Returned with the missing ones, not used.
        type: str
  folder:
    description: Where the links are made.
    type: path
    default: /usr/local/bin
  record:
    description: Where the checksums are kept, so that a file that nobody has touched since is not read again.
    type: path
    default: /var/lib/metalworks/k3s-files.json
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the links before and after.
    support: full
  idempotent:
    description: Makes only links that differ.
    support: full
"""

EXAMPLES = r"""
- name: Select the version
  k3s_binary:
    version: v1.36.5+k3s1
    files:
      - path: /usr/local/bin/k3s-v1.36.5+k3s1
        sha256: 6b9a8c0a1f2f5c1e2a4d7e6f8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3
  register: binary
"""

RETURN = r"""
missing:
  description: The entries of O(files) that are not on the node or differ.
  type: list
  elements: dict
  returned: always
installed:
  description: The version that was selected before.
  type: str
  returned: always
  sample: v1.33.6+k3s1
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.digests import Digests
from ansible.module_utils.metalworks.common.files import make_folder
from ansible.module_utils.metalworks.common.run import Run, runner
from ansible.module_utils.metalworks.k3s.config import installed_version
from ansible.module_utils.metalworks.k3s.release import parse, refusal

ARGUMENTS: dict[str, Any] = {
    "version": {"type": "str", "required": True},
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path", "required": True},
            "sha256": {"type": "str", "required": True},
            "source": {"type": "str"},
            "mode": {"type": "str"},
        },
    },
    "folder": {"type": "path", "default": "/usr/local/bin"},
    "record": {"type": "path", "default": "/var/lib/metalworks/k3s-files.json"},
}


def read_installed(run: Run, link: Path) -> str | None:
    """Return the selected version: from the link, or from the program if somebody else installed it."""
    version = installed_version(link)
    if version or not link.exists():
        return str(version) if version else None
    code, out, _ = run([str(link), "--version"])
    words = out.split()
    return next((word for word in words if parse(word)), None) if code == 0 else None


def read_links(folder: Path) -> dict[str, str | None]:
    """Return the targets of the links. A file that is no link gives an empty text, a missing one None."""
    found: dict[str, str | None] = {}
    for name in ("k3s", "kubectl"):
        link = folder / name
        found[name] = str(link.readlink()) if link.is_symlink() else ("" if link.exists() else None)
    return found


def plan(version: str, found: dict[str, str | None]) -> dict[str, str]:
    """Return the links to make, with their targets."""
    wanted = {"k3s": f"k3s-{version}"}
    if found["kubectl"] != "":
        wanted["kubectl"] = "k3s"
    return {name: target for name, target in wanted.items() if found[name] != target}


def apply(folder: Path, links: dict[str, str]) -> None:
    """Replace each link in one step, so that the link exists at every moment."""
    for name, target in links.items():
        new = folder / f".{name}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        os.replace(new, folder / name)  # noqa: PTH105


def main() -> None:
    """Compare the files, select the version if none is missing, and return the missing ones."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    folder, version = Path(module.params["folder"]), module.params["version"]
    installed = read_installed(runner(module), folder / "k3s")
    sentence = refusal(installed, version)
    if sentence:
        module.fail_json(msg=f"{sentence}.")
    digests = Digests(Path(module.params["record"]))
    missing = [each for each in module.params["files"] if digests.of(Path(each["path"])) != each["sha256"]]
    found = read_links(folder)
    links = plan(version, found)
    if not module.check_mode:
        digests.keep()
        for each in missing:
            make_folder(Path(each["path"]).parent)
        if not missing:
            apply(folder, links)
    module.exit_json(
        changed=bool(missing or links),
        missing=missing,
        installed=installed,
        diff={"before": describe(found), "after": describe({**found, **links})},
    )


def describe(links: dict[str, str | None]) -> str:
    """Return one side of the diff: each link with its target."""
    shown = {None: "absent", "": "a file of its own"}
    return "".join(f"{name} -> {shown.get(target, target)}\n" for name, target in sorted(links.items()))


if __name__ == "__main__":
    main()
