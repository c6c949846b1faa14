"""Which requests remove the users who are no longer listed, and when each is made."""

from __future__ import annotations

from typing import Any

import pytest
from library.jupyterhub.jupyterhub_former_users import apply, plan
from tests.support.modules import cases


@pytest.mark.parametrize("case", cases(__file__))
def test_plan(case: dict[str, Any]) -> None:
    steps = plan(case["listed"], case["found"])
    assert [step.path for step in steps] == case["requests"]


class Hub:
    """A hub whose server takes two questions to stop, and which refuses to remove a user before."""

    def __init__(self) -> None:
        self.asked = 0
        self.deleted: list[str] = []

    def find(self, path: str) -> dict[str, Any]:
        self.asked += 1
        return {"servers": {"": {}} if self.asked < 2 else {}}

    def request(self, method: str, path: str) -> None:
        assert method == "DELETE"
        assert path.endswith("/server") or self.asked == 2, "the server still stops"
        self.deleted.append(path)


def test_a_user_is_removed_when_the_server_has_stopped() -> None:
    hub = Hub()
    apply(hub, plan([], [{"name": "ada", "servers": {"": {}}}]), 30)  # type: ignore[arg-type]
    assert hub.deleted == ["/users/ada/server", "/users/ada"]
