"""k3s_config as a task sees it: what it writes, with which rights, what it refuses, what it shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import library.nodes.k3s_config as module
import pytest
from ansible.module_utils.metalworks.common.files import read_file
from ansible.module_utils.metalworks.k3s import unit
from tests.support.modules import cases, run_module


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Parameters that keep the module inside a folder; the machine runs no k3s."""
    monkeypatch.setattr(unit, "FOLDER", tmp_path / "systemd")
    return {
        "role": "server",
        "version": "v1.34.4+k3s1",
        "path": str(tmp_path / "rancher" / "config.yaml"),
        "binary": str(tmp_path / "k3s"),
        "data": str(tmp_path / "data"),
        "started": str(tmp_path / "started"),
    }


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the module warns of."""
    found: list[str] = []
    monkeypatch.setattr(module.AnsibleModule, "warn", lambda _, text: found.append(text))
    return found


@pytest.mark.parametrize("case", cases(__file__))
def test_k3s_config(case: dict[str, Any], machine: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    config_file = Path(machine["path"])
    if "found" in case:
        config_file.parent.mkdir()
        config_file.write_text(case["found"])
        config_file.chmod(int(case.get("found_mode", "600"), 8))
    params = {**machine, **json.loads(json.dumps(case["input"]).replace("{folder}", str(tmp_path)))}
    # The unit is there already: these cases are about the configuration.
    written = tmp_path / "systemd" / unit.UNITS[params["role"]]
    written.parent.mkdir()
    written.write_text(
        unit.render(params["role"], written.name, config_file, params["config"], params["version"])
    )
    written.chmod(0o644)
    answer = run_module("k3s_config", params, capsys, check=case.get("check", False))
    expected = case["output"]
    assert {key: answer.get(key) for key in expected} == expected
    for part in case.get("says", []):
        assert part in answer["msg"]
    assert not any(secret in json.dumps(answer) for secret in case.get("hidden", []))
    text = config_file.read_text() if config_file.exists() else None
    assert text == case.get("leaves", text)
    if text is not None and not case.get("check"):
        assert config_file.stat().st_mode & 0o777 == int(case.get("leaves_mode", "600"), 8)


def test_the_token_is_written_for_root_only(machine: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    token_file = tmp_path / "rancher" / "token"
    params = {**machine, "token": "hunter2hunter2", "config": {"token-file": str(token_file)}}
    assert run_module("k3s_config", params, capsys)["changed"]
    assert token_file.read_text() == "hunter2hunter2\n"
    assert token_file.stat().st_mode & 0o777 == 0o600
    assert not run_module("k3s_config", params, capsys)["changed"]


def test_the_unit_is_written_for_all_to_read(machine: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    params = {**machine, "config": {"token-file": "/etc/rancher/k3s/token"}}
    assert run_module("k3s_config", params, capsys)["changed"]
    written = tmp_path / "systemd" / "k3s.service"
    assert "ExecStart=/usr/local/bin/k3s server\n" in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o644
    assert not run_module("k3s_config", params, capsys)["changed"]


def test_a_wrong_configuration_leaves_the_unit_alone(
    machine: dict[str, Any], capsys: Any, tmp_path: Path
) -> None:
    assert run_module("k3s_config", {**machine, "config": {"docker": True}}, capsys)["failed"]
    assert not (tmp_path / "systemd").exists()


def test_an_unknown_setting_is_written_and_not_shown(
    machine: dict[str, Any], capsys: Any, warned: list[str]
) -> None:
    answer = run_module("k3s_config", {**machine, "config": {"vault-key": "hunter2hunter2"}}, capsys)
    assert 'vault-key: "hunter2hunter2"' in Path(machine["path"]).read_text()
    assert "hunter2hunter2" not in json.dumps(answer["diff"])
    assert len(warned) == 1
    assert "vault-key: this project does not know this setting" in warned[0]


def test_a_setting_that_is_insisted_on_is_not_judged(
    machine: dict[str, Any], capsys: Any, warned: list[str]
) -> None:
    config = {"docker": True, "cluser-cidr": "x"}
    params = {**machine, "config": config, "unchecked": list(config)}
    assert not run_module("k3s_config", params, capsys)["failed"]
    assert warned == []


def test_the_environment_is_kept_from_others_and_watched(
    machine: dict[str, Any], capsys: Any, tmp_path: Path
) -> None:
    environment = {"HTTPS_PROXY": "http://me:pa55word@proxy:3128", "NO_PROXY": 'a"b\\'}
    answer = run_module("k3s_config", {**machine, "config": {}, "environment": environment}, capsys)
    written = tmp_path / "systemd" / "k3s.service.env"
    lines = written.read_text().splitlines()[1:]
    assert lines == ['HTTPS_PROXY="http://me:pa55word@proxy:3128"', 'NO_PROXY="a\\"b\\\\"']
    assert written.stat().st_mode & 0o777 == 0o600
    assert "pa55word" not in json.dumps(answer)
    run_module("k3s_config", {**machine, "config": {}}, capsys)
    assert not written.exists()


def test_an_environment_of_others_is_left_alone(machine: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "k3s.service.env").write_text("A=b\n")
    run_module("k3s_config", {**machine, "config": {}}, capsys)
    assert (tmp_path / "systemd" / "k3s.service.env").read_text() == "A=b\n"


def test_a_server_with_data_is_not_given_another_folder(
    machine: dict[str, Any], capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This test's own folder is below /tmp.
    monkeypatch.setattr("ansible.module_utils.metalworks.k3s.types.EMPTIED", ())
    Path(machine["path"]).parent.mkdir()
    Path(machine["path"]).write_text(f"data-dir: {tmp_path}/old\n")
    (tmp_path / "old" / "server" / "db").mkdir(parents=True)
    (tmp_path / "old" / "server" / "db" / "state.db").touch()
    params = {**machine, "config": {"data-dir": machine["data"]}}
    refused = run_module("k3s_config", params, capsys)
    assert f"data-dir: the server's data is in {tmp_path}/old" in refused["msg"]
    (tmp_path / "old").rename(tmp_path / "data")
    assert not run_module("k3s_config", params, capsys)["failed"]


def test_secrets_of_a_server_without_a_file_are_not_encrypted_later(
    machine: dict[str, Any], capsys: Any, tmp_path: Path
) -> None:
    server = tmp_path / "data" / "server"
    for folder in ("db", "cred"):
        (server / folder).mkdir(parents=True)
    (server / "db" / "state.db").touch()
    (server / "cred" / "encryption-config.json").touch()
    params = {**machine, "config": {"secrets-encryption": True}}
    assert "the cluster's data was written with false" in run_module("k3s_config", params, capsys)["msg"]
    insisted = {**params, "unchecked": ["secrets-encryption"]}
    assert not run_module("k3s_config", insisted, capsys)["failed"]
    # What was insisted on once may be insisted on again.
    assert not run_module("k3s_config", insisted, capsys)["failed"]
    Path(machine["path"]).unlink()
    (server / "cred" / "encryption-config.json").write_text("{}")
    assert not run_module("k3s_config", params, capsys)["failed"]


@pytest.mark.parametrize("used", ["former-secret\n", "K10abc::server:former-secret\n"])
@pytest.mark.parametrize("token", ["former-secret", "K10abc::server:former-secret"])
def test_the_token_of_the_cluster_is_accepted_in_both_forms(
    machine: dict[str, Any], capsys: Any, tmp_path: Path, token: str, used: str
) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "token").write_text(used)
    config = {"token-file": str(tmp_path / "token")}
    params = {**machine, "data": str(tmp_path), "token": token, "config": config}
    assert not run_module("k3s_config", params, capsys)["failed"]


def test_another_token_than_the_clusters_is_refused(
    machine: dict[str, Any], capsys: Any, tmp_path: Path
) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "token").write_text("K10abc::server:former-secret\n")
    config = {"token-file": str(tmp_path / "token")}
    params = {**machine, "data": str(tmp_path), "token": "another-secret", "config": config}
    answer = run_module("k3s_config", params, capsys)
    assert "made with another token" in answer["msg"]
    assert not (tmp_path / "token").exists()


CA = (Path(__file__).parents[1] / "k3s" / "ca.crt").read_text()
REGISTRIES = {
    "mirrors": {"quay.io": {"endpoint": ["https://r.example"]}},
    "configs": {
        "r.example": {"auth": {"username": "ada", "password": "correcthorse"}, "tls": {"ca": CA}},
    },
}


@pytest.fixture
def registries_file(machine: dict[str, Any]) -> Path:
    return Path(machine["path"]).parent / "registries.yaml"


def test_registries_are_written_for_root_only_and_told_to_nobody(
    machine: dict[str, Any], capsys: Any, registries_file: Path
) -> None:
    params = {**machine, "config": {}, "registries": REGISTRIES}
    checked = run_module("k3s_config", params, capsys, check=True)
    assert checked["changed"] and not registries_file.exists()
    answer = run_module("k3s_config", params, capsys)
    assert (answer["changed"], answer["diff"]) == (True, checked["diff"])
    (certificate,) = registries_file.parent.glob("registries.d/*.crt")
    assert certificate.read_text() == CA
    assert str(certificate) in registries_file.read_text()
    assert [path.stat().st_mode & 0o777 for path in (registries_file, certificate)] == [0o600, 0o600]
    assert "https://r.example" in json.dumps(answer["diff"])
    assert "correcthorse" not in json.dumps(answer)
    assert not run_module("k3s_config", params, capsys)["changed"]


def test_registries_that_are_wanted_no_more_are_removed(
    machine: dict[str, Any], capsys: Any, registries_file: Path
) -> None:
    run_module("k3s_config", {**machine, "config": {}, "registries": REGISTRIES}, capsys)
    answer = run_module("k3s_config", {**machine, "config": {}, "registries": {}}, capsys)
    assert answer["changed"]
    assert answer["diff"][-1]["after"] == ""
    assert not registries_file.exists()
    assert list(registries_file.parent.glob("registries.d/*")) == []
    assert not run_module("k3s_config", {**machine, "config": {}, "registries": {}}, capsys)["changed"]


def test_another_ca_takes_the_place_of_the_former(
    machine: dict[str, Any], capsys: Any, registries_file: Path
) -> None:
    run_module("k3s_config", {**machine, "config": {}, "registries": REGISTRIES}, capsys)
    before = registries_file.read_text()
    other = {"configs": {"r.example": {"tls": {"ca": CA + CA}}}}
    run_module("k3s_config", {**machine, "config": {}, "registries": other}, capsys)
    (certificate,) = registries_file.parent.glob("registries.d/*.crt")
    assert certificate.read_text() == CA + CA
    assert registries_file.read_text() != before


@pytest.mark.parametrize("registries", [{}, None])
def test_registries_of_others_are_left_alone(
    machine: dict[str, Any], capsys: Any, registries_file: Path, registries: Any
) -> None:
    registries_file.parent.mkdir()
    registries_file.write_text("mirrors: {}\n")
    run_module("k3s_config", {**machine, "config": {}, "registries": registries}, capsys)
    assert registries_file.read_text() == "mirrors: {}\n"


def test_logins_that_others_wrote_are_not_shown(
    machine: dict[str, Any], capsys: Any, registries_file: Path
) -> None:
    registries_file.parent.mkdir()
    registries_file.write_text("configs: {r.example: {auth: {password:\n tr0ub4dor}}}\n")
    answer = run_module("k3s_config", {**machine, "config": {}, "registries": REGISTRIES}, capsys)
    assert "written by others" in answer["diff"][-1]["before"]
    assert "tr0ub4dor" not in json.dumps(answer)


def test_wrong_registries_change_nothing(machine: dict[str, Any], capsys: Any, registries_file: Path) -> None:
    wrong = {"configs": {"r.example": {"auth": {"password": "correcthorse"}}}}
    answer = run_module("k3s_config", {**machine, "config": {}, "registries": wrong}, capsys)
    assert "registries: configs: r.example: auth: has a password and no username" in answer["msg"]
    assert "correcthorse" not in json.dumps(answer)
    assert not registries_file.parent.exists()


def test_a_file_of_others_in_another_encoding_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "registries.yaml"
    path.write_bytes(b"# f\xfcr uns\nmirrors: {}\n")
    assert module.own_file(path, "") == {}
    assert "\ufffd" in module.diff(tmp_path / "config.yaml", read_file(path).text, "x", [])["before"]
