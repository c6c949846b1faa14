"""Check the types of k3s's settings. Each check yields sentences that follow `<key>: `."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible.module_utils.metalworks.common.addresses import HIGHEST_PORT, address_problem, network_problem
from ansible.module_utils.metalworks.common.kubernetes_names import subdomain_problem
from ansible.module_utils.metalworks.common.suggestions import did_you_mean
from ansible.module_utils.metalworks.k3s.keys import DROPPED, KEYS, Key

GO_TRUE = ("1", "t", "T", "true", "TRUE", "True")
GO_FALSE = ("0", "f", "F", "false", "FALSE", "False")
SERVER_URL = re.compile(r"https://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d+)?/?\Z")
# k8s.io/apimachinery/pkg/util/validation: IsQualifiedName and IsValidLabelValue. A domain has at most 253
# characters, a name and a value at most 63.
_DOMAIN = r"(?=[^/]{1,253}/)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/"
_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
LABEL = re.compile(rf"({_DOMAIN})?{_WORD}=({_WORD})?\Z")
TAINT = re.compile(rf"({_DOMAIN})?{_WORD}(=({_WORD})?)?:(NoSchedule|PreferNoSchedule|NoExecute)\Z")
WORDS = "names and values of at most 63 letters of a to z, digits, '-', '_' and '.'"
RANGE = re.compile(r"([0-9]{1,5})(?:([-+])([0-9]{1,5}))?\Z")
# The kubelet refuses to start with other labels of Kubernetes' own domains (admission NodeRestriction).
KUBELET_LABELS = ("node.kubernetes.io/", "kubelet.kubernetes.io/")
KUBELET_LABEL_NAMES = (
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    # Former names that the kubelet still accepts (kubernetes, pkg/kubelet/apis/well_known_labels.go).
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)
# The path is an argument of a shell command in the unit, which records what k3s was started with.
FILE = re.compile(r"/[A-Za-z0-9_./@:+=,-]*\Z")

# Folders in which k3s's own would lie among others' (hier(7), file-hierarchy(7)).
OF_THE_SYSTEM = (
    *("", "bin", "boot", "dev", "etc", "home", "lib", "media", "mnt", "opt", "root", "sbin", "srv", "usr"),
    *("var", "usr/lib", "usr/local", "var/lib", "var/lib/rancher", "var/log", "var/cache", "var/tmp"),
)
TAINT_EXAMPLE = "gpu=true:NoSchedule"
EMPTIED = ("dev", "proc", "run", "sys", "tmp")
# Folders of others with all that is in them: of the system, of the kubelet, and of k3s's usual data folder.
NOT_WITHIN = (
    *("bin", "boot", "etc", "lib", "sbin", "usr/bin", "usr/lib", "usr/sbin", "usr/share"),
    *("var/lib/kubelet", "var/lib/cni", "var/lib/containerd", "var/lib/docker"),
    *(f"var/lib/rancher/k3s/{name}" for name in ("agent", "data", "server")),
)


def as_list(value: Any) -> list[Any]:
    """Return a list: k3s accepts a single item in place of a list."""
    if isinstance(value, (list, tuple)):
        return list(value)
    return [value]


def split(value: Any) -> list[Any]:
    """Return the items of a list or of a text with commas, which k3s splits for some settings."""
    parts: list[Any] = []
    for item in as_list(value):
        parts += [part.strip() for part in item.split(",")] if isinstance(item, str) else [item]
    return parts


def typed(name: str, value: Any) -> Any:
    """Return a value as the type of its key. k3s reads a flag and a number in quotes as without them.

    Flags are as in Go's strconv.ParseBool, which k3s uses.
    """
    kind = KEYS[name].kind if name in KEYS else ""
    if isinstance(value, str):
        if kind == "flag" and value in (*GO_TRUE, *GO_FALSE):
            return value in GO_TRUE
        if kind in ("number", "port") and value.isascii() and value.isdigit():
            return int(value)
    if kind == "range" and (found := port_range(value)):
        return f"{found[0]}-{found[1]}"
    return value


def port_range(value: Any) -> tuple[int, int] | None:
    """Return the first and the last port of 30000-32767, of 30000+2767, or of one port alone, or None.

    These are the forms of Kubernetes (k8s.io/apimachinery/pkg/util/net, PortRange.Set), which k3s calls.
    """
    found = None if isinstance(value, bool) else RANGE.match(str(value).strip())
    if not found:
        return None
    first, sign, second = int(found[1]), found[2], int(found[3] or 0)
    last = first + second if sign == "+" else second if sign else first
    return (first, last) if 0 < first <= last <= HIGHEST_PORT else None


def _text(key: Key, name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str) or not value:
        yield f"{value!r} is not a text; write one, in quotes if it looks like a number"
    elif (name, value) in DROPPED:
        yield f"k3s dropped {value!r}; write {DROPPED[name, value]}"
    elif key.choices and value not in key.choices:
        yield f"{value!r} is not one of {', '.join(key.choices)}"
    elif name in NAMES:
        yield from filter(None, [subdomain_problem(value, NAMES[name])])
    elif name in FORMS:
        pattern, form = FORMS[name]
        if not pattern.match(value):
            yield f"{value!r} is not {form}"


def _file(_key: Key, _name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, str) or not FILE.match(value):
        yield f"{value!r} is not a path; write one that begins with / and has no blanks or quotes"


def _folder(_key: Key, name: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with a folder of k3s, most of which goes when k3s is taken away."""
    found = list(_file(_key, name, value))
    yield from found
    if found:
        return
    parts = [part for part in value.split("/") if part]
    if ".." in parts or "." in parts:
        yield f"{value!r} has . or .. in it; write the folder itself"
    elif "/".join(parts) in OF_THE_SYSTEM:
        yield f"{value!r} is a folder of the system or of others; write one of k3s's own, like /srv/k3s"
    elif within := next((each for each in NOT_WITHIN if parts[: each.count("/") + 1] == each.split("/")), ""):
        yield f"{value!r} is in /{within}, which others use, or k3s for its parts; write one like /srv/k3s"
    elif parts[0] in EMPTIED:
        yield f"{value!r} is below /{parts[0]}, which is empty after a boot; write one like /srv/k3s"


def _range(_key: Key, _name: str, value: Any) -> Iterator[str]:
    if port_range(value) is None:
        yield f"{value!r} is not a range of ports; write one like 30000-32767"


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
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 0o777:
            yield f'{value} is what YAML reads in 0{value:o} without quotes; write "0{value:o}", in quotes'
        else:
            yield f'{value!r} is not a file mode; write one in quotes, like "0600"'


def _list(key: Key, name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        pairs = [f"{each}={str(its).lower() if its in (True, False) else its}" for each, its in value.items()]
        example = {"items": list(value), "list": list(value), "taints": [TAINT_EXAMPLE]}.get(key.kind, pairs)
        yield f"a mapping is not a list; write a list like [{', '.join(map(str, example))}]"
        return
    for item in as_list(value):
        if not isinstance(item, str) or not item:
            yield f"{item!r} in the list is not a text; write each item as a text"


def _items(key: Key, name: str, value: Any) -> Iterator[str]:
    found = list(_list(key, name, value))
    yield from found
    for item in [] if found else split(value):
        if item not in key.choices:
            yield f"{item!r} is not one of {', '.join(key.choices)}{did_you_mean(item, key.choices)}"


def _pairs(key: Key, name: str, value: Any) -> Iterator[str]:
    found = list(_list(key, name, value))
    yield from found or _each(value, re.compile(r"(--)?[a-zA-Z][\w.-]*(=.*)?\Z", re.S), "NAME=VALUE")


def _labels(key: Key, name: str, value: Any) -> Iterator[str]:
    found = list(_list(key, name, value)) or list(_each(value, LABEL, f"a label like disk=ssd ({WORDS})"))
    yield from found
    for label in [] if found else as_list(value):
        title = label.split("=", 1)[0]
        if (
            is_kubernetes_own(title)
            and title not in KUBELET_LABEL_NAMES
            and not title.startswith(KUBELET_LABELS)
        ):
            yield f"the kubelet may not give itself {title!r} and would not start; set it with kubectl label"


def is_kubernetes_own(label: str) -> bool:
    """Tell whether the name of a label is in a domain of Kubernetes, as node-role.kubernetes.io/worker is."""
    return label.rpartition("/")[0].split(".")[-2:] in (["kubernetes", "io"], ["k8s", "io"])


def _taints(key: Key, name: str, value: Any) -> Iterator[str]:
    found = list(_list(key, name, value))
    form = f"a taint like {TAINT_EXAMPLE} ({WORDS}; effects: NoSchedule, PreferNoSchedule, NoExecute)"
    yield from found or _each(value, TAINT, form)


def _each(value: Any, pattern: re.Pattern[str], form: str) -> Iterator[str]:
    yield from (f"{item!r} is not {form}" for item in as_list(value) if not pattern.match(item))


def _cidrs(_key: Key, _name: str, value: Any) -> Iterator[str]:
    if not split(value):
        yield "there is none in the list; write one, or leave the setting out"
    yield from filter(None, map(network_problem, split(value)))
    yield from _two_families(split(value), "networks")


def _several_addresses(_key: Key, _name: str, value: Any) -> Iterator[str]:
    yield from filter(None, map(address_problem, split(value)))


def _addresses(key: Key, name: str, value: Any) -> Iterator[str]:
    yield from _several_addresses(key, name, value)
    yield from _two_families(split(value), "addresses")


def _two_families(items: Sequence[object], name: str) -> Iterator[str]:
    families = [":" in str(item) for item in items]
    if len(families) != len(set(families)):
        yield f"{', '.join(map(str, items))}: at most one of IPv4 and one of IPv6 {name} can be given"


TYPES: dict[str, Callable[[Key, str, Any], Iterator[str]]] = {
    "text": _text,
    "file": _file,
    "folder": _folder,
    "range": _range,
    "flag": _flag,
    "number": _number,
    "port": _port,
    "mode": _mode,
    "list": _list,
    "items": _items,
    "pairs": _pairs,
    "labels": _labels,
    "taints": _taints,
    "cidrs": _cidrs,
    "addresses": _addresses,
    "several-addresses": _several_addresses,
}
# Kinds of names in Kubernetes, each with an example.
NAMES = {"node-name": "metal-1", "cluster-domain": "cluster.local"}
FORMS: dict[str, tuple[re.Pattern[str], str]] = {
    "server": (SERVER_URL, "the address of a server, like https://192.168.1.10:6443"),
}
