"""moto plays AWS: what the role makes there, what the inventory sees of it, and what is removed of it.

The scenario's own steps have shown that check mode passes before anything is there, and that a second run
changes nothing. No machine runs: ssh is never tried.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support import aws
from tests.support.playbooks import Outcome, play

SCENARIO = Path(__file__).parents[1]
INVENTORY = SCENARIO / "inventory"
STATE = INVENTORY / ".state" / "aws"


@pytest.fixture(scope="module")
def ec2() -> Any:
    return aws.ec2(os.environ["AWS_ENDPOINT_URL"])


def machines(ec2: Any) -> dict[str, Any]:
    """The machines that are not gone, by their names."""
    states = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    found = ec2.describe_instances(Filters=states)["Reservations"]
    return {tags(each).get("Name", ""): each for group in found for each in group["Instances"]}


def tags(thing: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}


def firewall(ec2: Any) -> list[dict[str, Any]]:
    wanted = [{"Name": "group-name", "Values": ["metalworks-aws"]}]
    return ec2.describe_security_groups(Filters=wanted)["SecurityGroups"]


def run(playbook: str, *options: str, **variables: Any) -> Outcome:
    """Run a playbook of the scenario as a person would."""
    return play(SCENARIO / playbook, INVENTORY, *options, **variables)


def listed(*options: str) -> dict[str, Any]:
    """What `ansible-inventory --list` answers."""
    done = subprocess.run(
        ["ansible-inventory", *options, "--list"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def plain(value: Any) -> Any:
    """A value without the mark by which Ansible says that it came from outside."""
    return value["__ansible_unsafe"] if isinstance(value, dict) and "__ansible_unsafe" in value else value


def test_machine_is_as_the_inventory_says(ec2: Any) -> None:
    found = machines(ec2)
    assert {name: each["InstanceType"] for name, each in found.items()} == {
        "cloud-1": "m6i.large",
        "cloud-2": "m6i.xlarge",
    }
    for each in found.values():
        assert each["State"]["Name"] == "running"
        assert each["MetadataOptions"]["HttpTokens"] == "required"
        assert each["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
        assert [group["GroupName"] for group in each["SecurityGroups"]] == ["metalworks-aws"]
    zones = {each["Placement"]["AvailabilityZone"] for each in found.values()}
    assert len(zones) == 1


def test_disks_are_encrypted_and_go_with_their_machine(ec2: Any) -> None:
    found = ec2.describe_volumes()["Volumes"]
    assert sorted(each["Size"] for each in found) == [50, 80, 80]
    assert all(each["Encrypted"] for each in found)
    for each in machines(ec2).values():
        assert all(disk["Ebs"]["DeleteOnTermination"] for disk in each["BlockDeviceMappings"])


def test_account_is_made_with_the_key_of_this_inventory(ec2: Any) -> None:
    (machine,) = [each for name, each in machines(ec2).items() if name == "cloud-1"]
    answer = ec2.describe_instance_attribute(InstanceId=machine["InstanceId"], Attribute="userData")
    said = base64.b64decode(answer["UserData"]["Value"]).decode()
    assert said.startswith("#cloud-config\n")
    assert (STATE / "ssh" / "id_ed25519.pub").read_text().strip() in said
    assert "PRIVATE KEY" not in said


def test_firewall_lets_in_what_the_inventory_names(ec2: Any) -> None:
    (group,) = firewall(ec2)
    opened = {
        (rule.get("FromPort"), each.get("CidrIp") or each.get("CidrIpv6"))
        for rule in group["IpPermissions"]
        for each in [*rule["IpRanges"], *rule["Ipv6Ranges"]]
    }
    assert opened == {
        *((port, network) for port in (22, 6443) for network in ("198.51.100.7/32", "2001:db8::/48")),
        *((port, "198.51.100.0/24") for port in (30080, 30443)),
    }
    among = [rule for rule in group["IpPermissions"] if rule["UserIdGroupPairs"]]
    assert [(rule["IpProtocol"], rule["UserIdGroupPairs"][0]["GroupId"]) for rule in among] == [
        ("-1", group["GroupId"])
    ]


def test_tags_become_groups_and_addresses_those_that_k3s_needs(ec2: Any) -> None:
    found = listed("--inventory", str(INVENTORY))
    assert found["k3s_server"]["hosts"] == ["cloud-1"]
    assert found["k3s_agent"]["hosts"] == ["cloud-2"]
    for name, each in machines(ec2).items():
        its = {key: plain(value) for key, value in found["_meta"]["hostvars"][name].items()}
        assert its["ansible_host"] == each["PublicIpAddress"]
        assert its["k3s_server_node_ip"] == its["k3s_agent_node_ip"] == each["PrivateIpAddress"]


def test_tags_alone_are_enough_for_machines_that_others_made() -> None:
    """Without hosts.yml, as for machines of Terraform with the same tags."""
    found = listed("--inventory", str(INVENTORY / "aws_ec2.yml"))
    assert found["k3s_server"]["hosts"] == ["cloud-1"]
    assert found["k3s_agent"]["hosts"] == ["cloud-2"]


def test_ssh_knows_the_machines_key_before_the_first_connection(ec2: Any) -> None:
    known = (STATE / "ssh" / "known_hosts").read_text()
    for each in machines(ec2).values():
        assert f"{each['PublicIpAddress']} {aws.HOST_KEY}" in known
    assert (STATE / "ssh" / "config").stat().st_mode & 0o077 == 0


class TestLife:
    """One after the other; the last removes what the scenario made."""

    def test_stopped_machine_is_started_and_a_rule_that_somebody_added_is_taken_out(self, ec2: Any) -> None:
        before = machines(ec2)
        ec2.stop_instances(InstanceIds=[before["cloud-2"]["InstanceId"]])
        (group,) = firewall(ec2)
        ec2.authorize_security_group_ingress(
            GroupId=group["GroupId"], IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
        )
        checked = run("converge.yml", "--check").check()
        assert not checked.changed_nothing
        assert machines(ec2)["cloud-2"]["State"]["Name"] == "stopped"
        run("converge.yml").check()
        after = machines(ec2)
        assert after["cloud-2"]["State"]["Name"] == "running"
        assert after["cloud-2"]["InstanceId"] == before["cloud-2"]["InstanceId"]
        networks = [each["CidrIp"] for rule in firewall(ec2)[0]["IpPermissions"] for each in rule["IpRanges"]]
        assert "0.0.0.0/0" not in networks

    def test_only_ours_is_removed(self, ec2: Any) -> None:
        ours = machines(ec2)["cloud-1"]
        common = {"MinCount": 1, "MaxCount": 1, "ImageId": ours["ImageId"], "InstanceType": "m6i.large"}
        for name, its in {
            "another-of-the-platform": {"metalworks": "aws", "metalworks-mark": "theirs"},
            "of-another-platform": {"metalworks": "other"},
        }.items():
            tagged = [{"Key": key, "Value": value} for key, value in {"Name": name, **its}.items()]
            ec2.run_instances(**common, TagSpecifications=[{"ResourceType": "instance", "Tags": tagged}])
        run("remove.yml", "--check").check()
        assert len(machines(ec2)) == 4
        limited = run("remove.yml", "--limit", "cloud-2").check()
        assert "have not the mark of this inventory" in limited.said
        assert set(machines(ec2)) == {"cloud-1", "another-of-the-platform", "of-another-platform"}
        assert firewall(ec2)
        run("remove.yml").check()
        assert set(machines(ec2)) == {"another-of-the-platform", "of-another-platform"}
        assert firewall(ec2) == []
        assert not (STATE / "ssh").exists()
        assert not (STATE / "aws").exists()
