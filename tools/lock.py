#!/usr/bin/env python3
"""Write every lock of the project anew: versions and hashes, no addresses (`make lock`).

Each requirements.in that git knows becomes a requirements.txt beside it. One that has to agree with other
versions says so itself, in a line `-c FILE` (seen from its folder); where that is another lock, that one is
written first. An overrides.txt beside it leaves out packages that others demand, or changes their versions.
Each package.json gets its package-lock.json. With folders as arguments, only theirs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINNED = ("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate")
COMPILE = ("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", *PINNED)
NPM = ("npm", "install", "--package-lock-only", "--omit=dev", "--omit-lockfile-registry-resolved")
CONSTRAINT = re.compile(r"^-c\s+(\S+)", re.MULTILINE)


def tracked(name: str) -> list[Path]:
    """Return the folders that hold a file of this name, from git."""
    command = ["git", "ls-files", "-z", "--", name, f"*/{name}"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(ROOT / path.rpartition("/")[0] for path in names.split("\0") if path)


def in_order(folders: Iterable[Path]) -> list[Path]:
    """Return the folders of requirements.in files, each after those whose lock it has to agree with."""
    known = set(folders)
    wanted = {
        folder: {
            (folder / path).resolve().parent
            for path in CONSTRAINT.findall((folder / "requirements.in").read_text())
            if path.endswith("requirements.txt")
        }
        & known
        for folder in sorted(known)
    }
    return list(TopologicalSorter(wanted).static_order())


def main(arguments: list[str]) -> None:
    """Compile each requirements.in, then the locks of npm."""
    asked = {(ROOT / name).resolve() for name in arguments}
    for folder in in_order(tracked("requirements.in")):
        if not asked or folder in asked:
            place = folder.relative_to(ROOT)
            print(place / "requirements.txt", flush=True)
            files: tuple[str, ...] = (f"{place}/requirements.in",)
            files += ("--output-file", f"{place}/requirements.txt")
            if (folder / "overrides.txt").exists():
                files += ("--override", f"{place}/overrides.txt")
            subprocess.run((*COMPILE, "--custom-compile-command", "make lock", *files), cwd=ROOT, check=True)
    for folder in tracked("package.json"):
        if not asked or folder in asked:
            print((folder / "package-lock.json").relative_to(ROOT), flush=True)
            subprocess.run(NPM, cwd=folder, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
