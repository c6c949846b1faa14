"""A build is given the computer's settings as secrets, and nothing of them stands in its command line."""

from __future__ import annotations

from pathlib import Path

import module_utils.metalworks.images.docker as docker
import pytest


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip would say, which takes a second to ask."""
    settings = {"index-url": "https://me:secret@mirror.example/simple"}
    monkeypatch.setattr(docker, "pip_settings", lambda: settings)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
        "NPM_CONFIG_REGISTRY",
        "SSL_CERT_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    return tmp_path


def test_an_index_from_the_environment_is_given_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@mirror.example/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/only/here")
    # A folder of this computer (find-links) is not in the build.
    assert docker.pip_settings() == {"index-url": "https://me:secret@mirror.example/simple"}


def test_an_index_from_a_file_is_given_on(home: Path) -> None:
    path = home / ".config" / "pip" / "pip.conf"
    path.parent.mkdir(parents=True)
    path.write_text("[global]\nindex-url = https://mirror.example/simple\ncert = /etc/ca.pem\n")
    # The certificate has another path in the build.
    assert docker.pip_settings() == {"index-url": "https://mirror.example/simple"}


def test_the_registry_of_npm_is_given_on_and_its_other_settings_are_not(home: Path) -> None:
    lines = [
        "registry=https://mirror.example/npm/",
        "//mirror.example/npm/:_authToken=secret",
        "fund=false",
        "cafile=/etc/ca.pem",
    ]
    (home / ".npmrc").write_text("\n".join(lines))
    found = docker.npm_settings()
    assert found[-2:] == lines[:2]
    assert not [line for line in found if line.startswith(("fund", "cafile"))]


@pytest.mark.usefixtures("index")
def test_secrets_are_readable_by_their_owner_only(home: Path, tmp_path: Path) -> None:
    docker.write_secrets(tmp_path / "secrets")
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()}
    assert modes == {0o600}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("index")
def test_the_certificates_reach_pip_and_npm(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "own.pem"
    bundle.write_text("CERTIFICATE")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    docker.write_secrets(tmp_path / "secrets")
    assert (tmp_path / "secrets" / "ca.pem").read_text() == "CERTIFICATE"
    assert "cert = /run/secrets/ca.pem" in (tmp_path / "secrets" / "pip.conf").read_text()
    assert "cafile=/run/secrets/ca.pem" in (tmp_path / "secrets" / "npmrc").read_text()


@pytest.mark.usefixtures("index")
def test_no_secret_stands_in_the_command_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example")
    monkeypatch.setattr(docker, "building_client", lambda: "docker")
    docker.write_secrets(tmp_path / "secrets")
    assert "secret@" in (tmp_path / "secrets" / "pip.conf").read_text()
    command = docker.build_command(tmp_path, "r/x:1", {"BASE_IMAGE": "r/base:1"}, tmp_path / "secrets")
    assert "secret@" not in " ".join(command)
    assert command[command.index("https_proxy") - 1] == "--build-arg", (
        "by name, its value is in the environment"
    )
    assert "BASE_IMAGE=r/base:1" in command
    assert command[-1] == str(tmp_path)


@pytest.mark.parametrize(
    ("version", "buildx", "builds"),
    [("20.10.24", 1, True), ("28.2.2", 1, False), ("28.2.2", 0, True)],
    ids=["an_old_client", "a_new_client_without_buildx", "a_new_client_with_buildx"],
)
def test_which_client_builds(tmp_path: Path, version: str, buildx: int, builds: bool) -> None:
    client = tmp_path / "docker"
    client.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "Docker version {version}, build x" || exit {buildx}\n'
    )
    client.chmod(0o755)
    assert docker._can_build(str(client)) is builds
