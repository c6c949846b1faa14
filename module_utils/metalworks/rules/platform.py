"""The platform as it would be installed, which the rules judge.

Its values are those that the roles will see: the inventory's, or the roles' defaults. The configuration of
k3s is computed by the same function that the roles use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ansible.module_utils.metalworks.artifacts import rules as artifact_rules
from ansible.module_utils.metalworks.k3s.wanted import WantedCluster, WantedNode, wanted_cluster

LOCALHOST = "localhost"
# Kinds of machines that strangers may reach, so that weak passwords are refused.
REAL = ("aws", "metal", "existing")
# What some inventories need on the operator's computer.
PROGRAMS = ("docker", "skopeo")

Variables = Mapping[str, Any]


class UnusableValue(Exception):
    """A rule asked for a value that cannot be judged. `sentence` says why, unless another rule says it.

    `undefined` is the variable that the value's template needs and that nobody defines, if that is why.
    """

    def __init__(self, sentence: str | None = None, undefined: str = "") -> None:
        """Keep the sentence; None if another rule reports the value."""
        super().__init__(sentence)
        self.sentence, self.undefined = sentence, undefined


UNUSABLE = object()  # in place of a value that must not be used


class Judged(Mapping[str, Any]):
    """A host's variables, those that are inputs with the types of their roles.

    A mapping (collections.abc.Mapping).
    """

    def __init__(self, variables: Variables) -> None:
        """Keep the variables. What is known of their types is added."""
        self.variables = variables
        self.typed: dict[str, Any] = {}  # by name; UNUSABLE for a wrong value
        self.wrong: list[str] = []  # what is wrong with types, as sentences
        self.unresolved: list[str] = []  # why templates cannot be resolved, as sentences

    def __getitem__(self, name: str) -> Any:
        """Return a value; UnusableValue for a wrong one, which is reported already."""
        value = self.typed[name] if name in self.typed else self.variables[name]
        if value is UNUSABLE:
            raise UnusableValue
        return value

    def __iter__(self) -> Iterator[str]:
        """Iterate over all names, those of wrong values included."""
        return iter(self.variables)

    def __len__(self) -> int:
        """Return the number of variables."""
        return len(self.variables)


@dataclass(frozen=True)
class Platform:
    """The inventory, read once for all rules."""

    # The values that plays on the operator's computer see: the inventory's over the roles' defaults.
    values: Variables
    # Each machine's own variables, without defaults.
    hosts: Mapping[str, Variables]
    # Names of hosts by group, as in Ansible's `groups`.
    groups: Mapping[str, Sequence[str]]
    # The variables that the inventory sets for each host and for localhost, as they are written.
    given: Mapping[str, Variables]
    # The options of all roles, {role: {variable: option}}, as their argument_specs have them.
    specs: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    # The entries of artifacts.yml as they are written.
    entries: Mapping[str, Any] = field(default_factory=dict)
    # The IPv4 networks to which the operator's computer has a route.
    routes: Sequence[str] = ()
    # Those of PROGRAMS that the operator's computer lacks.
    missing_programs: Sequence[str] = ()
    # Each host's variables, and what is wrong with their types; empty before they are judged.
    judged: Mapping[str, Judged] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Return who makes the machines: lab, multipass, aws, metal or existing."""
        return str(self.values["metalworks_machines"])

    @property
    def source(self) -> str:
        """Return the source of artifacts: upstream or build."""
        return str(self.values["metalworks_artifact_source"])

    @cached_property
    def cluster(self) -> WantedCluster:
        """Return the cluster that the roles of k3s would make."""
        return wanted_cluster(self.groups, self.hosts)

    @cached_property
    def nodes(self) -> list[WantedNode]:
        """Return the hosts that are servers or agents, in the inventory's order."""
        members = {*self.groups.get("k3s_server", ()), *self.groups.get("k3s_agent", ())}
        return [node for host, node in self.cluster.nodes.items() if host in members]

    @property
    def first_server(self) -> WantedNode | None:
        """Return the server whose settings are those of the cluster; None without servers."""
        return next((node for node in self.nodes if node.role == "server"), None)

    @cached_property
    def catalogue(self) -> dict[str, Any]:
        """Return artifacts.yml with those of the inventory's overrides that can be merged."""
        overrides = artifact_rules.usable(self.entries, self.values["metalworks_artifacts"])
        catalogue: dict[str, Any] = artifact_rules.merged(self.entries, overrides)
        return catalogue

    @property
    def parts(self) -> list[str]:
        """Return the applications to be installed; none if the list itself is wrong."""
        try:
            return list(self.values["metalworks_parts"])
        except UnusableValue:
            return []

    def has_part(self, name: str) -> bool:
        """Return whether an application is to be installed."""
        return name in self.parts

    def gives(self, name: str) -> bool:
        """Return whether the inventory sets a variable for localhost, where the applications read it."""
        return name in self.given[LOCALHOST]

    def gives_anywhere(self, name: str) -> bool:
        """Return whether the inventory sets a variable for localhost or for a machine."""
        return any(name in variables for variables in self.given.values())

    def on_machines(self, name: str) -> list[tuple[list[str], Any]]:
        """Return the different values that machines have for a variable, each with its hosts."""
        found: list[tuple[list[str], Any]] = []
        for host, variables in self.hosts.items():
            value = variables[name] if name in variables else self.values[name]
            same = next((hosts for hosts, other in found if other == value), None)
            if same is None:
                found.append(([host], value))
            else:
                same.append(host)
        return found
