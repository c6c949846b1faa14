"""The pages of what watches the platform: an admin opens them with the hub's login, and nobody else may."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect
from visitor import User, Visitor

pytestmark = pytest.mark.parts("monitoring", "logging", "door")

# What an admin gets of each back end. The lab's Prometheus and Alertmanager have no pages themselves.
ANSWERS = {
    "prometheus": ("/api/v1/query?query=up==1", '"node-exporter"'),
    "alertmanager": ("/api/v2/alerts", '"Watchdog"'),
    "logs": ("/select/logsql/query?query=*&limit=1", '"_msg"'),
}


@pytest.fixture
def admin(platform: dict[str, Any]) -> User:
    return next(User(each["name"], each["password"]) for each in platform["users"] if each.get("admin"))


def test_an_admin_searches_the_logs_in_the_browser(visitor: Visitor, admin: User) -> None:
    visitor.login.open("/hub/home").log_in(admin.name, admin.password)
    visitor.home.open_page("Logs")
    visitor.page.locator("a[href*=vmui]").first.click()
    field = visitor.page.locator("textarea").first
    expect(field).to_be_visible(timeout=60_000)
    # Of the machines' journals, which always have a line within five minutes.
    field.fill("_SYSTEMD_UNIT:*")
    visitor.page.keyboard.press("Enter")
    some = re.compile(r"Total logs returned:\s*[1-9]")
    expect(visitor.page.locator("body")).to_contain_text(some, timeout=60_000)
    visitor.album.take(visitor.page, "logs")


@pytest.mark.parametrize("page", ANSWERS)
def test_an_admin_may_open_a_page_and_a_user_may_not(
    page: str, new_visitor: Callable[[], Visitor], admin: User, users: list[User], hub_url: str
) -> None:
    path, expected = ANSWERS[page]
    for user, allowed in ((admin, True), (users[0], False)):
        visitor = new_visitor()
        visitor.login.open("/hub/home").log_in(user.name, user.password)
        offered = visitor.page.locator(f'#pages a[href$="/services/{page}/"]')
        assert offered.count() == allowed
        answer = visitor.page.goto(f"{hub_url}/services/{page}{path}")
        assert answer
        if allowed:
            assert expected in answer.text()
        else:
            assert answer.status == 403, answer.text()[:300]
            assert expected not in answer.text()
