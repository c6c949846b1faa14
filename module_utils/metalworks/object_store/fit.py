"""Whether a cluster can hold a store: whose store is there, the volume's claim, the room on the disks.

The object store and the store of logs are judged alike.

`read` asks the cluster; `problems` and `claim_size` decide, and touch nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..common.sizes import size_bytes
from ..kubernetes.api import ApiError, KubernetesApi
from ..kubernetes.cluster import is_default
from ..kubernetes.secrets import values_of

CLAIM = "object-store"
CREDENTIALS = "object-store-credentials"
ROOT_SECRET = "rootSecretAccessKey"
# Its volumes are folders on a node's own disk, and nothing keeps them to a size.
LOCAL_PATH = "rancher.io/local-path"


@dataclass(frozen=True)
class StorageClass:
    """What matters of a storage class."""

    provisioner: str
    default: bool = False
    grows: bool = False  # claims may be made larger


@dataclass(frozen=True)
class Claim:
    """The claim of a store that is there."""

    size: str
    storage_class: str
    access_mode: str


@dataclass(frozen=True)
class Wanted:
    """The store as it should be."""

    size: str
    storage_class: str = ""
    access_mode: str = "ReadWriteOnce"
    reserve_percent: int = 10
    root_secret: str = ""
    # How its inputs begin, and what sentences call it.
    part: str = "object_store"
    what: str = "object store"


@dataclass(frozen=True)
class Found:
    """The cluster as it is."""

    classes: Mapping[str, StorageClass] = field(default_factory=dict)
    claim: Claim | None = None
    # The root secret of the store that is in the namespace; empty without one.
    root_secret: str = ""
    # Node -> (bytes free, bytes in all) of the disk on which its volumes lie; without nodes that do not tell.
    disks: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def chosen_class(wanted: Wanted, found: Found) -> str:
    """Return the name of the storage class that a new claim would have; empty if there is none."""
    if wanted.storage_class:
        return wanted.storage_class
    return next((name for name, each in found.classes.items() if each.default), "")


def claim_size(wanted: Wanted, found: Found) -> str:
    """Return what the claim has to ask for. A claim never shrinks, and grows only where its class allows it.

    The budget is kept without it, so a claim that stays behind is no fault on storage that knows no sizes.
    """
    if found.claim is None:
        return wanted.size
    its_class = found.classes.get(found.claim.storage_class)
    larger = (size_bytes(wanted.size) or 0) > (size_bytes(found.claim.size) or 0)
    return wanted.size if larger and its_class and its_class.grows else found.claim.size


def problems(wanted: Wanted, found: Found) -> Iterator[str]:
    """Yield what keeps the store from being installed, or changed to what is wanted."""
    if found.root_secret and wanted.root_secret and found.root_secret != wanted.root_secret:
        yield (
            f"the {wanted.what} in the namespace was made by another inventory, or by this one with another "
            "metalworks_state_dir: take that one's state folder, or name another namespace in "
            f"{wanted.part}_namespace"
        )
        return
    if found.claim is None:
        yield from _new_claim(wanted, found)
    else:
        yield from _claim_that_is_there(wanted, found.claim)


def _new_claim(wanted: Wanted, found: Found) -> Iterator[str]:
    name = chosen_class(wanted, found)
    if not name:
        yield f"the cluster has no default storage class: name one in {wanted.part}_storage_class"
        return
    if name not in found.classes:
        known = ", ".join(sorted(found.classes)) or "none"
        yield f"the cluster has no storage class {name}: {wanted.part}_storage_class may be one of {known}"
        return
    if found.classes[name].provisioner != LOCAL_PATH or not found.disks:
        return
    if wanted.access_mode == "ReadWriteMany":
        yield (
            f"volumes of the storage class {name} lie on one node, and {wanted.part}_replicas needs one that "
            f"all nodes can mount: name such a class in {wanted.part}_storage_class"
        )
    size = size_bytes(wanted.size) or 0
    room = {node: free - total * wanted.reserve_percent // 100 for node, (free, total) in found.disks.items()}
    node = max(room, key=lambda each: room[each])
    if room[node] < size:
        kept = f"the {wanted.reserve_percent} % that stay free ({wanted.part}_reserve_percent)"
        beside = f" beside {kept}" if wanted.reserve_percent else ""
        yield (
            f"no node has room for the {wanted.what}: it may take {wanted.size} ({wanted.part}_size), and "
            f"the most is on {node}, {max(room[node], 0) // 2**20} MiB{beside}: write a smaller size, or add "
            "a disk"
        )


def _claim_that_is_there(wanted: Wanted, claim: Claim) -> Iterator[str]:
    if wanted.storage_class and wanted.storage_class != claim.storage_class:
        yield (
            f"the store's volume is of the storage class {claim.storage_class}, and Kubernetes cannot change "
            f"it to {wanted.storage_class}: write {wanted.part}_storage_class: {claim.storage_class}, or "
            "copy the data into a new store"
        )
    if wanted.access_mode != claim.access_mode:
        yield (
            f"the store's volume was made for {claim.access_mode}, and {wanted.part}_replicas would need "
            f"{wanted.access_mode}: Kubernetes cannot change that; copy the data into a new store"
        )


def read(api: KubernetesApi, namespace: str, name: str = CLAIM) -> Found:
    """Ask the cluster for the claim of this name. What this user may not see of the disks is left out."""
    classes = {
        each["metadata"]["name"]: StorageClass(
            each.get("provisioner", ""),
            is_default(each),
            bool(each.get("allowVolumeExpansion")),
        )
        for each in api.get("/apis/storage.k8s.io/v1/storageclasses")["items"]
    }
    claim = api.find(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
    root = values_of(api.find(f"/api/v1/namespaces/{namespace}/secrets/{CREDENTIALS}")).get(ROOT_SECRET, "")
    return Found(classes, parse_claim(claim), root, read_disks(api))


def parse_claim(claim: Mapping[str, Any] | None) -> Claim | None:
    """Return a claim from its object in the API."""
    if claim is None:
        return None
    spec = claim["spec"]
    return Claim(
        spec["resources"]["requests"]["storage"],
        spec.get("storageClassName") or "",
        (spec.get("accessModes") or [""])[0],
    )


def read_disks(api: KubernetesApi) -> dict[str, tuple[int, int]]:
    """Return what is free on each Ready node's disk, as its kubelet says."""
    found: dict[str, tuple[int, int]] = {}
    for node in api.get("/api/v1/nodes")["items"]:
        name = node["metadata"]["name"]
        if (node.get("spec") or {}).get("unschedulable"):
            continue
        try:
            disk = api.get(f"/api/v1/nodes/{name}/proxy/stats/summary")["node"]["fs"]
            found[name] = (int(disk["availableBytes"]), int(disk["capacityBytes"]))
        except (ApiError, KeyError, TypeError):
            continue  # the node does not answer, or this user may not ask it
    return found
