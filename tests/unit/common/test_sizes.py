"""Sizes of volumes and memory: which are taken, and parts of them."""

from __future__ import annotations

import pytest
from ansible.module_utils.metalworks.common.sizes import budget_problem, share


@pytest.mark.parametrize("text", ["20", "20G", "1.5Gi", "0Gi", "Gi", "", 20])
def test_a_size_is_a_whole_number_with_a_unit(text: object) -> None:
    assert "write one like 20Gi" in str(budget_problem(text))


def test_a_share_of_a_size_is_whole() -> None:
    assert share("5Gi", 80) == "4096MiB"
