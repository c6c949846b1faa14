"""What the builder fetches before it compiles, with the Go toolchain that compiles the lab's programs."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.builder.golang import fetch_libraries
from lab.builder.recipe import Job, Result
from tests.support.artifacts import built_path

PAGES = 'package main\n\nimport "embed"\n\n//go:embed dist\nvar pages embed.FS\n\nfunc main() { _ = pages }\n'


def test_a_program_whose_stub_is_yet_to_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.org/pages\n\ngo 1.24\n")
    (tmp_path / "main.go").write_text(PAGES)
    output: list[str] = []

    def run(
        argv: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        done = subprocess.run(argv, env=env, cwd=cwd, check=True, capture_output=True, text=True)
        output.append(done.stdout)

    go = Result("1", path=str(built_path("go")))
    job = Job("pages", "1", "", tmp_path, tmp_path / "cache", {"go": go}, run, print)
    fetch_libraries(job, tmp_path, ".")
    assert "dist: no matching files found" in output[0]
