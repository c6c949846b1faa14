"""What the rules judge: the platform as it would be installed, given by the inventory and derived.

Values are what the roles will see: the inventory's, or the defaults of the roles. What k3s's roles write is
not guessed here, but taken from the function that they take it from themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ansible.module_utils.metalworks.artifacts import rules as artifact_rules
from ansible.module_utils.metalworks.k3s.wanted import WantedCluster, WantedNode, wanted_cluster

LOCALHOST = "localhost"
# Where weak passwords would let strangers in.
REAL = ("metal", "existing")

Variables = Mapping[str, Any]


class UnusableValue(Exception):
    """A rule asked for a value that it cannot judge; `sentence` says why, unless another rule does."""

    def __init__(self, sentence: str | None = None) -> None:
        """Keep the sentence."""
        super().__init__(sentence)
        self.sentence = sentence


class Without(Mapping[str, Any]):
    """Variables of which some have a type that other rules cannot use."""

    def __init__(self, variables: Variables, wrong: set[str]) -> None:
        """Keep both."""
        self.variables, self.wrong = variables, wrong

    def __getitem__(self, name: str) -> Any:
        """Return a value, or let the rule that asks end: a sentence on this value is there already."""
        if name in self.wrong:
            raise UnusableValue
        return self.variables[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names, those of wrong values too."""
        return iter(self.variables)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.variables)


@dataclass(frozen=True)
class Platform:
    """The inventory, read once for all rules."""

    # As the plays of the operator's computer see them: the inventory's values over the roles' defaults.
    values: Variables
    # Each machine's own variables, without defaults.
    hosts: Mapping[str, Variables]
    # Names of hosts by group, as in Ansible's `groups`.
    groups: Mapping[str, Sequence[str]]
    # What the inventory says for each host and for localhost, as it is written there.
    given: Mapping[str, Variables]
    # The options of all roles, {role: {variable: option}}, as their argument_specs have them.
    specs: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    # The entries of artifacts.yml as they are written.
    entries: Mapping[str, Any] = field(default_factory=dict)
    # The IPv4 networks to which the operator's computer has a route.
    routes: Sequence[str] = ()

    @property
    def kind(self) -> str:
        """Who makes the machines: lab, multipass, metal or existing."""
        return str(self.values["metalworks_machines"])

    @property
    def source(self) -> str:
        """Where artifacts come from: upstream or build."""
        return str(self.values["metalworks_artifact_source"])

    @cached_property
    def cluster(self) -> WantedCluster:
        """The cluster that k3s's roles would make."""
        return wanted_cluster(self.groups, self.hosts)

    @property
    def nodes(self) -> list[WantedNode]:
        """The hosts that are servers or agents, in the inventory's order."""
        members = {*self.groups.get("k3s_server", ()), *self.groups.get("k3s_agent", ())}
        return [node for host, node in self.cluster.nodes.items() if host in members]

    @property
    def catalogue(self) -> dict[str, Any]:
        """artifacts.yml with the inventory's overrides, or alone where these cannot be merged."""
        overrides = self.values["metalworks_artifacts"]
        wrong = any(artifact_rules.shape_problems(self.entries, overrides))
        catalogue: dict[str, Any] = artifact_rules.merged(self.entries, {} if wrong else overrides)
        return catalogue

    def has_part(self, name: str) -> bool:
        """Tell whether an application is to be installed."""
        return name in self.values["metalworks_parts"]

    def gives(self, name: str) -> bool:
        """Tell whether the inventory says something of a variable, anywhere."""
        return any(name in variables for variables in self.given.values())

    def on_machines(self, name: str) -> list[tuple[list[str], Any]]:
        """Return each value that machines have for a variable, with the hosts that have it."""
        found: list[tuple[list[str], Any]] = []
        for host, variables in self.hosts.items():
            value = variables[name] if name in variables else self.values[name]
            same = next((hosts for hosts, other in found if other == value), None)
            if same is None:
                found.append(([host], value))
            else:
                same.append(host)
        return found

    def without(self, wrong: Mapping[str, set[str]]) -> Platform:
        """Return the platform without the values, {host: names}, that no other rule can use."""
        hosts = {host: Without(its, wrong.get(host, set())) for host, its in self.hosts.items()}
        return replace(self, values=Without(self.values, wrong.get(LOCALHOST, set())), hosts=hosts)


def listed(names: Sequence[str]) -> str:
    """Return hosts as the beginning of a sentence: `host a`, or `hosts a, b`."""
    return f"host{'s' if len(names) > 1 else ''} {', '.join(names)}"
