"""Rules for the inputs of the hub: sizes, addresses, names and secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..common.addresses import web_place
from ..common.sentences import listed
from ..jupyterhub.sizes import (
    cpu_problem,
    memory_problem,
    pod_cpu_problem,
    pod_memory_problem,
    storage_problem,
)
from ..jupyterhub.tolerations import jupyterhub_selectors, jupyterhub_tolerations
from ..jupyterhub.values import has_node_port, service_type, value_at, walk
from ..k3s.types import as_list, is_kubernetes_own, split
from .k3s import keeps_pods_away
from .names import unusable_names
from .notebooks import above_the_limit
from .platform import Platform
from .secrets import weak_secret

INPUTS: dict[str, Callable[[Any], str | None]] = {
    "jupyterhub_mem_guarantee": memory_problem,
    "jupyterhub_storage_capacity": storage_problem,
}
# The keys of the chart under which the same sizes can be written: values.schema.yaml of zero-to-jupyterhub.
SIZES: dict[str, Callable[[Any], str | None]] = {
    "singleuser.memory.limit": memory_problem,
    "singleuser.memory.guarantee": memory_problem,
    "singleuser.cpu.limit": cpu_problem,
    "singleuser.cpu.guarantee": cpu_problem,
    "singleuser.storage.capacity": storage_problem,
    "hub.db.pvc.storage": storage_problem,
}
# Settings of the spawner, wherever they stand in the values: in hub.config, or in a profile.
OF_THE_SPAWNER = {
    "mem_limit": memory_problem,
    "mem_guarantee": memory_problem,
    "cpu_limit": cpu_problem,
    "cpu_guarantee": cpu_problem,
}
# Names of users in the configuration of an authenticator (jupyterhub/auth.py).
USER_LISTS = ("admin_users", "allowed_users", "blocked_users")
# What Kubernetes reads below `resources` of the chart's pods.
OF_PODS = {"memory": pod_memory_problem, "cpu": pod_cpu_problem}


def hub_sizes(platform: Platform) -> Iterator[str]:
    """Refuse sizes that would otherwise fail when a user starts a server for the first time."""
    for name, problem in INPUTS.items():
        if sentence := problem(platform.values[name]):
            yield f"{name}: {sentence}"
    for path, problem in SIZES.items():
        value = value_at(platform.values["jupyterhub_values"], path)
        if value is not None and (sentence := problem(value)):
            yield f"jupyterhub_values, {path}: {sentence}"
    for path, its in walk(platform.values["jupyterhub_values"]):
        of_pods = path.endswith((".resources.limits", ".resources.requests"))
        for key, problem in (OF_PODS if of_pods else OF_THE_SPAWNER).items():
            if its.get(key) is not None and (sentence := problem(its[key])):
                yield f"jupyterhub_values, {path}.{key}: {sentence}"


def hub_guarantees(platform: Platform) -> Iterator[str]:
    """Refuse a guarantee above its limit in the chart's values, with which Kubernetes refuses the pod."""
    yield from (f"jupyterhub_values: {sentence}" for sentence in above_the_limit(platform, {}))
    for path, its in walk(platform.values["jupyterhub_values"]):
        if set(OF_THE_SPAWNER) & set(its):
            yield from (f"jupyterhub_values, {path}: {each}" for each in above_the_limit(platform, its))


def hub_address(platform: Platform) -> Iterator[str]:
    """Refuse a hub without `jupyterhub_url` if its address cannot be derived."""
    values = platform.values["jupyterhub_values"]
    if value_at(values, "proxy.service.nodePorts.http") is not None:
        yield (
            "jupyterhub_values sets proxy.service.nodePorts.http, and the hub's address would keep the "
            "other port: write it as jupyterhub_node_port"
        )
    if platform.gives("jupyterhub_url"):
        return
    if not has_node_port(values):
        yield (
            f"the hub has no node port (its service is a {service_type(values)}), so its address is not "
            "known here: write it into jupyterhub_url"
        )
    elif value_at(values, "proxy.https.enabled") is True:
        yield (
            "the hub speaks https (proxy.https.enabled), for a name that is not known here: write it into "
            "jupyterhub_url"
        )


def hub_storage(platform: Platform) -> Iterator[str]:
    """Refuse a cluster in which no storage class gives the hub and its users their volumes."""
    servers = [node for node in platform.nodes if node.role == "server"]
    # The server that starts last decides what is deployed.
    without = [node.host for node in servers if "local-storage" in split(node.config.get("disable") or [])]
    values = platform.values["jupyterhub_values"]
    own = value_at(values, "singleuser.storage.dynamic.storageClass") or value_at(
        values, "singleuser.storage.type"
    )
    where = f" on {listed(without)}" if len(without) < len(servers) else ""
    if without and not platform.values["jupyterhub_storage_class"] and not own:
        yield (
            f"k3s_server_config disables local-storage{where}, which brings the only storage class, so no "
            "user gets a home: take it out of disable, or write the class that you install as "
            "jupyterhub_storage_class"
        )


def hub_nodes(platform: Platform) -> Iterator[str]:
    """Refuse a cluster in which taints keep the hub's pods away from all nodes."""
    for pods, tolerations in jupyterhub_tolerations(platform.values["jupyterhub_values"]).items():
        away = {node.host: keeps_pods_away(node.config, tolerations) for node in platform.nodes}
        if away and all(away.values()):
            reasons = "; ".join(f"{host}: {', '.join(taints)}" for host, taints in away.items())
            yield (
                f"no node takes the pods of {pods}, because each one has a taint ({reasons}): add an agent, "
                "take the taint out of the configuration of one node, or tolerate it in jupyterhub_values "
                "(hub.tolerations, proxy.chp.tolerations, singleuser.extraTolerations)"
            )
            return


def hub_labels(platform: Platform) -> Iterator[str]:
    """Refuse a cluster in which no node has the labels that pods of the hub ask for.

    Labels of Kubernetes' own domains are not known here; Kubernetes or an operator sets them.
    """
    labels = [_labels(node.config) for node in platform.nodes]
    for pods, wanted in jupyterhub_selectors(platform.values["jupyterhub_values"]).items():
        asked = {f"{key}={value}" for key, value in wanted.items() if not is_kubernetes_own(key)}
        if labels and not any(asked <= its for its in labels):
            yield (
                f"no node has the labels that the pods of {pods} ask for in jupyterhub_values "
                f"({', '.join(sorted(asked))}): write them as node-label into the configuration of a node, "
                "or take the selector out"
            )


def _labels(config: Mapping[str, Any]) -> set[str]:
    return {str(each) for each in as_list(config.get("node-label") or [])}


def hub_url(platform: Platform) -> Iterator[str]:
    """Refuse a `jupyterhub_url` that is no http address."""
    if platform.gives("jupyterhub_url"):
        url = str(platform.values["jupyterhub_url"])
        if web_place(url) is None:
            shown = re.sub(r"//[^/]*@", "//...@", url)  # what stands before an @ may be a login
            yield (
                f"jupyterhub_url is {shown!r}: write it as people open it, like http://hub.example:30080 or "
                "http://[fd00::10]:30080"
            )


def hub_names(platform: Platform) -> Iterator[str]:
    """Refuse names of the namespace and the release that Kubernetes does not accept."""
    names = ("jupyterhub_namespace", "jupyterhub_release_name")
    yield from unusable_names(platform, dict.fromkeys(names, "jupyterhub"), "jupyterhub_storage_class")


def hub_chart(platform: Platform) -> Iterator[str]:
    """Refuse the repository or the version of a chart that is not named."""
    if not platform.values["jupyterhub_chart_ref"]:
        for name in ("jupyterhub_chart_repository", "jupyterhub_chart_version"):
            if platform.values[name]:
                yield f"{name} has no effect without the chart's name: write it into jupyterhub_chart_ref"


def hub_user_lists(platform: Platform) -> Iterator[str]:
    """Refuse names of users in the chart's values that are no text, with which the hub does not start."""
    for path, its in walk(value_at(platform.values["jupyterhub_values"], "hub.config"), "hub.config"):
        for key in USER_LISTS:
            names = its.get(key)
            for name in names if isinstance(names, (list, tuple)) else ():
                if not isinstance(name, str):
                    yield f"jupyterhub_values, {path}.{key}: {name} is no text: write it in quotes"


def hub_secrets(platform: Platform) -> Iterator[str]:
    """Refuse secrets of a form with which the hub would not start."""
    if not platform.gives("jupyterhub_secrets"):
        return  # generated secrets have the right form
    secrets = platform.values["jupyterhub_secrets"]
    for name in ("cookie_secret", "crypt_key"):
        if not re.fullmatch(r"[0-9a-f]{64}", str(secrets.get(name, ""))):
            yield (
                f"jupyterhub_secrets, {name} is not 64 hexadecimal digits: make one with openssl rand -hex 32"
            )
    for name in ("proxy_token", "api_token"):
        if problem := weak_secret(secrets.get(name, ""), 32):
            yield f"jupyterhub_secrets, {name} {problem}"


OPTIONAL = (hub_storage, hub_nodes, hub_labels, hub_chart)
PART = "jupyterhub"
