"""What a model that is served takes and gives: named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .artifact import Card

Array = npt.NDArray[Any]


class BadInput(ValueError):
    """A request that the model cannot answer; the message tells the client what to send instead."""


@dataclass(frozen=True)
class Tensor:
    """The name, datatype (of the Open Inference Protocol) and shape of an input or output; -1 is any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Model(Protocol):
    """A model that is loaded. Text is in arrays of dtype object, as str."""

    @property
    def card(self) -> Card:
        """What it is, and where from."""
        ...

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What it takes."""
        ...

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What it gives."""
        ...

    @property
    def slow(self) -> bool:
        """Whether an answer takes milliseconds, so that it is better computed in a thread."""
        ...

    def infer(self, inputs: Mapping[str, Array], parameters: Mapping[str, Any]) -> dict[str, Array]:
        """Return the outputs by name. BadInput says what is wrong with the inputs."""
        ...


def texts(values: list[bytes] | list[str]) -> Array:
    """Return text as an array of dtype object."""
    found = np.empty(len(values), object)
    found[:] = [each.decode() if isinstance(each, bytes) else each for each in values]
    return found
