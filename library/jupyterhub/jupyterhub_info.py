#!/usr/bin/python
"""Read a hub's version, users and running servers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_info
short_description: Version, users, running servers and proxy routes of a hub
description: Reads the hub's REST API, and waits for the hub where it is just starting. Changes nothing.
author: Metalworks
extends_documentation_fragment: [reads_only]
options:
  url:
    description: The hub's public address, like V(http://192.0.2.11:30080).
    type: str
    required: true
  token:
    description: A token with the scopes C(list:users), C(read:users), C(read:hub) and C(proxy).
    type: str
    no_log: true
    required: true
  timeout:
    description: How many seconds the hub may take to answer for the first time.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Ask the hub
  jupyterhub_info:
    url: http://192.0.2.11:30080
    token: "{{ jupyterhub_secrets.api_token }}"
  register: hub
"""

RETURN = r"""
version:
  description: The hub's version.
  type: str
  returned: always
  sample: 5.5.0
authenticator:
  description: The class that checks passwords.
  type: str
  returned: always
users:
  description:
    - Users by name, each with C(admin), C(groups), C(last_activity) and the names of C(servers) that are up.
  type: dict
  returned: always
servers:
  description: Running servers as C(user/name), each with C(ready), C(started), C(url) and C(pod).
  type: dict
  returned: always
routes:
  description: Paths that the proxy serves, and where they lead.
  type: dict
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.jupyterhub.api import ApiError, HubApi, wait_for_hub

ARGUMENTS = options_of(DOCUMENTATION)


def summarize(info: dict[str, Any], users: list[dict[str, Any]], routes: dict[str, Any]) -> dict[str, Any]:
    """Return the hub's answers in the form of RETURN."""
    servers = {
        f"{user['name']}/{name}": server
        for user in users
        for name, server in (user.get("servers") or {}).items()
    }
    return {
        "version": info["version"],
        "authenticator": info["authenticator"]["class"],
        "users": {
            user["name"]: {
                "admin": bool(user.get("admin")),
                "groups": sorted(user.get("groups") or []),
                "last_activity": user.get("last_activity"),
                "servers": sorted(user.get("servers") or {}),
            }
            for user in users
        },
        "servers": {
            key: {
                "ready": server["ready"],
                "started": server["started"],
                "url": server["url"],
                "pod": (server.get("state") or {}).get("pod_name"),
            }
            for key, server in servers.items()
        },
        "routes": {path: route["target"] for path, route in routes.items()},
    }


def main() -> None:
    """Ask the hub for its version, users and running servers."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    api = HubApi(module.params["url"], module.params["token"])
    try:
        info = wait_for_hub(api, module.params["timeout"])
        answer = summarize(info, api.list("/users"), api.table("/proxy"))
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **answer)


if __name__ == "__main__":
    main()
