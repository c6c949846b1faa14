"""Which version answers: the champion, and perhaps a candidate with a share of the customers.

A thread asks the registry every few seconds. A new version is fetched into the cache, checked and loaded
beside the old one, and then takes its place between two requests. Where the registry does not answer, what is
loaded stays; after a restart it comes from the cache.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ..models.artifact import ArtifactProblem
from ..models.kinds import open_model
from ..models.pyfunc import OtherEnvironment
from ..models.registry import SHARE_TAG, NotThere, Registry, RegistryProblem, replace
from ..models.tensors import Array, Model
from ..settings import Settings

log = logging.getLogger(__name__)
POINTERS = "serving.json"
# Versions that stay in the cache: the newest and the one before, beside those that answer.
KEPT = 2
# A candidate never answers more customers than the champion, whatever its tag says.
MOST = 0.5
# Other problems are logged with a traceback.
EXPECTED = (RegistryProblem, ArtifactProblem, OSError)


@dataclass(frozen=True)
class Loaded:
    """A version that can answer."""

    name: str
    version: str
    model: Model
    seconds: float = 0.0
    """How long it took to open."""
    since: float = field(default_factory=time.time)
    """When it was loaded, in seconds since 1970."""

    def infer(self, inputs: Mapping[str, Array], parameters: Mapping[str, Any]) -> dict[str, Array]:
        """Answer with this version."""
        return self.model.infer(inputs, parameters)


@dataclass(frozen=True)
class Arms:
    """The versions that answer now. All of a request sees one object of it."""

    champion: Loaded
    candidate: Loaded | None = None
    share: float = 0.0

    @property
    def all(self) -> tuple[Loaded, ...]:
        """The versions, the champion first."""
        return (self.champion, self.candidate) if self.candidate else (self.champion,)

    def choose(self, key: bytes) -> Loaded:
        """Return the version for a customer (or a request without one): always the same."""
        if self.candidate and zlib.crc32(key) / 2**32 < self.share:
            return self.candidate
        return self.champion

    def of(self, version: str) -> Loaded | None:
        """Return the version with this number."""
        return next((each for each in self.all if each.version == version), None)


class Wanted(msgspec.Struct, frozen=True):
    """What the registry says: versions, and the candidate's share."""

    champion: str
    candidate: str = ""
    share: float = 0.0
    problem: str = ""
    """Why the candidate is left out."""


def ask(settings: Settings, registry: Registry) -> Wanted:
    """Ask which versions are to answer. RegistryProblem if nobody answers, or there is no champion."""
    if settings.model_version:
        return Wanted(settings.model_version)
    champion = registry.version_of(settings.model, settings.champion)
    if not settings.candidate:
        return Wanted(champion)
    try:
        candidate = registry.version_of(settings.model, settings.candidate)
        said = registry.tags(settings.model, candidate).get(SHARE_TAG, "0")
    except NotThere:
        return Wanted(champion)
    try:
        share = min(max(float(said), 0.0), MOST)
    except ValueError:
        return Wanted(
            champion, problem=f"{_left_out(candidate)}{SHARE_TAG} is {said!r}, and has to be a number"
        )
    return Wanted(champion, candidate, share) if share > 0 and candidate != champion else Wanted(champion)


def _left_out(candidate: str) -> str:
    return f"the candidate, version {candidate}, is left out: "


class Keeper:
    """Keeps the arms as the registry wants them."""

    def __init__(self, settings: Settings, registry: Registry, changed: Callable[[Arms], None]) -> None:
        """Take what is told about each change; nothing is loaded yet."""
        self.settings, self.registry, self.changed = settings, registry, changed
        self.cache = Path(settings.cache_dir) / settings.model
        self.arms: Arms | None = None
        self.failures = 0
        self.problem = ""
        """Why the version that the registry wants cannot be served by this image; empty if it is served."""
        self.refused: dict[str, str] = {}
        """Versions that need another image, and why. They are not fetched again."""
        self.left_out = ""
        """Why the candidate cannot be loaded; empty if it can, or if there is none."""
        self.asked = 0.0
        """When the registry answered last, in seconds since 1970."""

    def load(self, wanted: Wanted) -> Arms:
        """Return the arms that are wanted; a version that is loaded already is not opened again.

        A candidate that cannot be loaded is left out, so that it never keeps a new champion from serving.
        """
        champion, candidate, problem = self._loaded(wanted.champion), None, wanted.problem
        cause: Exception | None = None
        if wanted.candidate:
            try:
                candidate = self._loaded(wanted.candidate)
            except Exception as found:
                self.failures += 1
                problem, cause = f"{_left_out(wanted.candidate)}{found}", found
        # Once for each candidate: the rest of the sentence may name a folder that is another one each time.
        if problem and problem.partition(":")[0] != self.left_out.partition(":")[0]:
            log.warning("%s", problem, exc_info=_unexpected(cause))
        self.left_out = problem
        return Arms(champion, candidate, wanted.share) if candidate else Arms(champion)

    def _loaded(self, version: str) -> Loaded:
        if self.arms and (found := self.arms.of(version)):
            return found
        if version in self.refused:
            raise OtherEnvironment(self.refused[version])
        folder = self.cache / version
        began = time.perf_counter()
        if not folder.is_dir():
            self.cache.mkdir(parents=True, exist_ok=True)
            # A process that was killed while it fetched has left its part.
            for old in self.cache.glob(".*.part"):
                shutil.rmtree(old, ignore_errors=True)
            part = Path(tempfile.mkdtemp(".part", f".{version}.", self.cache))
            try:
                self.registry.fetch(self.settings.model, version, part / "files")
                self._open(part / "files", version)
                (part / "files").rename(folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        try:
            model = self._open(folder, version)
        except ArtifactProblem:
            # Fetched anew at the next try.
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return Loaded(self.settings.model, version, model, time.perf_counter() - began)

    def _open(self, folder: Path, version: str) -> Model:
        try:
            return open_model(folder, self.settings.requirements)
        except OtherEnvironment as problem:
            self.refused[version] = f"version {version} of {self.settings.model}: {problem}"
            raise OtherEnvironment(self.refused[version]) from None

    def refresh(self) -> None:
        """Ask once, and load what changed; runs in a thread. Problems are logged and counted."""
        try:
            wanted = ask(self.settings, self.registry)
            self.asked = time.time()
            arms = self.load(wanted)
        except Exception as problem:
            self.failures += 1
            refused = str(problem) if isinstance(problem, OtherEnvironment) else ""
            if not refused or refused != self.problem:
                log.warning("what is loaded stays: %s", problem, exc_info=_unexpected(problem))
            self.problem = refused or self.problem
            if self.arms is None:
                self._from_cache()
            if self.arms is None and refused and self.settings.fallback_version:
                self._fall_back()
            return
        self.problem = ""
        if arms != self.arms:
            self._take(arms)
            candidate = arms.candidate.version if arms.candidate else ""
            served = Wanted(arms.champion.version, candidate, arms.share)
            replace(self.cache / POINTERS, msgspec.json.encode(served))
            self._clean(arms)

    def _from_cache(self) -> None:
        """Serve what was served before a restart."""
        try:
            wanted = msgspec.json.decode((self.cache / POINTERS).read_bytes(), type=Wanted)
            if all((self.cache / each).is_dir() for each in (wanted.champion, wanted.candidate) if each):
                self._take(self.load(wanted))
        except Exception as problem:
            log.warning(
                "nothing can be served from %s: %s", self.cache, problem, exc_info=_unexpected(problem)
            )

    def _fall_back(self) -> None:
        """Serve the version for which the image was built, as the servers do that run longer."""
        try:
            self._take(self.load(Wanted(self.settings.fallback_version)))
        except Exception as problem:
            log.warning("nothing can be served instead: %s", problem, exc_info=_unexpected(problem))

    def _take(self, arms: Arms) -> None:
        self.arms = arms
        self.changed(arms)
        candidate = f", {arms.candidate.version} for {arms.share:.0%}" if arms.candidate else ""
        log.info("%s: version %s%s", arms.champion.name, arms.champion.version, candidate)

    def _clean(self, arms: Arms) -> None:
        """Keep the newest versions only, and those that answer."""
        used = {each.version for each in arms.all}
        kept = sorted(
            (each for each in self.cache.iterdir() if each.name.isdigit()), key=lambda each: int(each.name)
        )
        for folder in kept[:-KEPT]:
            if folder.name not in used:
                shutil.rmtree(folder, ignore_errors=True)

    async def keep(self) -> None:
        """Refresh until cancelled, whatever goes wrong."""
        while True:
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:
                self.failures += 1
                log.exception("what is loaded stays")
            await asyncio.sleep(self.settings.poll_every)


def _unexpected(problem: Exception | None) -> Exception | None:
    """Return a problem if its traceback is to be logged."""
    return None if isinstance(problem, EXPECTED) else problem
