"""Inputs of the role jupyterhub as Helm values."""

from __future__ import annotations

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


def test_output_is_shown_without_secrets() -> None:
    assert (
        FILTERS["jupyterhub_scrub"]("token s3cret is short", {"api_token": "s3cret"})
        == "token <api_token> is short"
    )


def test_keys_are_left_out() -> None:
    assert FILTERS["jupyterhub_without"]([{"name": "ada", "admin": True}], "admin") == [{"name": "ada"}]


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
