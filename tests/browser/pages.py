"""The pages of a hub as objects: what a user can read and do on each. Nothing here tests anything."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page, expect

SECOND = 1000  # Playwright counts milliseconds
SPAWN_TIMEOUT = 300 * SECOND
LAB_TIMEOUT = 90 * SECOND

Step = Callable[[Page, str], None]
"""Called after each step with a name for it: the place to take a picture."""


def no_step(page: Page, name: str) -> None:
    """Take no pictures."""


class LoginPage:
    """The page /hub/login."""

    def __init__(self, page: Page, hub_url: str, step: Step = no_step) -> None:
        self.page, self.hub_url, self.step = page, hub_url.rstrip("/"), step

    def open(self, path: str = "") -> LoginPage:
        """Go to the hub's address, as it is typed by hand, and arrive at the form."""
        self.page.goto(f"{self.hub_url}{path}")
        expect(self.page.locator("#username_input")).to_be_visible(timeout=30 * SECOND)
        return self

    def submit(self, name: str, password: str) -> None:
        """Fill the form in and send it."""
        self.page.fill("#username_input", name)
        self.page.fill("#password_input", password)
        self.step(self.page, "login")
        self.page.click("#login_submit")

    def log_in(self, name: str, password: str) -> None:
        """Log in and leave the login page behind."""
        self.submit(name, password)
        self.page.wait_for_url(lambda url: "/hub/login" not in url, timeout=60 * SECOND)

    def error(self) -> str:
        """What the form says after a refusal."""
        message = self.page.locator("p.login_error")
        expect(message).to_be_visible(timeout=30 * SECOND)
        return message.inner_text()


class HomePage:
    """/hub/home: the user's own server, running or not."""

    def __init__(self, page: Page, hub_url: str, step: Step = no_step) -> None:
        self.page, self.hub_url, self.step = page, hub_url.rstrip("/"), step

    def stop_server(self) -> None:
        """Stop the server if one runs. Press again if the hub notices only now that the pod is gone."""
        deadline = time.monotonic() + 90
        while not self._shows_no_server():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"The server does not stop:\n{self.page.locator('body').inner_text()[:500]}"
                )
            stop = self.page.locator("#stop")
            if stop.is_visible() and stop.is_enabled():
                stop.click()
            self.page.wait_for_timeout(500)

    def _shows_no_server(self) -> bool:
        """Return whether the button says "Start My Server". The page asks the hub, which asks the cluster."""
        self.page.goto(f"{self.hub_url}/hub/home")
        start = self.page.locator("#start")
        expect(start).to_be_visible(timeout=30 * SECOND)
        return "Start" in start.inner_text() and not self.page.locator("#stop").is_visible()

    def open_page(self, title: str) -> list[str]:
        """Click on a page of the platform, and return the addresses on the way there."""
        self.page.goto(f"{self.hub_url}/hub/home")
        link = self.page.locator("#pages a", has_text=title)
        self.step(self.page, "pages")
        visited: list[str] = []
        self.page.on("request", lambda request: visited.append(request.url))
        place = link.get_attribute("href")
        link.click()
        self.page.wait_for_url(
            re.compile(f"{re.escape(f'{self.hub_url}{place}')}(#.*)?$"), timeout=60 * SECOND
        )
        return visited


class MlflowPage:
    """/services/mlflow/: what the browser shows of experiments and runs."""

    def __init__(self, page: Page, step: Step = no_step) -> None:
        self.page, self.step = page, step

    def open_experiment(self, name: str) -> MlflowPage:
        """Click on an experiment, and on its runs."""
        # MLflow explains itself to newcomers, in front of what is to be clicked.
        hint = self.page.get_by_role("button", name="Got it")
        self.page.add_locator_handler(hint, lambda: hint.first.click())
        self.page.get_by_role("link", name="Experiments", exact=True).first.click(timeout=60 * SECOND)
        self.page.get_by_role("link", name=name, exact=True).first.click(timeout=60 * SECOND)
        self.page.get_by_text("Model training", exact=True).first.click()
        self.page.get_by_role("link", name="Runs", exact=True).first.click()
        return self

    def open_run(self, name: str) -> str:
        """Click on a run, and return what its page says."""
        link = self.page.get_by_role("link", name=name, exact=True).first
        expect(link).to_be_visible(timeout=60 * SECOND)
        self.step(self.page, "runs")
        link.click()
        expect(self.page.get_by_text("About this run")).to_be_visible(timeout=60 * SECOND)
        self.step(self.page, "run")
        return self.page.locator("body").inner_text()

    def delete_run(self, run: str) -> int:
        """Send what the page's own button sends, and return the status of the answer."""
        return self.page.evaluate(
            """async run => (await fetch("ajax-api/2.0/mlflow/runs/delete", {
                method: "POST",
                headers: {"Content-Type": "application/json"},
                body: JSON.stringify({run_id: run}),
            })).status""",
            run,
        )


class SpawnPage:
    """/hub/spawn: the choice of an image, and the wait for the server."""

    def __init__(self, page: Page, hub_url: str, step: Step = no_step) -> None:
        self.page, self.hub_url, self.step = page, hub_url.rstrip("/"), step

    def open(self) -> SpawnPage:
        """Show the choices."""
        self.page.goto(f"{self.hub_url}/hub/spawn")
        expect(self.page.locator("#spawn_form")).to_be_visible(timeout=30 * SECOND)
        return self

    def choices(self) -> list[str]:
        """The slugs that are offered."""
        radios = self.page.locator("#spawn_form input[type=radio][name=profile]")
        return [str(radio.get_attribute("value")) for radio in radios.all()]

    def choose(self, slug: str) -> SpawnPage:
        """Choose by clicking the label, as a person does."""
        self.page.click(f"label[for=profile-item-{slug}]")
        expect(self.page.locator(f"#profile-item-{slug}")).to_be_checked()
        self.step(self.page, "choice")
        return self

    def start(self) -> None:
        """Press Start and wait for the server. If it fails, the error shows the hub's messages."""
        self.press_start()
        self.wait_for_server()

    def press_start(self) -> None:
        """Press Start."""
        self.page.click("#spawn_form button[type=submit], #spawn_form input[type=submit]", no_wait_after=True)

    def wait_for_server(self) -> None:
        """Wait until the browser is sent to the server."""
        failed = self.page.locator("#progress-bar.bg-danger")
        deadline = time.monotonic() + SPAWN_TIMEOUT / SECOND
        pictured = False
        while not re.search(r"/user/[^/]+/lab", self.page.url):
            if not pictured and "/spawn-pending/" in self.page.url:
                self.step(self.page, "start")
                pictured = True
            if failed.is_visible():
                raise AssertionError(f"The server did not start:\n{self.progress()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"The server is not up; the page is {self.page.url}:\n{self.progress()}")
            self.page.wait_for_timeout(50)

    def progress(self) -> str:
        """The events that the hub showed."""
        lines = self.page.locator(".progress-log-event").all_text_contents()
        return "\n".join(lines) or self.page.locator("body").inner_text()[:500]


@dataclass
class Output:
    """What a cell printed, and whether it ended with an error."""

    text: str
    error: str


class Lab:
    """/user/<name>/lab: JupyterLab."""

    def __init__(self, page: Page, step: Step = no_step) -> None:
        self.page, self.step = page, step

    @property
    def server_url(self) -> str:
        """The address of the user's server, without /lab."""
        return self.page.url.partition("/lab")[0]

    def wait_ready(self) -> Lab:
        """Wait until the splash screen is gone and something can be clicked."""
        expect(self.page.locator("#jp-main-dock-panel")).to_be_visible(timeout=LAB_TIMEOUT)
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0, timeout=LAB_TIMEOUT)
        return self

    def tidy_up(self) -> Lab:
        """Close tabs of an earlier session, which may ask for kernels that are gone."""
        if self.page.locator(".jp-NotebookPanel, .jp-Dialog").count():
            self.page.goto(f"{self.server_url}/lab?reset")
            self.wait_ready()
        return self

    def watch_for_race(self) -> None:
        """Close a false error message: the server lists a folder while a file in it is being renamed."""
        alarm = self.page.locator(".jp-Dialog", has_text="Directory not found")
        self.page.add_locator_handler(alarm, lambda: alarm.locator(".jp-Dialog-button").last.click())

    def new_notebook(self) -> Lab:
        """Click the first kernel on the launcher's notebook row."""
        self.watch_for_race()
        self.page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click(timeout=LAB_TIMEOUT)
        self.wait_kernel()
        return self

    def open_notebook(self, name: str) -> Lab:
        """Open a notebook by its address."""
        self.page.goto(f"{self.server_url}/lab/tree/{name}?reset")
        self.wait_ready()
        expect(self.notebook.locator(".jp-Cell").first).to_be_visible(timeout=LAB_TIMEOUT)
        return self

    @property
    def notebook(self) -> Locator:
        """The notebook in front."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def cell(self, index: int) -> Locator:
        """A cell by its place."""
        return self.notebook.locator(f'.jp-Cell[data-windowed-list-index="{index}"]')

    def wait_kernel(self) -> None:
        """Wait until a kernel is there and has nothing to do."""
        idle = self.notebook.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]')
        expect(idle).to_be_visible(timeout=LAB_TIMEOUT)
        # The notebook shows the kernel's state before its channel is open; the status bar shows both.
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=LAB_TIMEOUT)

    def type_into(self, index: int, code: str) -> None:
        """Type code into a cell. insert_text: the editor closes brackets that are typed key by key."""
        editor = self.cell(index).locator(".cm-content")
        editor.click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)

    def run(self, index: int, code: str, within: int = LAB_TIMEOUT) -> Output:
        """Type code into a cell, run it with Shift+Enter and read its output (`within` in milliseconds)."""
        self.type_into(index, code)
        for _ in range(3):
            self.page.keyboard.press("Shift+Enter")
            if self._has_started(index):
                break
            # JupyterLab drops a run that comes while the kernel's channel is still opening: press again.
            self.cell(index).locator(".cm-content").click()
        expect(self.cell(index).locator(".jp-InputArea-prompt")).to_have_text(
            re.compile(r"^\[\d+\]:$"), timeout=within
        )
        return self.output(index)

    def _has_started(self, index: int) -> bool:
        """Whether the cell's prompt shows a star or a number within some seconds."""
        prompt = self.cell(index).locator(".jp-InputArea-prompt")
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            if re.search(r"[*\d]", prompt.inner_text()):
                return True
            self.page.wait_for_timeout(20)
        return False

    def output(self, index: int) -> Output:
        """What stands below a cell."""
        area = self.cell(index).locator(".jp-OutputArea-output")
        wrong = area.locator(
            'xpath=self::*[contains(@data-mime-type, "error") or contains(@data-mime-type, "stderr")]'
        )
        return Output(
            "\n".join(area.locator("pre").all_text_contents()).strip(), "\n".join(wrong.all_text_contents())
        )

    def source(self, index: int) -> str:
        """The code of a cell. Cells are drawn one after the other, their code last."""
        expect(self.cell(index).locator(".cm-line").first).not_to_be_empty(timeout=30 * SECOND)
        return "\n".join(self.cell(index).locator(".cm-line").all_text_contents())

    def save_as(self, name: str) -> None:
        """Save with Ctrl+S; the first save of an untitled notebook asks for its name."""
        self.page.keyboard.press("Control+s")
        dialog = self.page.locator(".jp-Dialog")
        dialog.locator("input").first.fill(name)
        dialog.locator(".jp-mod-accept").click()
        expect(dialog).to_have_count(0)
        tab = self.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab.jp-mod-current")
        expect(tab.locator(".lm-TabBar-tabLabel")).to_have_text(name, timeout=30 * SECOND)
        expect(tab).not_to_have_class(re.compile("jp-mod-dirty"), timeout=30 * SECOND)

    def stored(self, name: str) -> dict[str, Any]:
        """The notebook as the server has stored it, not as the browser shows it."""
        answer = self.page.request.get(f"{self.server_url}/api/contents/{name}", params={"content": "1"})
        assert answer.ok, f"{answer.url}: {answer.status} {answer.text()[:300]}"
        return json.loads(answer.text())["content"]

    def log_out(self) -> None:
        """File > Log Out."""
        self.page.locator("#jp-MainMenu .lm-MenuBar-itemLabel", has_text=re.compile("^File$")).click()
        self.page.locator('.lm-Menu-item[data-command="hub:logout"]').click()
        expect(self.page.locator("#username_input, #login-main, a[href*='/hub/login']").first).to_be_visible(
            timeout=30 * SECOND
        )
