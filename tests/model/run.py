"""Test files/model, and check its types, in its image: `python -m tests.model.run`.

Arguments go to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from module_utils.metalworks.artifacts.cache import cache_root
from module_utils.metalworks.images.build import ImageCache, Wanted, run_quietly
from module_utils.metalworks.images.parts import images_of
from tests.support.artifacts import built

PACKAGE = Path(__file__).resolve().parents[2] / "files" / "model"


def image() -> str:
    """Build the image of the models, and the one of their tests on it, if need be; return its name."""
    cache, base = ImageCache(cache_root()), built("base-image")["base-image"]["reference"]
    record, _ = cache.ensure(Wanted("model", images_of("model")[0]["version"], PACKAGE, base), run_quietly)
    tests = Wanted("model-tests", "1", Path(__file__).parent, record.reference)
    return cache.ensure(tests, run_quietly)[0].reference


def main(arguments: list[str]) -> int:
    """Run both; 0 if both find nothing."""
    inside = [
        *("docker", "run", "--rm", "--network=none", f"--user={os.getuid()}", "--read-only"),
        *("--tmpfs=/tmp:exec", "--env=HOME=/tmp", "--env=PYTHONPATH=/src"),
        *(f"--volume={PACKAGE}:/src:ro", "--workdir=/src", "--entrypoint=python3", image(), "-m"),
    ]
    tests = ["pytest", "-p", "no:cacheprovider", "--numprocesses=2", *arguments]
    codes = [
        subprocess.run([*inside, *each], check=False).returncode
        for each in (tests, ["mypy", "--cache-dir=/tmp"])
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
