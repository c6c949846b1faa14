"""A restart is due when the running process was started with something else than is wanted, and only then."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.metalworks.common.systemd import Unit
from ansible.module_utils.metalworks.k3s.config import (
    Start,
    change_problems,
    installed_version,
    mask,
    parse_record,
    read_drop_ins,
    read_machine_network,
    read_scalar,
    read_settings,
    read_wanted,
    reasons,
    render,
)

RUNNING = Unit("k3s.service", load="loaded", active="active", sub="running", enabled=True, invocation="7")
START = Start("/usr/local/bin/k3s-v1.34.4+k3s1 9-1", {"/etc/rancher/k3s/config.yaml": "a"})

CASES = {
    "runs_with_what_is_wanted": (RUNNING, START, START, []),
    "runs_not": (Unit("k3s.service"), None, START, ["k3s.service does not run"]),
    "still_starting_with_what_is_wanted": (
        Unit("k3s.service", load="loaded", active="activating", enabled=True),
        START,
        START,
        [],
    ),
    "failed": (
        Unit("k3s.service", load="loaded", active="failed", enabled=True),
        START,
        START,
        ["k3s.service does not run"],
    ),
    "started_by_somebody_else": (
        RUNNING,
        None,
        START,
        ["it is not recorded what k3s.service was started with"],
    ),
    "another_binary": (
        RUNNING,
        Start("/usr/local/bin/k3s-v1.33.1+k3s1 9-1", START.files),
        START,
        [
            "it was started with /usr/local/bin/k3s-v1.33.1+k3s1 (9-1), "
            "wanted is /usr/local/bin/k3s-v1.34.4+k3s1 (9-1)"
        ],
    ),
    "configuration_changed": (
        RUNNING,
        START,
        Start(START.binary, {"/etc/rancher/k3s/config.yaml": "b"}),
        ["/etc/rancher/k3s/config.yaml changed since the start"],
    ),
    "registries_came": (
        RUNNING,
        START,
        Start(START.binary, {**START.files, "/etc/rancher/k3s/registries.yaml": "c"}),
        ["/etc/rancher/k3s/registries.yaml came since the start"],
    ),
    "drop_in_went": (
        RUNNING,
        Start(START.binary, {**START.files, "/etc/rancher/k3s/config.yaml.d/x.yaml": "c"}),
        START,
        ["/etc/rancher/k3s/config.yaml.d/x.yaml went since the start"],
    ),
    "not_enabled": (
        Unit("k3s.service", load="loaded", active="active", enabled=False),
        START,
        START,
        ["k3s.service would not start at boot"],
    ),
}


@pytest.mark.parametrize(("unit", "started", "wanted", "expected"), CASES.values(), ids=CASES)
def test_restart_is_due(unit: Unit, started: Start | None, wanted: Start, expected: list[str]) -> None:
    assert reasons(unit, started, wanted) == expected


def test_what_is_rendered_is_read_by_yaml_as_it_was() -> None:
    config = {
        "node-name": "metal-1",
        "cluster-init": True,
        "https-listen-port": 6443,
        "write-kubeconfig-mode": "0600",
        "disable": ["traefik", "servicelb"],
        "node-label": [],
        "kubelet-arg": ['eviction-hard=memory.available<5%,"x": {y}', "a=#b"],
    }
    assert yaml.safe_load(render(config)) == config


def test_the_same_configuration_renders_the_same_in_any_order() -> None:
    assert render({"a": 1, "b": [2]}) == render({"b": [2], "a": 1})


def test_secrets_are_masked() -> None:
    text = render(
        {"datastore-endpoint": "postgres://me:pw@db", "etcd-s3-secret-key": "hunter2", "debug": True}
    )
    shown = mask(text + "token: hunter3\n")
    assert not any(secret in shown for secret in ("pw@db", "hunter2", "hunter3"))
    assert "debug: true" in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('server: "https://a:6443"\n', "https://a:6443"),
        ("server:   https://a:6443  \n", "https://a:6443"),
        ("disable:\n  - server: x\n", None),
        ("# server: https://a:6443\n", None),
        ("server: https://a:6443 # the first\n", "https://a:6443"),
        ("server: 'https://a:6443' # the first\n", "https://a:6443"),
        ("'server': it''s#1\n", "it''s#1"),
        ("'server': 'it''s#1'\n", "it's#1"),
        ('"server" : "a\\"b"\r\n', 'a"b'),
        ("server: https://a:6443\nserver: https://b:6443\n", "https://b:6443"),
        ("server:\n", None),
        ("server:\n  https://a:6443\n", "https://a:6443"),
        ("server: # the first\n  'https://a:6443' # of three\ndebug: true\n", "https://a:6443"),
        ("server: >-\n  https://a:6443\n\ndebug: true\n", "https://a:6443"),
        ("server: |\r\n    https://a:6443\r\n", "https://a:6443"),
        ("server: # none\n", None),
        ("servers: https://a:6443\n", None),
    ],
)
def test_a_scalar_is_read_however_it_was_written(text: str, expected: str | None) -> None:
    assert read_scalar(text, "server") == expected


@pytest.mark.parametrize("text", ["true", "yes", "On", "True", "true # on", "'true'", '"true"', "1", "", "~"])
def test_a_flag_is_read_as_k3s_reads_it(text: str) -> None:
    assert read_scalar(f"secrets-encryption: {text}\n", "secrets-encryption") is True
    assert change_problems(f"secrets-encryption: {text}\n", {"secrets-encryption": True}, True, True) == []


@pytest.mark.parametrize("text", ["false", "no", "OFF", "'false' # off", "0"])
def test_a_flag_that_is_off_is_read_as_k3s_reads_it(text: str) -> None:
    assert read_scalar(f"secrets-encryption: {text}\n", "secrets-encryption") is False


def test_what_a_server_without_a_file_was_is_told_by_its_data() -> None:
    on = {"secrets-encryption": True, "secrets-encryption-provider": "secretbox"}
    (sentence,) = change_problems(None, on, True, True, encrypted=False)
    assert sentence.startswith("secrets-encryption: the cluster's data was written with false")
    assert change_problems(None, on, True, True, encrypted=True) == []
    (sentence,) = change_problems(None, {}, True, True, encrypted=True)
    assert sentence.startswith("secrets-encryption: the cluster's data was written with true")
    (sentence,) = change_problems(None, {"data-dir": "/x"}, False, True)
    assert sentence.startswith("data-dir: the server's data is in /var/lib/rancher/k3s")


def test_the_record_of_a_start_equals_what_a_start_would_use(tmp_path: Path) -> None:
    binary = tmp_path / "k3s-v1.34.4+k3s1"
    binary.write_text("program")
    link = tmp_path / "k3s"
    link.symlink_to(binary)
    config = tmp_path / "config.yaml"
    config.write_text("debug: true\n")
    digest = hashlib.sha256(b"debug: true\n").hexdigest()
    stat = binary.stat()
    record = f"binary {binary} {stat.st_size}-{int(stat.st_mtime)}\n{digest}  {config}\n"
    assert parse_record(record) == read_wanted(link, [config, tmp_path / "registries.yaml"], {})


def test_a_text_yet_to_be_written_counts_as_written(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    wanted = read_wanted(tmp_path / "k3s", [config], {config: "x"})
    assert wanted == Start("", {str(config): hashlib.sha256(b"x").hexdigest()})


def test_a_file_yet_to_be_removed_counts_as_gone(tmp_path: Path) -> None:
    registries, beside = tmp_path / "registries.yaml", tmp_path / "beside.crt"
    registries.write_text("mirrors: {}\n")
    assert read_wanted(tmp_path / "k3s", [registries], {registries: None, beside: "x"}) == Start()


def test_no_record_is_no_start() -> None:
    assert parse_record(None) is None
    assert parse_record("") is None


def test_the_version_is_read_from_the_name_of_the_binary(tmp_path: Path) -> None:
    (tmp_path / "k3s-v1.34.4+k3s1").touch()
    (tmp_path / "k3s").symlink_to("k3s-v1.34.4+k3s1")
    assert installed_version(tmp_path / "k3s") == "v1.34.4+k3s1"
    assert installed_version(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("before", "config", "has_data", "had_data", "says"),
    [
        (None, {"secrets-encryption": True}, False, False, []),  # there is nothing yet
        ("debug: true\n", {}, True, True, []),
        ("debug: true\n", {"secrets-encryption": False}, True, True, []),
        ("debug: true\n", {"secrets-encryption": True}, False, False, []),  # before its first start
        (
            "debug: true\n",
            {"secrets-encryption": True},
            True,
            True,
            ["secrets-encryption: the cluster"],
        ),
        (
            "secrets-encryption: true\n",
            {},
            True,
            True,
            ["secrets-encryption: the cluster's data"],
        ),
        (
            "secrets-encryption: true\n",
            {"secrets-encryption": True, "secrets-encryption-provider": "secretbox"},
            True,
            True,
            ['secrets-encryption-provider: the cluster\'s data was written with "aescbc"'],
        ),
        ("debug: true\n", {"secrets-encryption-provider": "secretbox"}, True, True, []),
        (
            "debug: true\n",
            {"data-dir": "/x"},
            False,
            True,
            ["data-dir: the server's data is in /var/lib"],
        ),
        ("debug: true\n", {"data-dir": "/x"}, True, True, []),
    ],
)
def test_what_a_server_with_data_cannot_change(
    before: str | None, config: dict[str, Any], has_data: bool, had_data: bool, says: list[str]
) -> None:
    found = change_problems(before, config, has_data, had_data)
    assert len(found) == len(says)
    assert all(part in sentence for part, sentence in zip(says, found, strict=True))


def test_drop_ins_count_more_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    assert read_settings(path) is None
    path.write_text("data-dir: /a\nsecrets-encryption: false\n")
    (tmp_path / "config.yaml.d").mkdir()
    (tmp_path / "config.yaml.d" / "20-b.YML").write_text("data-dir: /b")
    (tmp_path / "config.yaml.d" / "10-a.yaml").write_text("secrets-encryption: true\ndata-dir: /c\n")
    (tmp_path / "config.yaml.d" / "30.txt").write_text("data-dir: /d\n")
    before = read_settings(path)
    assert before and read_scalar(before, "data-dir") == "/b"
    assert change_problems(before, {}, True, True, beside=read_drop_ins(path)) == []
    (sentence,) = change_problems(before, {}, False, True, beside=read_drop_ins(path))
    assert "the server's data is in /b" in sentence
    (sentence,) = change_problems(before, {}, True, True)
    assert sentence.startswith("secrets-encryption: the cluster's data was written with true")


@pytest.mark.parametrize(
    ("address", "expected"), [("192.168.7.11", "192.168.7.0/24"), ("192.168.9.9", None), (None, None)]
)
def test_the_machines_network_is_that_of_its_address(address: str | None, expected: str | None) -> None:
    out = '[{"addr_info": [{"local": "192.168.7.11", "prefixlen": 24}]}, {"ifname": "lo"}]'
    assert read_machine_network(lambda _: (0, out, ""), address) == expected
