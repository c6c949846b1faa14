"""The store of the scenario, and what has to be refused by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.object_store import Store

from kubernetes import client


@pytest.fixture(scope="session")
def store(core: client.CoreV1Api) -> Iterator[Store]:
    found = Store(core)
    yield found
    found.forget()


@pytest.fixture(scope="session")
def refused() -> Callable[..., str]:
    """Do something that has to be refused, and return the S3 error code."""
    from botocore.exceptions import ClientError

    def run(what: Callable[..., Any], **arguments: Any) -> str:
        with pytest.raises(ClientError) as error:
            what(**arguments)
        return str(error.value.response["Error"]["Code"])

    return run
