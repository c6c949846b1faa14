"""Moved to tests/support/roles.py."""

from tests.support.roles import *  # noqa: F403
