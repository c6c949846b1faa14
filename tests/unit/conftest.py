"""Modules run in this process.

For them three things are replaced: long pauses by short ones, fsync by nothing, and the computer's
authorities by none.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Each TLS context reads the computer's authorities, which takes longer than most tests: there are none here.
os.environ["SSL_CERT_FILE"] = os.devnull
# With this library, the import of jsonschema builds 38 parsers of addresses that no schema here has.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
sys.path.insert(0, str(ROOT))
# Pauses are cut to 20 ms: modules ask each second, and what stands in for a cluster answers at once.
pause = time.sleep
time.sleep = lambda seconds: pause(min(float(seconds), 0.02))
# No test is about a power cut, and a disk takes milliseconds to be ready for one.
os.fsync = lambda fd: None
# What is imported stays: there is nothing to collect among it.
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Collect garbage from now on, but no longer look at what was there before the first test."""
    gc.collect()
    gc.freeze()
    gc.enable()
