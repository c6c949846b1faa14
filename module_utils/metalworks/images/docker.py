"""Use the Docker of the operator's computer: find a client that can build, look for images, build them."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

NOT_INSTALLED = "docker is not installed on this computer. On Debian and Ubuntu: apt-get install docker.io"


class DockerError(RuntimeError):
    """Docker failed or is missing; the message says what to do."""


def docker(*arguments: str, client: str = "docker") -> str:
    """Run docker and return its output; DockerError if it fails."""
    try:
        done = subprocess.run([client, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise DockerError(NOT_INSTALLED) from error
    if done.returncode != 0:
        raise DockerError(f"docker {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def has_image(reference: str) -> bool:
    """Return whether Docker has an image of this name."""
    try:
        docker("image", "inspect", "--format", "{{.Id}}", reference)
    except DockerError as error:
        if "No such image" in str(error):
            return False
        raise
    return True


@functools.cache
def building_client() -> str:
    """Return the docker client that can build with BuildKit.

    Since version 23 a client needs the buildx component for that, which some packages lack. Older clients
    do not need it, so all clients on PATH are tried.
    """
    clients = [str(Path(folder) / "docker") for folder in os.get_exec_path()]
    for client in dict.fromkeys(path for path in clients if shutil.which(path)):
        if _can_build(client):
            return client
    raise DockerError(
        "no docker client here can build with BuildKit. "
        "On Debian: apt-get install docker.io; elsewhere: install the buildx component"
    )


def _can_build(client: str) -> bool:
    """Return whether a client can build with BuildKit: before version 23 always, later with buildx."""
    version = subprocess.run([client, "--version"], capture_output=True, text=True, check=False).stdout
    major = re.search(r"version (\d+)", version)
    if major and int(major[1]) < 23:
        return True
    return subprocess.run([client, "buildx", "version"], capture_output=True, check=False).returncode == 0


def build_environment() -> dict[str, str]:
    """Return the environment of a build.

    It holds the values of the proxies, whose names the command passes.
    """
    return {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}


def build_command(context: Path, reference: str, arguments: dict[str, str], secrets: Path) -> list[str]:
    """Return the command that builds a context.

    The computer's own settings are build secrets: a step of the build can read them, and no layer holds them.
    Each file of the folder `secrets` becomes a secret of its name.
    """
    command = [building_client(), "build", "--network", "host", "--tag", reference]
    for name, value in sorted(arguments.items()):
        command += ["--build-arg", f"{name}={value}"]
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        if os.environ.get(name):
            command += ["--build-arg", name]
    for path in sorted(secrets.iterdir()):
        command += ["--secret", f"id={path.name},src={path}"]
    return [*command, str(context)]


# --- the computer's own settings ---
PIP_KEYS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
NPM_KEYS = re.compile(r"^(registry|proxy|https-proxy|noproxy|strict-ssl|@[^=]+:registry|//[^=]+)\s*=")
CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def write_secrets(folder: Path) -> None:
    """Write the computer's CA bundle and settings of pip and npm; only this user can read the files."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    bundles = (os.environ.get("SSL_CERT_FILE", ""), *CA_BUNDLES)
    ca_bundle = next((Path(path) for path in bundles if Path(path).is_file()), None)
    files = {
        "pip.conf": "[global]\n" + "".join(f"{key} = {value}\n" for key, value in pip_settings().items()),
        "npmrc": "".join(f"{line}\n" for line in npm_settings()),
    }
    if ca_bundle:
        files["ca.pem"] = ca_bundle.read_text()
        files["pip.conf"] += "cert = /run/secrets/ca.pem\n"
        files["npmrc"] += "cafile=/run/secrets/ca.pem\n"
    for name, content in files.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(content)


def pip_settings() -> dict[str, str]:
    """Return the package index settings of the computer's pip, from its files and the environment."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    settings: dict[str, str] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2].replace("_", "-")
        if key in PIP_KEYS:
            settings[key] = value.strip("'\"").replace("\\n", "\n    ")
    return settings


def npm_settings() -> list[str]:
    """Return the registry lines of the computer's npm configuration."""
    found: list[str] = []
    for path in (Path("/etc/npmrc"), Path.home() / ".npmrc"):
        if path.is_file():
            found += [line for line in path.read_text().splitlines() if NPM_KEYS.match(line)]
    # npm reads this variable in small and in capital letters.
    registry = {name.upper(): value for name, value in os.environ.items()}.get("NPM_CONFIG_REGISTRY")
    return [*found, f"registry={registry}"] if registry else found
