"""Debian systems from the distribution's packages: the lab's machines, and the base of its images."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from module_utils.metalworks.artifacts.cache import files_below
from module_utils.metalworks.images.docker import docker, has_image
from module_utils.metalworks.images.names import PLACEHOLDER_HOST

from .recipe import LAB, Job, Recipe, Result

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = Path("/etc/apt")
RELEASES = ("bullseye", "bookworm", "trixie")
DETERMINED = ("--numeric-owner", "--sort=name")
# Mounts of an installation are invisible to other programs, and vanish when it ends or is killed.
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child")


@dataclass(frozen=True)
class System:
    """A Debian system: a folder below lab/ with packages.txt and, if needed, rootfs/ and setup.sh."""

    folder: str
    image: str
    command: tuple[str, ...] = ()


def system(name: str, version: str, what: System) -> Recipe:
    """Make the recipe of a system, as a Docker image."""
    folder = LAB / what.folder

    def make(job: Job) -> Result:
        reference = f"{PLACEHOLDER_HOST}/{what.image}:{version}-{job.key[:8]}"
        if not has_image(reference):
            rootfs = job.cache / "debian" / f"{name}.rootfs"
            remove_tree(rootfs)  # a killed run may have left one
            try:
                build(job, folder, rootfs)
                job.run(["docker", "import", *changes(what), job.out / "rootfs.tar", reference])
            finally:
                remove_tree(rootfs)
                (job.out / "rootfs.tar").unlink(missing_ok=True)
        return Result(version, reference=reference)

    return Recipe(
        name,
        version,
        make,
        lambda f: f.files(LAB, files_below(folder)),
        there=lambda result: has_image(result.reference),
    )


def build(job: Job, folder: Path, rootfs: Path) -> None:
    """Install a system into a folder, and write it as an archive."""
    job.say(f"installing Debian {job.version}")
    archives = job.cache / "debian" / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    job.run(bootstrap_command(job.version, packages(folder / "packages.txt"), rootfs, archives))
    job.say("making it an image")
    job.run([*as_root(), "sh", folder / "setup.sh", rootfs, folder])
    target = job.out / "rootfs.tar"
    job.run([*as_root(), "tar", f"--file={target}", f"--directory={rootfs}", *DETERMINED, "--create", "."])


def busybox(name: str, version: str, base: str) -> Recipe:
    """Make the recipe of the static busybox, taken out of the base image."""

    def make(job: Job) -> Result:
        container = docker("create", job.needs[base].reference, "/bin/true").strip()
        try:
            docker("cp", f"{container}:/bin/busybox", str(job.out / name))
        finally:
            docker("rm", container)
        return Result(version, path=name)

    return Recipe(name, version, make, lambda f: f.text("from", "/bin/busybox"), needs=(base,))


def packages(path: Path) -> list[str]:
    """Read a list of packages; the rest of a line after # says why one is there."""
    names = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [name for name in names if name]


def bootstrap_command(suite: str, wanted: list[str], rootfs: Path, archives: Path) -> list[str | Path]:
    """Return the command that installs a Debian system into a folder."""
    if not shutil.which("debootstrap") and not Path("/usr/sbin/debootstrap").exists():
        raise FileNotFoundError(
            "debootstrap is not installed. On Debian: apt-get install debootstrap debian-archive-keyring"
        )
    keyring: list[str | Path] = [f"--keyring={KEYRING}"] if KEYRING.exists() else []
    mirror = computers_mirror(suite)
    return [
        *as_root(),
        *ALONE,
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(wanted)}",
        f"--cache-dir={archives}",
        *keyring,
        suite,
        rootfs,
        *([mirror] if mirror else []),
    ]


def as_root() -> list[str | Path]:
    """Return what runs a command as root, who alone can make the files of a system."""
    if os.geteuid() == 0:
        return []
    return ["sudo", "--non-interactive", "--preserve-env=http_proxy,https_proxy,no_proxy"]


def computers_mirror(suite: str, sources: Path = SOURCES) -> str:
    """Return the mirror that this computer's apt takes the suite from; nothing when it takes none.

    Another release of Debian is taken from where apt takes its own: an archive holds them all.
    """
    mirrors = dict(reversed(list(apt_suites(sources))))
    return next((mirrors[name] for name in (suite, *RELEASES) if name in mirrors), "")


def apt_suites(sources: Path) -> Iterator[tuple[str, str]]:
    """Yield each suite whose `main` this computer's apt takes, and from where."""
    for path in sorted(sources.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            fields = dict(re.findall(r"^([\w-]+):\s*(.+)$", stanza, flags=re.MULTILINE))
            if "main" in fields.get("Components", "").split():
                yield from ((name, fields["URIs"].split()[0]) for name in fields.get("Suites", "").split())
    for path in [sources / "sources.list", *sorted(sources.glob("sources.list.d/*.list"))]:
        text = path.read_text() if path.is_file() else ""
        found = re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+.*\bmain\b", text, flags=re.MULTILINE)
        yield from ((name, mirror) for mirror, name in found)


def changes(what: System) -> list[str]:
    """Return what an image says about how it is run."""
    if not what.command:
        return []
    command = ", ".join(f'"{part}"' for part in what.command)
    return ["--change", f"CMD [{command}]", "--change", "ENV container=docker"]


def remove_tree(folder: Path) -> None:
    """Remove a tree that root made."""
    if folder.exists():
        subprocess.run([*map(str, as_root()), "rm", "-rf", "--one-file-system", str(folder)], check=True)
