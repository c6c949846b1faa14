"""Open the files of a version as the model that they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from .anomalies import Anomalies
from .artifact import ArtifactProblem, Card, load
from .recommender import Recommender
from .registry import is_ours
from .tensors import Array, Model

KINDS: dict[str, Callable[[Card, Mapping[str, Array]], Model]] = {
    "recommender": Recommender,
    "anomalies": Anomalies,
}


def open_model(folder: Path, requirements: str = "") -> Model:
    """Return the model in a folder. ArtifactProblem if its files are damaged, or of a kind nobody knows.

    What is not of this package and has MLflow's file MLmodel is opened with MLflow, if the image was built
    with the `requirements` that were recorded with it.
    """
    if not is_ours(folder) and (folder / "MLmodel").is_file():
        from .pyfunc import Pyfunc

        return Pyfunc(folder, requirements)
    card, arrays = load(folder)
    if card.kind not in KINDS:
        raise ArtifactProblem(f"{folder} is a model of the kind {card.kind!r}: known are {', '.join(KINDS)}")
    try:
        return KINDS[card.kind](card, arrays)
    except KeyError as missing:
        raise ArtifactProblem(f"{folder} lacks {missing.args[0]}.npy, which a {card.kind} needs") from None
