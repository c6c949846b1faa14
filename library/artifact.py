#!/usr/bin/python
"""Have an artifact of the catalogue on the operator's computer, whatever its source."""

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact
short_description: Have an artifact of the catalogue on the operator's computer
description:
  - Looks an artifact up in C(artifacts.yml) and returns where it is; at once when it is in the cache.
  - Runs on the operator's computer, never on a machine of the inventory.
  - With O(source=upstream) a file is fetched and verified against the checksum that its makers publish.
    An image or a chart is returned as a reference, and pulled by whoever needs it.
  - With O(source=build) it is made by C(lab/build.py) from package registries. C(make up) does that before
    Ansible, with progress shown.
author: Metalworks
options:
  name:
    description: The artifact's name in the catalogue.
    type: str
    required: true
  source:
    description: Where it comes from.
    type: str
    choices: [upstream, bundle, build]
    default: upstream
  arch:
    description: The architecture of the machine that it is for.
    type: str
    choices: [amd64, arm64]
    default: amd64
  catalogue:
    description:
      - The catalogue. Without it, C(artifacts.yml) in the folder of the playbook or the nearest above it.
    type: path
attributes:
  check_mode:
    description: Fills the cache in check mode too, as what follows must look at the file; no machine changes.
    support: full
  diff_mode:
    description: Has no difference to show.
    support: none
  idempotent:
    description: Fetches and builds once.
    support: full
"""

EXAMPLES = r"""
- name: Have k3s on this computer
  artifact:
    name: k3s
    source: "{{ metalworks_artifact_source }}"
  register: k3s
  delegate_to: localhost

- name: Have the hub's image
  artifact:
    name: hub-image
    source: build
  register: hub
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The file or folder; empty for an image.
  type: str
  returned: always
  sample: /home/me/.cache/metalworks/artifacts/k3s/0f3a/k3s
sha256:
  description: The checksum of the file; empty where there is no single file.
  type: str
  returned: always
version:
  description: The version that this source gives.
  type: str
  returned: always
  sample: v1.34.4+k3s1
reference:
  description: The name of an image for pods, or of a chart in its repository.
  type: str
  returned: always
  sample: quay.io/jupyterhub/k8s-hub:4.4.0
repository:
  description: The repository of a chart.
  type: str
  returned: always
record:
  description: The image record that M(k3s_image) sends to nodes; empty when they pull the image themselves.
  type: str
  returned: always
"""

import json
import platform
import sys
import time
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.metalworks.artifacts import (
    Artifact,
    CatalogueError,
    find_catalogue,
    look_up,
    read_catalogue,
)
from ansible.module_utils.metalworks.cache import cache_root
from ansible.module_utils.metalworks.fetch import FetchError, fetch
from ansible.module_utils.urls import open_url

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "source": {"type": "str", "choices": ["upstream", "bundle", "build"], "default": "upstream"},
    "arch": {"type": "str", "choices": ["amd64", "arm64"], "default": "amd64"},
    "catalogue": {"type": "path"},
}
EMPTY = {"path": "", "sha256": "", "reference": "", "repository": "", "record": ""}
HERE = {"x86_64": "amd64", "aarch64": "arm64"}


def from_upstream(artifact: Artifact, arch: str) -> dict[str, Any]:
    """Return what its makers publish: a verified file, or a reference."""
    what = artifact.published(arch)
    if artifact.kind == "image":
        suffix = f"@{what.digest}" if what.digest else f":{what.version}"
        return {"changed": False, "reference": what.reference + suffix}
    if artifact.kind == "chart":
        return {"changed": False, "reference": what.chart, "repository": what.repository}
    found = fetch(artifact, arch, cache_root(), open_published)
    return {"changed": found.changed, "path": str(found.path), "sha256": found.sha256}


def open_published(url: str) -> IO[bytes]:
    """Open an address as Ansible does, with the computer's proxies and certificates; be patient twice."""
    for pause in (1, 3, 0):
        try:
            return open_url(url, timeout=30)  # type: ignore[no-any-return]
        except OSError as error:
            answered = isinstance(error, HTTPError) and error.code < 500
            if answered or not pause:
                raise FetchError(
                    f"{url} cannot be fetched: {error}. On a closed network set "
                    f"metalworks_artifact_source to build."
                ) from error
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def from_build(module: AnsibleModule, artifact: Artifact, arch: str, root: Path) -> dict[str, Any]:
    """Return what the lab's builder makes."""
    if not artifact.build:
        raise CatalogueError(f"{artifact.name} cannot be built; it exists with source=upstream only")
    if arch != HERE.get(platform.machine()):
        raise CatalogueError(
            f"{artifact.name} is built for this computer's own architecture "
            f"({platform.machine()}), not for {arch}: use source=upstream"
        )
    if artifact.build.get("recipe") == "folder":
        return {"changed": False, "path": str(root / artifact.build["path"])}
    command = [sys.executable, str(root / "lab" / "build.py"), "--json", artifact.name]
    code, out, err = module.run_command(command, cwd=str(root))
    if code != 0:
        raise CatalogueError(err.strip())
    return dict(json.loads(out)[artifact.name])


def find(module: AnsibleModule) -> dict[str, Any]:
    """Return where the artifact is, from the source that was asked for."""
    params = module.params
    catalogue = Path(params["catalogue"]) if params["catalogue"] else find_catalogue(Path.cwd())
    artifact = look_up(read_catalogue(catalogue), params["name"])
    version = {"version": artifact.version(params["source"])}
    if params["source"] == "upstream":
        return {**EMPTY, **version, **from_upstream(artifact, params["arch"])}
    if params["source"] == "build":
        return {**EMPTY, **version, **from_build(module, artifact, params["arch"], catalogue.parent)}
    raise CatalogueError(
        f"{artifact.name}: source=bundle is not there yet. Possible today: {' and '.join(sources(artifact))}"
    )


def sources(artifact: Artifact) -> list[str]:
    """Return the sources that have the artifact."""
    return [
        f"source={name}"
        for name, entry in (("upstream", artifact.upstream), ("build", artifact.build))
        if entry
    ]


def main() -> None:
    """Answer where the artifact is."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        module.exit_json(**find(module))
    except (CatalogueError, FetchError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
