"""Two people log in, choose an image, run cells, save, log out, and find their work again."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.support.waiting import wait_for
from visitor import User, Visitor

CUSTOM_IMAGE = "datascience"
PROGRAM = """\
import pandas, dvc
frame = pandas.DataFrame({"amount": [1, 2, 39]})
print("pandas", pandas.__version__)
print("dvc", dvc.__version__)
print("sum", frame.amount.sum())"""


def check_output(text: str) -> None:
    """Two versions and a sum that pandas computed."""
    lines = dict(line.split(" ", 1) for line in text.splitlines())
    assert lines["pandas"][0].isdigit() and lines["dvc"][0].isdigit(), text
    assert lines["sum"] == "42", text


@pytest.mark.parametrize("number", [0, 1], ids=["user1", "user2"])
def test_user_works_with_the_custom_image(visitor: Visitor, users: list[User], number: int) -> None:
    user, name = users[number], f"work-{secrets.token_hex(4)}.ipynb"
    visitor.login.open().log_in(user.name, user.password)
    visitor.home.stop_server()
    assert {"minimal", CUSTOM_IMAGE} <= set(visitor.spawn.open().choices())
    visitor.spawn.choose(CUSTOM_IMAGE).start()
    lab = visitor.lab.wait_ready().tidy_up()
    visitor.album.take(visitor.page, "lab")

    output = lab.new_notebook().run(0, PROGRAM)
    visitor.album.take(visitor.page, "output")
    assert not output.error
    check_output(output.text)

    lab.save_as(name)
    visitor.album.take(visitor.page, "saved")
    assert lab.stored(name)["cells"][0]["source"] == PROGRAM

    server = lab.server_url
    lab.log_out()
    visitor.album.take(visitor.page, "logged-out")
    answer = visitor.page.request.get(f"{server}/api/contents/{name}", max_redirects=0)
    assert answer.status in (302, 403), "the notebook can be read after logging out"


def test_wrong_password_is_refused(visitor: Visitor, users: list[User], hub_url: str) -> None:
    for name, password in ((users[0].name, "not-the-password"), (f"nobody-{secrets.token_hex(4)}", "user1")):
        visitor.login.open().submit(name, password)
        assert "invalid" in visitor.login.error().lower()
        visitor.album.take(visitor.page, "refused")
        visitor.page.goto(f"{hub_url}/hub/home")
        assert "/hub/login" in visitor.page.url


def test_guessing_is_slowed_down(visitor: Visitor) -> None:
    name = f"nobody-{secrets.token_hex(4)}"
    slowed_down = visitor.page.get_by_text("Too many wrong passwords").first
    wrong = visitor.page.locator("p.login_error")
    free = 0
    # The first pauses are short, and a slow browser may come after their end.
    while free < 12 and not slowed_down.is_visible():
        visitor.login.open().submit(name, "guess")
        expect(wrong.or_(slowed_down).first).to_be_visible(timeout=60_000)
        free += wrong.is_visible()
    assert 5 <= free < 12


def test_user_cannot_open_the_server_of_another(
    new_visitor: Callable[[], Visitor], users: list[User], hub_url: str
) -> None:
    owner, stranger = new_visitor(), new_visitor()
    owner.start_server(users[0], "minimal")
    stranger.login.open().log_in(users[1].name, users[1].password)
    answer = stranger.page.goto(f"{hub_url}/user/{users[0].name}/lab")
    stranger.album.take(stranger.page, "stranger")
    assert answer is not None and answer.status in (403, 404)
    assert stranger.page.locator("#jp-main-dock-panel").count() == 0
    contents = stranger.page.request.get(f"{hub_url}/user/{users[0].name}/api/contents")
    assert contents.status in (403, 404), contents.text()[:300]


def test_notebook_outlives_its_pod(
    new_visitor: Callable[[], Visitor], users: list[User], core: Any, namespace: str
) -> None:
    user, name, mark = users[0], f"kept-{secrets.token_hex(4)}.ipynb", secrets.token_hex(8)
    before = new_visitor()
    lab = before.start_server(user, CUSTOM_IMAGE)
    assert lab.new_notebook().run(0, f"print('{mark}')").text == mark
    lab.save_as(name)
    lab.log_out()

    uid = delete_pod(core, namespace, user)
    after = new_visitor()
    lab = after.start_server(user, CUSTOM_IMAGE)
    assert core.read_namespaced_pod(user.pod, namespace).metadata.uid != uid, "it is still the same pod"
    lab.open_notebook(name)
    after.album.take(after.page, "found-again")
    assert lab.source(0) == f"print('{mark}')"
    assert lab.output(0).text == mark
    assert lab.stored(name)["cells"][0]["outputs"][0]["text"].strip() == mark


def delete_pod(core: Any, namespace: str, user: User) -> str:
    """Delete the user's pod without the hub, and wait until it is gone."""
    uid: str = core.read_namespaced_pod(user.pod, namespace).metadata.uid
    core.delete_namespaced_pod(user.pod, namespace, grace_period_seconds=1)
    wait_for(
        lambda: user.pod not in {pod.metadata.name for pod in core.list_namespaced_pod(namespace).items},
        f"pod {user.pod} does not go away",
    )
    return uid
