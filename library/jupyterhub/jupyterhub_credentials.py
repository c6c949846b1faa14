#!/usr/bin/python
"""Write the Secret with the password hashes that the hub's authenticator reads."""

from __future__ import annotations

DOCUMENTATION = r"""
module: jupyterhub_credentials
short_description: Who may log in to the hub, with which password
description:
  - Keeps the Secret that the hub's authenticator reads at each login; the Secret is the list of users.
  - A hash whose password still verifies is kept, so that a second run changes nothing. A new password gets a
    new salt.
  - Users who are no longer listed are taken out. Their homes are not touched.
  - Restarts nothing.
author: Metalworks
extends_documentation_fragment: [kubernetes_api]
options:
  users:
    description: All users.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name to log in with. Small letters, digits, C(-), C(_) and C(.).
        type: str
        required: true
      password:
        description: The password. Only its hash is stored.
        type: str
        no_log: true
      password_hash:
        description:
          - A hash in place of the password, like V(scrypt$16384$8$5$salt$hash) with salt and hash in base64.
        type: str
        no_log: true
  namespace:
    description: The namespace of the hub.
    type: str
    required: true
  name:
    description: The name of the Secret.
    type: str
    default: hub-users
attributes:
  check_mode:
    description: Says who would be added, updated and removed.
    support: full
  diff_mode:
    description: Shows names, never hashes.
    support: full
  idempotent:
    description: Keeps a hash while its password verifies.
    support: full
"""

EXAMPLES = r"""
- name: Let two people in
  jupyterhub_credentials:
    namespace: jupyterhub
    users:
      - {name: ada, password: "{{ vault_ada_password }}"}
      - {name: grace, password_hash: "{{ grace_password_hash }}"}
  no_log: true
"""

RETURN = r"""
added:
  description: Names that were not there.
  type: list
  elements: str
  returned: always
updated:
  description: Names that got another password.
  type: list
  elements: str
  returned: always
removed:
  description: Names that were taken out.
  type: list
  elements: str
  returned: always
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.jupyterhub.scrypt import make_hash, verifies
from ansible.module_utils.metalworks.jupyterhub.users import login_problem, user_name_problem
from ansible.module_utils.metalworks.kubernetes.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.kubernetes.api import ApiError, KubernetesApi
from ansible.module_utils.metalworks.kubernetes.secrets import make_secret, values_of

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}


@dataclass
class Plan:
    """The wanted hashes by user, and the names of the users whose entries change."""

    hashes: dict[str, str]
    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Return whether the Secret has to be written."""
        return bool(self.added or self.updated or self.removed)


def problems(users: list[dict[str, Any]]) -> list[str]:
    """Return what is wrong with the list of users, as sentences."""
    found = []
    names = [user["name"] for user in users]
    for name in sorted({name for name in names if names.count(name) > 1}):
        found.append(f"users: '{name}' is listed twice")
    for user in users:
        where = f"users: '{user['name']}'"
        if problem := user_name_problem(user["name"]):
            found.append(f"{where}: {problem}")
        if problem := login_problem(user):
            found.append(f"{where} {problem}")
    return found


def plan(users: list[dict[str, Any]], found: dict[str, str]) -> Plan:
    """Keep hashes that fit their passwords, make the others anew, and drop users who are not listed."""
    # A hash takes a tenth of a second of a core on purpose, and leaves Python to other threads meanwhile.
    with ThreadPoolExecutor() as pool:
        hashes = pool.map(lambda user: (user["name"], wanted_hash(user, found.get(user["name"]))), users)
        wanted = Plan(dict(hashes))
    wanted.added = sorted(wanted.hashes.keys() - found.keys())
    wanted.removed = sorted(found.keys() - wanted.hashes.keys())
    wanted.updated = sorted(name for name, text in wanted.hashes.items() if found.get(name, text) != text)
    return wanted


def wanted_hash(user: dict[str, Any], found: str | None) -> str:
    """Return the hash to store for a user. A hash that fits the password is kept."""
    if user.get("password_hash"):
        return str(user["password_hash"])
    password = str(user["password"])
    return found if found and verifies(password, found) else make_hash(password)


def write(api: KubernetesApi, namespace: str, name: str, wanted: Plan, found: dict[str, Any] | None) -> None:
    """Create the Secret, or replace it if it is still the one that was read."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    metadata = {**(found["metadata"] if found else {"name": name}), "labels": {"app": "jupyterhub"}}
    secret = make_secret(metadata, wanted.hashes)
    if found is None:
        api.request("POST", path, secret)
    else:
        api.request("PUT", f"{path}/{name}", secret)


def listing(names: Any) -> str:
    """Return one side of the diff: the users' names, without their hashes."""
    return "".join(f"{name}\n" for name in sorted(names))


def main() -> None:
    """Write the Secret of password hashes where it differs, and report whose entries changed."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    if wrong := problems(params["users"]):
        module.fail_json(msg="; ".join(wrong))
    try:
        api = KubernetesApi(params["kubeconfig"], params["context"])
        secret = api.find(f"/api/v1/namespaces/{params['namespace']}/secrets/{params['name']}")
        found = values_of(secret)
        wanted = plan(params["users"], found)
        if (wanted.changed or secret is None) and not module.check_mode:
            write(api, params["namespace"], params["name"], wanted, secret)
    except ApiError as error:
        module.fail_json(msg=str(error))
    after = [f"{name} (new password)" if name in wanted.updated else name for name in wanted.hashes]
    module.exit_json(
        changed=wanted.changed or secret is None,
        added=wanted.added,
        updated=wanted.updated,
        removed=wanted.removed,
        diff={"before": listing(found), "after": listing(after)},
    )


if __name__ == "__main__":
    main()
