"""Judge values by the schema of a chart, as Helm does before it changes a release, but in sentences."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..common.suggestions import did_you_mean
from ..common.yaml_text import read_yaml

METADATA, SCHEMA, DEFAULTS = "Chart.yaml", "values.schema.json", "values.yaml"
# What a chart that cannot be read raises. Helm says more of it.
UNREADABLE = (OSError, EOFError, ValueError, tarfile.TarError, yaml.YAMLError)


def value_problems(name: str, values: Mapping[str, Any], chart: str) -> list[str]:
    """Return what a chart does not take of the values that an operator wrote into the variable `name`.

    `chart` is a folder or a .tgz file. Any other reference, and a chart that cannot be read, is left to Helm.
    The sentences show no value, because values may be secrets. What the chart's own defaults lack is left
    out, because roles add it.
    """
    if not values:
        return []  # the chart's own defaults are not the operator's
    try:
        schema, defaults = (_read(Path(chart), file) for file in (SCHEMA, DEFAULTS))
        rules, known = json.loads(schema or "true"), read_yaml(defaults or "{}") or {}
    except UNREADABLE:
        return []
    before, after = (list(_sentences(rules, each)) for each in (known, _merged(known, values)))
    return [f"{name}, {sentence}" for sentence in dict.fromkeys(after) if sentence not in before]


def read_metadata(chart: str) -> dict[str, Any] | None:
    """Return what Chart.yaml of a folder or a .tgz file says; None for a chart that cannot be read."""
    try:
        text = _read(Path(chart), METADATA)
        return read_yaml(text) if text else None
    except UNREADABLE:
        return None


def _read(chart: Path, name: str) -> str | None:
    """Return a file of a chart, or None."""
    if chart.is_dir():
        return (chart / name).read_text(encoding="utf-8") if (chart / name).exists() else None
    if not chart.is_file():
        return None
    with tarfile.open(chart) as archive:
        # A chart's files lie in a folder with its name; those of its dependencies lie deeper.
        inside = next((each for each in archive if each.name.split("/")[1:] == [name]), None)
        file = archive.extractfile(inside) if inside else None
        return file.read().decode() if file else None


def _merged(defaults: Any, given: Any) -> Any:
    """Return values merged as Helm does. A null takes a value away."""
    if not isinstance(given, Mapping):
        return given
    below = defaults if isinstance(defaults, Mapping) else {}
    merged = {key: _merged(below.get(key), value) for key, value in given.items() if value is not None}
    return {**{key: value for key, value in below.items() if key not in given}, **merged}


def _sentences(schema: Any, values: Any) -> Iterator[str]:
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    # With a registry of its own, the validator loads no schema from the internet.
    validator = validator_for(schema)(schema, registry=Registry())
    try:
        errors = sorted(validator.iter_errors(values), key=lambda error: error.json_path)
    except Unresolvable:
        return
    for error in errors:
        place = ".".join(map(str, error.absolute_path)) or "at its top"
        yield from (f"{place}: {reason}" for reason in _reasons(error))


def _reasons(error: Any) -> Iterator[str]:
    wanted, found = error.validator_value, error.instance
    if error.validator == "additionalProperties" and wanted is False:
        known = error.schema.get("properties") or {}
        patterns = error.schema.get("patternProperties") or ()
        for key in sorted(found.keys() - known.keys()):
            if not any(re.search(pattern, key) for pattern in patterns):
                yield f"the chart has no key {key}{did_you_mean(key, known)}"
    elif error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        yield f"write a value of the type {' or '.join(kinds)}"
    elif error.validator == "enum":
        yield f"write one of {', '.join(json.dumps(each) for each in wanted)}"
    elif error.validator == "required":
        yield f"it lacks {', '.join(key for key in wanted if key not in found)}"
    else:
        yield f"the chart does not take it ({error.validator}: {json.dumps(wanted)[:200]})"
