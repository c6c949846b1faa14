"""Wrong inventories for AWS are refused before anything is made there. moto plays AWS."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import playing
import pytest
import yaml
from playing import ROOT, play
from tests.support import aws

MACHINES = ROOT / "playbooks" / "machines.yml"
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

# What is wrong with an inventory that is right otherwise, and what has to be said. Only the last needs AWS;
# the rules for the others have a table of their own (tests/unit/rules/aws.yaml).
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "ssh_open_to_the_world": (
        {"aws_machines_operators": ["0.0.0.0/0"]},
        ["opens ssh and the API of Kubernetes to the whole internet", "aws_machines_open_to_the_world: true"],
    ),
    "no_image": (
        {"aws_machines_image": ""},
        ["aws_machines_image is empty", "write the id of an image in that region"],
    ),
    "all_that_aws_does_not_have": (
        {
            "aws_machines_image": "ami-0123456789abcdef0",
            "aws_machines_key_pair": "nobodys",
            "aws_machines_subnet": "subnet-0123456789abcdef0",
        },
        [
            "there is no image ami-0123456789abcdef0 in eu-central-1",
            "there is no key pair nobodys in eu-central-1",
            "there is no subnet subnet-0123456789abcdef0 in eu-central-1",
        ],
    ),
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with aws.played() as address:
        yield address


@pytest.fixture(autouse=True)
def played_aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment(endpoint).items():
        monkeypatch.setitem(playing.ENVIRONMENT, name, value)


def written(folder: Path, image: str, **changes: Any) -> Path:
    """Copy inventories/aws, and fill it in: as a person does, with these changes."""
    inventory = folder / "mine"
    shutil.copytree(ROOT / "inventories" / "aws", inventory, ignore=shutil.ignore_patterns(".state"))
    variables = inventory / "group_vars" / "k3s_cluster" / "aws_machines.yml"
    right = {
        **yaml.safe_load(variables.read_text()),
        "aws_machines_image": image,
        "aws_machines_operators": ["198.51.100.7/32"],
        "aws_machines_wait_for_ssh": False,
    }
    variables.write_text(yaml.safe_dump({**right, **changes}))
    return inventory


def made(endpoint: str) -> tuple[int, list[str]]:
    """How many machines there are, and the names of the security groups."""
    client = aws.ec2(endpoint)
    instances = [each for group in client.describe_instances()["Reservations"] for each in group["Instances"]]
    return len(instances), sorted(
        group["GroupName"] for group in client.describe_security_groups()["SecurityGroups"]
    )


def assert_refused(endpoint: str, inventory: Path, says: list[str]) -> None:
    before = made(endpoint)
    outcome = play(MACHINES, inventory)
    assert outcome.code == 2, outcome.said
    for part in says:
        assert part in outcome.said, outcome.said
    assert outcome.changed_nothing
    assert made(endpoint) == before
    # The passwords of the hub are generated when they are first looked at; nothing of machines may be there.
    assert not [path for name in ("ssh", "aws") for path in inventory.glob(f".state/aws/{name}")]


@pytest.mark.parametrize(("changes", "says"), CASES.values(), ids=CASES)
def test_inventory_is_refused(
    endpoint: str, changes: dict[str, Any], says: list[str], tmp_path: Path
) -> None:
    assert_refused(endpoint, written(tmp_path, aws.an_image(aws.ec2(endpoint)), **changes), says)


def test_example_is_refused_until_it_is_filled_in(endpoint: str, tmp_path: Path) -> None:
    inventory = tmp_path / "mine"
    shutil.copytree(ROOT / "inventories" / "aws", inventory, ignore=shutil.ignore_patterns(".state"))
    assert_refused(endpoint, inventory, ["aws_machines_image is empty", "aws_machines_operators is empty"])


def test_inventory_without_a_region(endpoint: str, tmp_path: Path) -> None:
    inventory = written(tmp_path, "ami-0123456789abcdef0")
    plugin = inventory / "aws_ec2.yml"
    plugin.write_text(plugin.read_text().replace("regions: [eu-central-1]", "regions: []"))
    assert_refused(endpoint, inventory, ["aws_machines_region is empty: write the region into aws_ec2.yml"])


def test_nobody_logged_in(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CREDENTIALS:
        monkeypatch.delitem(playing.ENVIRONMENT, name)
    assert_refused(
        endpoint,
        written(tmp_path, "ami-0123456789abcdef0"),
        [
            "AWS does not take this computer's credentials",
            "set AWS_PROFILE",
            "Never write them into the inventory",
        ],
    )


def test_machine_and_firewall_of_somebody_else(endpoint: str, tmp_path: Path) -> None:
    client = aws.ec2(endpoint)
    image = aws.an_image(client)
    tags = [{"Key": "Name", "Value": "metalworks-1"}, {"Key": "metalworks", "Value": "aws"}]
    (theirs,) = client.run_instances(
        MinCount=1,
        MaxCount=1,
        ImageId=image,
        InstanceType="m6i.large",
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"]
    group = client.create_security_group(
        GroupName="metalworks-aws", Description="theirs", VpcId=theirs["VpcId"]
    )["GroupId"]
    try:
        assert_refused(
            endpoint,
            written(tmp_path, image),
            [
                f"host metalworks-1: the platform has a machine of that name ({theirs['InstanceId']})",
                f"there is a security group metalworks-aws ({group}) already",
                "which this inventory did not make",
            ],
        )
    finally:
        client.terminate_instances(InstanceIds=[theirs["InstanceId"]])
        client.delete_security_group(GroupId=group)


def test_playbook_alone_before_the_machines_are_made(endpoint: str, tmp_path: Path) -> None:
    inventory = written(tmp_path, aws.an_image(aws.ec2(endpoint)))
    outcome = play(ROOT / "playbooks" / "verify.yml", inventory)
    assert outcome.code == 2, outcome.said
    assert "metalworks-1 cannot be reached: AWS has no running machine of that name" in outcome.said
    assert "run playbooks/machines.yml with this inventory" in outcome.said
    assert outcome.changed_nothing


def test_secret_of_the_credentials_is_shown_nowhere(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run as wordy as it gets, up to its refusal behind the first calls to AWS."""
    monkeypatch.setitem(playing.ENVIRONMENT, "AWS_SECRET_ACCESS_KEY", "a-secret-of-aws")
    monkeypatch.setitem(playing.ENVIRONMENT, "ANSIBLE_VERBOSITY", "4")
    outcome = play(MACHINES, written(tmp_path, "ami-0123456789abcdef0"))
    assert "there is no image ami-0123456789abcdef0" in outcome.said
    assert "a-secret-of-aws" not in outcome.output
