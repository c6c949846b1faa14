"""Which images a platform has, what is fetched and built for them, and what pods call them."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.filter.container_images import FilterModule

FILTERS = FilterModule().filters()
NOTEBOOKS = [
    {"slug": "minimal", "display_name": "Minimal", "image": {"artifact": "minimal-image"}},
    {"slug": "data", "display_name": "Data", "image": {"context": "here", "base_artifact": "minimal-image"}},
]
IMAGES = FILTERS["platform_images"](NOTEBOOKS, ["jupyterhub"])
FETCHED = {
    "hub-image": {"reference": "registry.example/hub:1", "record": ""},
    "proxy-image": {"reference": "metalworks.local/proxy:2", "record": "/proxy.json"},
    "minimal-image": {"reference": "metalworks.local/minimal:3", "record": "/minimal.json"},
}
BUILT = [{"item": {"name": "data"}, "reference": "metalworks.local/data:1-ab", "record": "/data.json"}]


def test_the_hub_needs_its_programs_and_the_notebooks() -> None:
    assert IMAGES == [
        {"name": "hub", "artifact": "hub-image"},
        {"name": "proxy", "artifact": "proxy-image"},
        {"name": "minimal", "artifact": "minimal-image"},
        {"name": "data", "context": "here", "base_artifact": "minimal-image"},
    ]


def test_a_part_that_is_left_out_needs_no_image() -> None:
    assert FILTERS["platform_images"](NOTEBOOKS, []) == []


def test_a_part_may_bring_an_image_of_its_own_folder() -> None:
    (image,) = FILTERS["platform_images"](NOTEBOOKS, ["mlflow"])
    assert image["name"] == "mlflow"
    assert FILTERS["image_problems"]([image]) == []
    assert FILTERS["built_images"]([image], "upstream") == ["mlflow"]
    assert FILTERS["image_artifacts"]([image]) == ["base-image"]


def test_an_artifact_is_fetched_once() -> None:
    assert FILTERS["image_artifacts"](IMAGES) == ["hub-image", "proxy-image", "minimal-image"]


@pytest.mark.parametrize(
    ("source", "built"), [("upstream", ["data"]), ("build", ["hub", "proxy", "minimal", "data"])]
)
def test_what_is_made_here_depends_on_the_source(source: str, built: list[str]) -> None:
    assert FILTERS["built_images"](IMAGES, source) == built


@pytest.mark.parametrize(
    ("registry", "prefix"),
    [
        ({}, "metalworks.local"),
        ({"address": "r.example:5000"}, "r.example:5000/metalworks"),
        ({"address": "r.example", "repository": "team/ml"}, "r.example/team/ml"),
    ],
)
def test_pods_call_an_image_by_where_it_is(registry: dict[str, Any], prefix: str) -> None:
    found = FILTERS["delivered_images"](IMAGES, FETCHED, BUILT, registry)
    assert found["references"] == {
        "hub": "registry.example/hub:1",
        "proxy": f"{prefix}/proxy:2",
        "minimal": f"{prefix}/minimal:3",
        "data": f"{prefix}/data:1-ab",
    }
    assert found["records"] == ["/proxy.json", "/minimal.json", "/data.json"], "a published image has none"


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ([{"name": "a"}], "a needs either artifact"),
        ([{"name": "a", "artifact": "x", "context": "y"}], "a needs either artifact"),
        ([{"name": "hub", "artifact": "x"}, {"name": "hub", "context": "y"}], "hub is the name of two"),
    ],
)
def test_a_wrong_list_is_refused(images: list[dict[str, str]], says: str) -> None:
    (problem,) = FILTERS["image_problems"](images)
    assert says in problem


def test_a_right_list_is_accepted() -> None:
    assert FILTERS["image_problems"](IMAGES) == []
