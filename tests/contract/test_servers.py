"""Several servers: one datastore, one loss survived."""

from __future__ import annotations

import json

import pytest
from tests.support.waiting import wait_for

from .conftest import ANSWER_SECONDS, Machine


@pytest.fixture(scope="module")
def three(servers: list[Machine]) -> list[Machine]:
    if len(servers) < 3:
        pytest.skip(f"the inventory has {len(servers)} server(s), the loss of one takes three")
    return servers


def test_every_server_is_a_member_of_the_datastore(three: list[Machine]) -> None:
    nodes = json.loads(three[0].run("k3s kubectl get nodes -o json"))["items"]
    members = [
        node["metadata"]["name"]
        for node in nodes
        if "node-role.kubernetes.io/etcd" in node["metadata"]["labels"]
    ]
    assert sorted(members) == sorted(each.node for each in three)
    for machine in three:
        machine.run(f"test -d {machine.data}/server/db/etcd/member/wal")


def test_all_servers_have_one_token_and_one_ca(three: list[Machine]) -> None:
    files = "server/token server/tls/server-ca.crt"
    assert len({machine.run(f"cd {machine.data} && sha256sum {files}") for machine in three}) == 1


def test_a_joined_server_needs_the_first_no_more(three: list[Machine]) -> None:
    """The others and the agents' nodes do their work while the first is away, and may even restart."""
    first, second, *_ = three
    first.run("systemctl stop k3s")
    try:
        ready = f"k3s kubectl get --raw /readyz --request-timeout={ANSWER_SECONDS}s"
        wait_for(lambda: second.answer(ready).rc == 0, f"the API of {second.node} does not answer")
        second.run("systemctl restart k3s")
        wait_for(lambda: second.answer(ready).rc == 0, f"{second.node} does not start without {first.node}")
        command = "k3s kubectl create configmap contract-loss --dry-run=server"
        wait_for(lambda: second.answer(command).rc == 0, "nothing can be written")
    finally:
        first.start()
    wait_for(
        lambda: (
            first.answer(
                f"k3s kubectl wait --for=condition=Ready node/{first.node} --timeout={ANSWER_SECONDS}s"
            ).rc
            == 0
        ),
        f"{first.node} did not come back",
    )


def test_an_agent_outlives_the_loss_of_its_server(three: list[Machine], agents: list[Machine]) -> None:
    if not agents:
        pytest.skip("the inventory has no agent")
    first, second, *_ = three
    agent = agents[0]
    first.run("systemctl stop k3s")
    try:
        agent.run("systemctl restart k3s-agent")
        command = f"k3s kubectl wait --for=condition=Ready node/{agent.node} --timeout={ANSWER_SECONDS}s"
        wait_for(lambda: second.answer(command).rc == 0, f"{agent.node} did not come back")
    finally:
        first.start()
