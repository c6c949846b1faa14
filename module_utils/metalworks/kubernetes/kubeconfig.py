"""Merge one context into a kubeconfig or take it out; everything else stays as it is."""

from __future__ import annotations

import copy
import errno
import os
import pwd
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.metalworks.common.files import read_text

LISTS = {"clusters": "cluster", "contexts": "context", "users": "user"}
SECRET_KEYS = (
    "client-key-data",
    "client-certificate-data",
    "token",
    "password",
    "certificate-authority-data",
)
MASK = "********"
# The keys of our entries that are ours: those that we write, and those that would contradict them, because
# kubectl takes one CA and one login.
OURS = {
    "cluster": {
        *("server", "certificate-authority-data"),
        *("certificate-authority", "insecure-skip-tls-verify"),
    },
    "user": {
        *("client-certificate-data", "client-key-data", "client-certificate", "client-key"),
        *("token", "tokenFile", "username", "password", "exec", "auth-provider"),
    },
    "context": {"cluster", "user"},
}
# Keys with which an operator may send kubectl elsewhere, or let it act as another user.
CHANGES_THE_MEANING = ("proxy-url", "tls-server-name", "as", "as-uid", "as-groups", "as-user-extra")
# Texts that kubectl would read as a number or a truth value if they stood without quotes. PyYAML would leave
# the quotes out, because it knows fewer forms of them.
READ_OTHERWISE = re.compile(r"[-+]?[\d_.]+([eE][-+]?\d+)?|0[box][\da-fA-F_]+|[yYnN]")
PROBE_BYTES = 64 << 10  # more than a kubeconfig and its backup usually have


class KubeconfigError(Exception):
    """A kubeconfig cannot be read or merged; the message says why."""


@dataclass(frozen=True)
class Context:
    """A context with its cluster and user, in the kubeconfig's form."""

    name: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any]
    namespace: str | None = None


class Written(str):
    """A number or a time as it is written in the file, which must not change when the file is written."""

    __slots__ = ()


class _Loader(yaml.SafeLoader):
    """Read numbers and times as they are written: 0123 and 1_000 would come back in other forms."""

    def written(self, node: yaml.ScalarNode) -> Written:
        """Return the scalar's text."""
        return Written(node.value)

    def text(self, node: yaml.ScalarNode) -> str:
        """Return a text. One without quotes may be a number to kubectl and none to PyYAML."""
        plain = node.style is None and READ_OTHERWISE.fullmatch(node.value)
        return Written(node.value) if plain else str(node.value)


class _Dumper(yaml.SafeDumper):
    """Write what _Loader has read."""

    def written(self, text: Written) -> yaml.ScalarNode:
        """Write a number or a time as it was."""
        tag = self.resolve(yaml.ScalarNode, str(text), (True, False))  # type: ignore[no-untyped-call]
        return self.represent_scalar(tag, str(text))

    def text(self, text: str) -> yaml.ScalarNode:
        """Write a text so that kubectl reads a text."""
        style = "'" if READ_OTHERWISE.fullmatch(text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


for _tag in ("int", "float", "timestamp"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _Loader.written)
_Loader.add_constructor("tag:yaml.org,2002:str", _Loader.text)
_Dumper.add_representer(Written, _Dumper.written)
_Dumper.add_representer(str, _Dumper.text)


def parse(text: str, path: str) -> dict[str, Any]:
    """Return the kubeconfig as a mapping; KubeconfigError says what is wrong with the file."""
    try:
        found = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        if "found another document" in str(error):
            raise KubeconfigError(
                f"{path} has several YAML documents, and kubectl reads one: keep one of them"
            ) from error
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise KubeconfigError(f"{path}{where} is not YAML; repair it or move it away") from error
    found = {} if found is None else found
    if not isinstance(found, dict):
        raise KubeconfigError(f"{path} is not a kubeconfig (no mapping); move it away")
    for name, singular in LISTS.items():
        entries = found.get(name) or []
        if not isinstance(entries, list) or not all(_is_entry(each, singular) for each in entries):
            raise KubeconfigError(f"{path}: {name} is not a list of named entries; repair it or move it away")
        names = [each["name"] for each in entries]
        twice = next((each for each in names if names.count(each) > 1), None)
        if twice is not None:  # client-go refuses it, too (tools/clientcmd/api/v1/conversion.go)
            raise KubeconfigError(f"{path}: two of its {name} are called {twice}; remove or rename one")
    return found


def _is_entry(found: object, singular: str) -> bool:
    """Return whether this is a name with a mapping, which may be left out."""
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        return False
    inner = found.get(singular) or {}
    names = [inner.get(key) or "" for key in ("cluster", "user")] if isinstance(inner, dict) else [None]
    return all(isinstance(name, str) for name in names)


def from_source(name: str, source: str, server: str | None) -> Context:
    """Return the current context of a k3s.yaml (or any kubeconfig) under another name and address."""
    config = parse(source, "the source")
    current = config.get("current-context")
    context = _entry(config, "contexts", current)
    if context is None:
        raise KubeconfigError(
            "the source has no current context; give a kubeconfig as k3s writes it (k3s.yaml)"
        )
    cluster = _entry(config, "clusters", context.get("cluster"))
    user = _entry(config, "users", context.get("user"))
    if cluster is None or user is None:
        raise KubeconfigError(
            f"the source's context {current!r} names a cluster or user that it does not have"
        )
    return Context(
        name, {**cluster, **({"server": server} if server else {})}, user, context.get("namespace")
    )


def merge(found: Mapping[str, Any], wanted: Context, current: bool) -> dict[str, Any]:
    """Return the kubeconfig with the context in it.

    `current` selects it only if no context is selected yet.
    """
    config = copy.deepcopy(dict(found))
    config.setdefault("apiVersion", "v1")
    config.setdefault("kind", "Config")
    context = {"cluster": wanted.name, "user": wanted.name}
    if wanted.namespace:
        context["namespace"] = wanted.namespace
    for kind, entry in (("clusters", wanted.cluster), ("contexts", context), ("users", wanted.user)):
        before = _entry(config, kind, wanted.name) or {}
        kept = {key: value for key, value in before.items() if key not in OURS[LISTS[kind]]}
        _put(config, kind, wanted.name, {**kept, **entry})
    if current and not config.get("current-context"):
        config["current-context"] = wanted.name
    return config


def kept_keys(config: Mapping[str, Any], name: str) -> list[str]:
    """Return the keys that the operator added to our entries and that change where kubectl goes."""
    entries = [_entry(config, kind, name) or {} for kind in LISTS]
    return [key for key in CHANGES_THE_MEANING if any(key in entry for entry in entries)]


def replaced_keys(found: Mapping[str, Any], wanted: Mapping[str, Any], name: str) -> list[str]:
    """Return the keys of our entries that contradict ours, whoever wrote them: they go, or get our value."""
    before, after = ({kind: _entry(each, kind, name) or {} for kind in LISTS} for each in (found, wanted))
    gone = [key for kind in LISTS for key in before[kind] if key not in after[kind]]
    moved = [key for key in OURS["context"] if before["contexts"].get(key, name) != name]
    server = before["clusters"].get("server")
    led = ["server"] if server and server != after["clusters"].get("server") else []
    return [*led, *gone, *sorted(moved)]


def remove(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the kubeconfig without the context, and without a cluster and user that only it used."""
    config = copy.deepcopy(dict(found))
    rest = [each for each in config.get("contexts") or [] if each["name"] != name]
    for kind, singular in LISTS.items():
        needed = {(each.get("context") or {}).get(singular) for each in rest}
        if config.get(kind):
            gone = {name} if kind == "contexts" else {name} - needed
            config[kind] = [each for each in config[kind] if each["name"] not in gone]
    if config.get("current-context") == name:
        config["current-context"] = ""
    return config


def is_shell(config: Mapping[str, Any]) -> bool:
    """Return whether the kubeconfig has no cluster, user or context left."""
    return not _contents(config)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two kubeconfigs are equal but for the selected context."""
    return _contents(one) == _contents(other)


def masked(config: Mapping[str, Any]) -> str:
    """Return the kubeconfig as text for a diff, without any key, certificate or password."""
    config = copy.deepcopy(dict(config))
    for kind, singular in LISTS.items():
        for each in config.get(kind) or []:
            inner = each.get(singular)
            for key in SECRET_KEYS:
                if isinstance(inner, dict) and inner.get(key):
                    inner[key] = MASK
    return dump(config)


def dump(config: Mapping[str, Any]) -> str:
    """Return the file's text; keys keep their order."""
    text: str = yaml.dump(
        dict(config), Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=1 << 20
    )
    return text


def _contents(config: Mapping[str, Any]) -> dict[str, Any]:
    shell = ("apiVersion", "kind", "current-context")
    return {key: value for key, value in config.items() if key not in shell and value not in (None, [], {})}


def _entry(config: Mapping[str, Any], kind: str, name: Any) -> dict[str, Any] | None:
    for each in config.get(kind) or []:
        if each["name"] == name:
            inner = each.get(LISTS[kind])
            return dict(inner) if isinstance(inner, dict) else {}
    return None


def _put(config: dict[str, Any], kind: str, name: str, value: dict[str, Any]) -> None:
    entries = config.get(kind) or []
    config[kind] = entries
    for each in entries:
        if each["name"] == name:
            each[LISTS[kind]] = value
            return
    entries.append({LISTS[kind]: value, "name": name})


# The file itself.


def located(path: str | Path) -> Path:
    """Return the file itself, links followed; KubeconfigError if the name is none of a file."""
    text = os.path.expandvars(path)
    if "\0" in text:
        raise KubeconfigError(
            f"{text!r} has a character (NUL) in it that no file's name can have: take it out"
        )
    if not text.strip():
        raise KubeconfigError("no file is named: write one, such as ~/.kube/config")
    if text.endswith("/"):
        raise KubeconfigError(f"{text} is the name of a folder: name a file in it, such as {text}config")
    try:
        file = Path(text).expanduser()
    except RuntimeError:
        file = Path("~")
    if "$" in text or file == Path("~"):
        raise KubeconfigError(f"{text} names an account or a variable that this computer does not have")
    if os.pathsep in text and not os.path.lexists(file):
        raise KubeconfigError(
            f"{text} names several files, and the context is written into one: name that one"
        )
    try:
        return file.resolve()
    except (OSError, RuntimeError) as error:  # a circle: RuntimeError before Python 3.13
        raise KubeconfigError(f"{path} is a link that leads to itself; remove it") from error


def backup_of(path: Path) -> Path:
    """Return the place of the backup, beside the kubeconfig."""
    return path.with_name(f"{path.name}.metalworks-backup")


def write_problem(path: str | Path) -> str | None:
    """Return why a context could not be written into this file, as a sentence; None if it can be.

    A run finds out at its start whether its end will work. A file without a name is written beside the
    kubeconfig and is gone at once, because only that shows whether there are rights and space.
    """
    try:
        file = located(path)
    except KubeconfigError as error:
        return str(error)
    problem = _write_problem(path, file)
    written = Path(os.path.expandvars(path)).expanduser()
    for each in (written, *written.parents) if problem else ():
        if each.is_symlink() and not each.exists():
            gone = each.readlink()
            return f"{each} is a link to {gone}, which is not there (remove it, or make that): {problem}"
    return problem


def _write_problem(path: str | Path, file: Path) -> str | None:
    """Return why a context could not be written into a file whose links were followed."""
    try:
        folder = next(each for each in file.parents if os.path.lexists(each))
        if not folder.is_dir():
            return explain(NotADirectoryError(errno.ENOTDIR, "", str(folder)), folder)
        there = [place for place in (file, backup_of(file)) if place.exists()]
        for place in there:
            if place.is_dir():
                return explain(IsADirectoryError(errno.EISDIR, "", str(place)), place)
            if not place.is_file():
                return f"{place} is a device, a pipe or a socket and no file: name a file"
        _try_to_write(folder)
        for place in there:
            if not os.access(place, os.R_OK | os.W_OK):
                return explain(PermissionError(errno.EACCES, "", str(place)), place)
        parse(read_text(file) or "", str(file))
    except OSError as error:
        return explain(error, Path(path))
    except UnicodeDecodeError:
        return f"{path} is no text; move it away"
    except KubeconfigError as error:
        return str(error)
    return None


def _try_to_write(folder: Path) -> None:
    """Write a file that nobody sees into the folder; OSError, with the folder's name, if that is refused."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(folder)) from error


ELSEWHERE = "name another file (metalworks_kubeconfig)"


def explain(error: OSError, path: Path) -> str:
    """Return a sentence about an error of the file system: what was refused, who owns it, and what to do."""
    place = Path(error.filename or path)
    if error.errno == errno.EISDIR:
        return (
            f"{place} is a folder, as a container makes one where it is to mount a file that is not there: "
            "remove it"
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{place} is not a folder, so that no file can be below it: move it away"
    if error.errno == errno.EROFS:
        return f"{place} is on a file system that can only be read: {ELSEWHERE}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"there is no space left for {place}: make room"
    if error.errno in (errno.EACCES, errno.EPERM):
        owner, me = _owner(place), _user(os.geteuid())
        if owner and owner != me:
            # Only what should be one's own is to be taken back. Other folders are the system's or another's.
            remedy = f"sudo chown -R {me} {place}" if _is_at_home(place) else ELSEWHERE
            return f"{place} belongs to {owner} and may not be changed by {me}: {remedy}"
        return f"{place} may not be changed by {me}: chmod u+rwX {place}"
    return f"{place}: {error.strerror or error}"


def _owner(path: Path) -> str:
    """Return who owns the path, or the nearest folder above it that can be read."""
    for each in (path, *path.parents):
        try:
            return _user(each.stat().st_uid)
        except OSError:
            continue
    return ""


def _is_at_home(path: Path) -> bool:
    """Return whether the path is below a folder that belongs to this account, as its home does."""
    return any(_owner(each) == _user(os.geteuid()) for each in path.parents)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
