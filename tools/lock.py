#!/usr/bin/env python3
"""Write all lock files of the project again: versions and hashes, no addresses (`make lock`)."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINNED = ("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate")
COMPILE = ("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", *PINNED)

# The folder of each requirements.in, and a lock whose versions it must use, so that all have the same
# JupyterHub.
FOLDERS = {
    ".": None,
    "lab/go": None,
    "lab/images/proxy": "lab/images/constraints.txt",
    "lab/images/hub": "lab/images/constraints.txt",
    "lab/images/notebook": "lab/images/constraints.txt",
    "files/jupyter/datascience": "lab/images/notebook/requirements.txt",
}


def main() -> None:
    """Compile each requirements.in, then the proxy's npm lock."""
    for folder, constraints in FOLDERS.items():
        agree = ("--constraint", constraints) if constraints else ()
        source, lock = f"{folder}/requirements.in", f"{folder}/requirements.txt"
        command = (*COMPILE, *agree, "--custom-compile-command", "make lock", source, "--output-file", lock)
        print(lock, flush=True)
        subprocess.run(command, cwd=ROOT, check=True)
    npm = ("npm", "install", "--package-lock-only", "--omit-lockfile-registry-resolved")
    subprocess.run(npm, cwd=ROOT / "lab/images/proxy", check=True)


if __name__ == "__main__":
    main()
