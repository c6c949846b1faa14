"""The keys of k3s's config.yaml: for which role, of what type, since which version, what servers must share.

The source is k3s's own reference of the flags (docs.k3s.io/cli/server, docs.k3s.io/cli/agent). A key that is
missing here is refused, because k3s itself would only refuse it by a service that does not start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple


class Version(NamedTuple):
    """Major and minor: k3s adds and removes keys with these."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}"


@dataclass(frozen=True)
class Key:
    """What is known of one key."""

    kind: str  # the name of a check in k3s_types.py
    server_only: bool = False
    agreed: bool = False  # must be equal on all servers
    default: object = None  # what k3s takes for it when it is missing; kept where the project needs it
    secret: bool = False
    choices: tuple[str, ...] = ()
    since: Version | None = None
    removed: Version | None = None
    instead: str = ""  # for removed or unsupported keys


def _server(kind: str, **more: object) -> Key:
    return Key(kind, server_only=True, **more)  # type: ignore[arg-type]


# Where the roles keep the token, unless the configuration names another file.
TOKEN_FILE: Final = "/etc/rancher/k3s/token"
# The keys by which a server comes to its cluster.
MEMBERSHIP: Final = ("cluster-init", "server")
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
    "token-file": Key("text"),
    "agent-token-file": _server("text"),
    "cluster-init": _server("flag"),
    "datastore-endpoint": _server("text", secret=True),
    "datastore-cafile": _server("text"),
    "datastore-certfile": _server("text"),
    "datastore-keyfile": _server("text"),
    # Listeners and the operator's kubeconfig
    "bind-address": Key("addresses"),
    "https-listen-port": _server("port", agreed=True, default=6443),
    "supervisor-port": _server("port"),
    "advertise-address": _server("addresses"),
    "advertise-port": _server("port"),
    "tls-san": _server("list"),
    "tls-san-security": _server("flag"),
    "write-kubeconfig": _server("text"),
    "write-kubeconfig-mode": _server("mode"),
    "write-kubeconfig-group": _server("text"),
    # Data
    "data-dir": Key("text", default="/var/lib/rancher/k3s"),
    "default-local-storage-path": _server("text"),
    "secrets-encryption": _server("flag", agreed=True, default=False),
    "secrets-encryption-provider": _server(
        "text", agreed=True, default="aescbc", choices=("aescbc", "secretbox"), since=Version(1, 30)
    ),
    # Networks
    "cluster-cidr": _server("cidrs", agreed=True, default="10.42.0.0/16"),
    "service-cidr": _server("cidrs", agreed=True, default="10.43.0.0/16"),
    "service-node-port-range": _server("text", agreed=True, default="30000-32767"),
    "cluster-dns": _server("addresses", agreed=True),
    "cluster-domain": _server("text", agreed=True, default="cluster.local"),
    "flannel-backend": _server(
        "text", agreed=True, default="vxlan", choices=("none", "vxlan", "host-gw", "wireguard-native")
    ),
    "flannel-ipv6-masq": _server("flag", agreed=True, default=False),
    "flannel-external-ip": _server("flag", agreed=True, default=False),
    "egress-selector-mode": _server(
        "text", agreed=True, default="agent", choices=("agent", "cluster", "pod", "disabled")
    ),
    "servicelb-namespace": _server("text"),
    # Components
    "disable": _server("items", agreed=True, default=(), choices=PACKAGED),
    "disable-scheduler": _server("flag"),
    "disable-cloud-controller": _server("flag", agreed=True, default=False),
    "disable-kube-proxy": _server("flag"),
    "disable-network-policy": _server("flag", agreed=True, default=False),
    "disable-helm-controller": _server("flag", agreed=True, default=False),
    "disable-apiserver": _server("flag"),
    "disable-controller-manager": _server("flag"),
    "disable-etcd": _server("flag"),
    "disable-agent": _server("flag"),
    "embedded-registry": _server("flag", agreed=True, default=False, since=Version(1, 26)),
    "supervisor-metrics": _server("flag", since=Version(1, 27)),
    "helm-job-image": _server("text"),
    "system-default-registry": _server("text"),
    # etcd
    "etcd-expose-metrics": _server("flag"),
    "etcd-disable-snapshots": _server("flag"),
    "etcd-snapshot-name": _server("text"),
    "etcd-snapshot-schedule-cron": _server("text"),
    "etcd-snapshot-retention": _server("number"),
    "etcd-snapshot-dir": _server("text"),
    "etcd-snapshot-compress": _server("flag"),
    "etcd-s3": _server("flag"),
    "etcd-s3-endpoint": _server("text"),
    "etcd-s3-endpoint-ca": _server("text"),
    "etcd-s3-skip-ssl-verify": _server("flag"),
    "etcd-s3-access-key": _server("text", secret=True),
    "etcd-s3-secret-key": _server("text", secret=True),
    "etcd-s3-bucket": _server("text"),
    "etcd-s3-region": _server("text"),
    "etcd-s3-folder": _server("text"),
    "etcd-s3-proxy": _server("text", since=Version(1, 28)),
    "etcd-s3-config-secret": _server("text", since=Version(1, 28)),
    "etcd-s3-insecure": _server("flag"),
    "etcd-s3-timeout": _server("text"),
    # Flags of the Kubernetes programs
    "etcd-arg": _server("pairs"),
    "kube-apiserver-arg": _server("pairs"),
    "kube-scheduler-arg": _server("pairs"),
    "kube-controller-manager-arg": _server("pairs"),
    "kube-cloud-controller-manager-arg": _server("pairs"),
    "kubelet-arg": Key("pairs"),
    "kube-proxy-arg": Key("pairs"),
    # Node
    "node-name": Key("text"),
    "with-node-id": Key("flag"),
    "node-label": Key("labels"),
    "node-taint": Key("taints"),
    "node-ip": Key("addresses"),
    "node-external-ip": Key("addresses"),
    "node-internal-dns": Key("list", since=Version(1, 28)),
    "node-external-dns": Key("list", since=Version(1, 28)),
    "resolv-conf": Key("text"),
    "flannel-iface": Key("text"),
    "flannel-conf": Key("text"),
    "flannel-cni-conf": Key("text"),
    "protect-kernel-defaults": Key("flag"),
    "selinux": Key("flag"),
    "lb-server-port": Key("port"),
    "disable-apiserver-lb": Key("flag"),
    "image-credential-provider-bin-dir": Key("text"),
    "image-credential-provider-config": Key("text"),
    # Container runtime
    "container-runtime-endpoint": Key("text"),
    "default-runtime": Key("text", since=Version(1, 26)),
    "image-service-endpoint": Key("text", since=Version(1, 26)),
    "disable-default-registry-endpoint": Key("flag", since=Version(1, 26)),
    "nonroot-devices": Key("flag", since=Version(1, 30)),
    "pause-image": Key("text"),
    "snapshotter": Key("text"),
    "private-registry": Key("text"),
    "airgap-extra-registry": Key("text"),
    "docker": Key("flag"),
    "prefer-bundled-bin": Key("flag"),
    "enable-pprof": Key("flag"),
    "vpn-auth-file": Key("text"),
    "multi-cluster-cidr": _server("flag", removed=Version(1, 27), instead="one cluster-cidr"),
}

# Keys that k3s has or had, and that do not belong into the file: what to write in their place.
REFUSED: Final[dict[str, str]] = {
    "token": "token-file: the token stands in a file of its own, so that the configuration holds no secret",
    "agent-token": "agent-token-file: the token stands in a file of its own",
    "vpn-auth": "vpn-auth-file: the key stands in a file of its own",
    "cluster-reset": "nothing: in the file it would reset the cluster at every start",
    "cluster-reset-restore-path": "nothing: in the file it would restore at every start",
    "rootless": "nothing: the unit runs as root",
    "config": "nothing: this is the configuration file",
    "no-deploy": "disable, with the same items",
    "no-flannel": "flannel-backend: none",
    "cluster-secret": "token-file",
    "kube-controller-arg": "kube-controller-manager-arg",
    "kube-cloud-controller-arg": "kube-cloud-controller-manager-arg",
}

# Values that k3s had and dropped.
DROPPED: Final[dict[tuple[str, str], str]] = {
    ("flannel-backend", "wireguard"): "wireguard-native",
    ("flannel-backend", "ipsec"): "wireguard-native",
}

SECRETS: Final = frozenset(name for name, key in KEYS.items() if key.secret)
AGREED: Final = tuple(name for name, key in KEYS.items() if key.agreed)
