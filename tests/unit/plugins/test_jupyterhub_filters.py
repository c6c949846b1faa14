"""Inputs of the role jupyterhub as Helm values."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from plugins.filter.jupyterhub import FilterModule

FILTERS = FilterModule().filters()


def test_image_is_split_at_its_tag() -> None:
    assert FILTERS["jupyterhub_image"]("host:5000/hub:1.0-ab") == {
        "name": "host:5000/hub",
        "tag": "1.0-ab",
        "pullPolicy": "IfNotPresent",
    }


def test_digest_stays_with_the_tag() -> None:
    found = FILTERS["jupyterhub_image"]("host:5000/hub:1.0@sha256:ab")
    assert (found["name"], found["tag"]) == ("host:5000/hub", "1.0@sha256:ab")


def test_no_image_leaves_the_chart_its_own() -> None:
    assert FILTERS["jupyterhub_image"]("") == {}


@pytest.mark.parametrize("reference", ["hub", "host:5000/hub", "hub:latest", "hub@sha256:ab"])
def test_image_without_a_version_is_refused(reference: str) -> None:
    with pytest.raises(AnsibleFilterError, match=reference):
        FILTERS["jupyterhub_image"](reference)


def test_profile_sets_image_and_limits() -> None:
    profile = {
        "display_name": "Data science",
        "slug": "datascience",
        "image": "ds:1",
        "mem_limit": "2G",
        "overrides": {"node_selector": {"gpu": "yes"}},
    }
    assert FILTERS["jupyterhub_profile_list"]([profile]) == [
        {
            "display_name": "Data science",
            "slug": "datascience",
            "default": False,
            "kubespawner_override": {"image": "ds:1", "mem_limit": "2G", "node_selector": {"gpu": "yes"}},
        }
    ]


def test_keys_are_left_out() -> None:
    assert FILTERS["jupyterhub_without"]([{"name": "ada", "admin": True}], "admin") == [{"name": "ada"}]


def test_notebooks_are_the_choices_with_the_references_of_their_images() -> None:
    notebooks = [
        {"slug": "a", "display_name": "A", "mem_limit": "1G", "image": {"artifact": "x"}},
        {"slug": "b", "display_name": "B", "default": True, "image": {"context": "y"}},
    ]
    assert FILTERS["jupyterhub_profiles"](notebooks, {"a": "host/a:1", "b": "host/b:2", "hub": "h:3"}) == [
        {"slug": "a", "display_name": "A", "mem_limit": "1G", "image": "host/a:1"},
        {"slug": "b", "display_name": "B", "default": True, "image": "host/b:2"},
    ]


@pytest.mark.parametrize(
    ("address", "values", "url"),
    [
        ("192.0.2.1", {}, "http://192.0.2.1:30080"),
        ("hub.example", {"proxy": {"service": {"type": "NodePort"}}}, "http://hub.example:30080"),
        ("2001:db8::1", {"proxy": {}}, "http://[2001:db8::1]:30080"),
        ("192.0.2.1", {"proxy": {"service": {"type": "LoadBalancer"}}}, ""),
        ("", {}, ""),
    ],
)
def test_the_hub_s_address_is_that_of_its_node_port(address: str, values: Any, url: str) -> None:
    assert FILTERS["hub_url"](address, 30080, values) == url


def test_a_port_from_the_command_line_is_a_number() -> None:
    assert FILTERS["hub_node_port"]({}, "30081") == 30081


GPU = {"key": "gpu", "operator": "Exists"}


def test_pods_tolerate_what_the_chart_and_its_values_say() -> None:
    values = {
        "hub": {"tolerations": [GPU]},
        "scheduling": {"userPods": {"tolerations": []}},
        "singleuser": {"extraTolerations": [GPU]},
    }
    found = FILTERS["jupyterhub_tolerations"](values)
    dedicated = {"key": "hub.jupyter.org/dedicated", "value": "core", "effect": "NoSchedule"}
    assert dedicated in found["the hub"]
    assert GPU in found["the hub"]
    assert dedicated in found["the proxy"]
    assert GPU not in found["the proxy"]
    assert found["the users' servers"] == [GPU], "the operator's list replaces that of the chart"


def test_without_values_the_pods_tolerate_what_the_chart_says() -> None:
    found = FILTERS["jupyterhub_tolerations"]({})
    assert {each["value"] for each in found["the users' servers"]} == {"user"}
    assert {each["value"] for each in found["the hub"]} == {"core"}


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, ""),
        ({"hub": None}, ""),
        ({"hub": {"config": {"JupyterHub": {"cookie_max_age_days": 1}}}}, ""),
        ({"hub": {"config": {"JupyterHub": {"authenticator_class": "ldap"}}}}, "ldap"),
    ],
)
def test_another_authenticator_is_seen(values: Any, name: str) -> None:
    assert FILTERS["jupyterhub_other_authenticator"](values) == name
