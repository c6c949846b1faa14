"""What a role's variables are, resolved as Ansible resolves them when it runs the role."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from tests.support.modules import ROOT


@cache
def written(role: str) -> dict[str, Any]:
    """The defaults and variables of a role, as its files have them."""
    folder = next(ROOT / room / role for room in ("roles", "lab/roles") if (ROOT / room / role).is_dir())
    found: dict[str, Any] = {"role_path": str(folder)}
    for part in ("defaults", "vars"):
        found |= DataLoader().load_from_file(str(folder / part / "main.yml"), trusted_as_template=True)
    return found


def resolved(role: str, name: str, **given: Any) -> Any:
    """One variable of a role, with its defaults below what is given, as plain data."""
    # The role platform_defaults comes before each of these roles.
    platform = {"metalworks_pull_secrets": [], "monitoring_namespace": "monitoring"}
    templar = Templar(loader=DataLoader(), variables={**platform, **written(role), **given})
    return json.loads(json.dumps(templar.template(trust_as_template("{{ " + name + " }}"))))
