#!/usr/bin/python
"""Write the objects of a Helm release as files, without secrets and without a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_manifests
short_description: The objects of a Helm release as files without secrets
description:
  - Renders a chart as an installation would, and writes the objects to files that C(kubectl apply) takes in
    the order of their names. No cluster is asked, so what a chart looks up in one is not there.
  - Each object has its namespace. Objects that only test a release are left out.
  - A Secret keeps its keys. In place of its values stands what has to be filled in. Secrets that pods read
    and the chart does not make are added in the same way.
  - Helm gets the values through its standard input, so that no file holds them. The module
    C(kubernetes.core.helm_template) leaves a file with them behind.
author: Metalworks
options:
  name:
    description: The release.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
  namespace_labels:
    description: The labels of the namespace.
    type: dict
    default: {}
  chart:
    description: A folder, a .tgz file, or a name in O(repository).
    type: str
    required: true
  version:
    description: The version to take from the repository.
    type: str
    default: ""
  repository:
    description: The address of the chart repository.
    type: str
    default: ""
  values:
    description: The values of the release. They may hold secrets, so the task should have C(no_log).
    type: dict
    default: {}
  secrets:
    description: The secrets in the values, by a name that stands in their place in messages and files.
    type: dict
    no_log: true
    default: {}
  folder:
    description: The folder to write to. It is made when it is missing.
    type: path
    required: true
  binary:
    description: The Helm executable.
    type: path
    default: helm
attributes:
  check_mode:
    description: Renders, and says which files would change.
    support: full
  diff_mode:
    description: RV(files) says which files there are.
    support: none
  idempotent:
    description: Writes only files that differ.
    support: full
"""

EXAMPLES = r"""
- name: Write the objects of MLflow
  helm_manifests:
    name: mlflow
    namespace: mlflow
    chart: files/mlflow/chart
    values: {image: registry.example/mlflow:1}
    folder: manifests/mlflow
  no_log: true
"""

RETURN = r"""
files:
  description: The names of the files in the folder, in the order in which they are to be applied.
  type: list
  elements: str
  returned: success
  sample: [0-namespace.yaml, 2-mlflow-secrets.yaml, 3-mlflow.yaml]
"""

from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.common.files import read_text, write_atomically
from ansible.module_utils.metalworks.common.options import options_of
from ansible.module_utils.metalworks.common.scrub import scrub
from ansible.module_utils.metalworks.kubernetes import manifests

ARGUMENTS = options_of(DOCUMENTATION)


def command(params: dict[str, Any]) -> list[str]:
    """Return the command that renders. It asks no cluster, and reads the values from standard input."""
    return [
        *(params["binary"], "template", params["name"], params["chart"]),
        *("--namespace", params["namespace"], "--include-crds", "--values", "-"),
        *(["--version", params["version"]] if params["version"] else []),
        *(["--repo", params["repository"]] if params["repository"] else []),
    ]


def outdated(folder: Path, wanted: dict[str, str]) -> dict[str, str]:
    """Return the files that are not in the folder as they are wanted."""
    return {name: text for name, text in wanted.items() if read_text(folder / name) != text}


def main() -> None:
    """Render, take the secrets out, and write what differs."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    code, output, error = module.run_command(command(params), data=yaml.safe_dump(params["values"]))
    if code:
        module.fail_json(msg=scrub((error or output).strip(), params["secrets"]))
    wanted = manifests.files(
        output, params["name"], params["namespace"], params["namespace_labels"], params["secrets"]
    )
    folder = Path(params["folder"])
    due = outdated(folder, wanted)
    if not module.check_mode:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in due.items():
            write_atomically(folder / name, text, 0o644)
    module.exit_json(changed=bool(due), files=sorted(wanted))


if __name__ == "__main__":
    main()
