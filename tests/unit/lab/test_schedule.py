"""The builder makes what is missing, in order, once, and says why when it cannot."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lab.builder.progress import Progress
from lab.builder.recipe import Job, Recipe, Result
from lab.builder.schedule import BuildFailed, Schedule
from module_utils.metalworks.artifacts.cache import Fingerprint

Make = Callable[[Job], Result]


def recipe(
    name: str, made: list[str], *, needs: tuple[str, ...] = (), content: str = "1", make: Make | None = None
) -> Recipe:
    def write(job: Job) -> Result:
        made.append(name)
        (job.out / "file").write_text(content)
        return Result("1", path="file")

    def inputs(found: Fingerprint) -> object:
        return found.text("content", content)

    return Recipe(name, "1", make or write, inputs, needs)


def schedule(cache: Path, *recipes: Recipe) -> Schedule:
    return Schedule({each.name: each for each in recipes}, cache, Progress(quiet=True))


def test_what_is_needed_is_made_first_and_nothing_twice(tmp_path: Path) -> None:
    made: list[str] = []
    recipes = [
        recipe("image", made, needs=("base", "tool")),
        recipe("base", made),
        recipe("tool", made, needs=("base",)),
    ]
    results = schedule(tmp_path, *recipes).ensure(["image"])
    assert Path(results["image"].path).read_text() == "1"
    assert made == ["base", "tool", "image"]
    assert schedule(tmp_path, *recipes).missing(["image", "base", "tool"]) == []
    schedule(tmp_path, *recipes).ensure(["image"])
    assert made == ["base", "tool", "image"]


def test_a_change_below_makes_what_stands_on_it_again(tmp_path: Path) -> None:
    made: list[str] = []
    top, other = recipe("top", made, needs=("base",)), recipe("other", made)
    schedule(tmp_path, recipe("base", made), top, other).ensure(["top", "other"])
    made.clear()
    schedule(tmp_path, recipe("base", made, content="2"), top, other).ensure(["top", "other"])
    assert made == ["base", "top"]


def test_what_is_gone_elsewhere_is_made_again(tmp_path: Path) -> None:
    made: list[str] = []
    there = recipe("image", made)
    schedule(tmp_path, there).ensure(["image"])
    gone = Recipe("image", "1", there.make, there.inputs, there=lambda _: len(made) > 1)
    schedule(tmp_path, gone).ensure(["image"])
    assert made == ["image", "image"]


def test_a_failure_shows_the_end_of_the_log_and_leaves_nothing(tmp_path: Path) -> None:
    def fail(job: Job) -> Result:
        (job.out / "half").touch()
        job.run(["sh", "-c", "seq 1 100; exit 3"])
        raise AssertionError("not reached")

    with pytest.raises(BuildFailed) as error:
        schedule(tmp_path, recipe("bad", [], make=fail)).ensure(["bad"])
    message = str(error.value)
    assert "bad could not be built" in message
    assert "    100\n" in message
    assert "\n    60\n" not in message, "only the last 40 lines"
    log = tmp_path / "logs" / "bad.log"
    assert f"The whole log: {log}" in message
    assert log.read_text().startswith("1\n2\n")
    assert list((tmp_path / "artifacts" / "bad").iterdir()) == []


def test_what_was_finished_beside_a_failure_stays(tmp_path: Path) -> None:
    made: list[str] = []

    def fail(_: Job) -> Result:
        raise RuntimeError("no")

    recipes = [recipe("good", made), recipe("bad", made, needs=("good",), make=fail)]
    with pytest.raises(BuildFailed, match="bad could not be built: no"):
        schedule(tmp_path, *recipes).ensure(["bad", "good"])
    assert schedule(tmp_path, *recipes).missing(["good"]) == []


def test_a_failure_stops_what_runs_beside_it(tmp_path: Path) -> None:
    started = threading.Event()

    def slow(job: Job) -> Result:
        started.set()
        job.run(["sleep", "600"])
        return Result("1")

    def fail(_: Job) -> Result:
        assert started.wait(60)
        raise RuntimeError("no")

    with pytest.raises(BuildFailed, match="bad could not be built"):
        schedule(tmp_path, recipe("slow", [], make=slow), recipe("bad", [], make=fail)).ensure(
            ["slow", "bad"]
        )


def test_two_runs_at_once_make_it_once(tmp_path: Path) -> None:
    made: list[str] = []
    recipes = [recipe("thing", made)]
    runs = [threading.Thread(target=schedule(tmp_path, *recipes).ensure, args=(["thing"],)) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert made == ["thing"]


def test_sources_are_fetched_before_the_lane_is_free(tmp_path: Path) -> None:
    fetched = threading.Event()

    def compile_first(_: Job) -> Result:
        in_time.append(fetched.wait(60))
        return Result("1")

    def compile_next(_: Job) -> Result:
        return Result("1")

    in_time: list[bool] = []
    first = Recipe("first", "1", compile_first, lambda found: found, lane="go")
    after = Recipe("next", "1", compile_next, lambda found: found, lane="go", fetch=lambda _: fetched.set())
    schedule(tmp_path, first, after).ensure(["first", "next"])
    assert in_time == [True]


def test_sources_that_cannot_be_fetched_end_the_build(tmp_path: Path) -> None:
    made: list[str] = []

    def fetch(job: Job) -> None:
        job.run(["sh", "-c", "echo no route; exit 1"])

    bad = replace(recipe("bad", made), fetch=fetch)
    with pytest.raises(BuildFailed, match=r"(?s)bad could not be built.*no route.*bad-sources\.log"):
        schedule(tmp_path, bad).ensure(["bad"])
    assert made == []
