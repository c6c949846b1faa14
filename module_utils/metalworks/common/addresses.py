"""Addresses and networks as people write them: an IPv4 or IPv6 address, a name, and perhaps a port.

Each kind is parsed in one place, so that what a check accepts is what the roles can use. A parser returns
None for what it cannot read; the `..._problem` functions return the sentence that says so, for the caller
to put the place in front of it.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Union
from urllib.parse import urlsplit

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

HIGHEST_PORT = 65535
# Kubernetes serves no addresses of these kinds (pkg/apis/core/validation, ValidateEndpointIP), and the
# system sends nothing to another machine with them (RFC 6890, RFC 5771).
SPECIAL = {
    "0.0.0.0/8": "unspecified",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "224.0.0.0/4": "multicast",
}
LONGEST_NAME = 253
LOOPBACK_NAMES = ("localhost", "localhost.localdomain", "localhost6", "ip6-localhost", "ip6-loopback")
# RFC 1123, and the underscore that some networks' own names have.
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?\Z")
_NUMBERS = re.compile(r"[0-9.]+\Z")


def parse_address(text: object) -> Address | None:
    """Return an IPv4 or IPv6 address (without brackets), or None. A number is no address."""
    try:
        return ipaddress.ip_address(text) if isinstance(text, str) else None
    except ValueError:
        return None


def address_problem(text: object) -> str | None:
    """Return why a text is no IP address, or None."""
    if parse_address(text) is not None:
        return None
    return f"{text!r} is not an IP address; write one like 192.168.1.10 or fd00::10"


def parse_network(text: object, strict: bool = True) -> Network | None:
    """Return a network such as 10.42.0.0/16, or None. Its length has to be written.

    Programs that are not strict take an address of the network in place of its first one (10.42.7.1/16).
    """
    try:
        return ipaddress.ip_network(text, strict=strict) if isinstance(text, str) and "/" in text else None
    except ValueError:
        return None


def network_problem(text: object) -> str | None:
    """Return why a text is no network, or None; an address of a network is answered with that network."""
    if parse_network(text) is not None:
        return None
    try:
        if isinstance(text, str) and "/" in text:
            network = ipaddress.ip_network(text, strict=False)
            return f"{text!r} has bits beyond its length; did you mean {network}?"
    except ValueError:
        pass
    return f"{text!r} is not a network; write one like 10.42.0.0/16"


def overlap(one: Network, other: Network) -> bool:
    """Tell whether two networks have addresses in common; those of two families have none."""
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.overlaps(other)
    return isinstance(other, ipaddress.IPv6Network) and one.overlaps(other)


def unfit_for_a_node(address: Address) -> str | None:
    """Return what kind of address this is, if no other machine can reach a node by it, or else None."""
    kinds = {
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "unspecified": address.is_unspecified,
    }
    return next((kind for kind, applies in kinds.items() if applies), None)


def special_part(network: Network) -> str | None:
    """Return the addresses in a network that no other machine reaches, as in "loopback ...", or None."""
    found = (f"{kind} addresses ({text})" for text, kind in SPECIAL.items() if overlap(network, _net(text)))
    return next(found, None)


def _net(text: str) -> Network:
    return ipaddress.ip_network(text)


def is_loopback(host: str) -> bool:
    """Tell whether a host is the computer that asks: `localhost`, or an address of the loopback interface."""
    address = parse_address(host)
    name = host.lower().rstrip(".")
    # RFC 6761, and the names that Debian and Red Hat write into /etc/hosts.
    return address.is_loopback if address else name in LOOPBACK_NAMES or name.endswith(".localhost")


def is_host(text: object) -> bool:
    """Tell whether a text is an address or a name under which a machine may be found."""
    return isinstance(text, str) and (parse_address(text) is not None or _is_name(text))


def _is_name(text: str) -> bool:
    """Tell whether a text is a host name. 10.0.0.300 is none: it is an address with a slip."""
    return bool(_NAME.match(text)) and len(text) <= LONGEST_NAME and not _NUMBERS.match(text)


@dataclass(frozen=True)
class HostPort:
    """A host with or without a port, as in 10.0.0.1, registry.example:5000 and [fd00::1]:6443."""

    host: str  # an IPv6 address without its brackets
    port: int | None = None

    def __str__(self) -> str:
        """Return the text for a URL: an IPv6 address is in brackets."""
        return in_url(self.host) if self.port is None else f"{in_url(self.host)}:{self.port}"


def parse_host_port(text: object) -> HostPort | None:
    """Return the parts of HOST or HOST:PORT, or None. A bare IPv6 address is a host without a port."""
    if not isinstance(text, str):
        return None
    if is_host(text):
        return HostPort(text)
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        right = ":" in host and parse_address(host) is not None
    else:
        right = ":" not in host and is_host(host)
    if not right or (colon and not is_port(port)):
        return None
    return HostPort(host, int(port) if colon else None)


def web_place(url: object) -> HostPort | None:
    """Return host and port of an address that begins with http:// or https://, or None.

    A login makes it none, and so does an IPv6 address without brackets.
    """
    try:
        parts = urlsplit(str(url))
    except ValueError:  # an IPv6 address with only one bracket
        return None
    place = parse_host_port(parts.netloc)
    bare = place is not None and ":" in place.host and not parts.netloc.startswith("[")
    blank = any(each.isspace() for each in str(url))
    return place if parts.scheme in ("http", "https") and not bare and not blank else None


def host_port_problem(text: object) -> str | None:
    """Return why a text is neither HOST nor HOST:PORT, and what to write instead, or None."""
    if parse_host_port(text) is not None:
        return None
    if isinstance(text, str):
        meant = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://", "", text).rpartition("@")[2].partition("/")[0]
        if meant != text and parse_host_port(meant) is not None:
            return f"{_shown(text)} is more than a host and a port; write {meant}"
    return f"{_shown(text)} is not a host; write one like registry.example:5000 or [fd00::1]:5000"


def _shown(value: object) -> str:
    """Return a value as a message may hold it: what stands before an @ may be a login."""
    return repr(re.sub(r"[^/]*@", "...@", value) if isinstance(value, str) else value)


def is_port(value: object) -> bool:
    """Tell whether a number, or its text, is a port from 1 to 65535."""
    text = str(value)
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= HIGHEST_PORT


def in_url(host: str) -> str:
    """Return a host as URLs hold it: an IPv6 address goes into brackets, all else stays."""
    address = parse_address(host)
    return f"[{host}]" if address is not None and address.version == 6 else host
