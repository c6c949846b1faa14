#!/usr/bin/python
"""Wait for a version of a registered model, read it, and let an alias point at it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mlflow_model_version
short_description: A version of a registered model of MLflow, and the alias that points at it
description:
  - Reads a version of a registered model, and waits for it where it does not exist yet.
  - Lets an alias such as C(champion) point at the version, or takes the alias away.
  - MLflow moves an alias without asking where it pointed. O(only_from) asks before, so that a decision that
    was made for another state is not carried out. Between the question and the move somebody else can still
    move it; whoever must exclude that, lets only one program decide.
author: Metalworks
extends_documentation_fragment: [kubernetes_api, mlflow_server]
options:
  version:
    description:
      - The number of the version, or V(latest). Without it, the version at which O(alias) points.
    type: str
  alias:
    description: The alias.
    type: str
  only_from:
    description:
      - The number of the version at which the alias must point now, or V(none) if it must not exist. An alias
        that already is as wanted is right, too.
    type: str
  state:
    description:
      - V(present) lets O(alias) point at O(version), where both are given; else it only reads. V(absent)
        takes O(alias) away.
    type: str
    choices: [present, absent]
    default: present
  tags:
    description:
      - Tags that the version gets when O(alias) is moved to it, or is taken away from it, such as who did it,
        and why. C({before}) in them is the version at which the alias pointed before; empty if there was
        none.
    type: dict
    default: {}
  wait_seconds:
    description: How long to wait until the version exists and is ready, or until the server answers.
    type: int
    default: 0
attributes:
  check_mode:
    description: Says where the alias would point. Waits for the version as well.
    support: full
  diff_mode:
    description: Shows the version at which the alias points, before and after.
    support: full
  idempotent:
    description: Moves an alias only if it points elsewhere.
    support: full
"""

EXAMPLES = r"""
- name: Put the newest version into production
  mlflow_model_version:
    url: "{{ jupyterhub_url }}/services/mlflow"
    token: "{{ jupyterhub_secrets.api_token }}"
    model: recommender
    version: latest
    alias: champion
    wait_seconds: 300

- name: Read what is in production
  mlflow_model_version:
    url: "{{ jupyterhub_url }}/services/mlflow"
    token: "{{ jupyterhub_secrets.api_token }}"
    model: recommender
    alias: champion
  register: champion
"""

RETURN = r"""
version:
  description: The number of the version; empty if the alias points nowhere.
  type: str
  returned: always
  sample: "3"
details:
  description:
    - The version's C(status), C(source), C(run_id), C(model_id), C(aliases), C(tags) and C(description);
      empty if there is none.
  type: dict
  returned: always
aliases:
  description: The version at which each alias of the model points now.
  type: dict
  returned: always
actions:
  description: What was done, or would be, as sentences.
  type: list
  elements: str
  returned: always
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.json_api import wait_for_answer
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.mlflow.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.mlflow.api import RULES, ApiError, MlflowApi, aliases_of, open_api

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}
NONE = "none"
LATEST = "latest"
PENDING = "PENDING_REGISTRATION"
FAILED = "FAILED_REGISTRATION"


class NotYet(ApiError):
    """The version is not there or not ready, so asking again can help; the message says what is missing."""


@dataclass(frozen=True)
class Wanted:
    """What the task asks for. Empty texts were not given."""

    model: str
    version: str = ""
    alias: str = ""
    only_from: str = ""
    absent: bool = False
    tags: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A registered model: its versions' numbers, newest last, and where its aliases point."""

    versions: tuple[int, ...]
    aliases: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """The version that is meant (empty: none), and the step, `set` or `delete`, with its sentence."""

    version: str
    step: str = ""
    sentence: str = ""


def problems(wanted: Wanted) -> list[str]:
    """Return what is wrong with a task, as sentences."""
    found = []
    if wanted.absent and (wanted.version or not wanted.alias):
        found.append("state=absent takes an alias away: give alias, and no version")
    if not wanted.alias and not wanted.version:
        found.append("give a version (a number, or latest), an alias, or both")
    if wanted.version and wanted.version != LATEST and not wanted.version.isdecimal():
        found.append(f"version is {wanted.version!r}: write a number, or latest")
    if wanted.alias == LATEST or wanted.alias.isdecimal():
        found.append(f"alias is {wanted.alias!r}, which MLflow does not take: write a name like champion")
    if wanted.only_from and wanted.only_from != NONE and not wanted.only_from.isdecimal():
        found.append(f"only_from is {wanted.only_from!r}: write a number, or none")
    if wanted.only_from and not wanted.alias:
        found.append("only_from says where an alias points: give alias")
    return found


def plan(wanted: Wanted, found: Found | None) -> Plan:
    """Return what to do. NotYet if the version is not there, ValueError if the alias points elsewhere."""
    if found is None:
        if wanted.absent:
            return Plan("")
        raise NotYet(f"there is no registered model {wanted.model}")
    now = found.aliases.get(wanted.alias, "")
    if wanted.absent:
        if not now:
            return Plan("")
        _check_origin(wanted, now)
        return Plan("", "delete", f"Take the alias {wanted.alias} away from version {now} of {wanted.model}")
    if not wanted.version:
        if not now:
            raise NotYet(f"{wanted.model} has no alias {wanted.alias}")
        _check_origin(wanted, now)
        return Plan(now)
    version = str(found.versions[-1]) if wanted.version == LATEST and found.versions else wanted.version
    if version == LATEST or int(version) not in found.versions:
        raise NotYet(f"{wanted.model} has no version" + ("" if version == LATEST else f" {version}"))
    version = str(int(version))
    if not wanted.alias or now == version:
        return Plan(version)
    _check_origin(wanted, now)
    origin = f"from version {now} " if now else ""
    return Plan(
        version, "set", f"Move the alias {wanted.alias} of {wanted.model} {origin}to version {version}"
    )


def _check_origin(wanted: Wanted, now: str) -> None:
    if wanted.only_from and wanted.only_from != (now or NONE):
        where = f"points at version {now}" if now else "does not exist"
        raise ValueError(
            f"the alias {wanted.alias} of {wanted.model} {where}, and only_from is {wanted.only_from}: "
            "somebody else has moved it; nothing was changed"
        )


def read(api: MlflowApi, wanted: Wanted) -> Found | None:
    """Return the registered model, or None."""
    model = api.registered(wanted.model)
    if model is None:
        return None
    versions = {int(each["version"]) for each in model.get("latest_versions", ())}
    # The list has the newest ones only.
    number = wanted.version if wanted.version != LATEST else ""
    if number and api.find("/model-versions/get", name=wanted.model, version=number):
        versions.add(int(number))
    return Found(tuple(sorted(versions)), aliases_of(model))


def details(api: MlflowApi, model: str, version: str) -> dict[str, Any]:
    """Return what is known of a version. NotYet while it is being registered."""
    found = api.request("GET", "/model-versions/get", name=model, version=version)["model_version"]
    status = found.get("status", "")
    if status == PENDING:
        raise NotYet(f"version {version} of {model} is being registered")
    if status == FAILED:
        raise ValueError(
            f"version {version} of {model} failed: {found.get('status_message', 'no reason given')}"
        )
    return {
        "status": status,
        "source": found.get("source", ""),
        "run_id": found.get("run_id", ""),
        "model_id": found.get("model_id", ""),
        "aliases": sorted(found.get("aliases", ())),
        "tags": {tag["key"]: tag.get("value", "") for tag in found.get("tags", ())},
        "description": found.get("description", ""),
    }


def look(api: MlflowApi, wanted: Wanted) -> tuple[Plan, dict[str, Any], dict[str, str]]:
    """Return the plan, the version's details, and where the aliases point now."""
    found = read(api, wanted)
    planned = plan(wanted, found)
    known = details(api, wanted.model, planned.version) if planned.version else {}
    return planned, known, dict(found.aliases) if found else {}


def apply(api: MlflowApi, wanted: Wanted, planned: Plan, before: str) -> None:
    """Move the alias, or take it away. It points at the version `before` now."""
    if not planned.step:
        return
    version = {"name": wanted.model, "version": planned.version or before}
    # The record comes first: what is in production has one in any case.
    for key, value in wanted.tags.items():
        text = str(value).replace("{before}", before)
        api.request("POST", "/model-versions/set-tag", {**version, "key": key, "value": text})
    if planned.step == "set":
        api.request("POST", "/registered-models/alias", {**version, "alias": wanted.alias})
    else:
        api.request("DELETE", "/registered-models/alias", {"name": wanted.model, "alias": wanted.alias})


def main() -> None:
    """Wait for the version, move the alias where it points elsewhere, and return what is known."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES)
    params = module.params
    wanted = Wanted(
        params["model"],
        params["version"] or "",
        params["alias"] or "",
        params["only_from"] or "",
        params["state"] == "absent",
        params["tags"],
    )
    if wrong := problems(wanted):
        module.fail_json(msg="; ".join(wrong))
    try:
        with open_api(params) as api:
            planned, known, aliases = wait_for_answer(lambda: look(api, wanted), params["wait_seconds"])
            before = aliases.get(wanted.alias, "")
            if not module.check_mode:
                apply(api, wanted, planned, before)
                if planned.step == "set":
                    known = details(api, wanted.model, planned.version)
    except (ApiError, ValueError) as error:
        module.fail_json(msg=str(error))
    after = planned.version if planned.step == "set" else "" if planned.step == "delete" else before
    module.exit_json(
        changed=bool(planned.step),
        version=planned.version,
        details=known,
        aliases={
            **{name: version for name, version in aliases.items() if name != wanted.alias},
            **({wanted.alias: after} if after else {}),
        },
        actions=[planned.sentence] if planned.step else [],
        diff={"before": f"{before}\n" if before else "", "after": f"{after}\n" if after else ""},
    )


if __name__ == "__main__":
    main()
