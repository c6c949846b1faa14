#!/usr/bin/python
"""Ask MLflow which environment a version of a model needs, and judge whether an image can have it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mlflow_model_environment
short_description: The environment that MLflow recorded for a model, as an image can have it
description:
  - Reads what MLflow recorded for a version of a registered model when somebody logged it, its
    C(requirements.txt), its version of Python and its signature.
  - Fails where no image can have that environment, and says what to log instead.
  - Changes nothing.
author: Metalworks
extends_documentation_fragment: [kubernetes_api, mlflow_server, reads_only]
options:
  version:
    description: The number of the version. Empty means the one at which O(alias) points.
    type: str
    default: ""
  alias:
    description: The alias.
    type: str
    default: champion
  python:
    description: The version of Python in the image, like V(3.11).
    type: str
    required: true
attributes:
  check_mode:
    description: Reads only. A server that is not there yet counts as one without the model.
    support: full
"""

EXAMPLES = r"""
- name: Ask what the model needs
  mlflow_model_environment:
    namespace: mlflow
    token: "{{ token }}"
    model: prices
    python: "3.11"
  register: environment
"""

RETURN = r"""
version:
  description: The number of the version; empty if there is none.
  type: str
  returned: always
  sample: "3"
missing:
  description: What is missing, and what to do, as a sentence; empty if the version is there.
  type: str
  returned: always
  sample: MLflow has no model prices
recorded:
  description: The lines of the recorded C(requirements.txt); empty for a model of the platform's own package.
  type: list
  elements: str
  returned: always
  sample: [mlflow==3.17.2, pandas==2.3.3]
requirements:
  description: What pip has to install for them. MLflow itself is there in its small form, which loads models.
  type: list
  elements: str
  returned: always
  sample: [mlflow-skinny==3.17.2, pandas==2.3.3]
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.mlflow.api import ARGUMENTS as API_ARGUMENTS
from ansible.module_utils.metalworks.mlflow.api import RULES, ApiError, MlflowApi, aliases_of, open_api
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

ARGUMENTS = {**options_of(DOCUMENTATION), **API_ARGUMENTS}
REQUIREMENTS, PYTHON, MODEL, CARD = "requirements.txt", "python_env.yaml", "MLmodel", "model.json"
# MLflow records itself with everything that its server needs. Loading a model takes this much of it: its own
# small distribution, and pandas, which mlflow.pyfunc imports
# (https://github.com/mlflow/mlflow/blob/master/libs/skinny/README_SKINNY.md).
WHOLE, SMALL = "mlflow", "mlflow-skinny"
# As in the data science notebook.
ALSO = Requirement("pandas==2.3.3")
AGAIN = "log it again with log_model(..., pip_requirements=[...])"


@dataclass(frozen=True)
class Recorded:
    """The files of a version that say what it needs; None for one that it does not have."""

    requirements: str | None
    python: str | None
    model: str | None
    own: bool = False
    """Whether it is a model of the platform's own package, which needs no other image."""


@dataclass(frozen=True)
class Environment:
    """The lines that were recorded, and what pip installs for them."""

    recorded: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()


def plan(recorded: Recorded, python: str) -> Environment:
    """Return the environment for an image with this Python. ValueError says all that stands against it."""
    if recorded.own and recorded.model is None:
        return Environment()
    if recorded.model is None:
        raise ValueError(f"it has no file {MODEL}, so MLflow cannot load it: log it with log_model")
    if recorded.requirements is None:
        raise ValueError(f"MLflow recorded no {REQUIREMENTS}: {AGAIN}")
    lines = tuple(_lines(recorded.requirements))
    problems = [
        *_signature_problems(recorded.model),
        *_python_problems(recorded.python, python),
        *(problem for line in lines if (problem := _line_problem(line))),
    ]
    if problems:
        raise ValueError("; ".join(problems))
    return Environment(lines, tuple(_installed(lines)))


def _lines(text: str) -> Iterable[str]:
    """Return the lines that say something, without comments."""
    found = (line.partition(" #")[0].strip() for line in text.splitlines())
    return (line for line in found if line and not line.startswith("#"))


def _signature_problems(text: str) -> Iterable[str]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, Mapping):
        yield f"its file {MODEL} cannot be read: log it again with log_model"
    elif not (found.get("signature") or {}).get("inputs"):
        yield "it has no signature, which says what it takes: log it again, with input_example="


def _python_problems(text: str | None, python: str) -> Iterable[str]:
    found = re.search(r"^python:\s*['\"]?(\d+\.\d+)", text or "", re.MULTILINE)
    if not found:
        yield f"its {PYTHON} names no version of Python: log it again with log_model"
    elif found[1] != python:
        yield (
            f"it was logged with Python {found[1]}, and the image of the models has {python}, which may not "
            f"read what another version has pickled: log it from a notebook with Python {python}"
        )


def _line_problem(line: str) -> str | None:
    """Return why a line of requirements.txt cannot be installed, or None."""
    shown = repr(line)
    if line.startswith("-"):
        return f"{shown} is an option of pip: {AGAIN}, with names and versions only"
    if re.match(r"[\w+.-]*[:/\\]", line) or line.endswith((".whl", ".tar.gz", ".zip")) or " @ " in line:
        return f"{shown} names a place: packages come from this computer's package index; {AGAIN}"
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return f"{shown} is no requirement: write NAME==VERSION; {AGAIN}"
    if requirement.url:
        return f"{shown} names a place: packages come from this computer's package index; {AGAIN}"
    pins = list(requirement.specifier)
    if len(pins) != 1 or pins[0].operator not in ("==", "===") or pins[0].version.endswith(".*"):
        return (
            f"{shown} names no version, so another one would be installed tomorrow: {AGAIN}, with "
            f"{requirement.name}==VERSION"
        )
    return None


def _installed(lines: Iterable[str]) -> Iterable[str]:
    """Return the lines with MLflow in its small form, and with what that needs to load a model."""
    parsed = [Requirement(line) for line in lines]
    names = {canonicalize_name(each.name) for each in parsed}
    for each in parsed:
        if canonicalize_name(each.name) == WHOLE:
            each.name = SMALL
        yield str(each)
    if ALSO.name not in names:
        yield str(ALSO)


def find_version(api: MlflowApi, model: str, version: str, alias: str) -> tuple[str, str]:
    """Return the number of the version; or an empty one, and what is missing, as a sentence."""
    found = api.registered(model)
    if found is None:
        return "", f"MLflow has no model {model}: log one with registered_model_name={model!r}"
    if version:
        if api.find("/model-versions/get", name=model, version=version):
            return version, ""
        return "", f"{model} has no version {version} in MLflow: write another one, or take version out"
    aliases = aliases_of(found)
    if alias in aliases:
        return aliases[alias], ""
    return "", f"{model} has no alias {alias} in MLflow: somebody who may decide has to set it at a version"


def read(api: MlflowApi, model: str, version: str) -> Recorded:
    """Return what MLflow recorded for a version."""
    uri = str(
        api.request("GET", "/model-versions/get-download-uri", name=model, version=version)["artifact_uri"]
    )
    files = api.files(uri)

    def text(name: str) -> str | None:
        return api.read_file(uri, name) if name in files else None

    return Recorded(text(REQUIREMENTS), text(PYTHON), text(MODEL), CARD in files)


def main() -> None:
    """Find the version, judge its environment, and return it."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True, **RULES)
    params = module.params
    model, environment = params["model"], Environment()
    try:
        with open_api(params) as api:
            version, missing = find_version(api, model, params["version"], params["alias"])
            if version:
                environment = plan(read(api, model, version), params["python"])
    except ApiError as error:
        if not (module.check_mode and error.may_be_starting):
            module.fail_json(msg=str(error))
        version, missing = "", f"MLflow does not answer ({error})"
    except ValueError as error:
        module.fail_json(msg=f"version {version} of {model} cannot be served: {error}")
    module.exit_json(
        changed=False,
        version=version,
        missing=missing,
        recorded=list(environment.recorded),
        requirements=list(environment.requirements),
    )


if __name__ == "__main__":
    main()
