"""The role hands the chart names and types that zero-to-jupyterhub knows; the lab's chart takes no others."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tests.support.hub_values import ALL_PARTS, INPUTS, values
from tests.support.modules import ROOT
from tests.support.roles import resolved

VALUES = values(**ALL_PARTS)
KNOWN: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
SCHEMA = json.loads((ROOT / "lab" / "charts" / "jupyterhub" / "values.schema.json").read_text())
jsonschema.validators.validator_for(SCHEMA).check_schema(SCHEMA)
CHART = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)

each_kind = pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="as_it_is_by_default"),
        pytest.param(
            {"jupyterhub_storage_class": "fast", "jupyterhub_cull_enabled": False}, id="said_otherwise"
        ),
        pytest.param({"jupyterhub_images": {"hub": "", "proxy": ""}}, id="images_of_the_chart"),
        pytest.param(ALL_PARTS, id="every_part"),
    ],
)


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each value with its name; what is free ends the way there."""
    name = known_name(path)
    if name in KNOWN:
        yield name, value
    elif isinstance(value, dict) and (value or not path):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif value != {}:  # an empty dictionary sets nothing
        yield name, value


def known_name(path: tuple[str, ...]) -> str:
    """The name in the table, where * stands for a name that is free."""
    name = ".".join(path)
    for number in range(len(path)):
        starred = ".".join((*path[:number], "*", *path[number + 1 :]))
        if any(known == starred or known.startswith(f"{starred}.") for known in KNOWN):
            return starred
    return name


@each_kind
def test_names_and_types_are_upstreams(given: dict[str, Any]) -> None:
    found = list(leaves(values(**given)))
    assert len(found) > 30
    for name, value in found:
        assert name in KNOWN, f"{name}: zero-to-jupyterhub has no such value"
        if KNOWN[name] != "free":
            jsonschema.validate(value, {"type": KNOWN[name]})


def test_every_value_of_the_table_is_set() -> None:
    assert {name for name, _ in leaves(VALUES)} == set(KNOWN)


@each_kind
def test_the_labs_chart_takes_them(given: dict[str, Any]) -> None:
    CHART.validate(values(**given))


def test_without_other_parts_nothing_is_added() -> None:
    own = resolved("jupyterhub", "__jupyterhub_values", **INPUTS)
    assert values() == {**own, "custom": {"chart": "e" * 64}}


def test_every_part_gives_the_hub_what_it_needs() -> None:
    hub, servers = VALUES["hub"], VALUES["singleuser"]
    pages = {"mlflow", "logs", "deploys"}
    assert set(hub["services"]) == {"metalworks", "prometheus-measurements", *pages}
    assert hub["services"]["mlflow"]["url"] == "http://door.jupyterhub.svc.cluster.local:8080"
    tokens = {service["apiToken"] for service in hub["services"].values()}
    assert len(tokens) == 5
    roles = {"metalworks", "prometheus-measurements", "user", "server", "door-deploys"}
    assert set(hub["loadRoles"]) == roles
    assert hub["loadRoles"]["prometheus-measurements"]["scopes"] == ["read:metrics"]
    assert hub["config"]["HubUsersAuthenticator"] == {
        "secret_name": "hub-users",
        "manage_groups": True,
        "groups": {"deployers": ["ada"]},
    }
    assert set(hub["extraFiles"]) == {"hub_users", "hub_passwords", "home"}
    assert servers["extraEnv"]["PIP_INDEX_URL"] == "https://pip.example/simple"
    assert len(servers["networkPolicy"]["egress"]) == 2


def test_the_operators_own_values_are_added() -> None:
    own = {"hub": {"services": {"reports": {}}}, "singleuser": {"extraEnv": {"MLFLOW_TRACKING_URI": "other"}}}
    found = values(**ALL_PARTS, jupyterhub_values=own)
    assert {"mlflow", "reports"} <= found["hub"]["services"].keys()
    assert found["singleuser"]["extraEnv"]["MLFLOW_TRACKING_URI"] == "other"
    assert "MLFLOW_TRACKING_TOKEN" in found["singleuser"]["extraEnv"]


def test_an_unknown_value_would_be_found() -> None:
    wrong = VALUES | {"singleuser": {"memory": {"guarante": "1G"}}}
    assert "singleuser.memory.guarante" in dict(leaves(wrong))
    with pytest.raises(jsonschema.ValidationError, match="guarante"):
        CHART.validate(wrong)


# A null is left out: Helm takes it for "unset" before it looks at the schema.
SAMPLES = {
    "string": "text",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": ["text"],
    "object": {"a": "b"},
}


def refused() -> Iterator[Any]:
    """Each value with a type that upstream does not take."""
    for name, types in KNOWN.items():
        taken = {types} if isinstance(types, str) else set(types)
        taken |= {"integer"} if "number" in taken else set()
        for kind in sorted(SAMPLES.keys() - taken) if types != "free" else ():
            yield pytest.param(name, SAMPLES[kind], id=f"{name}-{kind}")


@pytest.mark.parametrize(("name", "value"), list(refused()))
def test_a_type_that_upstream_refuses_is_refused_by_the_labs_chart(name: str, value: Any) -> None:
    wrong = copy.deepcopy(VALUES)
    *way, last = name.replace("*", "hub_users").split(".")
    place = wrong
    for key in way:
        place = place[key]
    place[last] = value
    with pytest.raises(jsonschema.ValidationError):
        CHART.validate(wrong)
