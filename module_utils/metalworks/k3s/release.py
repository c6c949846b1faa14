"""Versions of k3s, and which of them can follow an installed one."""

from __future__ import annotations

import re
from typing import NamedTuple

# The first patch release of each line that can skip archives of images which it imported before, and keeps
# their images pinned (k3s#14265) and notices a new archive of the same size (k3s#14284). Both came in July
# 2026 (backports k3s#14348 and its siblings); the last releases without them were reproduced there.
KEEPS_IMPORTS = {33: 14, 34: 10, 35: 7, 36: 3}
FORM = re.compile(r"v(\d+)\.(\d+)\.(\d+)(?:-([\w.]+))?\+([a-z0-9]*[a-z])(\d+)")


class Release(NamedTuple):
    """A version such as v1.36.5+k3s1 or v1.36.5-rc1+k3s1."""

    major: int
    minor: int
    patch: int
    prerelease: str
    maker: str  # k3s, or lab for the lab's stand-in
    revision: int

    @property
    def order(self) -> tuple[int, int, int, bool, list[tuple[int, str]]]:
        """Return a key for sorting: a pre-release comes before its release, and rc9 before rc10."""
        parts = [(int(digits or -1), text) for digits, text in re.findall(r"(\d+)|(\D+)", self.prerelease)]
        return self.major, self.minor, self.patch, not self.prerelease, parts


def parse(version: str) -> Release | None:
    """Return the parts of a version such as v1.36.5+k3s1, or None."""
    match = FORM.fullmatch(version)
    if not match:
        return None
    major, minor, patch, prerelease, maker, revision = match.groups()
    return Release(int(major), int(minor), int(patch), prerelease or "", maker, int(revision))


def keeps_imports(version: str) -> bool:
    """Return whether a k3s of this version may skip an archive of images that it imported before."""
    release = parse(version)
    if release is None:
        return False
    line = release.major, release.minor
    return line > (1, max(KEEPS_IMPORTS)) or (
        release.major == 1 and release.patch >= KEEPS_IMPORTS.get(release.minor, release.patch + 1)
    )


def form_problem(version: str) -> str | None:
    """Return why a text is no version of k3s, or None."""
    if parse(version):
        return None
    return f"{version!r} is not a version of k3s: write it in full, like v1.36.5+k3s1"


def refusal(installed: str | None, wanted: str) -> str | None:
    """Return why this version cannot replace the installed one, or None."""
    new = parse(wanted)
    if new is None:
        return form_problem(wanted)
    old = parse(installed) if installed else None
    if old is None:
        return None
    same_maker = old.maker == new.maker
    if new.order < old.order or (new.order == old.order and same_maker and new.revision < old.revision):
        return (
            f"{installed} is installed and {wanted} is older: a cluster's data cannot go back. "
            f"Write {installed} or a newer one, or restore a backup made with {wanted}"
        )
    if new.major == old.major and new.minor > old.minor + 1:
        return (
            f"{installed} is installed and {wanted} skips minor versions: Kubernetes upgrades one at a time. "
            f"Write a v{old.major}.{old.minor + 1} version first"
        )
    return None
