#!/usr/bin/python
"""Add, change or remove users of the hub through its REST API."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_user
short_description: A user of the hub is there, or is not
description:
  - Makes, changes and removes a user in the hub's own database. Passwords are the matter of
    M(jupyterhub_credentials).
  - Removing a user stops the user's servers and ends the user's tokens. The home stays, where the hub is set
    not to
    delete it (C(KubeSpawner.delete_pvc)).
author: Metalworks
options:
  url:
    description: The hub's public address, like V(http://192.0.2.11:30080).
    type: str
    required: true
  token:
    description: A token of a service or an administrator of the hub.
    type: str
    required: true
  name:
    description: The user's name.
    type: str
    required: true
  state:
    description: Whether the user is there.
    type: str
    choices: [present, absent]
    default: present
  admin:
    description:
      - Whether the user is an administrator. Without it that stays as it is.
      - The hub lets only administrators change it. Users whose authenticator decides it get it back at the
        next login.
    type: bool
  groups:
    description: All groups of the user; missing ones are made. Without it they stay as they are.
    type: list
    elements: str
  timeout:
    description: How many seconds servers may take to stop.
    type: int
    default: 60
attributes:
  check_mode:
    description: Says what would be done.
    support: full
  diff_mode:
    description: Shows the user before and after.
    support: full
  idempotent:
    description: Does only what is missing.
    support: full
"""

EXAMPLES = r"""
- name: Give Ada a group
  jupyterhub_user:
    url: http://192.0.2.11:30080
    token: "{{ jupyterhub_secrets.api_token }}"
    name: ada
    groups: [gpu]

- name: Take Grace out, and keep her home
  jupyterhub_user:
    url: http://192.0.2.11:30080
    token: "{{ jupyterhub_secrets.api_token }}"
    name: grace
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or would be, as sentences.
  type: list
  elements: str
  returned: always
  sample: [Stop the server of grace, Remove user grace]
"""

from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.jupyterhub.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.jupyterhub.api import HubApi, HubError, user_path, wait_until

ARGUMENTS: dict[str, Any] = {
    **API_ARGUMENTS,
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "admin": {"type": "bool"},
    "groups": {"type": "list", "elements": "str"},
}


@dataclass(frozen=True)
class Step:
    """One request to the hub, and a sentence that describes it."""

    sentence: str
    method: str
    path: str
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Wanted:
    """The parameters of the module for one user."""

    name: str
    present: bool
    admin: bool | None = None
    groups: tuple[str, ...] | None = None


def plan(wanted: Wanted, found: dict[str, Any] | None, known_groups: set[str]) -> list[Step]:
    """Return the requests that lead from the user as found to the user as wanted."""
    path = user_path(wanted.name)
    if not wanted.present:
        return (
            [] if found is None else [*stop_steps(found), Step(f"Remove user {wanted.name}", "DELETE", path)]
        )
    steps = []
    if found is None:
        steps.append(Step(f"Make user {wanted.name}", "POST", path))
    if wanted.admin is not None and wanted.admin != bool((found or {}).get("admin")):
        word = "an administrator" if wanted.admin else "no administrator"
        steps.append(Step(f"Make {wanted.name} {word}", "PATCH", path, {"admin": wanted.admin}))
    if wanted.groups is not None:
        steps += group_steps(
            wanted.name, set(wanted.groups), set((found or {}).get("groups") or []), known_groups
        )
    return steps


def stop_steps(found: dict[str, Any]) -> list[Step]:
    """Return the requests that stop all servers of a user."""
    path = user_path(found["name"])
    return [
        Step(
            f"Stop the server {name or '(default)'} of {found['name']}",
            "DELETE",
            f"{path}/servers/{name}" if name else f"{path}/server",
        )
        for name in sorted(found.get("servers") or {})
    ]


def group_steps(name: str, wanted: set[str], found: set[str], known: set[str]) -> list[Step]:
    """Return the requests that add a user to groups and remove the user from all others."""
    body = {"users": [name]}
    steps = [Step(f"Make group {group}", "POST", f"/groups/{group}") for group in sorted(wanted - known)]
    steps += [Step(f"Add {name} to {g}", "POST", f"/groups/{g}/users", body) for g in sorted(wanted - found)]
    steps += [
        Step(f"Take {name} out of {g}", "DELETE", f"/groups/{g}/users", body) for g in sorted(found - wanted)
    ]
    return steps


def apply(api: HubApi, steps: list[Step], name: str, timeout: int) -> None:
    """Do the steps.

    The hub refuses to remove a user whose server is still stopping, so that is waited for.
    """
    for step in steps:
        if step.sentence.startswith("Remove user"):
            wait_until(lambda: not servers_of(api, name), timeout, f"The servers of {name} have not stopped")
        api.request(step.method, step.path, step.body)


def servers_of(api: HubApi, name: str) -> dict[str, Any]:
    """Return the names of the user's servers that run, start or stop."""
    found = api.find(user_path(name)) or {}
    servers: dict[str, Any] = found.get("servers") or {}
    return servers


def describe(user: dict[str, Any] | None) -> dict[str, Any]:
    """Return one side of the diff: what this module manages of a user."""
    if user is None:
        return {}
    return {
        "name": user["name"],
        "admin": bool(user.get("admin")),
        "groups": sorted(user.get("groups") or []),
    }


def expected(wanted: Wanted, found: dict[str, Any] | None) -> dict[str, Any]:
    """Return the user as it will be after the steps."""
    if not wanted.present:
        return {}
    before = describe(found) or {"name": wanted.name, "admin": False, "groups": []}
    admin = before["admin"] if wanted.admin is None else wanted.admin
    groups = before["groups"] if wanted.groups is None else sorted(wanted.groups)
    return {**before, "admin": admin, "groups": groups}


def main() -> None:
    """Bring users of the hub into the wanted state through its REST API, and report the steps."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    groups = None if params["groups"] is None else tuple(params["groups"])
    wanted = Wanted(params["name"], params["state"] == "present", params["admin"], groups)
    api = HubApi(params["url"], params["token"])
    try:
        found = api.find(user_path(wanted.name))
        known = {group["name"] for group in api.list("/groups")} if groups else set()
        steps = plan(wanted, found, known)
        if not module.check_mode:
            apply(api, steps, wanted.name, params["timeout"])
    except HubError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(steps),
        actions=[step.sentence for step in steps],
        diff={"before": describe(found), "after": expected(wanted, found)},
    )


if __name__ == "__main__":
    main()
