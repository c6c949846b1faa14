#!/usr/bin/python
"""State what is in an image: its packages, their versions and their licences."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_facts
short_description: The packages of an image, with versions and licences
description:
  - Asks the image itself, in a container without a network that can write nothing. A package of Python or
    Debian carries its version and its licence with it, so no scanner and no data base is needed.
  - Runs on the operator's computer, whose Docker has the image. The image needs Python.
author: Metalworks
extends_documentation_fragment: [reads_only]
options:
  reference:
    description: The image's name in Docker, as M(image_build) returns it.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: State what is in the image
  image_facts:
    reference: "{{ built.reference }}"
  register: facts
"""

RETURN = r"""
packages:
  description: >-
    One entry for each package. The licence is empty where the package states none; the expression is the
    licence where it is stated in the words of SPDX.
  type: list
  elements: dict
  returned: success
  sample:
    - {kind: pypi, name: msgspec, version: 0.22.0, licence: BSD-3-Clause, expression: BSD-3-Clause}
bill:
  description: The same as a bill of materials in CycloneDX 1.5, which scanners and registries read.
  type: dict
  returned: success
table:
  description: The same as a table in Markdown.
  type: str
  returned: success
"""

import inspect
import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.images import contents
from ansible.module_utils.metalworks.images.docker import NOT_INSTALLED

ARGUMENTS = options_of(DOCUMENTATION)
Package = Mapping[str, str]
NAMESPACES = {"pypi": "pypi", "deb": "deb/debian"}


def sorted_packages(found: Iterable[Package]) -> list[Package]:
    """Return packages by kind and name, those of Python first; each once."""
    unique = {(each["kind"], each["name"].lower(), each["version"]): each for each in found}
    return [unique[key] for key in sorted(unique, key=lambda key: (key[0] != "pypi", *key))]


def component(package: Package) -> dict[str, Any]:
    """Return a package as a component of CycloneDX."""
    name = package["name"]
    if package["kind"] == "pypi":  # https://github.com/package-url/purl-spec: in small letters, with hyphens
        name = re.sub("[-_.]+", "-", name).lower()
    made: dict[str, Any] = {
        "type": "library",
        "name": package["name"],
        "version": package["version"],
        "purl": f"pkg:{NAMESPACES[package['kind']]}/{name}@{package['version']}",
    }
    if package["expression"]:
        made["licenses"] = [{"expression": package["expression"]}]
    elif package["licence"]:
        made["licenses"] = [{"license": {"name": each}} for each in package["licence"].split(", ")]
    return made


def bill(reference: str, packages: Iterable[Package]) -> dict[str, Any]:
    """Return a bill of materials. It has no date and no number of its own: equal images have equal bills."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": reference}},
        "components": [component(each) for each in packages],
    }


def table(packages: Iterable[Package]) -> str:
    """Return a table in Markdown, a row for each package."""
    rows = ("kind", "name", "version", "licence"), ("---",) * 4
    cells = [tuple(each[name].replace("|", r"\|") or "-" for name in rows[0]) for each in packages]
    return "".join(f"| {' | '.join(row)} |\n" for row in (*rows, *cells))


def command(reference: str) -> list[str]:
    """Return the command that asks an image."""
    bounds = ["--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    return [
        "docker",
        "run",
        "--rm",
        "--interactive",
        "--pull=never",
        *bounds,
        "--entrypoint=python3",
        reference,
        "-",
    ]


def ask(module: AnsibleModule, asked: Sequence[str]) -> list[Package]:
    """Return the packages that the image names; fail if it cannot be asked."""
    try:
        # From the source, because Ansible runs a module and what it imports from an archive.
        program = inspect.getsource(contents)
        done = subprocess.run(asked, input=program, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        module.fail_json(msg=NOT_INSTALLED)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        module.fail_json(msg=f"{module.params['reference']} cannot be asked what is in it: {lines[-1]}")
    found: list[Package] = json.loads(done.stdout)
    return sorted_packages(found)


def main() -> None:
    """Ask the image, and return its packages in three forms."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    reference = module.params["reference"]
    packages = ask(module, command(reference))
    module.exit_json(changed=False, packages=packages, bill=bill(reference, packages), table=table(packages))


if __name__ == "__main__":
    main()
