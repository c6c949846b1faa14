"""Who tries what, and what the answers mean."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.filter.reach import reach_problems, reach_targets

PODS = "10.42.0.0/16"
HOSTS = ["server-1", "server-2", "agent-1"]
ADDRESSES = {"server-1": "192.0.2.1", "server-2": "192.0.2.2", "agent-1": "192.0.2.11"}


def spot(address: str, number: int, protocol: str = "tcp", **more: Any) -> dict[str, Any]:
    given = {"servers_only": False, "pods": False, "held": False, **more}
    return {"address": address, "number": number, "protocol": protocol, **given}


def look(host: str, **more: Any) -> dict[str, Any]:
    role = "server" if host.startswith("server") else "agent"
    spots = [spot(ADDRESSES[host], 10250, pods=True), spot(ADDRESSES[host], 8472, "udp")]
    if role == "server":
        spots += [spot(ADDRESSES[host], 6443, pods=True), spot(ADDRESSES[host], 2379, servers_only=True)]
    return {"reach": {"role": role, "spots": spots, "key": f"key of {host}", "firewall": "", **more}}


def hostvars(**given: dict[str, Any]) -> dict[str, Any]:
    """Three machines that listened to the end, with what is `given` of one of them (`-` as `_`)."""
    return {
        host: {
            "__preflight_look": look(host),
            "__preflight_tried": {"closed": [], "closed_to_pods": []},
            "__preflight_ended": {"key": f"key of {host}"},
            **given.get(host.replace("-", "_"), {}),
        }
        for host in HOSTS
    }


def closed(host: str, *numbers: int, how: str = "timed out", **more: Any) -> list[dict[str, Any]]:
    spots = [each for each in look(host)["reach"]["spots"] if each["number"] in numbers]
    return [{"host": host, **each, "how": how, **more} for each in spots]


def tried(spots: Any = (), pods: Any = ()) -> dict[str, Any]:
    return {"__preflight_tried": {"closed": list(spots), "closed_to_pods": list(pods)}}


def names(targets: list[Any]) -> list[str]:
    return [f"{each['host']} {each['number']}" for each in targets]


def test_a_server_tries_all_ports_of_the_others() -> None:
    found = names(reach_targets(HOSTS, hostvars(), "server-1")["others"])
    assert found == [
        *("server-2 10250", "server-2 8472", "server-2 6443", "server-2 2379"),
        *("agent-1 10250", "agent-1 8472"),
    ]


def test_an_agent_needs_no_etcd() -> None:
    found = names(reach_targets(HOSTS, hostvars(), "agent-1")["others"])
    assert "server-1 6443" in found
    assert not [each for each in found if each.endswith("2379")]


def test_a_pod_tries_the_ports_of_its_node() -> None:
    assert [each["number"] for each in reach_targets(HOSTS, hostvars(), "server-1")["pods"]] == [10250, 6443]
    assert [each["number"] for each in reach_targets(HOSTS, hostvars(), "agent-1")["pods"]] == [10250]


def test_a_datagram_to_a_port_that_k3s_holds_is_not_tried() -> None:
    running = look("server-2", key="")
    running["reach"]["spots"] = [{**each, "held": True} for each in running["reach"]["spots"]]
    found = names(reach_targets(HOSTS, hostvars(server_2={"__preflight_look": running}), "agent-1")["others"])
    assert "server-2 10250" in found
    assert "server-2 8472" not in found


def test_addresses_of_a_family_that_the_machine_lacks_are_not_tried() -> None:
    both = look("server-2")
    both["reach"]["spots"].append(spot("2001:db8::2", 6443))
    variables = hostvars(server_2={"__preflight_look": both})
    others = reach_targets(HOSTS, variables, "agent-1")["others"]
    assert "2001:db8::2" not in {each["address"] for each in others}
    variables["agent-1"]["__preflight_look"]["reach"]["spots"].append(spot("2001:db8::11", 10250))
    others = reach_targets(HOSTS, variables, "agent-1")["others"]
    assert "2001:db8::2" in {each["address"] for each in others}


def test_a_machine_that_did_not_answer_is_left_out() -> None:
    variables = hostvars(
        server_2={"__preflight_look": {"unreachable": True}}, agent_1={"__preflight_look": {}}
    )
    assert reach_targets(HOSTS, variables, "server-1")["others"] == []
    assert reach_targets(HOSTS, variables, "agent-1") == {"others": [], "pods": []}
    assert reach_problems(HOSTS, variables, PODS) == []


def test_open_doors_are_no_problem() -> None:
    assert reach_problems(HOSTS, hostvars(), PODS) == []


@pytest.mark.parametrize(
    ("firewall", "remedies"),
    [
        ("ufw", ["`ufw allow from 192.0.2.11`"]),
        (
            "firewalld",
            ["`firewall-cmd --permanent --zone=trusted --add-source=192.0.2.11`", "`firewall-cmd --reload`"],
        ),
        ("", ["`ip saddr 192.0.2.11 accept`", "in the chain with the hook input"]),
    ],
)
def test_what_is_closed_is_said_with_its_remedy(firewall: str, remedies: list[str]) -> None:
    variables = hostvars(
        server_1={"__preflight_look": look("server-1", firewall=firewall)},
        agent_1=tried(closed("server-1", 10250, 8472)),
    )
    (sentence,) = reach_problems(HOSTS, variables, PODS)
    assert (
        "host server-1: its ports 8472/udp, 10250/tcp cannot be reached by agent-1 (192.0.2.11)" in sentence
    )
    assert all(remedy in sentence for remedy in remedies)
    assert "a router or a cloud's rules between the machines" in sentence


def test_who_knows_better_leaves_the_rule_out() -> None:
    variables = hostvars(agent_1=tried(closed("server-1", 10250)))
    (sentence,) = reach_problems(HOSTS, variables, PODS)
    assert sentence.endswith(" [machines_reach_each_other]")
    assert reach_problems(HOSTS, variables, PODS, ["machines_reach_each_other"]) == []


def test_who_is_kept_from_the_same_ports_is_said_at_once() -> None:
    variables = hostvars(agent_1=tried(closed("server-1", 10250)), server_2=tried(closed("server-1", 10250)))
    (sentence,) = reach_problems(HOSTS, variables, PODS)
    assert "cannot be reached by server-2 (192.0.2.2), agent-1 (192.0.2.11)" in sentence


def test_pods_that_are_kept_out_are_said_without_a_router() -> None:
    pods = [{**each, "how": "timed out"} for each in look("server-1")["reach"]["spots"] if each["pods"]]
    (sentence,) = reach_problems(HOSTS, hostvars(server_1=tried(pods=pods)), PODS)
    assert "host server-1: its ports 6443/tcp, 10250/tcp cannot be reached by pods (10.42.0.0/16)" in sentence
    assert "router" not in sentence


def test_a_missing_route_is_the_trying_machines_matter() -> None:
    spots = closed("server-1", 10250, 8472, how="no route")
    (sentence,) = reach_problems(HOSTS, hostvars(agent_1=tried(spots)), PODS)
    assert sentence.startswith("host agent-1: it has no route to 192.0.2.1 of server-1")


@pytest.mark.parametrize("ended", [{}, {"key": ""}, {"key": "of another run"}])
def test_silence_of_a_machine_that_did_not_listen_to_the_end_means_nothing(ended: dict[str, str]) -> None:
    variables = hostvars(server_1={"__preflight_ended": ended}, agent_1=tried(closed("server-1", 10250)))
    assert reach_problems(HOSTS, variables, PODS) == []


def test_silence_of_a_program_that_listens_anyway_means_something() -> None:
    variables = hostvars(
        server_1={"__preflight_ended": {}}, agent_1=tried(closed("server-1", 10250, held=True))
    )
    assert len(reach_problems(HOSTS, variables, PODS)) == 1
