"""Read a cluster through its API, and judge whether the platform can run on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..common import certificates
from ..common.kubernetes_names import USUAL_DOMAIN
from ..common.nodes import Node, parse_node
from .api import ApiError, KubernetesApi

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
# The kinds of objects that the hub's release consists of, as (API group, resource).
RESOURCES_OF_THE_HUB = (
    ("apps", "deployments"),
    ("", "secrets"),
    ("", "services"),
    ("", "persistentvolumeclaims"),
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("networking.k8s.io", "networkpolicies"),
)


@dataclass(frozen=True)
class Cluster:
    """The facts about a cluster on which the platform depends."""

    version: str
    nodes: tuple[Node, ...]
    classes: Mapping[str, bool] = field(default_factory=dict)  # storage class -> whether it is the default
    ports: Mapping[int, str] = field(default_factory=dict)  # node port -> namespace/service that has it
    denied: tuple[str, ...] = ()  # resources that this user may not create
    domains: tuple[str, ...] = ()  # of its names; empty if that cannot be seen


@dataclass(frozen=True)
class Wanted:
    """What the platform needs of a cluster."""

    namespace: str
    minimum: str
    node_port: int = 0  # 0 if no node port is needed
    storage_class: str = ""
    architecture: str = ""  # of the images that are built on this computer; empty if there are none
    service: str = "proxy-public"
    usual_domain: bool = False  # whether what is installed is looked up below the usual domain
    # Which pods have to find a node -> the taints that they tolerate, in the API's form.
    tolerations: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=lambda: {"the hub": ()})


def read_nodes(api: KubernetesApi) -> tuple[str, tuple[Node, ...]]:
    """Return the version of Kubernetes, and the nodes sorted by name."""
    version = str(api.get("/version")["gitVersion"])
    nodes = (parse_node(item) for item in api.get("/api/v1/nodes")["items"])
    return version, tuple(sorted(nodes, key=lambda node: node.name))


def read_api_ports(api: KubernetesApi) -> list[int]:
    """Return the ports of the API servers behind the Service `kubernetes`; none if they may not be seen."""
    path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    slices = readable(api, path, labelSelector="kubernetes.io/service-name=kubernetes")
    return sorted({int(port["port"]) for each in slices for port in each.get("ports") or []})


def read(api: KubernetesApi, wanted: Wanted) -> Cluster:
    """Return the facts about the cluster; ApiError says why it cannot be asked."""
    version, nodes = read_nodes(api)
    classes = api.get("/apis/storage.k8s.io/v1/storageclasses")["items"]
    return Cluster(
        version=version,
        nodes=nodes,
        classes={each["metadata"]["name"]: is_default(each) for each in classes},
        ports=node_ports(readable(api, "/api/v1/services")),
        denied=denied(api, wanted.namespace),
        domains=read_domains(api) if wanted.usual_domain else (),
    )


def read_domains(api: KubernetesApi) -> tuple[str, ...]:
    """Return the domains for which CoreDNS answers with the cluster's Services and pods.

    They are the zones of its plugin `kubernetes` (https://coredns.io/plugins/kubernetes). There are none if
    the cluster has another server for names, or this user may not see its configuration.
    """
    found = unless_forbidden(lambda: api.find("/api/v1/namespaces/kube-system/configmaps/coredns"))
    corefile = ((found or {}).get("data") or {}).get("Corefile", "")
    zones = re.findall(r"^[ \t]*kubernetes[ \t]+([^{#\n]*)", corefile, re.M)
    return tuple(zone for line in zones for zone in line.split() if not zone.endswith(".arpa"))


def readable(api: KubernetesApi, path: str, **query: Any) -> list[Any]:
    """Return a list's items; an empty list if this user may not see them."""
    found = unless_forbidden(lambda: api.get(path, **query))
    return list(found["items"]) if found else []


def unless_forbidden(ask: Callable[[], Any]) -> Any:
    """Return what a request returns, or None if this user may not make it."""
    try:
        return ask()
    except ApiError as error:
        if error.status == 403:
            return None
        raise


def is_default(storage_class: Mapping[str, Any]) -> bool:
    """Return whether a volume claim that names no class gets this one."""
    annotations = storage_class["metadata"].get("annotations") or {}
    return bool(annotations.get(DEFAULT_CLASS) == "true")


def node_ports(services: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Return the node ports in use, each with its service as namespace/name."""
    return {
        port["nodePort"]: f"{each['metadata']['namespace']}/{each['metadata']['name']}"
        for each in services
        for port in each["spec"].get("ports") or []
        if port.get("nodePort")
    }


def denied(api: KubernetesApi, namespace: str) -> tuple[str, ...]:
    """Return the resources that this user may not create, the namespace included if it does not exist."""
    namespace_exists = api.find(f"/api/v1/namespaces/{namespace}") is not None
    rights = [(group, resource, namespace) for group, resource in RESOURCES_OF_THE_HUB]
    needed = rights if namespace_exists else [("", "namespaces", ""), *rights]
    return tuple(resource for group, resource, where in needed if not allowed(api, group, resource, where))


def allowed(api: KubernetesApi, group: str, resource: str, namespace: str) -> bool:
    """Ask the API whether this user may create such objects."""
    attributes = {"group": group, "resource": resource, "namespace": namespace, "verb": "create"}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = api.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


CERTIFICATE_FAULTS = {
    "expired": "that has expired: renew the cluster's certificates (k3s does it at a restart)",
    "early": "that is not valid yet: compare the clocks of this computer and of the cluster",
    "name": "that is made for other names than the address in the kubeconfig: write one of them as server, "
    "or as tls-server-name beside it",
    "unsigned": "that the certificate-authority in the kubeconfig did not sign, as after a cluster was made "
    "anew: get its kubeconfig again",
}


def cause(error: ApiError, context: str) -> str:
    """Return why a cluster could not be asked, and what to do about it."""
    message = str(error)
    if error.status == 401:
        return (
            f"the cluster does not accept the login of the context {context}, get a new kubeconfig: {message}"
        )
    if error.status == 403:
        return (
            f"the user of the context {context} may not look at the cluster, as with the role view: {message}"
        )
    if "CERTIFICATE_VERIFY_FAILED" in message:
        reason = CERTIFICATE_FAULTS.get(certificates.fault(message), "that is not accepted")
        return f"the API of the context {context} shows a certificate {reason}. {message}"
    if not error.status and message.startswith(("GET ", "POST ")):
        if message.endswith("?"):  # it says already what to look at
            return f"the API of the context {context} cannot be asked: {message}"
        return (
            f"the API of the context {context} cannot be reached: {message}. Does the cluster run, and is "
            "the address in the kubeconfig right?"
        )
    return message


def problems(found: Cluster, wanted: Wanted) -> list[str]:
    """Return everything that is wrong with the cluster, as sentences that say what to do."""
    return [
        *_version_problems(found, wanted),
        *_node_problems(found, wanted),
        *_right_problems(found, wanted),
        *_storage_problems(found, wanted),
        *_port_problems(found, wanted),
        *_domain_problems(found),
    ]


def _domain_problems(found: Cluster) -> list[str]:
    if not found.domains or USUAL_DOMAIN in found.domains:
        return []
    return [
        f"the cluster's domain is {found.domains[0]}, and parts are looked up below svc.{USUAL_DOMAIN} only: "
        "leave out all but the hub (metalworks_parts: [jupyterhub])"
    ]


def _version_problems(found: Cluster, wanted: Wanted) -> list[str]:
    if release(found.version) >= release(wanted.minimum):
        return []
    return [
        f"the cluster runs Kubernetes {found.version}; the hub's chart needs {wanted.minimum} or newer: "
        "upgrade it"
    ]


def release(version: str) -> tuple[int, ...]:
    """Return major and minor of a version like v1.36.5+k3s1."""
    return tuple(int(part) for part in version.lstrip("v").replace("+", ".").split(".")[:2])


def _node_problems(found: Cluster, wanted: Wanted) -> list[str]:
    if not any(node.ready for node in found.nodes):
        names = ", ".join(node.name for node in found.nodes) or "there is none"
        return [f"no node of the cluster is Ready ({names}): kubectl describe node says why"]
    usable = {
        pods: [node for node in found.nodes if takes(node, tolerations)]
        for pods, tolerations in wanted.tolerations.items()
    }
    homeless = [pods for pods, nodes in usable.items() if not nodes]
    if homeless:
        return [_homeless_sentence(homeless, found.nodes)]
    foreign = sorted(
        {
            f"{node.name} ({node.architecture})"
            for nodes in usable.values()
            for node in nodes
            if node.architecture != wanted.architecture
        }
    )
    if wanted.architecture and foreign:
        return [
            f"images are built here for {wanted.architecture}, and these nodes cannot run them: "
            f"{', '.join(foreign)}. Run Ansible on a computer like the nodes, keep pods off them (kubectl "
            "cordon), or build none: let metalworks_notebooks name published images only, and leave out the "
            "parts whose images are not published (metalworks_parts: [jupyterhub])"
        ]
    return []


def takes(node: Node, tolerations: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the scheduler may put pods with these tolerations on the node."""
    return node.ready and not node.cordoned and not any(repelling(node.taints, tolerations))


def repelling(
    taints: Iterable[Mapping[str, str]], tolerations: Sequence[Mapping[str, Any]]
) -> Iterator[Mapping[str, str]]:
    """Yield the taints that keep pods with these tolerations away."""
    for taint in taints:
        prevents = taint.get("effect") in ("NoSchedule", "NoExecute")  # PreferNoSchedule is a wish only
        if prevents and not any(tolerates(each, taint) for each in tolerations):
            yield taint


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, str]) -> bool:
    """Tell whether a toleration matches a taint, by the rules of the Kubernetes API.

    They are Toleration.ToleratesTaint in k8s.io/api/core/v1: an empty effect or key matches every one.
    """
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if (toleration.get("operator") or "Equal") == "Equal":
        return (toleration.get("value") or "") == (taint.get("value") or "")
    return True


def _homeless_sentence(homeless: Sequence[str], nodes: Sequence[Node]) -> str:
    reasons = "; ".join(f"{node.name} {_refusal(node)}" for node in nodes)
    return (
        f"no node takes the pods of {', '.join(homeless)}: {reasons}. Add a node that takes pods, let one of "
        "these take them (kubectl uncordon NODE, kubectl taint nodes NODE KEY:EFFECT-), or tolerate a taint "
        "in jupyterhub_values (hub.tolerations, proxy.chp.tolerations, singleuser.extraTolerations)"
    )


def _refusal(node: Node) -> str:
    if not node.ready:
        return "is not Ready"
    if node.cordoned:
        return "is cordoned"
    names = (
        "{key}{value}:{effect}".format(
            key=taint["key"],
            value=f"={taint['value']}" if taint.get("value") else "",
            effect=taint["effect"],
        )
        for taint in repelling(node.taints, ())
    )
    return f"has the taint {', '.join(names)}"


def _right_problems(found: Cluster, wanted: Wanted) -> list[str]:
    if not found.denied:
        return []
    return [
        f"this user may not create {', '.join(found.denied)} for the namespace {wanted.namespace}: have "
        "the rights granted, or have the namespace made with the role admin in it, and name it in "
        "jupyterhub_namespace"
    ]


def _storage_problems(found: Cluster, wanted: Wanted) -> list[str]:
    names = ", ".join(sorted(found.classes)) or "none"
    if wanted.storage_class:
        if wanted.storage_class in found.classes:
            return []
        return [
            f"jupyterhub_storage_class is {wanted.storage_class!r}, which the cluster lacks; it has: {names}"
        ]
    defaults = [name for name, default in found.classes.items() if default]
    if defaults:
        return []
    return [
        f"the cluster has no default storage class: name one in jupyterhub_storage_class; it has: {names}"
    ]


def _port_problems(found: Cluster, wanted: Wanted) -> list[str]:
    holder = found.ports.get(wanted.node_port, "")
    if not wanted.node_port or holder in ("", f"{wanted.namespace}/{wanted.service}"):
        return []
    return [
        f"node port {wanted.node_port} is taken by the service {holder}: write another into "
        "jupyterhub_node_port"
    ]
