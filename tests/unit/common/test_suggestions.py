"""The word that was probably meant, in one wording."""

from __future__ import annotations

import pytest
from module_utils.metalworks.common.suggestions import did_you_mean, nearest

KNOWN = ("cluster-cidr", "service-cidr", "flannelBackend")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("cluster-cdir", "; did you mean cluster-cidr?"),
        ("CLUSTER-CIDR", "; did you mean cluster-cidr?"),
        ("flannelbackend", "; did you mean flannelBackend?"),
        ("colour", ""),
        (8, ""),
    ],
)
def test_the_nearest_word_is_offered(word: object, said: str) -> None:
    assert did_you_mean(word, KNOWN) == said


def test_where_none_is_near_the_caller_says_what_there_is() -> None:
    assert did_you_mean("colour", KNOWN, "; known are a and b") == "; known are a and b"
    assert did_you_mean("colour", [], "; there is none") == "; there is none"


def test_several_are_named_nearest_first() -> None:
    assert nearest("1.2.3", ["1.2.30", "9.9", "1.2.4"], 3, 0.4) == ["1.2.30", "1.2.4"]
