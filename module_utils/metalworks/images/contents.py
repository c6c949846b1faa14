"""What is in an image: the packages of Python and Debian, with versions and licences as they state them.

The image's own Python runs this file, which it gets on its standard input: `docker run -i ... python3 -`. So
it imports the standard library only, and nothing of this project. Nothing is looked up anywhere else.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

DOCUMENTS = Path("/usr/share/doc")
# A licence's name fits on one line; what is longer is the licence's text.
LONGEST_NAME = 80


def python_licence(metadata: Mapping[str, str], classifiers: list[str]) -> str:
    """Return the licence of a Python package, by its metadata; empty if it states none.

    An expression of SPDX replaces the older free text and classifiers (https://peps.python.org/pep-0639/).
    """
    names = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: ")]
    text = metadata.get("License", "").strip()
    named = text if len(text) <= LONGEST_NAME and "\n" not in text else ""
    return metadata.get("License-Expression", "") or named or " or ".join(sorted(names))


def debian_licence(copyright_file: str) -> str:
    """Return the licences of a Debian package, by its copyright file; empty if none is named.

    A file in the machine-readable form names them; another one names those that lie in common-licenses.
    """
    if copyright_file.startswith("Format:"):
        names = re.findall(r"^License: *(\S.*?) *$", copyright_file, re.MULTILINE)
    else:
        names = re.findall(r"/usr/share/common-licenses/([\w.-]*\w)", copyright_file)
    return ", ".join(sorted({name for name in names if len(name) <= LONGEST_NAME}))


def python_packages() -> list[dict[str, str]]:
    """Return the packages that this Python can import."""
    found = []
    for each in importlib.metadata.distributions():
        stated = {name: str(value) for name, value in each.metadata.items()}  # type: ignore[attr-defined]
        licence = python_licence(stated, each.metadata.get_all("Classifier") or [])
        expression = stated.get("License-Expression", "")
        found.append(
            {
                "kind": "pypi",
                "name": stated["Name"],
                "version": each.version,
                "licence": licence,
                "expression": expression,
            }
        )
    return found


def debian_packages() -> list[dict[str, str]]:
    """Return the packages that Debian's dpkg knows; none in an image without it."""
    command = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        return []
    found = []
    for line in said.splitlines():
        name, _, version = line.partition(" ")
        path = DOCUMENTS / name / "copyright"
        text = path.read_text(errors="replace") if path.is_file() else ""
        licence = debian_licence(text)
        found.append({"kind": "deb", "name": name, "version": version, "licence": licence, "expression": ""})
    return found


if __name__ == "__main__":
    print(json.dumps([*python_packages(), *debian_packages()]))
