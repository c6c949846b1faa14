"""registries.yaml is right before k3s reads it, hides its secrets, and changes when a CA does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.metalworks.k3s.registries import mask, problems, render, secrets, with_own
from tests.support.modules import cases

CA = (Path(__file__).parent / "ca.crt").read_text()
FOLDER = Path("/etc/rancher/k3s/registries.d")
LOGIN = {"username": "ada", "password": 'correct "horse" é', "auth": "YTpi", "identity_token": "staple"}
REGISTRIES: dict[str, Any] = {
    "mirrors": {"quay.io": {"endpoint": ["https://z.example", "https://a.example"]}, "docker.io": None},
    "configs": {"r.example:5000": {"auth": LOGIN, "tls": {"ca": CA}}, "b.example": None},
}


@pytest.mark.parametrize("case", cases(__file__))
def test_problems(case: dict[str, Any]) -> None:
    found = problems(json.loads(json.dumps(case["registries"]).replace("{ca}", json.dumps(CA)[1:-1])))
    expected = case.get("says", [])
    assert len(found) == len(expected), found
    for sentence, part in zip(found, expected, strict=True):
        assert part in sentence
        assert "correcthorse" not in sentence


def test_the_file_says_what_was_given() -> None:
    text, authorities = render(REGISTRIES, FOLDER)
    ((path, certificate),) = authorities.items()
    assert certificate == CA
    assert path.parent == FOLDER
    assert yaml.safe_load(text) == {
        "mirrors": REGISTRIES["mirrors"],
        "configs": {"r.example:5000": {"auth": LOGIN, "tls": {"ca_file": str(path)}}, "b.example": {}},
    }


def test_the_order_in_the_inventory_is_no_change() -> None:
    turned = {section: dict(reversed(hosts.items())) for section, hosts in reversed(REGISTRIES.items())}
    assert render(turned, FOLDER) == render(REGISTRIES, FOLDER)


def test_another_ca_changes_the_file() -> None:
    other = {"configs": {"r.example:5000": {"tls": {"ca": CA + CA}}}}
    same = {"configs": {"r.example:5000": {"tls": {"ca": f"\n{CA}\n\n"}}}}
    one = {"configs": {"r.example:5000": {"tls": {"ca": CA}}}}
    assert render(one, FOLDER) == render(same, FOLDER) != render(other, FOLDER)


@pytest.mark.parametrize("nothing", [{}, {"mirrors": {}, "configs": None}])
def test_nothing_is_no_file(nothing: dict[str, Any]) -> None:
    assert render(nothing, FOLDER) == ("", {})


def test_secrets_are_known_and_masked() -> None:
    text = mask(render(REGISTRIES, FOLDER)[0])
    assert secrets(REGISTRIES) == {LOGIN["password"], "YTpi", "staple"}
    assert yaml.safe_load(text)["configs"]["r.example:5000"]["auth"] == {
        "username": "ada",
        **dict.fromkeys(("password", "auth", "identity_token"), "********"),
    }


def test_the_own_registry_is_told_to_nodes_and_the_inventory_says_more() -> None:
    own = {"address": "r.example:5000", "repository": "team", "username": "ada", "password": "x", "ca": CA}
    told = with_own({"configs": {"r.example:5000": {"auth": {"password": "y"}}, "b.example": None}}, own)
    assert told["configs"] == {
        "r.example:5000": {"auth": {"username": "ada", "password": "y"}, "tls": {"ca": CA}},
        "b.example": None,
    }
    assert with_own({}, {"address": "r.example"}) == {"configs": {"r.example": {}}}
    assert with_own(REGISTRIES, {}) == REGISTRIES


@pytest.mark.parametrize("shapeless", ["text", {"configs": [1]}, {"configs": {"r.example": "text"}}])
def test_what_has_no_shape_stays_as_it_is_and_is_named(shapeless: Any) -> None:
    assert with_own(shapeless, {"address": "r.example"}) == shapeless
    assert problems(shapeless)
