"""What Helm is given, and what is shown of what it says."""

from __future__ import annotations

import base64
import json

import pytest
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
