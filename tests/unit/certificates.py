"""Moved to tests/support/certificates.py."""

from tests.support.certificates import *  # noqa: F403
