"""The unit records what k3s starts with, and the module that decides on a restart looks at the same files."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.k3s import unit
from ansible.module_utils.metalworks.k3s.config import parse_record, read_wanted
from ansible.module_utils.metalworks.k3s.unit import (
    drop_ins,
    environment_problems,
    render,
    render_environment,
    watched_files,
)


def record(text: str, name: str, run: Path) -> str:
    """Run what the unit runs before k3s, as systemd would, and return what it records."""
    line = text[text.index("ExecStartPre=") :].partition("\nExecStart=")[0].partition("=")[2]
    command = line.replace("\\\n", " ").replace("$$", "$").replace("%n", name).replace("%%", "%")
    command = command.replace("/run/metalworks", str(run)).removeprefix("/bin/sh -c '").removesuffix("'")
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
    for name in (
        "config.yaml",
        "config.yaml.d/10-more.yaml",
        "config.yaml.d/20.yml",
        "config.yaml.d/30.YAML",
        "config.yaml.d/not-read.txt",
        "registries.yaml",
        "token",
        "agent-token",
        "ca.crt",
        "systemd/k3s.service",
        "systemd/k3s.service.env",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    text = render("server", "k3s.service", config_file, config)
    recorded = parse_record(record(text, "k3s.service", tmp_path))
    watched = [*watched_files(config_file, config, "k3s.service"), *drop_ins(config_file)]
    assert recorded == read_wanted(binary, watched, {})
    assert recorded is not None
    assert {str(Path(path).relative_to(tmp_path)) for path in recorded.files} == {
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


@pytest.mark.parametrize(("role", "name"), unit.UNITS.items())
def test_the_unit_starts_its_role_with_the_environment_of_install_sh(role: str, name: str) -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    text = render(role, name, Path("/etc/rancher/k3s/config.yaml"), {})
    parser.read_string(text)
    assert parser["Service"]["ExecStart"] == f"/usr/local/bin/k3s {role}"
    assert parser["Service"]["KillMode"] == "process"
    assert [line for line in text.splitlines() if line.startswith("EnvironmentFile=")] == [
        "EnvironmentFile=-/etc/default/%N",
        "EnvironmentFile=-/etc/sysconfig/%N",
        f"EnvironmentFile=-/etc/systemd/system/{name}.env",
    ]


def test_a_path_that_the_shell_would_split_is_not_in_the_unit() -> None:
    config = {"token-file": "/etc/a b; reboot"}
    assert "reboot" not in render("agent", "k3s-agent.service", Path("/etc/rancher/k3s/config.yaml"), config)


def test_no_environment_is_no_file() -> None:
    assert render_environment({}) == ""


PROXY = "http://me:pa55word@proxy.example:3128"


@pytest.mark.parametrize(
    ("environment", "hosts", "says"),
    [
        ({}, ["198.18.0.12"], []),
        ({"CONTAINERD_HTTPS_PROXY": PROXY}, ["198.18.0.12"], []),  # k3s itself does not use it
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "198.18.0.0/24"}, ["198.18.0.12", "198.18.0.13"], []),
        ({"https_proxy": PROXY, "no_proxy": ".example, 198.18.0.12"}, ["k3s.example", "198.18.0.12"], []),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, ["198.18.0.12"], []),
        ({"HTTPS_PROXY": PROXY}, [], []),
        ({"HTTPS_PROXY": PROXY}, ["198.18.0.12"], ["NO_PROXY does not name 198.18.0.12, so k3s would ask"]),
        (
            {"HTTP_PROXY": PROXY, "NO_PROXY": "198.18.1.0/24,xample"},
            ["198.18.0.12", "k3s.example", "198.18.1.2"],
            ["NO_PROXY does not name 198.18.0.12, k3s.example, so"],
        ),
        ({"A B": "x"}, [], ["'A B' is not the name of a variable"]),
        ({"A": "x\ny", "B": ["x"]}, [], ["A is not one line of text", "B is not one line of text"]),
    ],
)
def test_problems_of_an_environment(environment: dict[str, Any], hosts: list[str], says: list[str]) -> None:
    found = list(environment_problems(environment, hosts))
    assert len(found) == len(says), found
    assert all(part in sentence for part, sentence in zip(says, found, strict=True))
    assert not any("pa55word" in sentence for sentence in found)
