#!/usr/bin/python
"""Get artifacts of the catalogue onto the operator's computer, from any source."""

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact
short_description: Get artifacts of the catalogue onto the operator's computer
description:
  - Looks artifacts up in C(artifacts.yml), fetches or builds those that the cache does not have, and returns
    their paths.
  - Runs on the operator's computer, never on a machine of the inventory.
  - With O(source=upstream) a file or chart is fetched and verified against the checksum that is pinned or
    that its makers publish. An image is returned as a reference, and pulled by whoever needs it.
  - With O(source=build) it is made by C(lab/build.py) from package registries. C(make up) does that before
    Ansible, with progress shown.
author: Metalworks
options:
  name:
    description: The name of one artifact in the catalogue, which is returned. Give either this or O(names).
    type: str
  names:
    description: The names of several, which are returned in RV(artifacts). Names that are empty are left out.
    type: list
    elements: str
  source:
    description: Where it comes from.
    type: str
    choices: [upstream, bundle, build]
    default: upstream
  arch:
    description: The architecture of the machine that it is for. Without it, this computer's.
    type: str
    choices: [amd64, arm64]
  overrides:
    description:
      - What the inventory says otherwise (C(metalworks_artifacts)), merged deeply over the catalogue. Another
        version, address or digest, a mirror, or artifacts of its own.
    type: dict
    default: {}
  catalogue:
    description:
      - The catalogue. Without it, C(artifacts.yml) in the folder of the playbook or the nearest above it.
    type: path
attributes:
  check_mode:
    description: Fills the cache in check mode too, because later tasks read the file. No machine changes.
    support: full
  diff_mode:
    description: Has no difference to show.
    support: none
  idempotent:
    description: Fetches and builds once.
    support: full
"""

EXAMPLES = r"""
- name: Get k3s for the nodes
  artifact:
    name: k3s
    arch: arm64
    source: "{{ metalworks_artifact_source }}"
  register: k3s
  delegate_to: localhost

- name: Get two charts
  artifact:
    names: [jupyterhub-chart, kube-prometheus-stack-chart]
  register: charts    # charts.artifacts['jupyterhub-chart'].path
  delegate_to: localhost

- name: Get another version of it from a mirror
  artifact:
    name: k3s
    overrides:
      k3s:
        upstream:
          version: v1.34.5+k3s1
          url: https://files.example/k3s/{version}/k3s
          checksum_url: https://files.example/k3s/{version}/sha256sum-{arch}.txt
  delegate_to: localhost
"""

RETURN = r"""
artifacts:
  description: For each of O(names), what is returned for one O(name).
  type: dict
  returned: with O(names)
path:
  description: The file or folder; empty for an image.
  type: str
  returned: with O(name)
  sample: /home/me/.cache/metalworks/artifacts/k3s/0f3a/k3s
sha256:
  description: The checksum of the file; empty where there is no single file.
  type: str
  returned: with O(name)
version:
  description: The version that this source gives.
  type: str
  returned: with O(name)
  sample: v1.36.5+k3s1
reference:
  description: The name of an image for pods.
  type: str
  returned: with O(name)
  sample: quay.io/jupyterhub/k8s-hub:4.4.0
record:
  description: The image record that M(image_send) sends to nodes; empty when they pull the image themselves.
  type: str
  returned: with O(name)
"""

import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.artifacts.cache import cache_root
from ansible.module_utils.metalworks.artifacts.catalogue import (
    SYSTEMS,
    Artifact,
    CatalogueError,
    find_catalogue,
    look_up,
    read_catalogue,
)
from ansible.module_utils.metalworks.artifacts.fetch import FetchError, fetch
from ansible.module_utils.metalworks.artifacts.web import Web
from ansible.module_utils.metalworks.common.architectures import PUBLISHED, architecture
from ansible.module_utils.metalworks.common.options import options_of

ARGUMENTS = options_of(DOCUMENTATION)
EMPTY = {"path": "", "sha256": "", "reference": "", "record": ""}


def own_architecture() -> str:
    """Return this computer's architecture under the name that published files have."""
    name = str(architecture(platform.machine()))
    if name not in PUBLISHED:
        raise CatalogueError(
            f"this computer is {name}; there is something for {' and '.join(PUBLISHED)} only"
        )
    return name


def from_upstream(artifact: Artifact, arch: str) -> dict[str, Any]:
    """Return the result for a published artifact: a verified file, or an image's reference."""
    published = artifact.published(arch, SYSTEMS.get(platform.system(), "linux"))
    if artifact.kind == "image":
        return {"changed": False, "reference": published.image}
    found = fetch(artifact, published, cache_root(), Web())
    return {"changed": found.changed, "path": str(found.path), "sha256": found.sha256}


def from_build(
    module: AnsibleModule, artifacts: Sequence[Artifact], arch: str, root: Path
) -> dict[str, dict[str, Any]]:
    """Return the results of the lab's builder by the artifacts' names. It is run once, if need be."""
    for artifact in artifacts:
        if not artifact.build:
            raise CatalogueError(f"{artifact.name} cannot be built; it exists with source=upstream only")
        if arch != own_architecture():
            raise CatalogueError(
                f"{artifact.name} is built for this computer's own architecture "
                f"({platform.machine()}), not for {arch}: use source=upstream"
            )
    folders = {
        artifact.name: {"changed": False, "path": str(root / artifact.build["path"])}
        for artifact in artifacts
        if artifact.build.get("recipe") == "folder"
    }
    made = [artifact.name for artifact in artifacts if artifact.name not in folders]
    if not made:
        return folders
    command = [sys.executable, str(root / "lab" / "build.py"), "--json", *made]
    code, out, err = module.run_command(command, cwd=str(root))
    if code != 0:
        raise CatalogueError(err.strip())
    return {**folders, **json.loads(out)}


def find(module: AnsibleModule, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what is to be returned of each artifact, by its name."""
    params = module.params
    source = params["source"]
    path = Path(params["catalogue"]) if params["catalogue"] else find_catalogue(Path.cwd())
    catalogue = read_catalogue(path, params["overrides"])
    artifacts = [look_up(catalogue, name) for name in names]
    arch = params["arch"] or own_architecture()
    if source == "upstream":
        found = {artifact.name: from_upstream(artifact, arch) for artifact in artifacts}
    elif source == "build":
        found = from_build(module, artifacts, arch, path.parent)
    else:
        raise CatalogueError(
            f"{artifacts[0].name}: source=bundle is not there yet. "
            f"Possible today: {' and '.join(sources(artifacts[0]))}"
        )
    return {
        artifact.name: {**EMPTY, "version": artifact.version(source), **found[artifact.name]}
        for artifact in artifacts
    }


def sources(artifact: Artifact) -> list[str]:
    """Return the options, such as source=build, with which the artifact can be had."""
    return [
        f"source={name}"
        for name, entry in (("upstream", artifact.upstream), ("build", artifact.build))
        if entry
    ]


def main() -> None:
    """Fetch or build artifacts if need be, and return their paths or references."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        mutually_exclusive=[("name", "names")],
        required_one_of=[("name", "names")],
        supports_check_mode=True,
    )
    one, several = module.params["name"], module.params["names"]
    try:
        if one:
            module.exit_json(**find(module, [one])[one])
        found = find(module, list(dict.fromkeys(filter(None, several))))
        module.exit_json(changed=any(each["changed"] for each in found.values()), artifacts=found)
    except (CatalogueError, FetchError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"The cache in {cache_root()} cannot be filled: {error}")


if __name__ == "__main__":
    main()
