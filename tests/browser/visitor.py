"""A user with a browser window; a picture is taken of each step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pages import HomePage, Lab, LoginPage, MlflowPage, SpawnPage
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page


@dataclass(frozen=True)
class User:
    """Someone who may log in."""

    name: str
    password: str

    @property
    def pod(self) -> str:
        return f"jupyter-{self.name}"


class Album:
    """Pictures of each step, thrown away unless the test fails or they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def take(self, page: Page, name: str) -> None:
        """Take a picture, or say why there is none.

        A page may leave while it is pictured, as that of a starting server does, and one that hangs cannot be
        pictured at all. Neither is what a test asks: what it asks of the page fails by itself.
        """
        self.count += 1
        file = self.folder / f"{self.count:02d}-{name}.png"
        try:
            page.screenshot(path=file)
        except PlaywrightError as error:
            print(f"There is no picture {file.name}: {error.message}")


@dataclass
class Visitor:
    """One browser window with its own cookies, and the pages it can be on."""

    page: Page
    hub_url: str
    album: Album

    @property
    def login(self) -> LoginPage:
        return LoginPage(self.page, self.hub_url, self.album.take)

    @property
    def home(self) -> HomePage:
        return HomePage(self.page, self.hub_url, self.album.take)

    @property
    def spawn(self) -> SpawnPage:
        return SpawnPage(self.page, self.hub_url, self.album.take)

    @property
    def lab(self) -> Lab:
        return Lab(self.page, self.album.take)

    @property
    def mlflow(self) -> MlflowPage:
        return MlflowPage(self.page, self.album.take)

    def start_server(self, user: User, slug: str) -> Lab:
        """Log in, choose an image, wait for JupyterLab. A server that still runs is stopped first."""
        # Without the path, the hub leads straight to a server that it believes to be running.
        self.login.open("/hub/home").log_in(user.name, user.password)
        return self.start_another_server(slug)

    def start_another_server(self, slug: str) -> Lab:
        """As a user who has logged in, choose an image, wait for JupyterLab."""
        self.home.stop_server()
        self.spawn.open().choose(slug).start()
        return self.lab.wait_ready().tidy_up()
