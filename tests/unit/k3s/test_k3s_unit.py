"""The unit records what k3s starts with, and the module that decides on a restart looks at the same files."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.common.addresses import HostPort
from ansible.module_utils.metalworks.k3s import unit
from ansible.module_utils.metalworks.k3s.config import parse_record, read_wanted
from ansible.module_utils.metalworks.k3s.release import keeps_imports
from ansible.module_utils.metalworks.k3s.unit import (
    drop_ins,
    environment_problems,
    proxy_problems,
    render,
    render_environment,
    watched_files,
)

VERSION = "v1.36.4+k3s1"


def commands(text: str, name: str) -> list[str]:
    """Return what the unit lets a shell run before k3s, as systemd would hand it over."""
    found = re.findall(r"^ExecStartPre=-?/bin/sh -c '([^']*)'$", text, re.MULTILINE)
    assert len(found) == text.count("ExecStartPre=")
    return [
        each.replace("\\\n", " ").replace("$$", "$").replace("%n", name).replace("%%", "%") for each in found
    ]


def record(text: str, name: str, run: Path) -> str:
    """Run the unit's record of what is started, and return it."""
    command = commands(text, name)[0].replace("/run/metalworks", str(run))
    subprocess.run(["/bin/sh", "-c", command], check=True)
    return (run / f"{name}.started").read_text()


def test_the_unit_records_what_the_module_compares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = tmp_path / "k3s"
    (tmp_path / "k3s-v1").write_text("program")
    binary.symlink_to("k3s-v1")
    monkeypatch.setattr(unit, "BINARY", str(binary))
    monkeypatch.setattr(unit, "FOLDER", tmp_path / "systemd")
    config_file = tmp_path / "config.yaml"
    config = {
        "token-file": f"{tmp_path}/token",
        "agent-token-file": f"{tmp_path}/agent-token",
        "datastore-cafile": f"{tmp_path}/ca.crt",
        "flannel-conf": f"{tmp_path}/not-there.json",
        "data-dir": str(tmp_path),
    }
    read = {
        "config.yaml",
        "config.yaml.d/10-more.yaml",
        "config.yaml.d/20.yml",
        "config.yaml.d/30.YAML",
        "registries.yaml",
        "token",
        "agent-token",
        "ca.crt",
        "systemd/k3s.service",
        "systemd/k3s.service.env",
    }
    for name in (*read, "config.yaml.d/not-read.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    text = render("server", "k3s.service", config_file, config, VERSION)
    recorded = parse_record(record(text, "k3s.service", tmp_path))
    watched = [*watched_files(config_file, config, "k3s.service"), *drop_ins(config_file)]
    assert recorded == read_wanted(binary, watched, {})
    assert recorded is not None
    assert {str(Path(path).relative_to(tmp_path)) for path in recorded.files} == read


@pytest.mark.parametrize(("role", "name"), unit.UNITS.items())
def test_the_unit_starts_its_role_with_the_environment_of_install_sh(role: str, name: str) -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    text = render(role, name, Path("/etc/rancher/k3s/config.yaml"), {}, VERSION)
    parser.read_string(text)
    assert parser["Service"]["ExecStart"] == f"/usr/local/bin/k3s {role}"
    assert parser["Service"]["KillMode"] == "process"
    assert [line for line in text.splitlines() if line.startswith("EnvironmentFile=")] == [
        "EnvironmentFile=-/etc/default/%N",
        "EnvironmentFile=-/etc/sysconfig/%N",
        f"EnvironmentFile=-/etc/systemd/system/{name}.env",
    ]


def test_a_path_that_the_shell_would_split_is_not_in_the_unit() -> None:
    config = {"token-file": "/etc/a b; reboot", "data-dir": "/var/a b; reboot"}
    config_file = Path("/etc/rancher/k3s/config.yaml")
    assert "reboot" not in render("agent", "k3s-agent.service", config_file, config, VERSION)


WITH_NAMES = (
    '{"/d/agent/images/k3s-airgap-images.tar":{"size":9,"modTime":"2026-07-22T02:04:27Z","images":["a"]}}'
)
WITHOUT = '{"/d/agent/images/k3s-airgap-images.tar":{"size":9,"modTime":"2026-07-22T02:04:27Z"}}'


@pytest.mark.parametrize(
    ("found", "store", "left"),
    [
        pytest.param(
            None, False, "", id="a new machine gets an empty file, into which k3s notes its imports"
        ),
        pytest.param("", True, "", id="an empty file stays"),
        pytest.param(WITH_NAMES, True, WITH_NAMES, id="what k3s noted stays"),
        pytest.param(WITHOUT, True, "", id="an older k3s noted no names, so the pins would be lost"),
        pytest.param(WITH_NAMES, False, "", id="the images are gone with the store of containerd"),
    ],
)
def test_archives_are_imported_again_only_where_it_is_safe(
    tmp_path: Path, found: str | None, store: bool, left: str
) -> None:
    images = tmp_path / "agent" / "images"
    images.mkdir(parents=True)
    if store:
        (tmp_path / "agent" / "containerd").mkdir()
    if found is not None:
        (images / ".cache.json").write_text(found)
    text = render("agent", "k3s-agent.service", Path("/c.yaml"), {"data-dir": str(tmp_path)}, VERSION)
    subprocess.run(["/bin/sh", "-c", commands(text, "k3s-agent.service")[1]], check=True)
    assert (images / ".cache.json").read_text() == left


def test_a_node_without_archives_gets_no_folder_for_them(tmp_path: Path) -> None:
    text = render("agent", "k3s-agent.service", Path("/c.yaml"), {"data-dir": str(tmp_path)}, VERSION)
    subprocess.run(["/bin/sh", "-c", commands(text, "k3s-agent.service")[1]], check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("version", "keeps"),
    [
        ("v1.36.2+k3s1", False),  # the last of its line that loses the pins
        ("v1.36.3+k3s1", True),
        ("v1.36.3-rc1+k3s1", True),
        ("v1.36.4+lab1", True),
        ("v1.35.6+k3s1", False),
        ("v1.35.7+k3s1", True),
        ("v1.34.9+k3s2", False),
        ("v1.34.10+k3s1", True),
        ("v1.33.13+k3s1", False),
        ("v1.33.14+k3s1", True),
        ("v1.32.99+k3s1", False),  # a line that ended before
        ("v1.37.0+k3s1", True),
        ("v2.0.0+k3s1", True),
        ("latest", False),
    ],
)
def test_the_releases_that_may_skip_an_import(version: str, keeps: bool) -> None:
    assert keeps_imports(version) is keeps
    text = render("server", "k3s.service", Path("/c.yaml"), {}, version)
    assert (".cache.json" in text) is keeps


def test_no_environment_is_no_file() -> None:
    assert render_environment({}) == ""


PROXY = "http://me:pa55word@proxy.example:3128"


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"A": "b", "C": 1}, []),
        ({"A B": "x"}, ["'A B' is not the name of a variable"]),
        ({"A": "x\ny", "B": ["x"], "C": True}, [f"{name} is not one line of text" for name in "ABC"]),
    ],
)
def test_problems_of_an_environment(environment: dict[str, Any], says: list[str]) -> None:
    found = list(environment_problems(environment))
    assert len(found) == len(says), found
    assert all(part in sentence for part, sentence in zip(says, found, strict=True))


@pytest.mark.parametrize(
    ("environment", "hosts", "says"),
    [
        ({}, ["198.18.0.12"], []),
        ({"CONTAINERD_HTTPS_PROXY": PROXY}, ["198.18.0.12"], []),  # k3s itself does not use it
        ({"https_proxy": PROXY, "no_proxy": ".example, 198.18.0.12"}, ["k3s.example", "198.18.0.12"], []),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, ["198.18.0.12"], []),
        ({"HTTPS_PROXY": PROXY}, [], []),
        ({"HTTPS_PROXY": PROXY}, ["198.18.0.12"], ["NO_PROXY does not name 198.18.0.12, so k3s would ask"]),
        (
            {"HTTP_PROXY": PROXY, "NO_PROXY": "198.18.1.0/24,xample"},
            ["198.18.0.12", "k3s.example", "198.18.1.2"],
            ["NO_PROXY does not name 198.18.0.12, k3s.example, so"],
        ),
    ],
)
def test_problems_of_a_proxy(environment: dict[str, Any], hosts: list[str], says: list[str]) -> None:
    found = list(proxy_problems(environment, [HostPort(host, 6443) for host in hosts]))
    assert len(found) == len(says), found
    assert all(part in sentence for part, sentence in zip(says, found, strict=True))
    assert not any("pa55word" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("entry", "host", "covered"),
    [
        ("198.18.0.0/24", "198.18.0.12", True),
        ("198.18.0.12/24", "198.18.0.13", True),  # net.ParseCIDR takes an address of the network
        ("198.18.1.0/24", "198.18.0.12", False),
        ("198.18.0.1:6443", "198.18.0.1", True),
        ("198.18.0.1:443", "198.18.0.1", False),
        ("fd00::1", "fd00::1", True),
        ("[FD00::1]:6443", "fd00::1", True),
        ("[fd00::1]:443", "fd00::1", False),
        ("*.lan", "metal-1.lan", True),
        ("*.lan", "lan", False),
        (".LAN", "metal-1.lan", True),
        ("lan", "metal-1.lan", True),
        ("lan", "LAN", True),
        ("lan:6443", "metal-1.lan", True),
        ("lan:443", "metal-1.lan", False),
        (".lan", "metal-1.wlan", False),
        ("*lan", "metal-1.lan", False),
    ],
)
def test_an_entry_of_no_proxy_is_read_as_go_reads_it(entry: str, host: str, covered: bool) -> None:
    found = list(proxy_problems({"HTTPS_PROXY": PROXY, "NO_PROXY": entry}, [HostPort(host, 6443)]))
    assert (not found) is covered
