"""kubeconfig_context touches its own context and nothing else."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import library.kubernetes.kubeconfig_context as module
import pytest
import yaml
from ansible.module_utils.metalworks.kubernetes import kubeconfig
from ansible.module_utils.testing import patch_module_args
from tests.support.modules import cases, run_module

K3S_YAML = """\
apiVersion: v1
clusters:
- {cluster: {certificate-authority-data: Q0E=, server: "https://127.0.0.1:6443"}, name: default}
contexts:
- {context: {cluster: default, user: default}, name: default}
current-context: default
kind: Config
preferences: {}
users:
- {name: default, user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZS0VZ}}
"""


@pytest.mark.parametrize("case", cases(__file__))
def test_kubeconfig_context(case: dict[str, Any], capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / ".kube" / "config"
    if "found" in case:
        path.parent.mkdir()
        path.write_text(case["found"])
    source = {"source": K3S_YAML} if case["input"].get("source") is True else {}
    params = {"name": "lab", **case["input"], **source, "path": str(path)}
    answer = run_module("kubeconfig_context", params, capsys, check=case.get("check", False))
    expected = case["output"]
    assert {key: answer.get(key) for key in expected} == expected, answer
    for part in case.get("says", []):
        assert part in answer["msg"]
    assert "S0VZS0VZ" not in json.dumps(answer)
    if "leaves" in case:
        assert (yaml.safe_load(path.read_text()) if path.exists() else None) == case["leaves"]
    if case.get("untouched"):
        assert path.read_text() == case["found"]
    if answer.get("changed") and not case.get("check"):
        assert not path.exists() or path.stat().st_mode & 0o777 == 0o600
        again = run_module("kubeconfig_context", params, capsys)
        assert not again["changed"], "a second run changes nothing"


def test_the_order_of_others_stays(capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("zeta: 1\nusers:\n- {name: z, user: {}}\n- {name: a, user: {}}\nalpha: 2\n")
    run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys)
    written = yaml.safe_load(path.read_text())
    assert list(written)[:3] == ["zeta", "users", "alpha"]
    assert [user["name"] for user in written["users"]] == ["z", "a", "lab"]


def test_a_link_stays_a_link(capsys: Any, tmp_path: Path) -> None:
    target, link = tmp_path / "real", tmp_path / "config"
    target.write_text("apiVersion: v1\n")
    link.symlink_to(target)
    run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(link)}, capsys)
    assert link.is_symlink()
    assert "lab" in target.read_text()


def test_the_file_as_it_was_stands_beside_it(capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(OPERATORS)
    params = {"name": "lab", "source": K3S_YAML, "path": str(path)}
    answer = run_module("kubeconfig_context", params, capsys)
    backup = Path(answer["backup"])
    assert backup.read_text() == OPERATORS
    assert backup.stat().st_mode & 0o777 == 0o600


OPERATORS = """\
# mine
clusters: [{name: work, cluster: {server: "https://work"}}]
contexts: [{name: work, context: {cluster: work, user: me}}]
users: [{name: me, user: {token: mine}}]
current-context: work
"""
CHANGES = {
    "present": {"source": K3S_YAML},
    "moved": {"source": K3S_YAML, "server": "https://192.168.7.11:6443"},
    "absent": {"state": "absent"},
}


@pytest.mark.parametrize(
    "steps",
    [
        ["lab present"],
        ["lab present", "lab moved"],
        ["lab present", "lab absent"],
        ["lab present", "lab moved", "lab absent", "lab present"],
        ["lab present", "test present", "lab absent", "test absent"],
        ["lab present", "test present", "test absent", "lab absent"],
    ],
    ids=", ".join,
)
def test_the_backup_keeps_the_operators_writing(steps: list[str], capsys: Any, tmp_path: Path) -> None:
    path, backup = tmp_path / "config", tmp_path / "config.metalworks-backup"
    path.write_text(OPERATORS)
    for name, change in map(str.split, steps):
        run_module("kubeconfig_context", {"name": name, "path": str(path), **CHANGES[change]}, capsys)
        assert f"name: {name}\n" not in backup.read_text()
    if steps[-1].endswith("absent"):
        assert "S0VZS0VZ" not in backup.read_text() + path.read_text()
        assert yaml.safe_load(path.read_text())["users"] == [{"name": "me", "user": {"token": "mine"}}]
    if "test present" not in steps:
        assert backup.read_text() == OPERATORS


def test_what_the_operator_added_meanwhile_is_in_the_backup(capsys: Any, tmp_path: Path) -> None:
    path, backup = tmp_path / "config", tmp_path / "config.metalworks-backup"
    path.write_text(OPERATORS)
    run_module("kubeconfig_context", {"name": "lab", "path": str(path), **CHANGES["present"]}, capsys)
    config = yaml.safe_load(path.read_text())
    config["users"].append({"name": "other", "user": {}})
    path.write_text(yaml.safe_dump(config))
    run_module("kubeconfig_context", {"name": "lab", "path": str(path), **CHANGES["moved"]}, capsys)
    assert [user["name"] for user in yaml.safe_load(backup.read_text())["users"]] == ["me", "other"]


@pytest.mark.parametrize("steps", [["lab"], ["lab", "test"], ["test", "lab"]], ids=", ".join)
def test_nothing_is_left_of_what_was_only_ours(steps: list[str], capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / "config"
    for change in ("present", "moved", "absent"):
        for name in steps:
            run_module("kubeconfig_context", {"name": name, "path": str(path), **CHANGES[change]}, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", [True, False], ids=["file", "no file"])
def test_our_keys_leave_an_old_backup(there: bool, capsys: Any, tmp_path: Path) -> None:
    path, backup = tmp_path / "config", tmp_path / "config.metalworks-backup"
    run_module("kubeconfig_context", {"name": "lab", "path": str(path), **CHANGES["present"]}, capsys)
    path.rename(backup)
    if there:
        path.write_text(OPERATORS)
    answer = run_module("kubeconfig_context", {"name": "lab", "path": str(path), "state": "absent"}, capsys)
    assert answer["changed"]
    assert [each.name for each in tmp_path.iterdir()] == ["config"][: int(there)]


def test_a_lock_that_a_killed_program_left_is_taken(capsys: Any, tmp_path: Path) -> None:
    path, held = tmp_path / "config", tmp_path / "config.lock"
    held.touch()
    os.utime(held, (time.time() - 11,) * 2)
    run_module("kubeconfig_context", {"name": "lab", "path": str(path), **CHANGES["present"]}, capsys)
    assert [each.name for each in tmp_path.iterdir()] == ["config"]


def test_kubectls_lock_is_waited_for(capsys: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.2)
    path = tmp_path / "config"
    path.with_name("config.lock").touch()
    answer = run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys)
    assert answer["failed"]
    assert "config.lock is there" in answer["msg"]
    assert not path.exists()


def test_no_lock_is_left_behind(capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / "config"
    run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys)
    assert [each.name for each in tmp_path.iterdir()] == ["config"]


@pytest.mark.parametrize(
    ("kind", "more", "kept", "replaced"),
    [
        ("clusters", {"disable-compression": True, "extensions": [{"name": "a"}]}, [], []),
        ("clusters", {"proxy-url": "http://proxy:3128"}, ["proxy-url"], []),
        ("clusters", {"insecure-skip-tls-verify": True}, [], ["insecure-skip-tls-verify"]),
        ("clusters", {"certificate-authority": "mine.crt"}, [], ["certificate-authority"]),
        ("users", {"as": "ada"}, ["as"], []),
        ("users", {"exec": {"command": "login"}}, [], ["exec"]),
        ("users", {"token": "t"}, [], ["token"]),
        ("contexts", {"namespace": "team", "extensions": []}, [], []),
        ("contexts", {"user": "me"}, [], ["user"]),
        ("contexts", {"cluster": "behind-a-vpn"}, [], ["cluster"]),
    ],
)
def test_what_an_operator_wrote_into_our_entries_stays_or_is_named(
    kind: str,
    more: dict[str, Any],
    kept: list[str],
    replaced: list[str],
    tmp_path: Path,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(module.AnsibleModule, "warn", lambda _, words: warnings.append(words))
    path = tmp_path / "config"
    params = {"name": "lab", "source": K3S_YAML, "path": str(path)}
    run_module("kubeconfig_context", params, capsys)
    ours = yaml.safe_load(path.read_text())
    ours[kind][0][kubeconfig.LISTS[kind]].update(more)
    path.write_text(yaml.safe_dump(ours))
    answer = run_module("kubeconfig_context", params, capsys)
    assert (answer["kept"], answer["replaced"]) == (kept, replaced)
    assert answer["changed"] == bool(replaced)
    assert (yaml.safe_load(path.read_text()) == ours) == (not replaced)
    named = [word for word in (*kept, *replaced) if word in " ".join(warnings)]
    assert named == [*kept, *replaced]


# The file system. Root may do everything, so what is refused to somebody else is tried as somebody else.
SOMEBODY = 65534


@contextmanager
def somebody() -> Iterator[None]:
    """Be an account without rights for a while; the saved ids of root lead back."""
    groups = os.getgroups()
    os.setgroups([])
    os.setresgid(SOMEBODY, SOMEBODY, 0)
    os.setresuid(SOMEBODY, SOMEBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


def as_somebody(path: Path, capsys: Any) -> tuple[str | None, dict[str, Any]]:
    """What is known before, and what the module answers, when an account without rights writes this file."""
    params = {"name": "lab", "source": K3S_YAML, "path": str(path)}
    with somebody(), patch_module_args(params), pytest.raises(SystemExit):
        before = kubeconfig.write_problem(path)
        module.main()
    return before, json.loads(capsys.readouterr().out)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home folder that belongs to somebody; pytest's own folders only root can enter."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        os.chown(path, SOMEBODY, SOMEBODY)
        yield path


def make(home: Path, *names: str, mode: int | None = None, text: str | None = None) -> None:
    """Folders in the home, or as the last one a file with a text; all of root."""
    path = home.joinpath(*names)
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if text is None else path.write_text(text)
    if mode is not None:
        path.chmod(mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of root, and become somebody else")
@pytest.mark.parametrize(
    ("made", "says"),
    [
        ((".kube",), "{home}/.kube belongs to root and may not be changed by nobody: sudo chown -R nobody"),
        ((".kube", "config"), "{home}/.kube/config is a folder"),
        (("file",), ""),
    ],
)
def test_a_file_of_root_is_a_sentence_before_and_in_the_module(
    made: tuple[str, ...], says: str, home: Path, capsys: Any
) -> None:
    make(home, *made)
    before, answer = as_somebody(home / ".kube" / "config", capsys)
    if not says:
        assert before is None
        assert answer["changed"]
        return
    assert before
    assert says.format(home=home) in before
    assert answer["failed"]
    assert answer["msg"] == f"The kubeconfig is left as it is: {before}."


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of root, and become somebody else")
@pytest.mark.parametrize(("mode", "owner"), [(0o600, 0), (0o400, SOMEBODY), (0o200, SOMEBODY)])
def test_a_file_that_cannot_be_read_or_written_is_named(
    mode: int, owner: int, home: Path, capsys: Any
) -> None:
    make(home, ".kube", "config", text="apiVersion: v1\n", mode=mode)
    os.chown(home / ".kube", SOMEBODY, SOMEBODY)
    os.chown(home / ".kube" / "config", owner, owner)
    before, answer = as_somebody(home / ".kube" / "config", capsys)
    assert answer["failed"]
    assert before
    assert f"{home}/.kube/config" in before
    assert ("belongs to root" in before) == (owner == 0)


def test_a_link_that_leads_to_itself_is_named(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "config"
    path.symlink_to(path)
    answer = run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys)
    assert answer["failed"]
    assert "is a link that leads to itself" in answer["msg"]
    assert "is a link that leads to itself" in str(kubeconfig.write_problem(path))


def test_a_link_to_a_file_that_is_not_there_yet_is_followed(tmp_path: Path, capsys: Any) -> None:
    path, target = tmp_path / "config", tmp_path / "deep" / "real"
    path.symlink_to(target)
    assert kubeconfig.write_problem(path) is None
    run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys)
    assert "lab" in target.read_text()


def test_a_link_to_where_nothing_can_be_made_is_named(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "config"
    path.symlink_to("/dev/null/gone/config")
    answer = run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys)
    link = (
        f"{path} is a link to /dev/null/gone/config, which is not there (remove it, or make that): /dev/null"
    )
    assert link in answer["msg"]
    assert link in str(kubeconfig.write_problem(path))
    path.unlink()
    path.symlink_to("/dev/null/gone")
    assert f"{path} is a link to /dev/null/gone" in str(kubeconfig.write_problem(path / "config"))


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / ".kube").write_text("")
    path = tmp_path / ".kube" / "config"
    assert ".kube is not a folder" in str(kubeconfig.write_problem(path))
    answer = run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys)
    assert ".kube is not a folder" in answer["msg"]


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EROFS, "can only be read: name another file"),
        (errno.ENOSPC, "there is no space left"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_the_disk_refuses_is_a_sentence(
    number: int, says: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: Any) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(module, "write", refuse)
    params = {"name": "lab", "source": K3S_YAML, "path": str(tmp_path / "config")}
    answer = run_module("kubeconfig_context", params, capsys)
    assert answer["failed"]
    assert says in answer["msg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of root, and become somebody else")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/usr/local/kubes/config", "name another file (metalworks_kubeconfig)"),
        ("{home}/link", "name another file (metalworks_kubeconfig)"),
        ("{home}/old", "old.metalworks-backup belongs to root"),
    ],
)
def test_what_is_not_ones_own_is_not_to_be_taken(name: str, says: str, home: Path, capsys: Any) -> None:
    (home / "link").symlink_to("/nothing/config")
    make(home, "old.metalworks-backup", text="apiVersion: v1\n", mode=0o600)
    before, answer = as_somebody(Path(name.format(home=home)), capsys)
    assert says in str(before)
    assert answer["msg"] == f"The kubeconfig is left as it is: {before}."
    assert ("chown" in str(before)) == ("old" in name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "no file is named"),
        ("~no-such-person/config", "names an account or a variable that this computer does not have"),
        ("$NO_SUCH_VARIABLE/config", "names an account or a variable that this computer does not have"),
        ("/tmp/one-config:/tmp/other-config", "names several files"),
        ("/tmp/kube/", "is the name of a folder: name a file in it, such as /tmp/kube/config"),
        ("/dev/null", "is a device, a pipe or a socket"),
        ("/tmp/one\0config", "has a character (NUL) in it that no file's name can have"),
    ],
)
def test_what_is_no_file_is_refused_before_and_in_the_module(name: str, says: str, capsys: Any) -> None:
    assert says in str(kubeconfig.write_problem(name))
    answer = run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": name}, capsys)
    assert says in answer["msg"]


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config")
    assert "is a device, a pipe or a socket" in str(kubeconfig.write_problem(tmp_path / "config"))


def test_a_variable_in_the_name_means_the_same_before_and_in_the_module(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERE", str(tmp_path))
    (tmp_path / "config").mkdir()
    before = kubeconfig.write_problem("$HERE/config")
    assert f"{tmp_path}/config is a folder" in str(before)
    params = {"name": "lab", "source": K3S_YAML, "path": "$HERE/config"}
    assert before in run_module("kubeconfig_context", params, capsys)["msg"]


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.EROFS, "can only be read"), (errno.ENOSPC, "no space left"), (errno.EDQUOT, "no space left")],
)
def test_what_the_disk_would_refuse_is_known_before(
    number: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    assert says in str(kubeconfig.write_problem(tmp_path / "config"))
    assert list(tmp_path.iterdir()) == []


def test_what_others_wrote_is_written_as_it_was(tmp_path: Path, capsys: Any) -> None:
    """Kubectl reads some numbers where PyYAML reads texts, and both change 0123 and 1_000 on the way."""
    path = tmp_path / "config"
    values = [
        "0123",
        "1_000",
        "1.10",
        "1:30",
        "2026-01-01T00:00:00Z",
        "1e3",
        "'1e3'",
        "'0o17'",
        "'012'",
        "'y'",
    ]
    lines = [f"- name: number {number}\n  user:\n    token: {value}" for number, value in enumerate(values)]
    path.write_text("\n".join(["users:", *lines, ""]))
    run_module("kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys)
    assert "\n".join(lines) in path.read_text()
    assert not run_module(
        "kubeconfig_context", {"name": "lab", "source": K3S_YAML, "path": str(path)}, capsys
    )["changed"]


@pytest.mark.parametrize(
    "text",
    [
        *("users: [{user: {}}]", "a: [", "\udcff"),
        *(
            "apiVersion: v1\n---\napiVersion: v1\n",
            "users: [{name: [a]}]",
            "clusters: [{name: a, cluster: text}]",
        ),
        "contexts: [{name: a, context: {cluster: {a: b}}}]",
        "users: [{name: a}, {name: b}, {name: a}]",
    ],
)
def test_a_file_that_is_no_kubeconfig_is_known_before(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert str(path) in str(kubeconfig.write_problem(path))
