"""What a recipe is: how one artifact is made, from what, and how one knows that it is there."""

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
    """What an artifact is once made. Files are named relative to its folder in the cache."""

    version: str
    path: str = ""
    sha256: str = ""
    reference: str = ""
    record: str = ""

    def save(self, folder: Path) -> None:
        """Write it where `load` finds it; a folder without it is not a result."""
        (folder / RESULT).write_text(json.dumps(asdict(self)) + "\n")

    @staticmethod
    def load(folder: Path) -> Result | None:
        """Read a result, with its path made absolute; None when there is none."""
        try:
            fields = json.loads((folder / RESULT).read_text())
        except FileNotFoundError:
            return None
        fields["path"] = str(folder / fields["path"]) if fields["path"] else ""
        return Result(**fields)


class Runner(Protocol):
    """Runs a program for a recipe; its output goes to the artifact's log."""

    def __call__(
        self,
        argv: Sequence[str | Path],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Run it; a failure ends the build."""


@dataclass(frozen=True)
class Job:
    """What a recipe is handed when it has to make its artifact."""

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
    """How one artifact is made."""

    name: str
    version: str
    make: Callable[[Job], Result]
    inputs: Callable[[Fingerprint], object]
    needs: tuple[str, ...] = ()
    on_demand: bool = False  # made when it is named, not when all is asked for
    lane: str = "net"  # "go" compiles use every core: one at a time; "net" mostly waits
    there: Callable[[Result], bool] = field(default=lambda result: True)
