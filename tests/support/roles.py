"""What a role's variables are, resolved as Ansible resolves them when it runs the role."""

from __future__ import annotations

import json
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from tests.support.modules import ROOT


def resolved(role: str, name: str, **given: Any) -> Any:
    """One variable of a role, with its defaults below what is given, as plain data."""
    folder = next(ROOT / room / role for room in ("roles", "lab/roles") if (ROOT / room / role).is_dir())
    # The role platform_defaults comes before each of these roles.
    variables: dict[str, Any] = {"metalworks_pull_secrets": [], "monitoring_namespace": "monitoring"}
    for part in ("defaults", "vars"):
        variables |= DataLoader().load_from_file(str(folder / part / "main.yml"), trusted_as_template=True)
    templar = Templar(loader=DataLoader(), variables={**variables, "role_path": str(folder), **given})
    return json.loads(json.dumps(templar.template(trust_as_template("{{ " + name + " }}"))))
