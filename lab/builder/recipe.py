"""The types of a recipe, which describes how one artifact is built and what from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from module_utils.metalworks.artifacts.cache import Fingerprint

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "lab"
RESULT = "result.json"


@dataclass(frozen=True)
class Result:
    """A built artifact. `path` is relative to its folder in the cache; fields that do not apply are empty."""

    version: str
    path: str = ""
    sha256: str = ""
    reference: str = ""
    record: str = ""

    def save(self, folder: Path) -> None:
        """Write the result into its folder. A folder without this file is not a result."""
        (folder / RESULT).write_text(json.dumps(asdict(self)) + "\n")

    @staticmethod
    def load(folder: Path) -> Result | None:
        """Return the result in a folder with an absolute path, or None if there is none."""
        try:
            fields = json.loads((folder / RESULT).read_text())
        except FileNotFoundError:
            return None
        fields["path"] = str(folder / fields["path"]) if fields["path"] else ""
        return Result(**fields)


class Runner(Protocol):
    """A function that runs a program for a recipe and adds its output to the artifact's log."""

    def __call__(
        self,
        argv: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Run the program; an exit code other than 0 ends the build."""


@dataclass(frozen=True)
class Job:
    """Everything that a recipe needs to build its artifact."""

    name: str
    version: str
    key: str
    out: Path  # becomes the artifact's folder in the cache when the recipe returns
    cache: Path
    needs: Mapping[str, Result]
    run: Runner
    say: Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """How one artifact is built. `inputs` adds all that it is built from to a fingerprint."""

    name: str
    version: str
    make: Callable[[Job], Result]
    inputs: Callable[[Fingerprint], object]
    needs: tuple[str, ...] = ()
    on_demand: bool = False  # built only when it is named
    lane: str = "net"  # "go" uses all cores, so one runs at a time; "net" mostly waits for the network
    fetch: Callable[[Job], None] | None = None  # what can be done beside other lanes, before its turn comes
    there: Callable[[Result], bool] = field(default=lambda result: True)
