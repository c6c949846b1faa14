"""Moved to tests/support/modules.py."""

from tests.support.modules import *  # noqa: F403
