"""The keys of k3s's config.yaml: their roles, types and versions, and which servers must share.

The source is k3s's own reference of the flags (docs.k3s.io/cli/server, docs.k3s.io/cli/agent) and, for those
that it hides, pkg/cli/cmds/server.go and agent.go. Each key is one of these: *known* (its value is checked,
and all parts of the platform follow it), *derived* by the roles, or *refused* with the reason. k3s skips a
key that it does not know with a warning; so does this project, unless the key looks like a slip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from ansible.module_utils.metalworks.common.kubernetes_names import USUAL_DOMAIN


class Version(NamedTuple):
    """Major and minor version, with which k3s adds and removes keys."""

    major: int
    minor: int

    def __str__(self) -> str:
        """Return it as in v1.35."""
        return f"v{self.major}.{self.minor}"


@dataclass(frozen=True)
class Key:
    """The facts about one key."""

    kind: str  # the name of a check in types.py
    server_only: bool = False
    agreed: bool = False  # must be equal on all servers
    default: object = None  # k3s's default; kept only if the project needs it
    secret: bool = False
    choices: tuple[str, ...] = ()
    since: Version | None = None


def _server(kind: str, **more: object) -> Key:
    return Key(kind, server_only=True, **more)  # type: ignore[arg-type]


# The file of the token, unless the configuration names another one.
TOKEN_FILE: Final = "/etc/rancher/k3s/token"
# The keys with which a server initialises or joins a cluster.
MEMBERSHIP: Final = ("cluster-init", "server")
# What k3s makes in its data folder beside the volumes.
OF_K3S: Final = ("agent", "data", "server")
PACKAGED: Final = ("coredns", "servicelb", "traefik", "local-storage", "metrics-server", "runtimes")

KEYS: Final[dict[str, Key]] = {
    # Logging
    "debug": Key("flag"),
    "v": Key("number"),
    "vmodule": Key("text"),
    "log": Key("text"),
    "alsologtostderr": Key("flag"),
    # Cluster
    "server": Key("text"),
    "token-file": Key("file"),
    "agent-token-file": _server("file"),
    "cluster-init": _server("flag"),
    "datastore-endpoint": _server("text", secret=True),
    "kine-tls": _server("flag"),
    "datastore-cafile": _server("file"),
    "datastore-certfile": _server("file"),
    "datastore-keyfile": _server("file"),
    # Listeners and the operator's kubeconfig
    "bind-address": Key("addresses"),
    "https-listen-port": _server("port", agreed=True, default=6443),
    "advertise-address": _server("addresses"),
    "advertise-port": _server("port"),
    "tls-san": _server("list"),
    "tls-san-security": _server("flag"),
    "write-kubeconfig-mode": _server("mode"),
    "write-kubeconfig-group": _server("text"),
    # Data
    "data-dir": Key("folder", default="/var/lib/rancher/k3s"),
    "default-local-storage-path": _server("folder"),
    "secrets-encryption": _server("flag", agreed=True, default=False),
    "secrets-encryption-provider": _server(
        "text", agreed=True, default="aescbc", choices=("aescbc", "secretbox"), since=Version(1, 30)
    ),
    # Networks
    "cluster-cidr": _server("cidrs", agreed=True, default="10.42.0.0/16"),
    "service-cidr": _server("cidrs", agreed=True, default="10.43.0.0/16"),
    "service-node-port-range": _server("range", agreed=True, default="30000-32767"),
    "cluster-dns": _server("addresses", agreed=True),
    "cluster-domain": _server("text", agreed=True, default=USUAL_DOMAIN),
    "flannel-backend": _server(
        "text",
        agreed=True,
        default="vxlan",
        choices=("none", "vxlan", "host-gw", "wireguard-native", "tailscale"),
    ),
    "flannel-ipv6-masq": _server("flag", agreed=True, default=False),
    "flannel-external-ip": _server("flag", agreed=True, default=False),
    "flannel-ip-masq-disable-random-fully": _server("flag", agreed=True, default=False),
    "egress-selector-mode": _server(
        "text", agreed=True, default="agent", choices=("agent", "cluster", "pod", "disabled")
    ),
    "servicelb-namespace": _server("text"),
    # Components
    "disable": _server("items", default=(), choices=PACKAGED),
    "disable-scheduler": _server("flag"),
    "disable-cloud-controller": _server("flag", agreed=True, default=False),
    "disable-kube-proxy": _server("flag"),
    "disable-network-policy": _server("flag", agreed=True, default=False),
    "disable-helm-controller": _server("flag", agreed=True, default=False),
    "disable-controller-manager": _server("flag"),
    "embedded-registry": _server("flag", agreed=True, default=False, since=Version(1, 26)),
    "supervisor-metrics": _server("flag", agreed=True, default=False, since=Version(1, 27)),
    "helm-job-image": _server("text"),
    "system-default-registry": _server("text"),
    # etcd
    "etcd-expose-metrics": _server("flag"),
    "etcd-disable-snapshots": _server("flag"),
    "etcd-snapshot-name": _server("text"),
    "etcd-snapshot-schedule-cron": _server("text"),
    "etcd-snapshot-reconcile-interval": _server("text"),
    "etcd-snapshot-retention": _server("number"),
    "etcd-snapshot-dir": _server("text"),
    "etcd-snapshot-compress": _server("flag"),
    "etcd-s3": _server("flag"),
    "etcd-s3-endpoint": _server("text"),
    "etcd-s3-endpoint-ca": _server("file"),
    "etcd-s3-skip-ssl-verify": _server("flag"),
    "etcd-s3-access-key": _server("text", secret=True),
    "etcd-s3-secret-key": _server("text", secret=True),
    "etcd-s3-session-token": _server("text", secret=True),
    "etcd-s3-bucket": _server("text"),
    "etcd-s3-bucket-lookup-type": _server("text"),
    "etcd-s3-region": _server("text"),
    "etcd-s3-folder": _server("text"),
    "etcd-s3-retention": _server("number", since=Version(1, 34)),
    "etcd-s3-proxy": _server("text", since=Version(1, 30)),
    "etcd-s3-config-secret": _server("text", since=Version(1, 30)),
    "etcd-s3-insecure": _server("flag"),
    "etcd-s3-timeout": _server("text"),
    # Flags of the Kubernetes programs
    "etcd-arg": _server("pairs"),
    "kube-apiserver-arg": _server("pairs"),
    "kube-scheduler-arg": _server("pairs"),
    "kube-controller-manager-arg": _server("pairs"),
    "kube-cloud-controller-manager-arg": _server("pairs"),
    "helm-controller-arg": _server("pairs"),
    "kubelet-arg": Key("pairs"),
    "kube-proxy-arg": Key("pairs"),
    # Node
    "node-name": Key("text"),
    "node-label": Key("labels"),
    "node-taint": Key("taints"),
    "node-ip": Key("addresses"),
    "node-external-ip": Key("several-addresses"),
    "node-internal-dns": Key("list", since=Version(1, 31)),
    "node-external-dns": Key("list", since=Version(1, 31)),
    "resolv-conf": Key("text"),
    "flannel-iface": Key("text"),
    "flannel-conf": Key("file"),
    "flannel-cni-conf": Key("file"),
    "protect-kernel-defaults": Key("flag"),
    "selinux": Key("flag"),
    "lb-server-port": Key("port"),
    "disable-apiserver-lb": Key("flag"),
    "image-credential-provider-bin-dir": Key("text"),
    "image-credential-provider-config": Key("file"),
    # Container runtime
    "default-runtime": Key("text", since=Version(1, 29)),
    "disable-default-registry-endpoint": Key("flag", since=Version(1, 26)),
    "nonroot-devices": Key("flag", since=Version(1, 31)),
    "pause-image": Key("text"),
    "snapshotter": Key("text"),
    "airgap-extra-registry": Key("list"),
    "prefer-bundled-bin": Key("flag"),
    "enable-pprof": Key("flag"),
    "vpn-auth-file": Key("file"),
}

# Keys that the roles derive, by role: what to write instead of them.
DERIVED: Final[dict[str, dict[str, str]]] = {
    "server": {
        "server": "take it out; k3s_api_address names an address in front of all servers, where one is",
    },
    "agent": {
        "server": "take it out; k3s_api_address or k3s_agent_api_address names the address where agents join",
    },
}

_NO_NODE = "each server is also a node here, and the role waits until that node is Ready"
_CONTAINERD = "images are imported into the containerd that k3s brings along"
_PORTS = "one port serves the API and the nodes that join; https-listen-port changes it"

# Keys that the roles cannot follow, or that k3s has dropped: the reason, and what to write instead.
REFUSED: Final[dict[str, str]] = {
    "token": "it would stand in the configuration; the token is the role's input",
    "agent-token": "it would stand in the configuration; write a file and name that in agent-token-file",
    "vpn-auth": "the key would stand in the configuration; write a file and name that in vpn-auth-file",
    "cluster-reset": "in the configuration it would reset the cluster at every start; take it out",
    "cluster-reset-restore-path": "in the configuration it would restore at every start; take it out",
    "rootless": "the unit runs k3s as root; take it out",
    "config": "this is the configuration file; take it out",
    "supervisor-port": f"{_PORTS}; take it out",
    "apiserver-port": f"{_PORTS}; take it out",
    "apiserver-bind-address": f"{_PORTS}; take it out",
    "with-node-id": "the role has to know the node's name, and this adds a random part to it; take it out",
    "disable-agent": f"{_NO_NODE}; take it out, and keep pods away with node-taint",
    "disable-etcd": f"{_NO_NODE} and a member of etcd; take it out",
    "disable-apiserver": "the role asks the API of each server whether its node is Ready; take it out",
    "private-registry": "the role writes registries.yaml in its usual place; write k3s_registries instead",
    "write-kubeconfig": (
        "the roles and k3s's own kubectl read /etc/rancher/k3s/k3s.yaml; take it out (write-kubeconfig-mode "
        "and write-kubeconfig-group change who may read that file)"
    ),
    "docker": f"{_CONTAINERD}; take it out",
    "container-runtime-endpoint": f"{_CONTAINERD}; take it out",
    "image-service-endpoint": f"{_CONTAINERD}; take it out",
    "multi-cluster-cidr": "k3s dropped it; write one cluster-cidr",
    "no-deploy": "k3s dropped it; write disable, with the same items",
    "no-flannel": "k3s dropped it, and flannel-backend has its place; take it out",
    "cluster-secret": "k3s dropped it; the token is the role's input",
    # Short names of flags, which k3s takes in the file as well (pkg/cli/cmds: "data-dir,d", "token,t", ...).
    "d": "it is short for data-dir; write that",
    "l": "it is short for log; write that",
    "s": "it is short for server; take it out, because the role says where a host joins",
    "t": "it is short for token, which would stand in the configuration; the token is the role's input",
    "o": "it is short for write-kubeconfig, and others read /etc/rancher/k3s/k3s.yaml; take it out",
    "c": "it is short for config, and this is the configuration file; take it out",
    "kube-controller-arg": "k3s dropped it; write kube-controller-manager-arg",
    "kube-cloud-controller-arg": "k3s dropped it; write kube-cloud-controller-manager-arg",
}

# Arguments of Kubernetes' programs that would go past a setting of k3s, which derives more from it and which
# the rest of the platform follows: (key, argument) -> the setting. The roles cannot follow one without any.
ARGUMENTS: Final[dict[tuple[str, str], str]] = {
    ("kube-apiserver-arg", "service-node-port-range"): "service-node-port-range",
    ("kube-apiserver-arg", "service-cluster-ip-range"): "service-cidr",
    ("kube-apiserver-arg", "advertise-address"): "advertise-address",
    ("kube-apiserver-arg", "bind-address"): "bind-address",
    ("kube-apiserver-arg", "secure-port"): "https-listen-port",
    ("kube-apiserver-arg", "etcd-servers"): "datastore-endpoint",
    ("kube-apiserver-arg", "encryption-provider-config"): "secrets-encryption",
    ("kube-controller-manager-arg", "cluster-cidr"): "cluster-cidr",
    ("kube-controller-manager-arg", "service-cluster-ip-range"): "service-cidr",
    ("kube-proxy-arg", "cluster-cidr"): "cluster-cidr",
    ("kube-proxy-arg", "hostname-override"): "node-name",
    ("kubelet-arg", "hostname-override"): "node-name",
    ("kubelet-arg", "node-ip"): "node-ip",
    ("kubelet-arg", "node-labels"): "node-label",
    ("kubelet-arg", "cluster-dns"): "cluster-dns",
    ("kubelet-arg", "cluster-domain"): "cluster-domain",
    ("kubelet-arg", "resolv-conf"): "resolv-conf",
    # Kubernetes removed it in favour of taints (kubernetes#122384); older kubelets cordoned the node.
    ("kubelet-arg", "register-schedulable"): "node-taint",
    ("kubelet-arg", "root-dir"): "",
    ("kubelet-arg", "port"): "",
    ("kubelet-arg", "register-node"): "",
    ("kubelet-arg", "container-runtime-endpoint"): "",
    ("etcd-arg", "data-dir"): "data-dir",
}

# Parts without which no application runs: (key, value) -> what would be missing. Who brings a part of their
# own insists on it (k3s_server_unchecked_config).
NEEDED: Final[dict[tuple[str, object], str]] = {
    (
        "flannel-backend",
        "none",
    ): "no node becomes Ready without a network plugin, and none is installed here",
    ("disable-kube-proxy", True): "no service is reached without kube-proxy, and nothing here replaces it",
    ("disable", "coredns"): "pods could look up no names, and nothing here replaces CoreDNS",
}
# What one server at least has to run.
NEEDED_ONCE: Final = {
    "disable-scheduler": "no pod would be placed on a node",
    "disable-controller-manager": "no workload would get pods",
}

# Where nodes ask each other, beside the API (docs.k3s.io/installation/requirements).
KUBELET_PORT: Final = 10250
REGISTRY_PORT: Final = 5001
# Ports of a server that are taken (k3s's page installation/requirements; health and metrics of the programs).
TAKEN_PORTS: Final = {
    **dict.fromkeys((2379, 2380, 2381, 2382), "etcd"),
    **dict.fromkeys((10248, KUBELET_PORT), "the kubelet"),
    **dict.fromkeys((10249, 10256), "kube-proxy"),
    10257: "the controller manager",
    10258: "the cloud controller",
    10259: "the scheduler",
    10010: "containerd",
}
# Words with which a value begins or that it is. Of a snapshotter only a slip is refused, because containerd
# takes others, too.
SNAPSHOTTERS: Final = ("overlayfs", "native", "fuse-overlayfs", "stargz", "btrfs", "zfs")
DATASTORES_BY_OTHER_NAMES: Final = {"mariadb": "mysql", "pgsql": "postgres"}
DATASTORES: Final = ("mysql", "postgres", "postgresql", "http", "https", "nats", "sqlite", "etcd")

# Values that k3s has dropped.
DROPPED: Final[dict[tuple[str, str], str]] = {
    ("flannel-backend", "wireguard"): "wireguard-native",
    ("flannel-backend", "ipsec"): "wireguard-native",
}

SECRETS: Final = frozenset(name for name, key in KEYS.items() if key.secret)
# Keys whose value is a file that k3s reads at its start.
FILES: Final = tuple(name for name, key in KEYS.items() if key.kind == "file")
AGREED: Final = tuple(name for name, key in KEYS.items() if key.agreed)
