"""What Helm is given, and what is shown of what it says."""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path

import pytest
from ansible.module_utils.metalworks.kubernetes.secrets import make_secret
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from plugins.filter.helm_release import FilterModule

FILTERS = FilterModule().filters()
SECRET = 'top "s3cret"/ß'


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        base64.b64encode(SECRET.encode()).decode(),
        json.dumps({"password": SECRET}),
        json.dumps({"password": SECRET}, ensure_ascii=False),
        "https://u:top%20%22s3cret%22%2F%C3%9F@registry.example/",
    ],
)
def test_a_secret_is_hidden_in_every_spelling(shown: str) -> None:
    found = FILTERS["scrub"](f"error: {shown} is refused", {"password": SECRET})
    assert "<password>" in found
    assert "s3cret" not in found
    assert base64.b64encode(SECRET.encode()).decode() not in found
    assert found.startswith("error: ")
    assert found.endswith(" is refused")


def test_a_secret_that_contains_another_is_hidden_whole() -> None:
    found = FILTERS["scrub"]("got abc-token-xyz", {"short": "token", "long": "abc-token-xyz"})
    assert found == "got <long>"


def test_an_empty_secret_hides_nothing() -> None:
    assert FILTERS["scrub"]("all is said", {"password": ""}) == "all is said"


def test_the_checksum_goes_beside_other_values() -> None:
    given = {"custom": {"a": 1}, "hub": {}}
    found = FILTERS["helm_values"](given, "custom.chart", "ab12")
    assert found == {"custom": {"a": 1, "chart": "ab12"}, "hub": {}}
    assert given == {"custom": {"a": 1}, "hub": {}}, "what was given must not change"


@pytest.mark.parametrize(("place", "checksum"), [("", "ab12"), ("custom.chart", "")])
def test_without_a_place_or_a_checksum_the_values_stay(place: str, checksum: str) -> None:
    assert FILTERS["helm_values"]({"hub": {}}, place, checksum) == {"hub": {}}


def test_values_that_are_templates_can_still_be_resolved() -> None:
    """Ansible hands over containers that resolve their templates when they are read."""
    variables = {
        "given": trust_as_template("{{ inner }}"),
        "inner": {"hub": {"image": trust_as_template("{{ 'a' | upper }}")}},
    }
    templar = Templar(loader=DataLoader(), variables=variables)
    template = trust_as_template("{{ given | helm_values('custom.chart', 'ab12') }}")
    assert templar.template(template) == {"hub": {"image": "A"}, "custom": {"chart": "ab12"}}


# Values that an operator gives.

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["token"],
    "properties": {
        "token": {"type": "string"},
        "hub": {
            "additionalProperties": False,
            "properties": {"port": {"type": ["integer", "null"]}, "db": {"enum": ["sqlite", "other"]}},
            "patternProperties": {"^x-": {"type": "string", "pattern": "^/"}},
        },
        "pull": {"if": {"required": ["create"]}, "then": {"required": ["user", "registry"]}},
    },
}
DEFAULTS = {"hub": {"port": 8081, "db": "sqlite"}}


@pytest.fixture(params=["folder", "archive"])
def chart(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    folder = tmp_path / "jupyterhub"
    folder.mkdir()
    (folder / "values.schema.json").write_text(json.dumps(SCHEMA))
    (folder / "values.yaml").write_text(json.dumps(DEFAULTS))
    if request.param == "folder":
        return str(folder)
    with tarfile.open(tmp_path / "chart.tgz", "w:gz") as archive:
        archive.add(folder, "jupyterhub")
    return str(tmp_path / "chart.tgz")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, []),
        ({"hub": {"port": None, "db": "other", "x-more": "/a"}}, []),
        ({"hubs": {}}, ["given, at its top: the chart has no key hubs; did you mean hub?"]),
        ({"hub": {"ports": 1}}, ["given, hub: the chart has no key ports; did you mean port?"]),
        ({"hub": {"port": SECRET}}, ["given, hub.port: write a value of the type integer or null"]),
        ({"hub": {"db": SECRET}}, ['given, hub.db: write one of "sqlite", "other"']),
        ({"hub": {"x-a": SECRET}}, ['given, hub.x-a: the chart does not take it (pattern: "^/")']),
        ({"pull": {"create": True}}, ["given, pull: it lacks user, registry"]),
        (
            {"hub": {"port": "1", "db": 1}},
            [
                'given, hub.db: write one of "sqlite", "other"',
                "given, hub.port: write a value of the type integer or null",
            ],
        ),
    ],
)
def test_values_that_the_chart_does_not_take_are_named_and_not_shown(
    values: dict[str, object], says: list[str], chart: str
) -> None:
    assert FILTERS["chart_problems"]({"given": values}, chart) == says


@pytest.mark.parametrize("content", [b"no archive", b"", b"\x1f\x8b\x08\x00"])
def test_a_chart_that_cannot_be_read_is_left_to_helm(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "chart.tgz").write_bytes(content)
    assert FILTERS["chart_problems"]({"given": {"x": 1}}, str(tmp_path / "chart.tgz")) == []
    assert FILTERS["chart_problems"]({"given": {"x": 1}}, "jupyterhub/jupyterhub") == []


def test_the_labs_chart_judges_the_values_of_an_inventory() -> None:
    chart = str(Path(__file__).resolve().parents[3] / "lab/charts/jupyterhub")
    given = {"jupyterhub_values": {"proxy": {"service": {"type": "LoadBalancer", "nodePort": 30080}}}}
    assert FILTERS["chart_problems"](given, chart) == [
        "jupyterhub_values, proxy.service: the chart has no key nodePort; did you mean nodePorts?"
    ]


def test_pods_get_a_login_only_where_the_registry_asks_for_one() -> None:
    registry = {"address": "r.example", "repository": "team", "username": "robot", "password": "s3cret"}
    assert FILTERS["pull_login"](registry) == {
        "address": "r.example",
        "username": "robot",
        "password": "s3cret",
    }
    assert FILTERS["pull_login"]({"address": "r.example"}) == {}
    assert FILTERS["pull_login"]({}) == {}


def test_a_login_becomes_a_secret_of_the_type_that_the_kubelet_reads() -> None:
    login = {"address": "r.example:5000", "username": "robot", "password": 'a"b'}
    described = FILTERS["pull_secret"](login, "shop")
    assert (described["namespace"], described["name"]) == ("shop", "metalworks-registry")
    secret = make_secret({"name": "metalworks-registry"}, described["data"])
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    ((address, its),) = json.loads(described["data"][".dockerconfigjson"])["auths"].items()
    assert address == login["address"] and (its["username"], its["password"]) == ("robot", 'a"b')
    assert base64.b64decode(its["auth"]).decode() == 'robot:a"b'


def test_pods_name_the_secret_that_is_made() -> None:
    login = {"address": "r.example", "username": "robot", "password": "s3cret"}
    assert FILTERS["pull_secret_names"](login) == [FILTERS["pull_secret"](login, "shop")["name"]]
    assert FILTERS["pull_secret_names"]({}) == []
