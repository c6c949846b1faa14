"""Waiting for something that another program does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def wait_for(
    look: Callable[[], T], missed: str | Callable[[], str], seconds: float = 120, every: float = 0.5
) -> T:
    """Return what `look` finds, as soon as it finds something; fail when the time is over.

    The failure says what was missed. Where `missed` is a function, it is called then, and can say what is
    there instead.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            pytest.fail(f"{missed if isinstance(missed, str) else missed()} (waited {seconds:g} s)")
        time.sleep(every)
    return found
