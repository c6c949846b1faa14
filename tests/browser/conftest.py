"""A browser, the hub's address and its users, and a picture of each step."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.metalworks.monitoring import picture
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from visitor import Album, User, Visitor

ROOT = Path(__file__).resolve().parents[2]

FAILED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--hub-url",
        default=os.environ.get("METALWORKS_HUB_URL"),
        help="the hub's address (default: METALWORKS_HUB_URL, else what the platform recorded)",
    )
    parser.addoption("--screenshots", type=Path, help="keep the pictures of a good run in this folder")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember that a test failed, for the fixture that keeps its pictures."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed


@pytest.fixture(scope="session")
def hub_url(request: pytest.FixtureRequest) -> str:
    given = request.config.getoption("--hub-url")
    return str(given or request.getfixturevalue("platform")["hub_url"]).rstrip("/")


@pytest.fixture(scope="session")
def users(request: pytest.FixtureRequest) -> list[User]:
    """The example users; METALWORKS_HUB_USERS=name:password,... names others."""
    given = os.environ.get("METALWORKS_HUB_USERS")
    if given:
        return [User(*pair.split(":", 1)) for pair in given.split(",")]
    return [User(user["name"], user["password"]) for user in request.getfixturevalue("platform")["users"]]


def find_chromium() -> str:
    """The browser that the computer has; Playwright would download one of its own."""
    found = picture.browser()
    if not found:
        pytest.fail("No Chromium: apt-get install chromium, or set CHROMIUM to the path of one.")
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(picture.FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def album(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Album]:
    album = Album(tmp_path)
    yield album
    name = re.sub(r"[^\w-]+", "-", request.node.name).strip("-")
    wanted = request.config.getoption("--screenshots")
    if request.node.stash.get(FAILED, False):
        keep(album, ROOT / "test-output" / name)
    elif wanted:
        keep(album, wanted / name)


def keep(album: Album, folder: Path) -> None:
    """Move the pictures to the folder in which they are kept."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(album.folder, folder)


@pytest.fixture
def new_visitor(browser: Browser, hub_url: str, album: Album) -> Iterator[Callable[[], Visitor]]:
    """Return a function that opens windows with separate cookies."""
    contexts: list[BrowserContext] = []

    def open_window() -> Visitor:
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(30_000)
        contexts.append(context)
        return Visitor(context.new_page(), hub_url, album)

    yield open_window
    for number, context in enumerate(contexts):
        for page in context.pages:
            album.take(page, f"end-of-window-{number}")
        context.close()


@pytest.fixture
def visitor(new_visitor: Callable[[], Visitor]) -> Visitor:
    return new_visitor()


@pytest.fixture(scope="session")
def core(request: pytest.FixtureRequest) -> Any:
    """Yield the cluster's API, to delete pods, which a browser cannot do."""
    from kubernetes import client

    return client.CoreV1Api(request.getfixturevalue("api"))


@pytest.fixture(scope="session")
def namespace(request: pytest.FixtureRequest) -> str:
    """Where the hub and its users' servers are."""
    return str(request.getfixturevalue("platform")["namespace"])
