"""Find the likely cause why k3s does not start, from its journal and the nodes in the API."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ansible.module_utils.metalworks.common.nodes import Node
from ansible.module_utils.metalworks.common.run import Run
from ansible.module_utils.metalworks.k3s.cluster import Paths, kubectl

# A pattern of a message -> its meaning and what to do. The first pattern that fits a line counts, so narrow
# ones come first. Sources of the messages: k3s pkg/agent/config, pkg/agent/flannel, pkg/etcd, pkg/cluster,
# pkg/clientaccess; the kubelet's server.go and kubelet_node_status.go; crypto/x509 of Go.
CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"[Nn]ode password rejected",
        "another machine joined under this node's name, or this machine was installed anew: give each "
        "machine its own name, or remove the old node first (kubectl delete node NAME)",
    ),
    (
        r"duplicate node name found",
        "etcd still has a member of this server's name, as after a machine was installed anew: remove the "
        "old node first (kubectl delete node NAME, on another server), or give this server another name",
    ),
    (
        r"member has been permanently removed from the cluster",
        "this server was removed from the cluster and still has its data: reset it (it loses what only it "
        "holds), and it joins as a new server",
    ),
    (
        r"too many learner members in cluster",
        "another server is just joining: let servers join one after the other, and start this one again",
    ),
    (
        # Older clients leave the answer's text out (pkg/clientaccess).
        r"etcd disabled|/v1-k3s/server-bootstrap: 400 Bad Request",
        "the server that it is to join keeps its data in sqlite, which cannot be joined: run "
        "playbooks/cluster.yml without --limit, which turns these data into etcd first",
    ),
    (
        r"cluster ID mismatch",
        "this server has etcd data of another cluster: reset it (it loses what only it holds), and it joins "
        "as a new server",
    ),
    (
        r"unable to select an IP from default routes|no default routes found",
        "the machine has no default route: add one, a dummy one in a closed network, or write node-ip",
    ),
    (
        r"critical configuration (value )?mismatch",
        "this server's settings differ from those of the running servers in a key that must be equal on all",
    ),
    (
        r"must share the same IP version",
        "the addresses are of different families: cluster-cidr, service-cidr and node-ip must all be IPv4, "
        "all IPv6, or all of both",
    ),
    (
        r"encrypted with different token|token of the configuration does not match",
        "the datastore was made with another token: write the one that the first server was started with "
        "(server/token below k3s's data folder on a server that ran)",
    ),
    (
        r"failed to normalize .*token|invalid token format|token is not of the form",
        "the token has no form that k3s takes: write the password alone, or the whole of "
        "K10<hash>::server:<password>",
    ),
    (
        r"token CA hash does not match|not authorized: the token|failed to validate token"
        r"|(CA certs|/cacerts).*(401|[Uu]nauthorized)",
        "the token is not that of the cluster: all nodes need the one that the first server was started with",
    ),
    (
        r"x509: (certificate is valid for .*, not |cannot validate certificate for .* any IP SANs)",
        "the server's certificate does not name the address at which it is asked: write that address as "
        "k3s_api_address, or into tls-san of k3s_server_config",
    ),
    (
        r"certificate has expired or is not yet valid.* is before ",
        "a clock is wrong, so that a certificate is not valid yet: synchronise the time of all machines "
        "(chrony, systemd-timesyncd)",
    ),
    (
        r"certificate has expired or is not yet valid",
        "a certificate has expired, or the clocks of the machines differ: compare `date` on each; k3s renews "
        "its certificates when it starts in their last months",
    ),
    (
        r"Exec format error",
        "the program is of another processor, or was cut off: compare `uname -m` with k3s_binary_arch, "
        "remove /usr/local/bin/k3s-<version>, and run again",
    ),
    (
        r"(Failed to execute|Failed at step EXEC).*Permission denied",
        "the program may not be run: the file system of /usr/local/bin is mounted with noexec, or SELinux "
        "forbids it (restorecon -v /usr/local/bin/k3s*)",
    ),
    (
        r"database disk image is malformed|file is not a database",
        "the sqlite datastore is damaged, as after a power failure: restore server/db below k3s's data "
        "folder from a backup",
    ),
    (
        r"walpb: crc mismatch|snap: .*(corrupt|crc mismatch)",
        "etcd's data on this server are damaged, as after a power failure: where other servers have them, "
        "remove this node (kubectl delete node NAME, on another server), reset it, and let it join anew",
    ),
    (
        r"mvcc: database space exceeded",
        "etcd has reached its limit of space: raise it (etcd-arg: [quota-backend-bytes=8589934592]), then "
        "compact and defragment it",
    ),
    (
        r"proxyconnect tcp|Proxy Authentication Required",
        "the proxy in k3s's environment does not answer, or refuses: correct its address, or name the nodes' "
        "network in NO_PROXY (k3s_environment)",
    ),
    (
        r"fuse-overlayfs not functional",
        "the snapshotter fuse-overlayfs needs the kernel module fuse and a kernel of 4.18 or newer: write "
        "another snapshotter in the configuration",
    ),
    (
        r"snapshotter cannot be enabled for",
        "the file system under k3s's data folder cannot carry overlayfs (as ZFS, NFS, or an overlay itself): "
        "put the folder on ext4 or xfs, or write another snapshotter in the configuration",
    ),
    (
        r"flannel.*operation not supported",
        "the kernel has no vxlan (or wireguard, where flannel-backend says so): install the distribution's "
        "further kernel modules (Ubuntu on a Raspberry Pi: linux-modules-extra-raspi)",
    ),
    (
        r"flannel.*address already in use",
        "another VXLAN interface holds flannel's port, as one that another network plugin left: "
        "`ip -details link show type vxlan` names it",
    ),
    (
        r"(unable|failed) to find (the )?interface",
        "flannel-iface names a network interface that this machine does not have, or that has no address",
    ),
    (
        r"open /dev/kmsg",
        "the kubelet needs /dev/kmsg, which this container does not have: the computer under it must give it",
    ),
    (
        r"too many open files|([Ii]notify|fsnotify).*no space left on device",
        "a limit of the kernel for watched files is used up: raise fs.inotify.max_user_instances and "
        "fs.inotify.max_user_watches (node_sysctls)",
    ),
    (
        r"nodeIP (can't|must)|[Nn]ode IP: .* not found in the host's network interfaces",
        "node-ip is not an address that a node can have (loopback, link-local, or another machine's): write "
        "one by which the other nodes reach this machine",
    ),
    (
        r"running with swap on is not supported",
        'swap is on and fail-swap-on is true: write node_swap: "off", or take that argument out',
    ),
    (
        r"not run on a host using cgroup v1",
        "the machine uses cgroup v1, which Kubernetes 1.35 and newer refuse: boot it with cgroup v2, or "
        "write fail-cgroupv1=false into kubelet-arg",
    ),
    (
        r"failed to find (cpu|cpuset|memory) cgroup",
        "a cgroup controller is off: add cgroup_enable=memory (or cpuset) to the kernel's command line, and "
        "reboot",
    ),
    (
        r"unknown (flag|setting|key)\b|flag provided but not defined"
        r"|invalid (argument|value) \\?\".*\\?\" for ",
        "k3s refuses a setting in its configuration",
    ),
    (
        r"/(sys|proc)/\S+: read-only file system",
        "the container in which k3s runs may not change the kernel's settings: it has to be privileged",
    ),
    (
        r"read-only file system",
        "a file system that k3s writes to is mounted read-only, as after an error of the disk: see `dmesg`",
    ),
    (
        r"no space left on device|database or disk is full",
        "the disk is full",
    ),
    (
        r"building kine",
        "the database does not take k3s: check the address, the account and the password in "
        "datastore-endpoint, and that the database runs",
    ),
    (
        r"listen .*address already in use|bind: address already in use",
        "another program holds a port that k3s needs: see `ss -ltnp` for who",
    ),
    (
        r"oom-kill|killed by the OOM killer|Out of memory: Killed",
        "the machine has too little memory",
    ),
)
# Messages that also a successful start writes, while parts on the machine wait for each other. They count
# only if they are about another machine, or if k3s says that it could not get something from one.
FAILED_CALL = (
    r"(connection refused|no route to host|i/o timeout|context deadline exceeded|network is unreachable"
    r"|connection reset by peer)"
)
UNKNOWN_NAME = (
    r"(to get CA certs|/cacerts).*lookup \S+( on \S+)?: (no such host|server misbehaving)",
    "the name of a server cannot be looked up on this machine: write an address as k3s_api_address or "
    "node-ip, or add the name to /etc/hosts",
)
STRANGER = (
    r"(to get CA certs|/cacerts).*server gave HTTP response to HTTPS client",
    "another program answers at the address of the server: check k3s_api_address and https-listen-port",
)
UNREACHABLE = (
    rf"(to get CA certs|/cacerts).*{FAILED_CALL}|dial tcp (?!127\.|\[::1\])\S+: (connect: )?{FAILED_CALL}",
    "a server cannot be reached: does k3s run there, is port 6443 (2379-2380 between servers) open?",
)
START = re.compile(r"Starting k3s\S*\.service")
# How a process says why it ends: logrus, etcd's log, a panic of Go, klog's fatal lines, and k3s since 1.34,
# which does not always give the reason.
SHUTDOWN = "Shutdown request received"
FATAL = re.compile(
    rf"level=(fatal|panic)|\"level\":\"(fatal|panic)\"|^panic: |^F\d{{4}} |{SHUTDOWN}|Failed to run kubelet"
    r"|Failed (to execute|at step EXEC)|result 'oom-kill'"
)
ERROR = re.compile(r"level=(fatal|error)|^[EF]\d{4} |\b(fatal|panic|error)\b", re.IGNORECASE)


def last_attempt(journal: Sequence[str]) -> list[str]:
    """Return the lines of the last start.

    A start that has just begun and wrote nothing yet does not count.
    """
    starts = [index for index, line in enumerate(journal) if START.match(line)]
    for index in reversed(starts):
        lines = list(journal[index:])
        if likely_cause(lines) or any(ERROR.search(line) for line in lines):
            return lines
    return list(journal)


def likely_cause(journal: Sequence[str]) -> str | None:
    """Return the likely cause, or None: no cause is better than a wrong one.

    If there is a line with which the process ended, it decides, and what is above it is not asked.
    """
    fatal = [line for line in journal if FATAL.search(line)]
    errors = [line for line in journal if ERROR.search(line)]
    decided = any(SHUTDOWN not in line for line in fatal)
    for lines in (fatal,) if decided else (fatal, errors, journal):
        cause = _last_known(lines, CAUSES)
        if cause:
            return cause
    return _last_known(fatal or journal, [UNKNOWN_NAME, STRANGER, UNREACHABLE])


def _last_known(lines: Sequence[str], causes: Sequence[tuple[str, str]]) -> str | None:
    for line in reversed(lines):
        for pattern, meaning in causes:
            if re.search(pattern, line):
                return meaning
    return None


def telling_lines(journal: Sequence[str], count: int = 8) -> list[str]:
    """Return the last errors without repetitions, and those that ended the process; else the last lines."""
    errors = list(dict.fromkeys(line for line in journal if ERROR.search(line) or FATAL.search(line)))
    if not errors:
        return list(journal)[-count:]
    fatal = [line for line in errors if FATAL.search(line)][-count:]
    others = [line for line in errors if line not in fatal]
    shown = {*fatal, *others[len(others) - count + len(fatal) :]}
    return [line for line in errors if line in shown]


def node_sentences(absent: Sequence[str], nodes: Sequence[Node]) -> list[str]:
    """Return a sentence about each node that is waited for, from the API."""
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
            conditions = "; ".join(f"{each['type']}: {each['message']}" for each in bad)
            sentences.append(f"{name} is not Ready" + (f" ({conditions})" if conditions else ""))
        else:
            sentences.append(f"{name} was Ready before; its kubelet was not heard of since the restart")
    return sentences


def read_warnings(run: Run, paths: Paths, count: int = 5) -> list[str]:
    """Return the last warnings among the cluster's events."""
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
    """Return one message: what is missing, the likely cause, and the lines that show it."""
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
