"""Read the state of a systemd unit and its journal."""

from __future__ import annotations

from dataclasses import dataclass

from ansible.module_utils.metalworks.common.run import Run

PROPERTIES = (
    *("LoadState", "ActiveState", "SubState", "UnitFileState", "InvocationID", "NRestarts", "Result"),
    "NeedDaemonReload",
)


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
    outdated: bool = False  # the unit's files are newer than what systemd has read

    @property
    def running(self) -> bool:
        """Return whether systemd calls the unit active.

        A unit with Type=notify is active after it has reported that it is ready.
        """
        return self.active in ("active", "reloading")

    @property
    def starting(self) -> bool:
        """Return whether the unit has been started and is not active yet."""
        return self.active == "activating"


def read_unit(run: Run, name: str) -> Unit:
    """Return a unit's state. A unit that does not exist is returned as not loaded."""
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
        outdated=found.get("NeedDaemonReload") == "yes",
    )


def read_journal(run: Run, unit: Unit, lines: int = 200) -> list[str]:
    """Return the last lines of the unit's journal, the oldest first."""
    code, out, _ = run(
        ["journalctl", f"--unit={unit.name}", f"--lines={lines}", "--output=cat", "--no-pager"]
    )
    return [line for line in out.splitlines() if line.strip()] if code == 0 else []
