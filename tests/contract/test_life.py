"""A service's life: restarts that pods do not notice, joins that are refused."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from tests.support.waiting import wait_for

from .conftest import ANSWER_SECONDS, CONFIG, TRIED, Cluster, Machine


@pytest.fixture(params=["server", "agent"])
def machine(request: pytest.FixtureRequest) -> Machine:
    return request.getfixturevalue(request.param)


def containers(server: Machine, node: str) -> dict[str, str]:
    """The containers of a node's pods, by pod."""
    shown = server.run(f"k3s kubectl get pods -A --field-selector=spec.nodeName={node} -o json")
    return {
        pod["metadata"]["uid"]: status["containerID"]
        for pod in json.loads(shown)["items"]
        for status in pod["status"].get("containerStatuses", [])
        if "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] == "Running"
    }


def ready(server: Machine, node: str) -> bool:
    shown = server.answer(f"k3s kubectl wait --for=condition=Ready node/{node} --timeout={ANSWER_SECONDS}s")
    return bool(shown.rc == 0)


RESTARTS = {"restart": "systemctl restart {unit}", "crash": "systemctl kill -s KILL --kill-whom=main {unit}"}


@pytest.mark.parametrize("how", RESTARTS)
def test_pods_outlive_the_service(machine: Machine, server: Machine, cluster: Cluster, how: str) -> None:
    name = f"{how}-{machine.unit}"
    address = cluster.pod(name, machine.node)
    before = containers(server, machine.node)
    main = machine.run(f"systemctl show -P MainPID {machine.unit}")
    machine.run(RESTARTS[how].format(unit=machine.unit))

    def is_back() -> bool:
        active = machine.answer(f"systemctl is-active {machine.unit}").rc == 0
        return active and machine.run(f"systemctl show -P MainPID {machine.unit}") != main

    wait_for(is_back, f"{machine.unit} did not come back")
    wait_for(lambda: ready(server, machine.node), f"{machine.node} is not Ready")
    after = containers(server, machine.node)
    assert {uid: after.get(uid) for uid in before} == before
    assert machine.run(f"curl -s --max-time {ANSWER_SECONDS} http://{address}:8080/").strip() == name


def test_nothing_but_pods_outlives_a_stop(agent: Machine, server: Machine) -> None:
    agent.run("systemctl stop k3s-agent")
    try:
        left = agent.run("ps -eo comm= | sort -u").split()
        assert not {"k3s", "kubelet", "kube-proxy", "containerd"} & set(left)
    finally:
        agent.start()
    wait_for(lambda: ready(server, agent.node), f"{agent.node} is not Ready")


JOINS = {
    "another secret": (
        "agent",
        {"token": "another-secret"},
        "not authorized|not valid|Unauthorized",
    ),
    "the token of another cluster": ("agent", {"token": "K10" + "0" * 64 + "::server:secret"}, "CA hash"),
    "a name that is taken": ("agent", {"node-name": "{server}"}, "Node password rejected"),
    # If it were not refused, a server would run on a machine that is to be an agent.
    "a server of another network, or of a cluster with one": pytest.param(
        "server",
        {"disable": ["traefik", "servicelb"], "flannel-backend": "host-gw", "cluster-cidr": "10.99.0.0/16"},
        "cluster-init|critical configuration|etcd disabled",
        marks=pytest.mark.stand_in,
    ),
}


@pytest.mark.parametrize(("role", "settings", "told"), JOINS.values(), ids=JOINS.keys())
def test_a_join_is_refused(
    server: Machine, agent: Machine, role: str, settings: dict[str, object], told: str
) -> None:
    config = agent.config
    token = config.get("token") or agent.read(config["token-file"]).strip()
    joining = {"server": config["server"], "token": token, "node-name": agent.node, **settings}
    joining["data-dir"] = TRIED
    joining["node-name"] = str(joining["node-name"]).format(server=server.node)
    if "node-ip" in config:
        joining["node-ip"] = config["node-ip"]
    agent.write("/tmp/contract.yaml", json.dumps(joining))
    agent.run("systemctl stop k3s-agent")
    try:
        command = f"timeout 40 k3s {role} --config /tmp/contract.yaml"
        said = agent.run(f"{command} > /tmp/contract.log 2>&1", fails=True)
        said += agent.read("/tmp/contract.log")
        assert any(part in said for part in told.split("|")), said[-2000:]
    finally:
        agent.run(f"rm -rf /tmp/contract.yaml /tmp/contract.log {TRIED}")
        agent.start()
    wait_for(lambda: ready(server, agent.node), f"{agent.node} is not Ready")


def test_a_deleted_node_may_come_back_as_another_machine(server: Machine, agent: Machine) -> None:
    secret = f"secret/{agent.node}.node-password.k3s"
    found = json.loads(server.run(f"k3s kubectl get node {agent.node} -o json"))
    # What an administrator has set on the node is put back: a new node has only what the agent's files say.
    taints = [taint for taint in found["spec"].get("taints", []) if "timeAdded" not in taint]
    set_on_it = {
        "metadata": {"labels": found["metadata"]["labels"]},
        "spec": {"taints": taints or None, "unschedulable": found["spec"].get("unschedulable")},
    }
    agent.run("systemctl stop k3s-agent")
    try:
        server.run(f"k3s kubectl delete node {agent.node}")
        gone = f"k3s kubectl get -n kube-system {secret} --ignore-not-found -o name"
        wait_for(lambda: server.run(gone) == "", "the password of the deleted node is still kept")
        agent.run("rm /etc/rancher/node/password")
    finally:
        agent.start()
    wait_for(lambda: ready(server, agent.node), f"{agent.node} is not Ready")
    server.run(f"k3s kubectl patch node {agent.node} --patch {shlex.quote(json.dumps(set_on_it))}")


DROP_IN = """\
no-such-key: [a, b]
snapshotter: [native, {snapshotter}]
node-label+: [contract.test/patched=yes]
node-taint+: ["contract.test/late=yes:PreferNoSchedule"]
"""


@pytest.fixture(scope="module")
def restarted(server: Machine, agent: Machine) -> Iterator[str]:
    """Restart an agent with one more file beside its configuration; return what it said."""
    path = f"{CONFIG}.d/zz-contract.YML"
    agent.write(path, DROP_IN.format(snapshotter=agent.config.get("snapshotter", "overlayfs")))
    try:
        yield agent.restart()
    finally:
        agent.run(f"rm -f {path}")
        agent.restart()
        server.run(f"k3s kubectl label node {agent.node} contract.test/patched-")


def test_a_key_that_k3s_does_not_have_is_skipped_with_a_warning(restarted: str) -> None:
    assert "Unknown flag --no-such-key found in config.yaml, skipping" in restarted


def test_the_last_of_several_values_counts(restarted: str, agent: Machine) -> None:
    assert agent.answer("systemctl is-active k3s-agent").rc == 0, restarted[-2000:]
    wanted = agent.config.get("snapshotter", "overlayfs")
    assert wanted in agent.read(f"{agent.data}/agent/etc/containerd/config.toml")


def test_labels_count_at_every_start_and_taints_at_registration(
    restarted: str, server: Machine, agent: Machine
) -> None:
    def node() -> dict[str, dict[str, object]]:
        return json.loads(server.run(f"k3s kubectl get node {agent.node} -o json"))

    def labelled() -> bool:
        labels = node()["metadata"]["labels"]
        return isinstance(labels, dict) and labels.get("contract.test/patched") == "yes"

    wait_for(labelled, "the label of the configuration is not on the node")
    assert "contract.test/late" not in json.dumps(node()["spec"])


@pytest.fixture
def archive(agent: Machine) -> Iterator[str]:
    """Return an archive of images on the agent, which is left with or without a cache, as it was found."""
    folder = f"{agent.data}/agent/images"
    names = [name for name in agent.run(f"ls {folder} 2>/dev/null || true").split() if ".tar" in name]
    if not names:
        pytest.skip("this node was given no archive")
    cached = agent.answer(f"test -e {folder}/.cache.json").rc == 0
    yield f"{folder}/{names[0]}"
    if not cached:
        agent.run(f"rm -f {folder}/.cache.json")
        agent.restart()


def test_archives_are_imported_at_every_start(agent: Machine, archive: str) -> None:
    # The unit of the roles makes a cache at each start; here it makes none.
    drop_in = "/run/systemd/system/k3s-agent.service.d/contract.conf"
    agent.write(drop_in, "[Service]\nExecStartPre=\n")
    agent.run(f"systemctl daemon-reload; rm -f {PurePosixPath(archive).parent}/.cache.json")
    try:
        assert f"Imported images from {archive}" in agent.restart()
        assert f"Imported images from {archive}" in agent.restart()
    finally:
        agent.run(f"rm -f {drop_in}; systemctl daemon-reload")
        agent.restart()


def test_an_archive_that_a_cache_names_is_imported_when_it_changes(agent: Machine, archive: str) -> None:
    cache, imported = f"{PurePosixPath(archive).parent}/.cache.json", f"Imported images from {archive}"
    agent.run(f": > {cache}")
    assert imported in agent.restart()
    assert imported not in agent.restart()
    assert {"images", "modTime", "size"} == set(json.loads(agent.read(cache))[archive])
    assert "io.cri-containerd.pinned=pinned" in agent.run("k3s ctr images ls")
    # The size is the same, as it may be of another release's archive.
    agent.run(f"touch {archive}")
    assert imported in agent.restart()
