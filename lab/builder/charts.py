"""Recipes of charts that hold more than this repository does."""

from __future__ import annotations

import shutil

from module_utils.metalworks.artifacts.cache import Fingerprint, files_below

from .golang import fetched_module
from .recipe import LAB, Job, Recipe, Result

FOLDER = LAB / "charts" / "kube-prometheus-stack"
OPERATOR = "github.com/prometheus-operator/prometheus-operator"
OPERATOR_VERSION, OPERATOR_DIGEST = "v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="


def monitoring(name: str, version: str) -> Recipe:
    """Return the recipe of the lab's kube-prometheus-stack: our templates and the operator's own CRDs."""

    def inputs(found: Fingerprint) -> object:
        return found.text("crds", OPERATOR_DIGEST).files(LAB, files_below(FOLDER))

    def make(job: Job) -> Result:
        job.say("packing")
        module = fetched_module(job, OPERATOR, OPERATOR_VERSION, OPERATOR_DIGEST)
        chart = job.out / "chart"
        shutil.copytree(FOLDER, chart)
        (chart / "crds").mkdir()
        for path in (module / "example" / "prometheus-operator-crd").glob("*.yaml"):
            shutil.copyfile(path, chart / "crds" / path.name)
        return Result(version, path="chart", sha256=job.key)

    return Recipe(name, version, make, inputs, needs=("go",))
