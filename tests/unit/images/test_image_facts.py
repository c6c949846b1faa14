"""What is stated about an image: licences as packages say them themselves, and the two forms of the list."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from library.images import image_facts
from module_utils.metalworks.images import contents
from tests.support.modules import run_module

NUMPY = {
    "kind": "pypi",
    "name": "Num_Py",
    "version": "2",
    "licence": "BSD-3-Clause",
    "expression": "BSD-3-Clause",
}
BASH = {"kind": "deb", "name": "bash", "version": "5", "licence": "GPL-2+, GPL-3+", "expression": ""}
SILENT = {"kind": "pypi", "name": "silent", "version": "1", "licence": "", "expression": ""}


@pytest.mark.parametrize(
    ("metadata", "classifiers", "licence"),
    [
        ({"License-Expression": "MIT", "License": "see LICENSE"}, ["License :: OSI Approved"], "MIT"),
        ({"License": "BSD-3-Clause"}, ["License :: OSI Approved :: BSD License"], "BSD-3-Clause"),
        # Some have the whole text of the licence there.
        (
            {"License": "Copyright 2018\nAll rights"},
            ["License :: OSI Approved :: MIT License"],
            "MIT License",
        ),
        ({"License": "x" * 81}, [], ""),
        ({}, ["License :: A :: Zebra", "License :: A :: Apache", "Topic :: Office"], "Apache or Zebra"),
        ({}, [], ""),
    ],
)
def test_a_python_package_says_its_licence(
    metadata: dict[str, str], classifiers: list[str], licence: str
) -> None:
    assert contents.python_licence(metadata, classifiers) == licence


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("Format: 1.0\nLicense: GPL-3+\nLicense: GPL-2+\n the text\nLicense: GPL-3+\n", "GPL-2+, GPL-3+"),
        # Words of the licence's text can stand where its name should.
        (f"Format: 1.0\nLicense: {'Permission to use ' * 5}\nLicense: MIT\n", "MIT"),
        ("It may be copied: see /usr/share/common-licenses/LGPL-2.1.\n", "LGPL-2.1"),
        ("License: not in the machine-readable form\n", ""),
        ("", ""),
    ],
)
def test_a_debian_package_says_its_licence(text: str, licence: str) -> None:
    assert contents.debian_licence(text) == licence


def test_packages_of_python_come_first_and_each_once() -> None:
    found = image_facts.sorted_packages([BASH, SILENT, NUMPY, BASH])
    assert found == [NUMPY, SILENT, BASH]


def test_the_bill_of_materials_names_what_scanners_look_up() -> None:
    bill = image_facts.bill("example.test/model:1", [NUMPY, SILENT, BASH])
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "example.test/model:1")
    numpy, silent, bash = bill["components"]
    assert (numpy["purl"], numpy["licenses"]) == ("pkg:pypi/num-py@2", [{"expression": "BSD-3-Clause"}])
    assert "licenses" not in silent
    assert bash["purl"] == "pkg:deb/debian/bash@5"
    assert bash["licenses"] == [{"license": {"name": "GPL-2+"}}, {"license": {"name": "GPL-3+"}}]


def test_the_table_has_a_row_for_each_package() -> None:
    lines = image_facts.table([NUMPY, SILENT]).splitlines()
    assert lines[0] == "| kind | name | version | licence |"
    assert lines[2:] == ["| pypi | Num_Py | 2 | BSD-3-Clause |", "| pypi | silent | 1 | - |"]


def test_any_python_can_run_what_the_image_is_asked_with() -> None:
    """Without this project on its path, as in the image."""
    program = Path(contents.__file__).read_text()
    command = [sys.executable, "-I", "-"]
    done = subprocess.run(command, input=program, capture_output=True, text=True, check=True, cwd="/")
    (pytest_itself,) = (each for each in json.loads(done.stdout) if each["name"] == "pytest")
    assert (pytest_itself["version"], pytest_itself["licence"]) == (pytest.__version__, "MIT")


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker that runs what it is given on its standard input, where it was told the image's name."""
    program = tmp_path / "docker"
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n'
        'case "$*" in *gone*) echo "No such image" >&2; exit 125;; esac\n'
        f"exec {sys.executable} -I -\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def test_the_image_is_asked_without_a_network(docker: Path, capsys: Any) -> None:
    answer = run_module("image_facts", {"reference": "metalworks.local/model:1"}, capsys)
    assert not answer["failed"], answer
    assert "pytest" in {each["name"] for each in answer["packages"]}
    asked = (docker / "asked").read_text().split()
    assert {"--network=none", "--read-only", "--pull=never", "metalworks.local/model:1"} <= set(asked)


def test_an_image_that_cannot_be_asked_is_named(docker: Path, capsys: Any) -> None:
    answer = run_module("image_facts", {"reference": "gone:1"}, capsys)
    assert answer["msg"] == "gone:1 cannot be asked what is in it: No such image"
