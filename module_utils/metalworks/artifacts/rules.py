"""Judge entries of the catalogue, and those that an inventory merges over it (`metalworks_artifacts`).

`problems()` judges the latter. It returns sentences that say where, what is wrong, and what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from ..common.architectures import PUBLISHED
from ..common.suggestions import did_you_mean

OVERRIDES = "metalworks_artifacts"
FILE = {"version", "url", "checksum_url", "sha256", "member"}
# The keys of `upstream`, by the kind of artifact.
KINDS: dict[str, set[str]] = {
    "binary": FILE,
    "archive": FILE,
    "chart": {"version", "repository", "chart", "sha256"},
    "image": {"version", "reference", "digest"},
    "docker": set(),
    "ingredient": set(),
}
# The keys of `upstream` that must be given.
NEEDED = {
    "binary": ("version", "url"),
    "archive": ("version", "url"),
    "chart": ("version", "repository", "chart"),
    "image": ("version", "reference"),
}
KEYS = {"kind", "licence", "follows", "upstream", "build"}
ADDRESSES = ("url", "checksum_url", "repository")
PINS = ("sha256", "digest")
PLACEHOLDERS = ("version", "arch", "os")
SHA256 = re.compile(r"[0-9a-f]{64}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Nobody can change what this computer sends to itself, so http is good enough there.
OPEN = re.compile(r"http://(?!(127[.]0[.]0[.]1|localhost)[:/])", re.IGNORECASE)


def merged(entries: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the catalogue's entries with the inventory's merged deeply over them.

    An entry that `follows` another one gets its version, unless it names one itself. A pinned checksum
    belongs to one version: it is dropped when the inventory names another version and no checksum.
    """
    before = _complete(entries)
    after = _complete(
        {name: _deep(entries.get(name) or {}, overrides.get(name) or {}) for name in {**entries, **overrides}}
    )
    for name, entry in after.items():
        if name in before and _version(entry) != _version(before[name]):
            given = (overrides.get(name) or {}).get("upstream") or {}
            kept = {key: value for key, value in (entry.get("upstream") or {}).items() if key not in PINS}
            entry["upstream"] = {**kept, **{key: given[key] for key in PINS if key in given}}
    return after


def _complete(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return all entries; those that follow another one have its version."""
    return {name: {**entry, **_followed(entries, entry)} for name, entry in entries.items()}


def _followed(entries: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return upstream and build of an entry, each with the version of the entry that it follows."""
    leader = entries.get(str(entry.get("follows"))) or {}
    return {
        source: {"version": leader[source]["version"], **entry[source]}
        for source in ("upstream", "build")
        if entry.get(source) and (leader.get(source) or {}).get("version")
    }


def _version(entry: Mapping[str, Any]) -> Any:
    return (entry.get("upstream") or {}).get("version")


def _deep(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _deep(result[key], value) if both else value
    return result


def problems(entries: Mapping[str, Any], overrides: Any) -> list[str]:
    """Return what is wrong with an inventory's entries. `entries` are those of artifacts.yml as written."""
    mergeable = usable(entries, overrides)
    catalogue = merged(entries, mergeable)
    return [
        *shape_problems(entries, overrides),
        *(f"{OVERRIDES}, {each}" for name in mergeable for each in entry_problems(name, catalogue[name])),
    ]


def usable(entries: Mapping[str, Any], overrides: Any) -> dict[str, Any]:
    """Return those of an inventory's entries that can be merged."""
    every = overrides if isinstance(overrides, Mapping) else {}
    return {name: given for name, given in every.items() if not any(_shape_of(name, given, entries, every))}


def shape_problems(entries: Mapping[str, Any], overrides: Any) -> Iterator[str]:
    """Yield why an inventory's entries cannot be merged: wrong types, unknown names."""
    if not isinstance(overrides, Mapping):
        yield f"{OVERRIDES} is no dictionary: write names of artifacts.yml, each with what differs"
        return
    for name, given in overrides.items():
        yield from _shape_of(name, given, entries, overrides)


def _shape_of(
    name: str, given: Any, entries: Mapping[str, Any], overrides: Mapping[str, Any]
) -> Iterator[str]:
    """Yield why one entry cannot be merged."""
    if not isinstance(given, Mapping):
        yield f"{OVERRIDES}, {name} is no dictionary: write {{upstream: {{version: ...}}}}"
    elif name not in entries and "kind" not in given:
        yield (
            f"{OVERRIDES}: no artifact is called {name}{did_you_mean(name, entries)}; one of your own "
            "needs kind, licence and upstream"
        )
    else:
        for part in ("upstream", "build"):
            if not isinstance(given.get(part) or {}, Mapping):
                yield f"{OVERRIDES}, {name}: {part} is no dictionary: write {part}: {{version: ...}}"
        leader = given.get("follows")
        if leader and str(leader) not in {*entries, *overrides}:
            near = did_you_mean(leader, entries)
            yield f"{OVERRIDES}, {name}: follows {leader}, which is no artifact{near}"


def entry_problems(name: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with one merged entry."""
    for key in sorted(set(entry) - KEYS):
        inside = any(key in known for known in KINDS.values())
        hint = f"; write upstream: {{{key}: ...}}" if inside else did_you_mean(key, KEYS)
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
        yield f"{where}: unknown key {key}{did_you_mean(key, known)}; of kind {kind} are {', '.join(known)}"
    for key in NEEDED.get(kind, ()):
        if not upstream.get(key):
            yield f"{where}: {key} is missing"
    for key, value in upstream.items():
        for arch in sorted(set(value) - set(PUBLISHED)) if isinstance(value, Mapping) else ():
            yield f"{where}: {key} has the unknown architecture {arch}; write {' or '.join(PUBLISHED)}"
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
    if _is_open(upstream, "repository") and not upstream.get("sha256"):
        yield (
            f"{where}: repository is http, so whoever is on the way can change a chart and its digest: write "
            f"https, or pin sha256"
        )


def _unpinned_problems(where: str, upstream: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a file without a pinned checksum cannot be verified, or may be of another version."""
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
    elif _is_open(upstream, "url") and _is_open(upstream, "checksum_url"):
        yield (
            f"{where}: url and checksum_url are both http, so whoever is on the way can change a file and "
            f"its checksum: write https for one of them, or pin sha256"
        )


def _is_open(upstream: Mapping[str, Any], key: str) -> bool:
    """Return whether an address is plain http, so that somebody in between can change what it sends."""
    return any(OPEN.match(text) for _, text in _texts({key: upstream.get(key)}))


def _address_problems(where: str, text: str) -> Iterator[str]:
    try:
        address = urlsplit(text)
    except ValueError as error:
        yield f"{where} is {text!r}: {error}"
        return
    if address.username or address.password:
        # The message does not show the address, because it holds a secret.
        yield f"{where} holds a login: take it out, and write it into ~/.netrc (mode 0600)"
        return
    if address.scheme not in ("https", "http") or not address.hostname:
        yield f"{where} is {text!r}: write it whole, as in https://files.example/k3s/{{version}}/k3s"
    for word in re.findall(r"{([^}]*)}", text):
        if word not in PLACEHOLDERS:
            known = ", ".join("{" + each + "}" for each in PLACEHOLDERS)
            yield f"{where} has {{{word}}}{did_you_mean(word, PLACEHOLDERS)}; known are {known}"


def _texts(upstream: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each value with its key; a mapping by architecture yields each of its values."""
    for key, value in upstream.items():
        for text in value.values() if isinstance(value, Mapping) else (value,):
            yield key, str(text)
