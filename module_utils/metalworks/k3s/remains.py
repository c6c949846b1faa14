"""Find what k3s leaves on a machine when its service is stopped, and what of it has to be removed.

The unit has KillMode=process, so that pods survive a restart. So their processes, mounts, network
interfaces and firewall rules stay when the service is stopped. k3s's own k3s-killall.sh removes the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible.module_utils.metalworks.common.files import read_others_text
from ansible.module_utils.metalworks.common.run import Run
from ansible.module_utils.metalworks.k3s.keys import OF_K3S
from ansible.module_utils.metalworks.k3s.unit import environment_file

SOCKET = "/run/k3s/containerd/containerd.sock"
KUBELET = "/var/lib/kubelet"
LINKS = ("cni0", "flannel.1", "flannel-v6.1", "flannel-wg", "flannel-wg-v6", "kube-ipvs0")
BRIDGE = "cni0"
# The chains of kube-proxy, of the CNI plugins and of flannel, whose rules are told by their comment as well
# (k3s-killall.sh: `grep -v KUBE- | grep -v CNI- | grep -iv flannel`).
RULE = re.compile(r"KUBE-|CNI-|flannel|FLANNEL")
VOLUMES = "storage"  # the folder of local-path volumes below data-dir, with users' files


@dataclass(frozen=True)
class Process:
    """One process of the machine."""

    pid: int
    parent: int
    command: Sequence[str]


@dataclass(frozen=True)
class Remains:
    """Everything that has to be removed."""

    processes: list[int] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)
    rules: dict[str, str] = field(default_factory=dict)  # program that restores rules -> the rules that stay
    files: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """Return sentences about what is removed."""
        found = [f"{len(self.processes)} processes of pods and containerd"] if self.processes else []
        found += [f"mount {path}" for path in self.mounts]
        found += [f"network interface {name}" for name in self.links]
        found += [f"network namespace {name}" for name in self.namespaces]
        found += [f"rules of {program.partition('-')[0]}" for program in self.rules]
        return found + list(self.files)


# Finding what belongs to k3s.


def processes_of_k3s(processes: Sequence[Process], data: str) -> list[int]:
    """Return the processes of k3s, the shims of its containerd, and all their children; children first."""
    own = {each.pid for each in processes if _is_of_k3s(each.command, data)}
    children: dict[int, list[int]] = {}
    for each in processes:
        children.setdefault(each.parent, []).append(each.pid)

    def below(pid: int) -> Iterator[int]:
        for child in children.get(pid, ()):
            yield from below(child)
            yield child

    found = [pid for top in sorted(own) for pid in [*below(top), top]]
    return list(dict.fromkeys(found))


def _is_of_k3s(command: Sequence[str], data: str) -> bool:
    return bool(command) and (command[0].startswith(f"{data}/data/") or SOCKET in command)


def mounts_of_k3s(table: str, data: str) -> list[str]:
    """Return the mounts below k3s's folders, the deepest first.

    Disks at data-dir and of users' volumes stay.
    """
    volumes = f"{data}/{VOLUMES}"
    below = ("/run/k3s/", f"{data}/", f"{KUBELET}/")
    places = [_unescaped(line.split()[1]) for line in table.splitlines() if len(line.split()) > 1]
    kept = [place for place in places if place == volumes or place.startswith(f"{volumes}/")]
    return sorted({place for place in places if place.startswith(below)} - set(kept), reverse=True)


def _unescaped(text: str) -> str:
    r"""Return a path without the escapes of /proc/mounts, which writes a blank as \040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def links_of_k3s(links: Sequence[Mapping[str, object]]) -> list[str]:
    """Return flannel's interfaces, the bridge of the pods, and the interfaces on that bridge."""
    return [
        str(link["ifname"]) for link in links if link.get("master") == BRIDGE or link.get("ifname") in LINKS
    ]


def rules_that_stay(saved: str) -> str | None:
    """Return the saved rules without those of k3s; None if there are none of k3s."""
    lines = saved.splitlines()
    kept = [line for line in lines if not RULE.search(line)]
    return "\n".join([*kept, ""]) if kept != lines else None


def files_of_k3s(unit: str, unit_folder: Path, config_file: Path, token_file: str, data: str) -> list[Path]:
    """Return the files of the roles and of k3s.

    Settings of others in config.yaml.d and users' volumes stay, and so do files that others put beside k3s's.
    """
    folder = config_file.parent
    names = ("registries.yaml", "registries.d", "k3s.yaml")
    inside = sorted(path for path in Path(data).glob("*") if path.name in OF_K3S)
    return [
        unit_folder / unit,
        unit_folder / environment_file(unit).name,
        config_file,
        Path(token_file),
        *(folder / name for name in names),
        folder.parent / "node",
        Path("/run/metalworks") / f"{unit}.started",
        *map(Path, ("/run/k3s", "/run/flannel", "/var/lib/cni", KUBELET)),
        *inside,
    ]


# Reading the machine.


def read_processes(proc: Path = Path("/proc")) -> list[Process]:
    """Return all processes. One that ends meanwhile is left out."""
    found = []
    for folder in proc.glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text(errors="replace")
            command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        parent = int(stat.rpartition(")")[2].split()[1])
        found.append(Process(int(folder.name), parent, command))
    return found


def read_remains(run: Run, data: str, files: Sequence[Path]) -> Remains:
    """Return what is left of k3s on this machine."""
    code, out, _ = run(["ip", "-json", "link", "show"])
    links = links_of_k3s(json.loads(out)) if code == 0 and out.strip() else []
    rules = {}
    for program in ("iptables", "ip6tables"):
        code, out, _ = run([f"{program}-save"])
        stays = rules_that_stay(out) if code == 0 else None
        if stays is not None:
            rules[f"{program}-restore"] = stays
    return Remains(
        processes=processes_of_k3s(read_processes(), data),
        mounts=mounts_of_k3s(read_others_text(Path("/proc/mounts")) or "", data),
        links=links,
        namespaces=sorted(path.name for path in Path("/run/netns").glob("cni-*")),
        rules=rules,
        files=[str(path) for path in files if path.exists() or path.is_symlink()],
    )
