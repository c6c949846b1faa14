"""What Kubernetes would say of an object: the API's own description, which its Python client carries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft7Validator

from kubernetes import client

PRIMITIVES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "object": (object,),
    "datetime": (object,),
}


def problems(each: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with an object: unknown fields, missing ones, values of another type.

    `definitions` has the CustomResourceDefinitions by the kind that they define.
    """
    kind = each["kind"]
    if kind in definitions:
        return list(_by_definition(each, definitions[kind]))
    version = str(each["apiVersion"]).rpartition("/")[2]
    model = getattr(client, version.capitalize() + kind, None)
    return (
        list(_by_model(each, model, kind))
        if model
        else [f"{each['apiVersion']} {kind} is no kind of Kubernetes"]
    )


def _by_definition(each: Mapping[str, Any], definition: Mapping[str, Any]) -> Iterator[str]:
    version = str(each["apiVersion"]).rpartition("/")[2]
    found = [its for its in definition["spec"]["versions"] if its["name"] == version]
    if not found:
        yield f"{each['kind']} has no version {version}"
    for its in found:
        for error in Draft7Validator(its["schema"]["openAPIV3Schema"]).iter_errors(each):
            yield f"{each['kind']} {error.json_path}: {error.message[:300]}"


def _by_model(value: Any, model: Any, place: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{place} is no mapping"
        return
    fields = {theirs: ours for ours, theirs in model.attribute_map.items()}
    for name, its in value.items():
        if name not in fields:
            yield f"{place}.{name} is unknown"
        elif its is not None:
            yield from _by_type(its, model.openapi_types[fields[name]], f"{place}.{name}")
    # The client's models refuse a required field that is missing.
    try:
        model(**{fields[name]: its for name, its in value.items() if name in fields})
    except ValueError as error:
        yield f"{place}: {error}"


def _by_type(value: Any, wanted: str, place: str) -> Iterator[str]:
    if wanted in PRIMITIVES:
        if not isinstance(value, PRIMITIVES[wanted]) or (
            wanted in ("int", "float") and isinstance(value, bool)
        ):
            yield f"{place} is {value!r}, and not of the type {wanted}"
    elif item := re.fullmatch(r"list\[(.+)\]", wanted):
        if not isinstance(value, list):
            yield f"{place} is no list"
            return
        for number, each in enumerate(value):
            yield from _by_type(each, item[1], f"{place}[{number}]")
    elif item := re.fullmatch(r"dict\(str, (.+)\)", wanted):
        if not isinstance(value, Mapping):
            yield f"{place} is no mapping"
            return
        quantities = place.endswith((".requests", ".limits"))
        for name, each in value.items():
            if not (quantities and type(each) in (int, float)):
                yield from _by_type(each, item[1], f"{place}.{name}")
    else:
        yield from _by_model(value, getattr(client, wanted), place)
