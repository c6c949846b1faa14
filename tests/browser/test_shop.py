"""The shop in front of the recommender: a customer sees why something is offered, looks, and buys."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from visitor import User, Visitor

pytestmark = pytest.mark.parts("model", "door")


def test_a_customer_sees_reasons_looks_and_buys(visitor: Visitor, users: list[User]) -> None:
    visitor.login.open("/hub/home").log_in(users[0].name, users[0].password)
    visited = visitor.home.open_page("Shop")
    assert not [address for address in visited if "/hub/login" in address]
    page = visitor.page
    expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()
    first = page.get_by_role("listitem").first
    expect(first).to_have_text(re.compile(r"^Customer \d+, \d+ different items$"))
    visitor.album.take(page, "customers")
    page.get_by_role("link", name=re.compile(r"^Customer \d+")).first.click()

    bought = page.get_by_role("region", name="History").locator("tbody .why").all_inner_texts()
    assert bought, "this customer has a history"
    offered = page.get_by_role("region", name="You may also like")
    expect(offered.locator(".version")).to_contain_text(re.compile(r"recommender, version \d+"))
    expect(offered.locator("li").first).to_contain_text(re.compile("Because you bought .+"))
    items = offered.locator("li .why:not(div)").all_inner_texts()
    assert items and not set(items) & set(bought), "what a customer has is not offered as new"
    again = page.get_by_role("region", name="Buy again")
    expect(again.locator("li").first).to_contain_text("You bought it in")
    visitor.album.take(page, "recommendations")

    item = items[0]
    for verb, came in (("Look", "clicked"), ("Buy", "bought")):
        offered.locator("li", has_text=item).get_by_role("button", name=verb).click()
        page.wait_for_url(re.compile(rf"/services/shop/customers/\d+\?{came}={item}$"))
