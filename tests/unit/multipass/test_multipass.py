"""What multipass answers is understood, whatever its version; what it refuses is told with its remedy."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.metalworks.multipass.answers import (
    Multipass,
    MultipassError,
    delete_command,
    explain,
    read_info,
    read_list,
    read_version,
    same_size,
    size_as_printed,
    size_in_bytes,
)
from tests.support.modules import cases


def answering(out: str, err: str = "", code: int = 0) -> Multipass:
    return lambda arguments, stdin: (code, out, err)


@pytest.mark.parametrize("case", cases(__file__))
def test_documented_answer_is_understood(case: dict[str, Any]) -> None:
    assert case["source"]
    if "list" in case:
        (found,) = read_list(answering(case["list"]))
    else:
        found = read_info(answering(case["info"]), "vm")
    for key, value in case["instance"].items():
        got = getattr(found, key)
        assert (list(got) if isinstance(got, tuple) else got) == value, key


def test_no_instance_at_all() -> None:
    assert read_list(answering('{\n    "list": [\n    ]\n}\n')) == []


def test_missing_instance_is_absent() -> None:
    said = 'info failed: instance "vm" does not exist\n'
    assert read_info(answering("", said, 2), "vm").state == "absent"


def test_list_that_fails_as_a_whole_is_an_error() -> None:
    with pytest.raises(MultipassError, match="Listing the instances: list failed: IP not available"):
        read_list(answering("", "list failed: IP not available\n", 2))


@pytest.mark.parametrize(
    ("text", "size"),
    [("4G", 4 << 30), ("4.0GiB", 4 << 30), ("512M", 512 << 20), ("5368709120", 5 << 30), ("1.5g", 3 << 29)],
)
def test_size_is_read(text: str, size: int) -> None:
    assert size_in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "4 gigs", "-1G", "4T"])
def test_wrong_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        size_in_bytes(text)


def test_size_is_printed_as_multipass_prints_it() -> None:
    assert [size_as_printed(size_in_bytes(text)) for text in ("4G", "1536M", "512M", "100")] == [
        "4.0GiB",
        "1.5GiB",
        "512.0MiB",
        "100B",
    ]
    assert same_size("1536M", "1.5GiB")
    assert not same_size("2G", "1.5GiB")


def test_version_of_command_and_service() -> None:
    out = '{"multipass": "1.16.1+mac", "multipassd": "1.16.1+mac", "update": {"title": "new"}}'
    assert read_version(answering(out)) == {"multipass": "1.16.1+mac", "multipassd": "1.16.1+mac"}


@pytest.mark.parametrize(
    ("code", "err", "words"),
    [
        (127, "No such file or directory: 'multipass'", "snap install multipass"),
        (3, "list failed: cannot connect to the multipass socket", "service does not answer"),
        (
            2,
            "list failed: The client is not authenticated with the Multipass service.",
            "multipass authenticate",
        ),
        (1, 'Source path "/opt/x" does not exist', "below your home folder"),
        (2, 'launch failed: Remote "" is unknown or unreachable.', "unknown or unreachable"),
        (2, "", "exit code 2"),
        # The wheel of src/client/cli/cmd/animated_spinner.cpp, which early versions turn whoever watches.
        (
            2,
            "\x1b[2K\x1b[0A\x1b[0ECreating vm  \b/\b-\b\\\b| launch failed: no",
            "Creating vm launch failed: no",
        ),
    ],
)
def test_refusal_is_told_with_its_remedy(code: int, err: str, words: str) -> None:
    told = explain("Launching vm", code, "", err)
    assert told.startswith("Launching vm: ")
    assert words in told


def test_removal_of_a_version_without_help_is_plain() -> None:
    assert delete_command(answering("", "", 1), "vm") == ["delete", "vm"]
