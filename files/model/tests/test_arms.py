"""How a server follows its registry, whatever the registry answers and whatever a version is."""

from __future__ import annotations

import asyncio
import http.server
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from metalworks_model.models.artifact import load, save
from metalworks_model.models.registry import FolderRegistry, MlflowRegistry, NotThere, RegistryProblem
from metalworks_model.serve.arms import Arms, Keeper, Wanted, ask
from metalworks_model.settings import Settings


@pytest.fixture
def keeper(registry: FolderRegistry, tmp_path: Path) -> Keeper:
    """What keeps the arms of a server with version 1."""
    settings = Settings.read(
        {}, registry_url=f"file://{registry.root}", cache_dir=str(tmp_path / "cache"), poll_every=0.01
    )
    found = Keeper(settings, registry, lambda arms: None)
    found.refresh()
    assert found.arms is not None
    return found


def follow(keeper: Keeper, check: Callable[[], bool]) -> None:
    """Let it follow its registry until something holds."""

    async def run() -> None:
        keeping = asyncio.create_task(keeper.keep())
        async with asyncio.timeout(30):
            while not check():
                assert not keeping.done()
                await asyncio.sleep(0.01)
        keeping.cancel()

    asyncio.run(run())


def champion(keeper: Keeper) -> str:
    """Return the version that answers."""
    return keeper.arms.champion.version if keeper.arms else ""


def test_an_odd_answer_of_the_registry_is_logged_and_counted_and_the_next_one_is_followed(
    keeper: Keeper,
    registry: FolderRegistry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = iter([{"version": {}}])
    ask = registry.version_of

    def odd(name: str, alias: str) -> Any:
        for answer in answers:
            return answer["model_version"]
        return ask(name, alias)

    monkeypatch.setattr(registry, "version_of", odd)
    registry.point("recommender", "champion", "2")
    follow(keeper, lambda: champion(keeper) == "2")
    assert keeper.failures == 1
    assert "KeyError: 'model_version'" in caplog.text


def test_what_goes_wrong_after_a_swap_does_not_end_the_following(
    keeper: Keeper, registry: FolderRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Arms] = []

    def changed(arms: Arms) -> None:
        seen.append(arms)
        if len(seen) == 1:
            raise ZeroDivisionError

    keeper.changed = changed
    registry.point("recommender", "champion", "2")
    follow(keeper, lambda: len(seen) == 1 and keeper.failures == 1)
    registry.point("recommender", "champion", "1")
    follow(keeper, lambda: champion(keeper) == "1")
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("share", ["0.5", "half"])
def test_a_candidate_that_cannot_be_read_does_not_keep_a_champion_from_serving(
    keeper: Keeper,
    registry: FolderRegistry,
    artifact: Path,
    tmp_path: Path,
    share: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    card, arrays = load(artifact)
    broken = msgspec.structs.replace(card, parameters={**card.parameters, "frequency_share": "half"})
    save(tmp_path / "broken", broken, arrays)
    third = registry.publish("recommender", tmp_path / "broken", {"canary_share": share}, {})
    registry.point("recommender", "candidate", third)
    keeper.refresh()
    assert keeper.left_out.startswith("the candidate, version 3, is left out: ")
    registry.point("recommender", "champion", "2")
    follow(keeper, lambda: champion(keeper) == "2")
    assert [each.levelno for each in caplog.records if "is left out" in each.message] == [logging.WARNING]
    assert ("Traceback" in caplog.text) == (share == "0.5")


@pytest.mark.parametrize(
    ("share", "alias", "wanted"),
    [
        ("0.2", "candidate", Wanted("1", "2", 0.2)),
        ("1", "candidate", Wanted("1", "2", 0.5)),
        ("0", "candidate", Wanted("1")),
        ("nan", "candidate", Wanted("1")),
        ("0.2", "", Wanted("1")),
    ],
)
def test_a_candidate_answers_at_most_half_of_the_customers_and_none_where_it_is_not_followed(
    registry: FolderRegistry, share: str, alias: str, wanted: Wanted
) -> None:
    registry.note("recommender", "2", {"canary_share": share}, {})
    registry.point("recommender", "candidate", "2")
    assert ask(Settings.read({"METALWORKS_MODEL_CANDIDATE": alias}), registry) == wanted


@pytest.fixture
def strange() -> Iterator[tuple[MlflowRegistry, list[tuple[int, bytes, int]]]]:
    """An MLflow that answers as the list says: a status, a body, and the length that it announces."""
    answers: list[tuple[int, bytes, int]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, length = answers.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield MlflowRegistry(f"http://127.0.0.1:{server.server_port}"), answers
        server.shutdown()


@pytest.mark.parametrize(
    ("body", "more", "says"),
    [
        (b"<html>please sign in</html>", 0, "cannot be read"),
        (b'{"model_version": {"ver', 10, "cannot be read"),
    ],
    ids=["a page", "an answer that was cut off"],
)
def test_an_answer_that_is_not_mlflows_is_a_problem_of_the_registry(
    strange: tuple[MlflowRegistry, list[tuple[int, bytes, int]]], body: bytes, more: int, says: str
) -> None:
    registry, answers = strange
    answers.append((200, body, len(body) + more))
    with pytest.raises(RegistryProblem, match=says):
        registry.version_of("goods", "champion")


def test_a_file_that_was_cut_off_is_no_file(
    strange: tuple[MlflowRegistry, list[tuple[int, bytes, int]]], tmp_path: Path
) -> None:
    registry, answers = strange
    for body, more in (
        (b'{"artifact_uri": "mlflow-artifacts:/m"}', 0),
        (b'{"files": [{"path": "a.npy"}]}', 0),
        (b"half", 4),
    ):
        answers.append((200, body, len(body) + more))
    with pytest.raises(RegistryProblem, match=r"lacks the last 4 bytes of a\.npy"):
        registry.fetch("goods", "1", tmp_path / "files")


MISSING = b'{"error_code": "%s", "message": "%s not found%s"}'


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, MISSING % (b"RESOURCE_DOES_NOT_EXIST", b"Registered Model with name=goods", b""), NotThere),
        (400, MISSING % (b"INVALID_PARAMETER_VALUE", b"Registered model alias candidate", b"."), NotThere),
        (400, MISSING % (b"BAD_REQUEST", b"The column alias of the database was", b""), RegistryProblem),
        (404, b"<html>the proxy knows no such page</html>", RegistryProblem),
        (500, MISSING % (b"INTERNAL_ERROR", b"host db", b""), RegistryProblem),
    ],
)
def test_only_mlflow_itself_says_that_something_is_not_there(
    strange: tuple[MlflowRegistry, list[tuple[int, bytes, int]]],
    status: int,
    body: bytes,
    kind: type[RegistryProblem],
) -> None:
    registry, answers = strange
    answers.append((status, body, len(body)))
    with pytest.raises(RegistryProblem) as problem:
        registry.version_of("goods", "candidate")
    assert problem.type is kind


def test_what_is_served_is_noted_as_a_whole_or_not_at_all(
    keeper: Keeper, registry: FolderRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (keeper.cache / "serving.json").read_bytes()

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:5])
        raise OSError("no space left")

    registry.point("recommender", "champion", "2")
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space left"):
        keeper.refresh()
    assert champion(keeper) == "2"
    assert (keeper.cache / "serving.json").read_bytes() == before


def test_the_cache_has_what_answers_the_version_before_and_nothing_of_a_killed_process(
    keeper: Keeper, registry: FolderRegistry, artifact: Path
) -> None:
    (keeper.cache / ".9.abc.part").mkdir()
    for version in ("2", "3", "4"):
        if version > "2":
            registry.publish("recommender", artifact, {}, {})
        registry.point("recommender", "champion", version)
        keeper.refresh()
        assert champion(keeper) == version
    found = {each.name for each in keeper.cache.iterdir() if each.is_dir()}
    assert found == {"3", "4"}
    registry.note("recommender", "1", {"canary_share": "0.1"}, {})
    registry.point("recommender", "candidate", "1")
    keeper.refresh()
    assert {each.name for each in keeper.cache.iterdir() if each.is_dir()} == {"1", "3", "4"}
