"""What systemd says of a unit."""

from __future__ import annotations

from dataclasses import dataclass

from ansible.module_utils.metalworks.common.run import Run

PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "InvocationID", "NRestarts", "Result")


@dataclass(frozen=True)
class Unit:
    """One unit as `systemctl show` describes it."""

    name: str
    load: str = "not-found"
    active: str = "inactive"
    sub: str = "dead"
    enabled: bool = False
    invocation: str = ""
    restarts: int = 0
    result: str = ""

    @property
    def running(self) -> bool:
        return self.active in ("active", "reloading")

    @property
    def starting(self) -> bool:
        return self.active == "activating"


def read_unit(run: Run, name: str) -> Unit:
    """Ask systemd; a unit that it does not know is simply not loaded."""
    code, out, _ = run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", name])
    found = dict(line.split("=", 1) for line in out.splitlines() if "=" in line) if code == 0 else {}
    return Unit(
        name=name,
        load=found.get("LoadState", "not-found"),
        active=found.get("ActiveState", "inactive"),
        sub=found.get("SubState", "dead"),
        enabled=found.get("UnitFileState", "").startswith("enabled"),
        invocation=found.get("InvocationID", ""),
        restarts=int(found.get("NRestarts", "0") or 0),
        result=found.get("Result", ""),
    )


def read_journal(run: Run, unit: Unit, lines: int = 200) -> list[str]:
    """The last lines that the unit wrote, oldest first."""
    code, out, _ = run(
        ["journalctl", f"--unit={unit.name}", f"--lines={lines}", "--output=cat", "--no-pager"]
    )
    return [line for line in out.splitlines() if line.strip()] if code == 0 else []
