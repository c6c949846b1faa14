"""What does a machine's firewall close to the other nodes? The module reads its rules; they are judged here.

Only what is surely closed is named: a match that is not understood never closes a port.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

API, KUBELET, VXLAN, ETCD = (6443, "tcp"), (10250, "tcp"), (8472, "udp"), ((2379, "tcp"), (2380, "tcp"))
ENDS = ("accept", "drop", "reject")
# `22/tcp (OpenSSH)  ALLOW IN  192.0.2.0/24`, `Anywhere on eth1  ALLOW IN  Anywhere`,
# `192.0.2.1 6443/tcp  DENY IN  Anywhere`
UFW_RULE = re.compile(r"(?P<to>\S.*?)  +(?P<verdict>ALLOW|DENY|REJECT|LIMIT)(?: IN)? +(?P<source>\S+)")
UFW_DOOR = re.compile(r"(?P<ports>\d[\d,:]*)(?:/(?P<protocol>tcp|udp))?\Z")


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection that the cluster needs."""

    port: int
    protocol: str
    source: str
    card: str = ""

    @property
    def door(self) -> str:
        """The port as firewalls write it."""
        return f"{self.port}/{self.protocol}"


@dataclass(frozen=True)
class Firewall:
    """A firewall that is on, and what it closes."""

    name: str
    closed: Sequence[Packet] = field(default_factory=tuple)


REMEDIES = {
    "ufw": "ufw allow from {source}",
    "firewalld": "firewall-cmd --permanent --zone=trusted --add-source={source}",
    "nftables": "ip saddr {source} accept, in the chain with the hook input",
}


def packets(
    role: str, etcd: bool, peers: Iterable[str], pods: str, vxlan: bool = True, card: str = ""
) -> list[Packet]:
    """What must come in: from the other nodes (`peers`) through the card, and from the pods' network."""
    doors = [KUBELET, *([API, *(ETCD if etcd else ())] if role == "server" else ())]
    from_nodes = [*doors, *([VXLAN] if vxlan else ())]
    from_pods = [KUBELET, *([API] if role == "server" else ())]
    return [
        *(
            Packet(port, protocol, peer, card)
            for peer in peers
            if ":" not in peer
            for port, protocol in from_nodes
        ),
        *(Packet(port, protocol, pods) for port, protocol in from_pods if pods),
    ]


def sentence(firewall: Firewall) -> str:
    """What is closed, to whom, and how it is opened."""
    doors = list(dict.fromkeys(packet.door for packet in firewall.closed))
    sources = list(dict.fromkeys(packet.source for packet in firewall.closed))
    remedies = [REMEDIES[firewall.name].format(source=source) for source in sources]
    if firewall.name == "firewalld":
        remedies.append("firewall-cmd --reload")
    return (
        f"its firewall ({firewall.name}) closes {', '.join(doors)} to {', '.join(sources)} (other nodes, "
        f"pods): open them ({'; '.join(remedies)})"
    )


# ufw, by `ufw status verbose`.


def closed_by_ufw(status: str, wanted: Sequence[Packet]) -> Firewall | None:
    """What ufw closes; None when it is not active."""
    if not re.search(r"^Status: active", status, re.MULTILINE):
        return None
    if re.search(r"^Default: allow \(incoming\)", status, re.MULTILINE):
        return Firewall("ufw")
    lines = (UFW_RULE.match(line) for line in status.splitlines() if "(v6)" not in line)
    rules = [match.groupdict() for match in lines if match]
    return Firewall("ufw", [packet for packet in wanted if not _let_in_by_ufw(rules, packet)])


def _let_in_by_ufw(rules: Sequence[Mapping[str, str]], packet: Packet) -> bool:
    """The first rule that fits decides."""
    fits = (
        rule for rule in rules if _within(packet.source, rule["source"]) and _leads_to(rule["to"], packet)
    )
    return next((rule["verdict"] in ("ALLOW", "LIMIT") for rule in fits), False)


def _leads_to(to: str, packet: Packet) -> bool:
    """Whether a rule is about the packet's port and card; an address of this machine may stand before."""
    where, _, card = to.partition(" on ")
    if card and packet.card not in ("", card):
        return False
    doors = [door for door in map(UFW_DOOR.match, where.split()) if door]
    return not doors or any(
        door["protocol"] in (None, packet.protocol)
        and any(_in_range(packet.port, part.split(":")) for part in door["ports"].split(","))
        for door in doors
    )


def _in_range(port: int, ends: Sequence[str]) -> bool:
    return int(ends[0]) <= port <= int(ends[-1])


def _within(source: str, network: str) -> bool:
    """Whether an address or network lies in the other one. What is no network is everywhere or nowhere."""
    if network == "Anywhere":
        return True
    try:
        inner, outer = (ipaddress.ip_network(each, strict=False) for each in (source, network))
    except ValueError:
        return False
    return isinstance(inner, type(outer)) and inner.subnet_of(outer)  # type: ignore[arg-type]


# nftables, by `nft --json list ruleset`; firewalld writes its rules there.


def closed_by_nftables(ruleset: Mapping[str, Any], wanted: Sequence[Packet]) -> Firewall | None:
    """What the rules of nftables close; None where no rule looks at what comes in."""
    chains = _chains(ruleset)
    bases = [key for key, chain in chains.items() if chain["hook"] == "input" and key[0] in ("ip", "inet")]
    if not bases:
        return None
    name = "firewalld" if any(key[1] == "firewalld" for key in bases) else "nftables"
    closed = [packet for packet in wanted if any(_verdict(chains, key, packet) != "accept" for key in bases)]
    return Firewall(name, closed)


Key = tuple[str, str, str]


def _chains(ruleset: Mapping[str, Any]) -> dict[Key, dict[str, Any]]:
    chains: dict[Key, dict[str, Any]] = {}
    for item in ruleset.get("nftables", ()):
        if chain := item.get("chain"):
            key = (chain["family"], chain["table"], chain["name"])
            chains[key] = {"hook": chain.get("hook"), "policy": chain.get("policy", "accept"), "rules": []}
        elif rule := item.get("rule"):
            chains[rule["family"], rule["table"], rule["chain"]]["rules"].append(rule["expr"])
    return chains


def _verdict(chains: Mapping[Key, Mapping[str, Any]], key: Key, packet: Packet) -> str:
    """How a base chain ends for the packet."""
    end = _walk(chains, key, packet, sure=True)
    return end if end in ENDS else str(chains[key]["policy"])


def _walk(chains: Mapping[Key, Mapping[str, Any]], key: Key, packet: Packet, sure: bool) -> str:
    """The verdict of a chain's rules, or `return`. Not `sure`: something on the way was not understood."""
    for expressions in chains[key]["rules"]:
        answers = [_matches(each["match"], packet) for each in expressions if "match" in each]
        foreign = any("xt" in each for each in expressions)
        if False in answers:
            continue
        known = sure and not foreign and None not in answers
        for verb, target in _verbs(expressions):
            if verb in ("drop", "reject") and not known:
                continue
            if verb in ENDS or verb == "return":
                return verb
            end = _walk(chains, (key[0], key[1], target), packet, known)
            if end in ENDS:
                return end
            if verb == "goto":
                return "return"
    return "return"


def _verbs(expressions: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for each in expressions:
        for verb in (*ENDS, "return", "jump", "goto"):
            if verb in each:
                yield verb, (each[verb] or {}).get("target", "")


def _matches(match: Mapping[str, Any], packet: Packet) -> bool | None:
    """Whether the packet fits; None when nobody knows."""
    found = _is_one_of(match["left"], match["right"], packet)
    return found if found is None or match["op"] != "!=" else not found


def _is_one_of(left: Any, right: Any, packet: Packet) -> bool | None:
    values = right["set"] if isinstance(right, dict) and "set" in right else right
    values = values if isinstance(values, list) else [values]
    if any(isinstance(value, str) and value.startswith("@") for value in values):
        return None
    kind = next(iter(left)) if isinstance(left, dict) else ""
    of = left[kind] if kind in ("payload", "meta", "ct") else {}
    what = (of.get("protocol", kind), of.get("field", of.get("key")))
    if what in (("tcp", "dport"), ("udp", "dport"), ("th", "dport")):
        return what[0] in ("th", packet.protocol) and any(_has_port(value, packet.port) for value in values)
    if what == ("ip", "saddr"):
        return any(_has_address(value, packet.source) for value in values)
    if what in (("ip", "protocol"), ("meta", "l4proto")):
        return packet.protocol in values
    if what[0] in ("icmp", "icmpv6", "ip6") or what == ("ct", "status"):
        return False
    if what == ("ct", "state"):
        return "new" in values
    if what in (("meta", "iifname"), ("meta", "iif")):
        return packet.card in values if packet.card else (False if values == ["lo"] else None)
    return None


def _has_port(value: Any, port: int) -> bool:
    if isinstance(value, dict) and "range" in value:
        first, last = value["range"]
        return bool(first <= port <= last)
    return bool(value == port)


def _has_address(value: Any, source: str) -> bool:
    if isinstance(value, dict) and "prefix" in value:
        return _within(source, f"{value['prefix']['addr']}/{value['prefix']['len']}")
    if isinstance(value, dict) and "range" in value:
        wanted = ipaddress.ip_network(source, strict=False)
        low, high = (ipaddress.ip_address(end) for end in value["range"])
        return bool(low <= wanted[0] and wanted[-1] <= high)  # type: ignore[operator]
    return isinstance(value, str) and _within(source, value)
