"""Turn the results of the module preflight_machine into sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils

# Ansible adds a project's module_utils to modules only. A plugin has to add the folder itself.
ansible.module_utils.__path__.append(str(Path(__file__).resolve().parents[2] / "module_utils"))

from ansible.module_utils.metalworks.k3s.types import as_list
from ansible.module_utils.metalworks.node.machine_rules import HOSTNAMES, MACHINE_IDS, NAMES
from ansible.module_utils.metalworks.rules.judge import OPTIONAL

# Patterns for Ansible's error when no module could run on a machine; the first that fits counts. A pattern
# is a part of a message and never a single word, because tracebacks and paths contain words like python.
REASONS = (
    (
        r"Host key verification failed",
        "its ssh host key is not the known one: compare it, then correct known_hosts",
    ),
    (
        r"Permission denied \([a-z,-]*publickey",
        "it does not accept the key: check ansible_user and ansible_ssh_private_key_file",
    ),
    (
        r"Permission denied \([a-z,-]+\)|Invalid/incorrect password",
        "it does not take the password: check ansible_user and ansible_password",
    ),
    (
        r"Could not resolve",
        "its name is not known: write its address as ansible_host, or make the machine first "
        "(playbooks/machines.yml)",
    ),
    (r"No route to host", "it cannot be reached: check ansible_host, the cable, and that it is switched on"),
    (
        r"Missing sudo password",
        "{user} may not become root without a password: use --ask-become-pass, keep ansible_become_password "
        "in a vault, or allow it in sudoers",
    ),
    (
        r"Incorrect sudo password",
        "sudo does not take the password of {user}, or {user} may not become root: correct what was typed at "
        "--ask-become-pass, or ansible_become_password; or allow it in sudoers",
    ),
    (r"not in the sudoers file", "{user} may not become root: allow it in sudoers"),
    (
        r"tim(ed out|eout \(\d+s\)) waiting for (privilege escalation|become)",
        "sudo there says nothing, as when its own name cannot be looked up: try sudo -n true as {user}",
    ),
    (r"timed out", "it does not answer: check ansible_host, a firewall, and that it is switched on"),
    (r"Connection refused", "sshd does not run there: check ansible_host and ansible_port"),
    (
        r"create temporary directory",
        "{user} cannot write there: check who owns the home folder, and that the disk is not full",
    ),
    (
        r"python[0-9.]*'?:? (was |command )?not found|python[0-9.]*'?: No such file"
        r"|no python interpreters found|requires a minimum of Python"
        r"|future feature annotations is not defined",
        "it has no usable Python 3: install python3, or set ansible_python_interpreter",
    ),
)


def expected_machine(cluster: Mapping[str, Any], host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a machine has to have, in the parameters of the module preflight_machine.

    `cluster` is what the filter k3s_cluster returns. `variables` are the host's; without defaults of roles.
    """
    node, servers = cluster["nodes"][host], cluster["servers"]
    config = node["config"]
    shared = cluster["nodes"][servers[0]]["config"] if servers else {}
    return {
        "role": node["role"],
        "architecture": variables.get("k3s_binary_arch") or "",
        "node_addresses": node["addresses"],
        "etcd": cluster["datastore"] == "etcd",
        "flannel_interface": node["flannel_interface"],
        "flannel_backend": cluster["flannel_backend"],
        "pod_network": cluster["pod_networks"][0],
        "api_port": cluster["api_port"],
        "embedded_registry": bool(shared.get("embedded-registry")),
        "kubelet_args": as_list(config.get("kubelet-arg") or []),
        "kube_proxy_args": as_list(config.get("kube-proxy-arg") or []),
        # YAML reads off without quotes as false, and the role takes both.
        "swap_off": variables.get("node_swap") in ("off", False),
        "resolv_conf": config.get("resolv-conf") or "",
        "data_dir": node["data_dir"],
    }


def preflight_problems(
    hosts: Iterable[str], hostvars: Mapping[str, Any], skip: Collection[str] = ()
) -> list[str]:
    """Return the sentences about all machines, from the module's result or Ansible's error for each.

    Rules in `skip` do not judge. That a machine could not be asked is no rule's sentence.
    """
    results = {host: hostvars[host]["__preflight_look"] for host in hosts}
    shared = {
        HOSTNAMES: ("hostname", "call themselves {value}: set a name of its own on each (hostnamectl)"),
        MACHINE_IDS: (
            "machine_id",
            "have the same /etc/machine-id, as copies of one disk have: empty it on each and run "
            "systemd-machine-id-setup",
        ),
    }
    return [
        *(sentence for host, result in results.items() for sentence in _of_one(host, result, hostvars[host])),
        *(
            f"{sentence} [{name}]"
            for name, (fact, text) in shared.items()
            if name not in skip
            for sentence in _shared(results, fact, text)
        ),
    ]


def skipped_machine_rules(skip: Collection[str]) -> list[str]:
    """Return the names in `skip` that are names of rules for machines."""
    return [name for name in NAMES if name in skip]


def optional_rules(problems: Iterable[str]) -> list[str]:
    """Return the names of the rules that said these sentences and can be left out, each once."""
    named = (sentence.rpartition("[")[2].rstrip("]") for sentence in problems)
    return list(dict.fromkeys(name for name in named if name in OPTIONAL))


def _of_one(host: str, result: Mapping[str, Any], variables: Mapping[str, Any]) -> Iterator[str]:
    where = f"host {host}"
    if "problems" in result:
        yield from (f"{where}: {sentence}" for sentence in result["problems"])
        return
    message = " ".join(str(result.get(part, "")) for part in ("msg", "module_stderr", "module_stdout"))
    message = " ".join(message.split()) or "nothing"
    user = variables.get("ansible_user", "the account")
    reasons = [reason for pattern, reason in REASONS if re.search(pattern, message, re.IGNORECASE)]
    reason = reasons[0].format(user=user) if reasons else "Ansible could not ask it"
    address = variables.get("ansible_host", host)
    yield f"{where} ({address}): {reason}. Ansible says: {message[:300]}"


def _shared(results: Mapping[str, Mapping[str, Any]], fact: str, sentence: str) -> Iterator[str]:
    values = {host: result["facts"][fact] for host, result in results.items() if "facts" in result}
    for value, count in Counter(values.values()).items():
        if count > 1 and value:
            yield (
                f"hosts {', '.join(host for host, its in values.items() if its == value)} "
                f"{sentence.format(value=value)}"
            )


class FilterModule:
    """Ansible calls filters() of this class."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by their names."""
        return {
            "expected_machine": expected_machine,
            "optional_rules": optional_rules,
            "preflight_problems": preflight_problems,
            "skipped_machine_rules": skipped_machine_rules,
        }
