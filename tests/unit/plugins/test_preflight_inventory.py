"""A value whose template cannot be resolved is named with what Ansible says and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.rules.platform import UnusableValue
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from plugins.action.preflight_inventory import Values


def read(template: str, **variables: Any) -> Any:
    raw = {"hub_url": trust_as_template(template)}
    return Values(raw, Templar(loader=DataLoader(), variables={**raw, **variables}))["hub_url"]


@pytest.mark.parametrize(
    ("template", "remedy"),
    [
        ("{{ nowhere }}", "define it for all hosts"),
        ("{{ inventory_dir }}", "list localhost"),
        ("{{ [] | first }}", "for example a group without hosts"),
        ("{{ ansible_facts.default_ipv4.address }}", "not known before they are asked"),
    ],
)
def test_what_cannot_be_resolved_is_named_with_a_remedy(template: str, remedy: str) -> None:
    with pytest.raises(UnusableValue) as caught:
        read(template, ansible_facts={})
    assert caught.value.sentence is not None
    assert caught.value.sentence.startswith("hub_url cannot be resolved: ")
    assert remedy.lower() in caught.value.sentence.lower()


@pytest.mark.parametrize(
    ("template", "undefined"),
    [("{{ nowhere }}", "nowhere"), ("{{ port + nowhere }}", "nowhere"), ("{{ [] | first }}", "")],
)
def test_the_variable_that_a_template_lacks_is_named(template: str, undefined: str) -> None:
    with pytest.raises(UnusableValue) as caught:
        read(template, port=5)
    assert caught.value.undefined == undefined


def test_a_template_is_resolved() -> None:
    assert read("{{ port | int }}", port="5") == 5
