"""Parse sizes: memory and processors of a server, and the storage of a home.

The spawner and Kubernetes write sizes in different ways. A wrong one would fail only when a user starts a
server for the first time, so both ways are parsed here.
"""

from __future__ import annotations

import re
from typing import Any

# jupyterhub/traitlets.py, ByteSpecification: a number of bytes, or a number with one of these letters.
_MEMORY_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMGT])\Z")
# k8s.io/apimachinery/pkg/api/resource: decimal and binary units, and an exponent. Of a storage, thousandths
# of a byte (m) make no sense.
_PROCESSORS = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)m?\Z")
_STORAGE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(k|[MGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?\Z")
_ZERO = re.compile(r"[0.]+([^0-9]|\Z)")


def memory_bytes(value: Any) -> int | None:
    """Return the bytes of a memory size as the spawner reads it (`2G`, `512M`, or a number), or None."""
    if isinstance(value, (int, float)):
        return None if isinstance(value, bool) or value < 0 else int(value)
    found = _MEMORY.match(value) if isinstance(value, str) else None
    return int(float(found[1]) * _MEMORY_UNITS[found[2]]) if found else None


def memory_problem(value: Any) -> str | None:
    """Return why a value is no memory size for the spawner, and what to write instead, or None."""
    if memory_bytes(value) is not None:
        return None
    meant = re.match(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt])i?b?\Z", str(value), re.IGNORECASE)
    instead = f"{meant[1]}{meant[2].upper()}" if meant else "512M or 2G"
    return (
        f"{value!r} is no size that the hub's spawner takes (a number with K, M, G or T, in powers of 1024); "
        f"write {instead}"
    )


def cpu_problem(value: Any) -> str | None:
    """Return why a value is no number of processors for the spawner, and what to write instead, or None."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return None
    text = str(value)
    thousandths = re.match(r"([0-9]+)m\Z", text)
    plain = re.match(r"[0-9]*\.?[0-9]+\Z", text)
    instead = f"{int(thousandths[1]) / 1000:g}" if thousandths else text if plain else "0.5 or 2"
    return f"{value!r} is no number of processors; write {instead}, without a unit and without quotes"


def storage_problem(value: Any) -> str | None:
    """Return why a value is no size of a volume for Kubernetes, and what to write instead, or None."""
    return (
        None
        if _is_size(value)
        else f"{value!r} is no size of a volume for Kubernetes; {_size_meant(value, '10Gi')}"
    )


def pod_memory_problem(value: Any) -> str | None:
    """Return why a value is no memory of a pod for Kubernetes, and what to write instead, or None."""
    return (
        None
        if _is_size(value)
        else f"{value!r} is no memory size for Kubernetes; {_size_meant(value, '512Mi')}"
    )


def pod_cpu_problem(value: Any) -> str | None:
    """Return why a value is no number of processors of a pod for Kubernetes, or None."""
    if not isinstance(value, bool) and _PROCESSORS.match(str(value)):
        return None
    return f"{value!r} is no number of processors for Kubernetes; write one like 500m or 2"


def _is_size(value: Any) -> bool:
    return not isinstance(value, bool) and bool(_STORAGE.match(str(value))) and not _ZERO.match(str(value))


def _size_meant(value: Any, usual: str) -> str:
    meant = re.match(r"([0-9]+(?:\.[0-9]+)?) ?([kmgtpe])i?b?\Z", str(value), re.IGNORECASE)
    right = meant and not _ZERO.match(str(value))
    return f"write one like {f'{meant[1]}{meant[2].upper()}i' if meant and right else usual}"
