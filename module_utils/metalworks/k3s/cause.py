"""Why does k3s not come up? The likely cause, from its journal and what the API says of its nodes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ansible.module_utils.metalworks.common.run import Run
from ansible.module_utils.metalworks.k3s.cluster import Node, Paths, kubectl

# What k3s and its parts write -> what it means and what to do. The first that matches is told.
CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"[Nn]ode password rejected",
        "another machine joined under this node's name, or this machine was installed anew: give each "
        "machine its own name, or remove the old node first (kubectl delete node NAME)",
    ),
    (
        r"critical configuration (value )?mismatch|configuration .* does not match",
        "this server's settings differ from those of the running servers in a key that must be equal on all",
    ),
    (
        r"token.*(invalid|not valid|not this cluster|mismatch|does not match)|CA hash|[Uu]nauthorized",
        "the token is not that of the cluster: all nodes need the one that the first server was started with",
    ),
    (
        r"address already in use",
        "another program holds a port that k3s needs: see `ss -ltnp` for who",
    ),
    (
        r"certificate has expired or is not yet valid",
        "the clocks of the machines differ: synchronise the time (chrony, systemd-timesyncd)",
    ),
    (
        r"no space left on device",
        "the disk is full",
    ),
    (
        r"unknown (flag|setting|key)|flag provided but not defined|invalid argument",
        "k3s refuses a setting in its configuration",
    ),
    (
        r"cgroup.*(memory|cpu).*(missing|not found|disabled)|[Ff]ailed to find memory cgroup",
        "the memory cgroup is off: add cgroup_enable=memory to the kernel's command line",
    ),
    (
        r"(connection refused|no route to host|i/o timeout|context deadline exceeded|network is unreachable)",
        "a server cannot be reached: does k3s run there, is port 6443 (2379-2380 between servers) open?",
    ),
    (
        r"(out of memory|oom-kill|Killed)",
        "the machine has too little memory",
    ),
)
START = re.compile(r"Starting k3s\S*\.service")
ERROR = re.compile(r"level=(fatal|error)|^[EF]\d{4} |\b(fatal|panic|error)\b", re.IGNORECASE)


def last_attempt(journal: Sequence[str]) -> list[str]:
    """The lines of the last start that says something; a start that has only begun says nothing yet."""
    starts = [index for index, line in enumerate(journal) if START.match(line)]
    for index in reversed(starts):
        lines = list(journal[index:])
        if likely_cause(lines) or any(ERROR.search(line) for line in lines):
            return lines
    return list(journal)


def likely_cause(journal: Sequence[str]) -> str | None:
    """The meaning of the last line that says something known."""
    for line in reversed(journal):
        for pattern, meaning in CAUSES:
            if re.search(pattern, line):
                return meaning
    return None


def telling_lines(journal: Sequence[str], count: int = 8) -> list[str]:
    """The last errors, each once, or just the last lines when there are none."""
    errors = list(dict.fromkeys(line for line in journal if ERROR.search(line)))
    return (errors or list(journal))[-count:]


def node_sentences(absent: Sequence[str], nodes: Sequence[Node]) -> list[str]:
    """What the API says of each node that is waited for."""
    known = {node.name: node for node in nodes}
    sentences = []
    for name in absent:
        node = known.get(name)
        if node is None:
            sentences.append(f"{name} has not joined")
        elif not node.ready:
            bad = [
                each for each in node.conditions if (each["type"] == "Ready") != (each["status"] == "True")
            ]
            told = "; ".join(f"{each['type']}: {each['message']}" for each in bad)
            sentences.append(f"{name} is not Ready" + (f" ({told})" if told else ""))
        else:
            sentences.append(f"{name} was Ready before; its kubelet was not heard of since the restart")
    return sentences


def read_warnings(run: Run, paths: Paths, count: int = 5) -> list[str]:
    """The last warnings among the cluster's events."""
    arguments = ("get", "events", "--all-namespaces", "--field-selector=type=Warning", "--output=json")
    code, out, _ = kubectl(run, paths, *arguments)
    items = json.loads(out)["items"] if code == 0 else []
    items.sort(key=lambda item: item.get("lastTimestamp") or item.get("eventTime") or "")
    return [
        "{kind}/{name}: ".format(**{"kind": "?", "name": "?", **item["involvedObject"]})
        + item.get("message", "")
        for item in items[-count:]
    ]


def explain(what: str, journal: Sequence[str], nodes: Sequence[str], warnings: Sequence[str]) -> str:
    """One message: what is not there, the likely cause, and the lines to judge it by."""
    journal = last_attempt(journal)
    cause = likely_cause(journal)
    parts = [what]
    parts += [f"Likely cause: {cause}."] if cause else []
    for title, lines in (
        ("Nodes", nodes),
        ("Warnings", warnings),
        ("Last of the journal", telling_lines(journal)),
    ):
        parts += [f"{title}:", *(f"  {line}" for line in lines)] if lines else []
    return "\n".join(parts)
