"""The hosts of an inventory get the address at which their instance is reached, and nothing else changes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.module_utils.metalworks.multipass.answers import choose_address
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, inventory_loader
from ansible.utils.collection_loader import AnsibleCollectionConfig

ROOT = Path(__file__).resolve().parents[3]
HOSTS = """
k3s_cluster:
  hosts:
    metalworks-1:
    metalworks-2:
ungrouped:
  hosts:
    localhost: {ansible_connection: local}
"""
CONTAINERS = ["10.42.0.0/16", "172.17.0.0/16"]


def running(name: str, *addresses: str, state: str = "Running") -> dict[str, Any]:
    return {"name": name, "state": state, "ipv4": list(addresses), "release": "Ubuntu 24.04 LTS"}


class Folder:
    """An inventory beside a multipass that answers as it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inventory = path / "inventory"
        self.inventory.mkdir()
        (self.inventory / "hosts.yml").write_text(HOSTS)
        self.program = path / "multipass"
        self.reasons: dict[str, str] = {}
        self.names: dict[str, str] = {}

    def answer(self, table: dict[str, list[Any]]) -> None:
        """Answer these words with exit code, output and error output; others with nothing."""
        self.program.write_text(
            f"#!{sys.executable} -IS\nimport sys\n"
            f"code, out, err = {table!r}.get(' '.join(sys.argv[1:]), [9, '', 'not expected'])\n"
            "print(out, end='')\nprint(err, end='', file=sys.stderr)\nsys.exit(code)\n"
        )
        self.program.chmod(0o755)

    def read(self, **options: Any) -> dict[str, str | None]:
        config = {"plugin": "multipass", "group": "k3s_cluster", "executable": str(self.program), **options}
        (self.inventory / "multipass.yml").write_text(json.dumps(config))
        manager = InventoryManager(loader=DataLoader(), sources=[str(self.inventory)])
        hosts = manager.get_hosts()
        self.reasons = {host.name: str(host.vars.get("multipass_unreachable", "")) for host in hosts}
        self.names = {
            host.name: host.vars["multipass_instance"] for host in hosts if "multipass_instance" in host.vars
        }
        return {host.name: host.vars.get("ansible_host") for host in hosts}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader()
    inventory_loader.add_directory(str(ROOT / "plugins" / "inventory"))
    return Folder(tmp_path)


def listed(*entries: dict[str, Any]) -> dict[str, list[Any]]:
    return {"list --format json": [0, json.dumps({"list": entries}), ""]}


def test_running_instance_gives_its_address(folder: Folder) -> None:
    folder.answer(listed(running("metalworks-1", "10.97.0.76"), running("other", "10.97.0.9")))
    assert folder.read() == {"localhost": None, "metalworks-1": "10.97.0.76", "metalworks-2": None}


def test_instance_that_is_not_running_gives_none(folder: Folder) -> None:
    folder.answer(
        listed(
            running("metalworks-1", state="Starting"), running("metalworks-2", "10.97.0.5", state="Deleted")
        )
    )
    assert set(folder.read().values()) == {None}
    assert (
        "metalworks-1 cannot be reached: multipass's instance metalworks-1 is starting"
        in folder.reasons["metalworks-1"]
    )
    assert "instance metalworks-2 is deleted" in folder.reasons["metalworks-2"]


def test_prefix_tells_labs_apart(folder: Folder) -> None:
    folder.answer(listed(running("mine-metalworks-1", "10.97.0.76"), running("metalworks-1", "10.97.0.9")))
    assert folder.read(prefix="mine-")["metalworks-1"] == "10.97.0.76"


def test_host_may_name_its_instance(folder: Folder) -> None:
    (folder.inventory / "hosts.yml").write_text(
        HOSTS.replace("metalworks-1:", "metalworks-1: {multipass_machines_instance: sparrow}")
    )
    folder.answer(listed(running("sparrow", "10.97.0.76"), running("metalworks-1", "10.97.0.9")))
    assert folder.read()["metalworks-1"] == "10.97.0.76"


def test_a_name_may_be_a_template_and_is_handed_on(folder: Folder) -> None:
    named = "{flat: 7, multipass_machines_instance: 'flat-{{ flat }}-{{ inventory_hostname }}'}"
    (folder.inventory / "hosts.yml").write_text(HOSTS.replace("metalworks-1:", f"metalworks-1: {named}"))
    folder.answer(
        listed(running("flat-7-metalworks-1", "10.97.0.76"), running("our-metalworks-2", "10.97.0.9"))
    )
    assert folder.read(prefix="our-") == {
        **{"localhost": None, "metalworks-1": "10.97.0.76"},
        "metalworks-2": "10.97.0.9",
    }
    assert folder.names == {"metalworks-1": "flat-7-metalworks-1", "metalworks-2": "our-metalworks-2"}


def test_address_lies_in_the_network_that_is_asked_for(folder: Folder) -> None:
    folder.answer(listed(running("metalworks-1", "10.97.0.76", "192.168.1.20")))
    assert folder.read(address_in=["192.168.1.0/24"])["metalworks-1"] == "192.168.1.20"
    assert folder.read(address_in=["10.98.0.0/24"])["metalworks-1"] is None
    assert (
        "none of the addresses of metalworks-1 (10.97.0.76, 192.168.1.20) fits"
        in folder.reasons["metalworks-1"]
    )


def test_missing_multipass_leaves_hosts_without_address(folder: Folder) -> None:
    assert set(folder.read(executable=str(folder.path / "none")).values()) == {None}
    assert "multipass is not installed on this computer" in folder.reasons["metalworks-1"]


def test_silent_service_leaves_hosts_without_address(folder: Folder) -> None:
    folder.answer({"list --format json": [3, "", "list failed: cannot connect to the multipass socket\n"]})
    assert set(folder.read().values()) == {None}


@pytest.mark.parametrize(
    "word", ["N/A", "UNKNOWN", "", "--", "169.254.7.8", "fe80::5%2", "127.0.0.1", "0.0.0.0"]
)
@pytest.mark.parametrize("bad", ["metalworks-1", "metalworks-2"])
def test_instance_without_an_address_takes_nothing_from_the_others(
    folder: Folder, word: str, bad: str
) -> None:
    good = "metalworks-2" if bad == "metalworks-1" else "metalworks-1"
    entries = {bad: running(bad, word), good: running(good, "10.97.0.76")}
    folder.answer(listed({"state": "Running"}, *(entries[name] for name in sorted(entries))))
    assert folder.read() == {"localhost": None, bad: None, good: "10.97.0.76"}
    assert folder.reasons == {
        "localhost": "",
        good: "",
        bad: f"{bad} cannot be reached: multipass's instance {bad} has no address yet",
    }


def test_instance_that_cannot_be_read_takes_nothing_from_the_others(folder: Folder) -> None:
    entry = {"state": "Running", "ipv4": ["10.97.0.76"]}
    folder.answer(
        {
            "list --format json": [2, "", "list failed: IP not available\n"],
            "info metalworks-1 --format json": [2, "", "info failed: cannot open the instance\n"],
            "info metalworks-2 --format json": [0, json.dumps({"info": {"metalworks-2": entry}}), ""],
        }
    )
    assert folder.read()["metalworks-2"] == "10.97.0.76"
    assert "cannot open the instance" in folder.reasons["metalworks-1"]


def test_list_that_one_instance_spoils_is_read_one_by_one(folder: Folder) -> None:
    entry = {"state": "Running", "ipv4": ["10.97.0.76"]}
    folder.answer(
        {
            "list --format json": [2, "", "list failed: IP not available\n"],
            "info metalworks-1 --format json": [0, json.dumps({"info": {"metalworks-1": entry}}), ""],
            "info metalworks-2 --format json": [2, "", "info failed: IP not available\n"],
        }
    )
    assert folder.read() == {"localhost": None, "metalworks-1": "10.97.0.76", "metalworks-2": None}


@pytest.mark.parametrize(
    ("addresses", "within", "chosen"),
    [
        ([], [], None),
        (["10.97.0.76"], [], "10.97.0.76"),
        (["10.97.0.76", "10.42.0.0", "10.42.0.1"], [], "10.97.0.76"),
        (["172.17.0.1", "10.42.0.1", "10.97.0.76"], [], "10.97.0.76"),
        (["10.97.0.76", "192.168.1.20"], ["192.168.0.0/16"], "192.168.1.20"),
        (["10.97.0.76"], ["192.168.0.0/16"], None),
        (["10.42.0.1"], [], None),
    ],
)
def test_address_is_that_of_the_machine_and_not_of_a_bridge_in_it(
    addresses: list[str], within: list[str], chosen: str | None
) -> None:
    assert choose_address(addresses, within, CONTAINERS) == chosen


def test_the_projects_inventory_is_read_with_this_plugin() -> None:
    manager = InventoryManager(loader=DataLoader(), sources=[str(ROOT / "inventories/multipass/hosts.yml")])
    assert {host.name for host in manager.get_hosts("k3s_cluster")} == {"metalworks-1", "metalworks-2"}
