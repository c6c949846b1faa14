"""Build missing artifacts: those that others need first, independent ones at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

from module_utils.metalworks.artifacts.cache import Fingerprint, locked, remove_leftovers, staged_folder

from .processes import Processes
from .progress import Progress
from .recipe import Job, Recipe, Result

# How many recipes of a lane run at once. Compiling uses all cores; two downloads can run beside it, and the
# sources of what is compiled next are fetched meanwhile.
LANES = {"go": 1, "net": 2, "fetch": 1}
T = TypeVar("T")


class BuildFailed(RuntimeError):
    """An artifact could not be built; the message holds the end of its log."""


class Schedule:
    """The recipes and their results."""

    def __init__(self, recipes: Mapping[str, Recipe], cache: Path, progress: Progress) -> None:
        """Keep the recipes. Nothing is read or built yet."""
        self._recipes = recipes
        self._cache = cache
        self._progress = progress
        self._processes = Processes()
        self._keys: dict[str, str] = {}
        self._lanes = {lane: threading.Semaphore(width) for lane, width in LANES.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Return all artifacts that can be built."""
        return tuple(self._recipes)

    @property
    def usual(self) -> tuple[str, ...]:
        """Return the artifacts that are built if none is named."""
        return tuple(name for name, recipe in self._recipes.items() if not recipe.on_demand)

    def key(self, name: str) -> str:
        """Return the key of an artifact.

        A hash of its inputs and of the keys of the artifacts that it needs.
        """
        if name not in self._keys:
            recipe = self._recipes[name]
            found = Fingerprint().text("version", recipe.version)
            recipe.inputs(found)
            for need in recipe.needs:
                found.text(f"needs {need}", self.key(need))
            self._keys[name] = found.hex
        return self._keys[name]

    def folder(self, name: str) -> Path:
        """Return an artifact's folder in the cache, which may not exist yet."""
        return self._cache / "artifacts" / name / self.key(name)

    def result(self, name: str) -> Result | None:
        """Return an artifact that is built already, or None."""
        found = Result.load(self.folder(name))
        return found if found and self._recipes[name].there(found) else None

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return the artifacts that have to be built, in an order in which needs come first."""
        order: list[str] = []

        def visit(name: str) -> None:
            if name in order or self.result(name):
                return
            for need in self._recipes[name].needs:
                visit(need)
            order.append(name)

        for name in names:
            visit(name)
        return order

    def ensure(self, names: Iterable[str]) -> dict[str, Result]:
        """Build what is missing, and return the results of the names; BuildFailed says what went wrong."""
        wanted = list(names)
        missing = self.missing(wanted)
        if missing:
            self._make_all(missing)
        return {name: self._made(name) for name in wanted}

    def _make_all(self, order: list[str]) -> None:
        """Build artifacts at the same time, each as soon as its needs are built.

        Stop all at the first failure.
        """
        futures: dict[str, Future[None]] = {}
        with self._progress.running(), ThreadPoolExecutor(max_workers=len(order)) as pool:
            try:
                for name in order:
                    before = [futures[need] for need in self._recipes[name].needs if need in futures]
                    futures[name] = pool.submit(self._make_after, name, before)
                pending = set(futures.values())
                while pending:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            except BaseException:
                self._processes.stop()
                for future in futures.values():
                    future.cancel()
                raise

    def _make_after(self, name: str, before: list[Future[None]]) -> None:
        """Build one artifact as soon as its needs are built and its lane is free."""
        for future in before:
            future.result()
        recipe = self._recipes[name]
        if recipe.fetch:
            with self._lanes["fetch"]:
                if not self._processes.stopped:
                    sources = f"{name}-sources"
                    with self._progress.task(sources):
                        self._step(name, recipe.fetch, self._cache, sources)
        with self._lanes[recipe.lane]:
            if not self._processes.stopped:
                self._make(name)

    def _make(self, name: str) -> None:
        """Build one artifact under its lock, unless another run has just built it."""
        lock = self._cache / "locks" / f"{name}.lock"
        with locked(lock, waiting=lambda: self._progress.say(name, "another run is making it: waiting")):
            if self.result(name):
                return
            folder = self.folder(name)
            remove_leftovers(folder.parent)
            with self._progress.task(name), staged_folder(folder) as stage:
                self._step(name, self._recipes[name].make, stage, name).save(stage)

    def _step(self, name: str, do: Callable[[Job], T], folder: Path, log_name: str) -> T:
        """Do a step of a recipe in a folder; BuildFailed shows the end of its log."""
        log = self._cache / "logs" / f"{log_name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")
        recipe = self._recipes[name]
        job = Job(
            name=name,
            version=recipe.version,
            key=self.key(name),
            out=folder,
            cache=self._cache,
            needs={need: self._made(need) for need in recipe.needs},
            run=self._processes.runner(log),
            say=lambda what: self._progress.say(name, what),
        )
        try:
            return do(job)
        except Exception as error:
            if self._processes.stopped:
                raise
            raise BuildFailed(f"{name} could not be built: {error}\n{end_of(log)}") from error

    def _made(self, name: str) -> Result:
        """Return an artifact that was just built."""
        found = self.result(name)
        if not found:
            raise BuildFailed(
                f"{name} was made, and is gone again from {self.folder(name)}: "
                f"is something else emptying the cache?"
            )
        return found


def end_of(log: Path) -> str:
    """Return the last 40 lines of a log and its path."""
    lines = log.read_text(errors="replace").splitlines()[-40:]
    return "\n".join([*(f"    {line}" for line in lines), f"  The whole log: {log}"])
