"""Is an entry of the catalogue right? And is what an inventory says over it (`metalworks_artifacts`)?

`problems()` is the whole of the second: sentences that say where, what is wrong, and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote, urlsplit

OVERRIDES = "metalworks_artifacts"
FILE = {"version", "url", "checksum_url", "sha256", "member"}
# What each kind of artifact says about where it is published.
KINDS: dict[str, set[str]] = {
    "binary": FILE,
    "archive": FILE,
    "chart": {"version", "repository", "chart", "sha256"},
    "image": {"version", "reference", "digest"},
    "docker": set(),
    "part": set(),
}
# Without these nothing can be had.
NEEDED = {
    "binary": ("version", "url"),
    "archive": ("version", "url"),
    "chart": ("version", "repository", "chart"),
    "image": ("version", "reference"),
}
KEYS = {"kind", "licence", "upstream", "build"}
ADDRESSES = ("url", "checksum_url", "repository")
ARCHITECTURES = ("amd64", "arm64")
PINS = ("sha256", "digest")
PLACEHOLDERS = ("version", "arch", "os")
SHA256 = re.compile(r"[0-9a-f]{64}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def merged(entries: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the catalogue's entries with the inventory's merged deeply over them.

    A pinned checksum belongs to the version that it was written for: another version drops it.
    """
    result = dict(entries)
    for name, given in overrides.items():
        known = dict(entries.get(name) or {})
        ours, theirs = known.get("upstream") or {}, given.get("upstream") or {}
        if theirs.get("version", ours.get("version")) != ours.get("version"):
            known["upstream"] = {key: value for key, value in ours.items() if key not in PINS}
        result[name] = _deep(known, given)
    return result


def _deep(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _deep(result[key], value) if both else value
    return result


def problems(entries: Mapping[str, Any], overrides: Any) -> list[str]:
    """Say all that is wrong with an inventory's entries; `entries` are those of artifacts.yml as written."""
    if not isinstance(overrides, Mapping):
        return [f"{OVERRIDES} is no dictionary: write names of artifacts.yml, each with what differs"]
    shapeless = list(_shape_problems(entries, overrides))
    if shapeless:
        return shapeless
    whole = merged(entries, overrides)
    return [
        f"{OVERRIDES}, {sentence}" for name in overrides for sentence in entry_problems(name, whole[name])
    ]


def _shape_problems(entries: Mapping[str, Any], overrides: Mapping[str, Any]) -> Iterator[str]:
    for name, given in overrides.items():
        if not isinstance(given, Mapping):
            yield f"{OVERRIDES}, {name} is no dictionary: write {{upstream: {{version: ...}}}}"
        elif name not in entries and "kind" not in given:
            yield (
                f"{OVERRIDES}: no artifact is called {name}{_nearest(name, entries)}; one of your own needs "
                f"kind, licence and upstream"
            )
        else:
            for part in ("upstream", "build"):
                if not isinstance(given.get(part) or {}, Mapping):
                    yield f"{OVERRIDES}, {name}: {part} is no dictionary: write {part}: {{version: ...}}"


def entry_problems(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with one whole entry."""
    for key in sorted(set(entry) - KEYS):
        inside = any(key in known for known in KINDS.values())
        hint = f"; write upstream: {{{key}: ...}}" if inside else _nearest(key, KEYS)
        yield f"{name}: unknown key {key}{hint}; known are {', '.join(sorted(KEYS))}"
    kind = entry.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        yield f"{name}: kind is {kind!r}; write one of {', '.join(KINDS)}"
        return
    if not entry.get("licence"):
        yield f"{name}: licence is missing; write its SPDX name"
    if not entry.get("upstream") and not entry.get("build"):
        yield f"{name}: neither upstream nor build says where it comes from"
    if entry.get("upstream"):
        yield from _upstream_problems(f"{name}, upstream", kind, entry["upstream"])


def _upstream_problems(where: str, kind: str, upstream: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(set(upstream) - KINDS[kind]):
        known = sorted(KINDS[kind])
        yield f"{where}: unknown key {key}{_nearest(key, known)}; of kind {kind} are {', '.join(known)}"
    for key in NEEDED.get(kind, ()):
        if not upstream.get(key):
            yield f"{where}: {key} is missing"
    for key, value in upstream.items():
        for arch in sorted(set(value) - set(ARCHITECTURES)) if isinstance(value, Mapping) else ():
            yield f"{where}: {key} has the unknown architecture {arch}; write {' or '.join(ARCHITECTURES)}"
    for key, text in _texts(upstream):
        if key not in KINDS[kind] or not text:
            continue
        if key in ADDRESSES:
            yield from _address_problems(f"{where}: {key}", text)
        elif key == "sha256" and not SHA256.fullmatch(text):
            yield f"{where}: sha256 is {text!r}: write 64 hexadecimal digits"
        elif key == "digest" and not DIGEST.fullmatch(text):
            yield f"{where}: digest is {text!r}: write sha256: and 64 hexadecimal digits"
    if "url" in KINDS[kind] and upstream.get("url") and not upstream.get("sha256"):
        yield from _unpinned_problems(where, upstream)


def _unpinned_problems(where: str, upstream: Mapping[str, Any]) -> Iterator[str]:
    """A file without a pinned checksum must be the version that is named, and verifiable."""
    version = str(upstream.get("version", ""))
    for _, text in _texts({"url": upstream["url"]}):
        if not any(word in text for word in ("{version}", version, quote(version))):
            yield (
                f"{where}: url {text} does not say which version it is: write {{version}} where it belongs, "
                f"or pin sha256"
            )
    if not upstream.get("checksum_url"):
        yield (
            f"{where}: neither sha256 nor checksum_url; what cannot be verified is not installed: "
            f"write one of them"
        )


def _address_problems(where: str, text: str) -> Iterator[str]:
    try:
        address = urlsplit(text)
    except ValueError as error:
        yield f"{where} is {text!r}: {error}"
        return
    if address.username or address.password:
        # The address itself is not shown: it holds a secret.
        yield f"{where} holds a login: take it out, and write it into ~/.netrc (mode 0600)"
        return
    if address.scheme not in ("https", "http") or not address.hostname:
        yield f"{where} is {text!r}: write it whole, as in https://files.example/k3s/{{version}}/k3s"
    for word in re.findall(r"{([^}]*)}", text):
        if word not in PLACEHOLDERS:
            known = ", ".join("{" + each + "}" for each in PLACEHOLDERS)
            yield f"{where} has {{{word}}}{_nearest(word, PLACEHOLDERS)}; known are {known}"


def _texts(upstream: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each value; of one per architecture each of them."""
    for key, value in upstream.items():
        for text in value.values() if isinstance(value, Mapping) else (value,):
            yield key, str(text)


def _nearest(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(str(word), [str(each) for each in known], 1)
    return f"; do you mean {near[0]}?" if near else ""
