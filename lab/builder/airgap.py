"""The images that the k3s stand-in's own manifests use, in one archive: each a static program, nothing else.

k3s imports such an archive from its agent/images folder before it starts anything. It is not compressed:
it never leaves this computer, and unpacking would cost every start of a node.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from module_utils.metalworks.artifacts.cache import Fingerprint
from module_utils.metalworks.common.files import sha256_of
from module_utils.metalworks.images.names import PLACEHOLDER_HOST
from module_utils.metalworks.images.oci import BlobStore, single_program_image, write_archive
from module_utils.metalworks.images.record import Record

from .recipe import Job, Recipe, Result

REGISTRY = f"{PLACEHOLDER_HOST}/lab"
PATH = ["PATH=/usr/local/bin:/usr/bin:/bin"]
# What the storage provisioner's helper scripts call, and what a person needs in a shell.
BUSYBOX_LINKS = """
cat chmod cp date dd df du echo env false find grep head httpd id ip ls mkdir mv nc nslookup ping ps rm
sed seq sh sleep stat sync tail test timeout touch true wc wget xargs
"""


@dataclass(frozen=True)
class Ingredient:
    """One image of the archive: where its program lies in it, and how it is started."""

    program: str
    config: dict[str, object]
    links: dict[str, str] = field(default_factory=dict)


INGREDIENTS = {
    "pause": Ingredient("pause", {"Entrypoint": ["/pause"], "User": "65535:65535"}),
    "coredns": Ingredient("coredns", {"Entrypoint": ["/coredns"], "WorkingDir": "/"}),
    "local-path-provisioner": Ingredient(
        "usr/bin/local-path-provisioner", {"Entrypoint": ["local-path-provisioner"], "Env": ["PATH=/usr/bin"]}
    ),
    "metrics-server": Ingredient("metrics-server", {"Entrypoint": ["/metrics-server"], "User": "65534"}),
    "busybox": Ingredient(
        "bin/busybox",
        {"Cmd": ["sh"], "Env": PATH},
        links={f"bin/{name}": "busybox" for name in BUSYBOX_LINKS.split()},
    ),
}


def recipe(name: str, version: str, versions: dict[str, str]) -> Recipe:
    """Make the recipe of the archive; `versions` are the images' own, from the catalogue."""

    def inputs(found: Fingerprint) -> object:
        return found.text("ingredients", repr(INGREDIENTS)).text("versions", repr(sorted(versions.items())))

    def make(job: Job) -> Result:
        job.say("packing")
        store = BlobStore(job.out / "blobs")
        records = [_image(store, each, versions[each], Path(job.needs[each].path)) for each in INGREDIENTS]
        archive = job.out / f"{name}.tar"
        write_archive(store, records, archive)
        shutil.rmtree(store.root)
        return Result(version, path=archive.name, sha256=sha256_of(archive))

    return Recipe(name, version, make, inputs, needs=tuple(INGREDIENTS))


def _image(store: BlobStore, name: str, version: str, program: Path) -> Record:
    image = INGREDIENTS[name]
    return single_program_image(
        store, name, f"{REGISTRY}/{name}:{version}", {image.program: program, **image.links}, image.config
    )
