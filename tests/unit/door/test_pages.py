"""What hub, door and network are told of the pages, and notebooks of the other parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.metalworks.door import pages
from ansible.module_utils.metalworks.jupyterhub import wiring
from jupyterhub.roles import get_default_roles
from metalworks_door.settings import SettingsError, parse_settings

TABLES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
MLFLOW = {"name": "mlflow", "title": "MLflow", "url": "http://mlflow.mlflow.svc:5000/"}
OPS = {
    "name": "ops",
    "url": "http://192.0.2.9:80",
    "groups": ["admins"],
    "strip_prefix": False,
    "secret": "s",
}
KEY = "k" * 64
HUB = {"namespace": "hubs", "base_url": "/jupyter/"}
STORE = {"endpoint": "http://store.example:9000", "region": "eu", "buckets": {}}


def table(name: str) -> Any:
    return pytest.mark.parametrize("case", TABLES[name], ids=lambda case: str(case["id"]))


@table("roles")
def test_roles(case: dict[str, Any]) -> None:
    found = pages.hub_roles(case["pages"])
    assert {name: role["scopes"] for name, role in found.items()} == case["scopes"]
    assert {name: role["groups"] for name, role in found.items() if "groups" in role} == case.get(
        "groups", {}
    )


@table("egress")
def test_egress(case: dict[str, Any]) -> None:
    assert pages.egress([{"url": url} for url in case["urls"]]) == case["rules"]


@table("notebooks")
def test_notebooks(case: dict[str, Any]) -> None:
    store = {**STORE, "buckets": case.get("buckets", {})}
    found = wiring.notebook_values(case["parts"], "http://hub", store, case.get("given", {}))
    environment = found.get("extraEnv", {})
    for name, value in case.get("variables", {}).items():
        assert environment.get(name) == value
    assert ("storage" in found) is case.get("store", False)
    assert found.get("networkPolicy", {}).get("egress", []) == case.get("egress", [])
    if not case.get("variables"):
        assert found == {}


@table("inner_urls")
def test_inner_urls(case: dict[str, Any]) -> None:
    assert wiring.inner_url(case.get("values", {}), "https://hub.example:8443/x", "hubs") == case["url"]


def test_the_default_roles_are_those_of_jupyterhub() -> None:
    """The role gives them a scope more; what they have by themselves must stay."""
    found = {role["name"]: role["scopes"] for role in get_default_roles()}
    assert {name: found[name] for name in pages.DEFAULT_ROLES} == pages.DEFAULT_ROLES
    assert "access:services" in found["admin"]


def test_the_door_takes_the_settings_that_the_role_makes() -> None:
    made = pages.door_settings(
        [MLFLOW, OPS], KEY, {"mlflow": "m"}, HUB, {"max_body_bytes": 5, "idle_seconds": 7}
    )
    settings = parse_settings(json.loads(json.dumps(made)))
    assert settings.hub_api_url == "http://hub.hubs.svc.cluster.local:8081/jupyter/hub/api"
    assert (settings.max_body_bytes, settings.idle_seconds) == (5, 7)
    first, second = settings.pages
    assert (first.title, first.url, first.secret) == ("MLflow", "http://mlflow.mlflow.svc:5000", "m")
    assert (second.title, second.strip_prefix, second.secret) == ("ops", False, "s")
    assert settings.prefix(first) == "/jupyter/services/mlflow/"


def test_hub_and_door_have_the_same_token_for_a_page_and_another_one_for_each() -> None:
    made = pages.door_settings([MLFLOW, OPS], KEY, {}, HUB, {})
    services = pages.hub_services([MLFLOW, OPS], KEY, "hubs")
    tokens = [page["token"] for page in made["pages"]]
    assert [service["apiToken"] for service in services.values()] == tokens
    assert len({*tokens, made["cookie_secret"]}) == 3
    assert all(len(secret) == 64 for secret in tokens)
    assert pages.hub_services([MLFLOW], "other" * 10, "hubs")["mlflow"]["apiToken"] not in tokens
    assert KEY not in json.dumps([made, services])


def test_every_secret_of_the_settings_is_hidden_in_messages() -> None:
    made = pages.door_settings([MLFLOW, OPS], KEY, {"mlflow": "m"}, HUB, {})
    hidden = set(pages.hidden(made).values())
    assert hidden == {made["cookie_secret"], *(page["token"] for page in made["pages"]), "m", "s"}
    assert set(pages.service_tokens([MLFLOW, OPS], KEY).values()) <= hidden


def test_a_page_of_the_operators_gets_no_secret_of_a_part_that_is_left_out() -> None:
    secrets = {"mlflow": "m", "logs": "l"}
    assert pages.page_secrets(secrets, ["jupyterhub", "mlflow", "door"]) == {"mlflow": "m"}
    assert pages.page_secrets(secrets, ["logging"]) == {"logs": "l"}


def test_a_page_of_a_part_is_shown_with_the_part_only() -> None:
    (page,) = pages.pages_of(["jupyterhub", "mlflow"], {"mlflow": "models"})
    assert (page["name"], page["url"]) == ("mlflow", "http://mlflow.models.svc.cluster.local:5000")
    assert {*page} == {"name", "title", "description", "url"}
    assert pages.pages_of(["jupyterhub", "door"], {}) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pages": {}}, "pages is no list"),
        ({"base_url": "hub"}, "base_url does not start and end with a slash"),
        ({"colour": "red"}, r"unknown keys \['colour'\]"),
        ({"pages": [{"name": "a"}]}, "page 1: a key is missing"),
        (
            {"pages": [{"name": "a", "title": "A", "url": "ftp://x", "token": "hidden-token"}]},
            "page a: url is not",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_refused(change: dict[str, Any], says: str) -> None:
    made = pages.door_settings([MLFLOW], KEY, {}, HUB, {})
    with pytest.raises(SettingsError, match=says) as failure:
        parse_settings({**made, **change})
    assert "hidden-token" not in str(failure.value)
