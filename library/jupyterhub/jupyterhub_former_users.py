#!/usr/bin/python
"""Remove users who are not listed any more from a hub, through its REST API."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_former_users
short_description: Remove users who are no longer listed from a hub
description:
  - Removes from the hub's own database every user who is not listed. The hub makes a user at the first login;
    who may log in is the matter of M(jupyterhub_credentials).
  - The servers of a removed user are stopped, and the tokens end. The home stays, where the hub is set not to
    delete it (C(KubeSpawner.delete_pvc)).
  - Waits for the hub where it is just starting.
author: Metalworks
options:
  url:
    description: The hub's public address, like V(http://192.0.2.11:30080).
    type: str
    required: true
  token:
    description: A token with the scopes C(admin:users), C(list:users) and C(admin:servers).
    type: str
    no_log: true
    required: true
  users:
    description: The names of the users who stay.
    type: list
    elements: str
    required: true
  timeout:
    description: How many seconds the hub may take to answer for the first time, and servers to stop.
    type: int
    default: 60
attributes:
  check_mode:
    description: Says who would be removed.
    support: full
  diff_mode:
    description: Shows the names before and after.
    support: full
  idempotent:
    description: Removes only who is there.
    support: full
"""

EXAMPLES = r"""
- name: Remove who has left, and keep the homes
  jupyterhub_former_users:
    url: http://192.0.2.11:30080
    token: "{{ jupyterhub_secrets.api_token }}"
    users: [ada, alan]
"""

RETURN = r"""
actions:
  description: What was done, or would be, as sentences.
  type: list
  elements: str
  returned: always
  sample: [Stop the server (default) of grace, Remove user grace]
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.jupyterhub.api import (
    ApiError,
    HubApi,
    user_path,
    wait_for_hub,
    wait_until,
)

ARGUMENTS = options_of(DOCUMENTATION)


@dataclass(frozen=True)
class Step:
    """One DELETE request to the hub, and its sentence."""

    sentence: str
    path: str
    removes: str = ""  # the user whose servers must have stopped before


def plan(listed: Collection[str], found: Sequence[Mapping[str, Any]]) -> list[Step]:
    """Return the requests that remove all users who are not listed."""
    steps: list[Step] = []
    for user in sorted(found, key=lambda each: str(each["name"])):
        if user["name"] not in listed:
            path = user_path(user["name"])
            steps += stop_steps(user)
            steps.append(Step(f"Remove user {user['name']}", path, user["name"]))
    return steps


def stop_steps(user: Mapping[str, Any]) -> list[Step]:
    """Return the requests that stop each server of a user."""
    path = user_path(user["name"])
    return [
        Step(
            f"Stop the server {name or '(default)'} of {user['name']}",
            f"{path}/servers/{quote(name, safe='')}" if name else f"{path}/server",
        )
        for name in sorted(user.get("servers") or {})
    ]


def apply(api: HubApi, steps: Sequence[Step], timeout: int) -> None:
    """Do the steps.

    The hub refuses to remove a user whose server is still stopping, so that is waited for.
    """
    for step in steps:
        if name := step.removes:
            wait_until(
                lambda n=name: not servers_of(api, n), timeout, f"The servers of {name} have not stopped"
            )
        api.request("DELETE", step.path)


def servers_of(api: HubApi, name: str) -> dict[str, Any]:
    """Return the names of the user's servers that run, start or stop."""
    servers: dict[str, Any] = (api.find(user_path(name)) or {}).get("servers") or {}
    return servers


def listing(names: Collection[str]) -> str:
    """Return one side of the diff: the users' names."""
    return "".join(f"{name}\n" for name in sorted(names))


def main() -> None:
    """Remove the users who are not listed, and report the steps."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    api = HubApi(params["url"], params["token"])
    try:
        wait_for_hub(api, params["timeout"])
        found = api.list("/users")
        steps = plan(params["users"], found)
        if not module.check_mode:
            apply(api, steps, params["timeout"])
    except ApiError as error:
        module.fail_json(msg=str(error))
    names = {user["name"] for user in found}
    module.exit_json(
        changed=bool(steps),
        actions=[step.sentence for step in steps],
        diff={"before": listing(names), "after": listing(names & set(params["users"]))},
    )


if __name__ == "__main__":
    main()
