"""Moved to tests/support/cluster_api.py."""

from tests.support.cluster_api import *  # noqa: F403
