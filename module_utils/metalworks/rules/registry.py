"""Rules for the registry of the platform's own images, and for the nodes' settings of registries."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..common.addresses import host_port_problem, parse_host_port
from ..images.names import DEFAULT_REPOSITORY
from ..k3s import registries as k3s_registries
from .platform import Platform

REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")


def own_registry(platform: Platform) -> Iterator[str]:
    """Refuse a registry to which no image could be pushed."""
    registry = platform.values["metalworks_registry"]
    if not registry:
        return
    address = registry.get("address") or ""
    place = parse_host_port(address)
    if place is not None and ":" in place.host:
        # skopeo 1.9.3: "invalid reference format"
        yield (
            f"metalworks_registry, address: {address!r} is an IPv6 address, which cannot be part of an "
            "image's name; write a name that leads there, as in registry.example:5000"
        )
    problem = host_port_problem(address)
    if problem:
        yield f"metalworks_registry, address: {problem}"
    repository = str(registry.get("repository", DEFAULT_REPOSITORY))
    if not REPOSITORY.fullmatch(repository):
        yield (
            f"metalworks_registry, repository is {repository!r}: write small letters and digits, with '.', "
            "'_' and '-' between them, and '/' between parts, as in team/metalworks"
        )
    if bool(registry.get("username")) != bool(registry.get("password")):
        given, missing = ("username", "password") if registry.get("username") else ("password", "username")
        yield f"metalworks_registry has a {given} and no {missing}: write both, or neither"
    if registry.get("ca"):
        yield from (
            f"metalworks_registry, ca {problem}" for problem in k3s_registries.ca_problems(registry["ca"])
        )


def node_registries(platform: Platform) -> Iterator[str]:
    """Refuse settings that k3s could not use, judged with the login to the platform's registry in them."""
    own = {} if any(own_registry(platform)) else platform.values["metalworks_registry"]
    every = [value for _, value in platform.on_machines("k3s_registries")] or [
        platform.values["k3s_registries"]
    ]
    for given in every:
        merged = k3s_registries.with_own(given, own)
        yield from (f"k3s_registries: {sentence}" for sentence in k3s_registries.problems(merged))
