"""A page of HTML as a picture, by the browser that the computer has."""

from __future__ import annotations

import os
from pathlib import Path

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
# Root needs no-sandbox; containers have a small /dev/shm.
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
WIDTH = 1280  # of the window, in pixels; the height is the page's own


def browser() -> str:
    """Return the path of a Chromium (CHROMIUM of the environment, or where it usually is), or nothing."""
    candidates = [os.environ.get("CHROMIUM", ""), *CHROMIUM]
    return next((path for path in candidates if path and Path(path).is_file()), "")


def draw(page: Path, picture: Path, program: str) -> None:
    """Draw a file of HTML to a PNG, as long as the page is. Errors of Playwright are raised."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            shown = running.new_page(viewport={"width": WIDTH, "height": 800})
            shown.goto(page.resolve().as_uri())
            shown.screenshot(path=str(picture), full_page=True)
        finally:
            running.close()
