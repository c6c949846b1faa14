"""Is a value of the type that its k3s key wants? Each check yields the sentence that follows `<key>: `."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible.module_utils.metalworks.k3s.keys import DROPPED, Key

NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
SERVER_URL = re.compile(r"https://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d+)?/?\Z")
LABEL = re.compile(r"([A-Za-z0-9.-]+/)?\w([\w.-]*\w)?=(\w([\w.-]*\w)?)?\Z")
TAINT = re.compile(r"([A-Za-z0-9.-]+/)?[\w.-]+(=[\w.-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)\Z")
# The kubelet refuses to start with other labels of Kubernetes' own domains (admission NodeRestriction).
KUBELET_LABELS = ("node.kubernetes.io/", "kubelet.kubernetes.io/")
KUBELET_LABEL_NAMES = (
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
)


def as_list(value: Any) -> list[Any]:
    """k3s takes one item where it takes a list."""
    if isinstance(value, (list, tuple)):
        return list(value)
    return [value]


def split(value: Any) -> list[Any]:
    """Networks and addresses may be a list or one text with commas."""
    parts: list[Any] = []
    for item in as_list(value):
        parts += [part.strip() for part in item.split(",")] if isinstance(item, str) else [item]
    return parts


def _text(key: Key, name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str) or not value:
        yield f"{value!r} is not a text; write one, in quotes if it looks like a number"
    elif (name, value) in DROPPED:
        yield f"k3s dropped {value!r}; write {DROPPED[name, value]}"
    elif key.choices and value not in key.choices:
        yield f"{value!r} is not one of {', '.join(key.choices)}"
    elif name in FORMS:
        pattern, form = FORMS[name]
        if not pattern.match(value):
            yield f"{value!r} is not {form}"


def _flag(_key: Key, _name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{value!r} is not a flag; write true or false, without quotes"


def _number(_key: Key, _name: str, value: Any) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        yield f"{value!r} is not a number; write a whole number of 0 or more, without quotes"


def _port(_key: Key, _name: str, value: Any) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        yield f"{value!r} is not a port; write a number from 1 to 65535"


def _mode(_key: Key, _name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str) or not re.match(r"0?[0-7]{3}\Z", value):
        yield f'{value!r} is not a file mode; write it in quotes: "0600" (YAML reads 0600 as the number 384)'


def _list(key: Key, name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield "a mapping is not a list; write a list of NAME=VALUE"
        return
    for item in as_list(value):
        if not isinstance(item, str) or not item:
            yield f"{item!r} in the list is not a text; write each item as a text"
        elif key.choices and item not in key.choices:
            yield f"{item!r} is not one of {', '.join(key.choices)}{_hint(item, key.choices)}"


def _hint(item: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(item, choices, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _pairs(key: Key, name: str, value: Any) -> Iterator[str]:
    found = list(_list(key, name, value))
    yield from found or _each(value, re.compile(r"(--)?[a-zA-Z][\w.-]*(=.*)?\Z", re.S), "NAME=VALUE")


def _labels(key: Key, name: str, value: Any) -> Iterator[str]:
    found = list(_list(key, name, value)) or list(_each(value, LABEL, "a label like disk=ssd"))
    yield from found
    for label in [] if found else as_list(value):
        title = label.split("=", 1)[0]
        domain = title.rpartition("/")[0]
        reserved = domain.split(".")[-2:] in (["kubernetes", "io"], ["k8s", "io"])
        if reserved and title not in KUBELET_LABEL_NAMES and not title.startswith(KUBELET_LABELS):
            yield f"the kubelet may not give itself {title!r} and would not start; set it with kubectl label"


def _taints(key: Key, name: str, value: Any) -> Iterator[str]:
    found = list(_list(key, name, value))
    form = "a taint like gpu=true:NoSchedule (effects: NoSchedule, PreferNoSchedule, NoExecute)"
    yield from found or _each(value, TAINT, form)


def _each(value: Any, pattern: re.Pattern[str], form: str) -> Iterator[str]:
    yield from (f"{item!r} is not {form}" for item in as_list(value) if not pattern.match(item))


def _cidrs(_key: Key, _name: str, value: Any) -> Iterator[str]:
    for item in split(value):
        try:
            ipaddress.ip_network(item)
        except ValueError:
            yield _cidr_sentence(item)
    yield from _two_families(split(value), "networks")


def _cidr_sentence(item: object) -> str:
    try:
        loose = ipaddress.ip_network(str(item), strict=False)
    except ValueError:
        return f"{item!r} is not a network; write one like 10.42.0.0/16"
    return f"{item!r} has bits beyond its length; did you mean {loose}?"


def _addresses(_key: Key, _name: str, value: Any) -> Iterator[str]:
    for item in split(value):
        try:
            ipaddress.ip_address(item)
        except ValueError:
            yield f"{item!r} is not an IP address; write one like 192.168.1.10"
    yield from _two_families(split(value), "addresses")


def _two_families(items: Sequence[object], what: str) -> Iterator[str]:
    families = [":" in str(item) for item in items]
    if len(families) != len(set(families)):
        yield f"{', '.join(map(str, items))}: at most one of IPv4 and one of IPv6 {what} can be given"


TYPES: dict[str, Callable[[Key, str, Any], Iterator[str]]] = {
    "text": _text,
    "flag": _flag,
    "number": _number,
    "port": _port,
    "mode": _mode,
    "list": _list,
    "items": _list,
    "pairs": _pairs,
    "labels": _labels,
    "taints": _taints,
    "cidrs": _cidrs,
    "addresses": _addresses,
}
FORMS: dict[str, tuple[re.Pattern[str], str]] = {
    "node-name": (NODE_NAME, "a node name: lower-case letters, digits, - and ."),
    "server": (SERVER_URL, "the address of a server, like https://192.168.1.10:6443"),
    "cluster-domain": (NODE_NAME, "a domain like cluster.local"),
    "service-node-port-range": (re.compile(r"\d+-\d+\Z"), "a range like 30000-32767"),
}
