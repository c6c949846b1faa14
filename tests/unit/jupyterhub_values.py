"""Moved to tests/support/hub_values.py."""

from tests.support.hub_values import *  # noqa: F403
