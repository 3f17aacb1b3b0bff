"""What a person asks on a user's page: the list, were something otherwise, in place and by its address."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from cikg.graph import Graph
from tests import planted
from tests.browser.conftest import DATASET, Visit, in_two


@in_two
def test_an_interest_is_taken_away_and_given_back(visit: Visit, axe: str) -> None:
    page, missing = visit.page, planted.missing("0").replace("-", " book ")
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/users/0")
    listed = page.locator(".recommendations li")
    expect(listed.first).to_contain_text(missing)
    page.evaluate("document.body.dataset.stays = 'yes'")  # gone if the page were loaded anew
    page.get_by_role("link", name="Leave out gardens").first.click()
    expect(page.get_by_role("heading", name="What would be recommended")).to_be_visible()
    expect(page.get_by_role("heading", name="What would be recommended")).to_be_in_viewport()
    expect(page.get_by_role("link", name="Put back gardens").first).to_be_focused()
    page.get_by_label("What if you added").fill("nothing is named so")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing that can be added")).to_be_visible()
    page.get_by_label("What if you added").fill("sea")
    page.get_by_role("button", name="Try").click()
    expect(page.get_by_text("The effect is estimated")).to_be_visible()
    expect(listed.first).to_contain_text("sea")
    expect(listed.first).to_contain_text("up from")
    assert page.evaluate("document.body.dataset.stays") == "yes"
    visit.check()
    visit.find_no_barrier(axe)
    page.reload()  # the question stands in the address
    expect(listed.first).to_contain_text("up from")
    page.get_by_role("link", name="Put back gardens").first.click()
    expect(page.get_by_role("link", name="Leave out gardens").first).to_be_focused()
    page.get_by_role("link", name="undo adding").click()
    expect(page.get_by_role("heading", name=re.compile("^Recommended"))).to_be_focused()
    expect(listed.first).to_contain_text(missing)
    expect(page.locator(".change")).to_have_count(0)
    visit.check()


def test_what_was_folded_open_stays_open(visit: Visit, graph: Graph) -> None:
    many = {"user": f"{DATASET}:7", "dataset": DATASET, "names": [f"folded {index}" for index in range(9)]}
    graph.execute(
        """
        MATCH (user:User {uid: $user}) UNWIND $names AS name
        CREATE (intent:Intent {uid: $dataset + ':' + name, id: name, name: name, dataset: $dataset})
        CREATE (user)-[:POSSESSES {round: 1}]->(intent)
        """,
        **many,
    )
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/users/7")
    page.get_by_text("2 more").click()
    page.get_by_role("link", name="Leave out folded 8").click()
    expect(page.get_by_role("link", name="Put back folded 8")).to_be_focused()
    graph.execute("UNWIND $names AS name MATCH (n:Intent {uid: $dataset + ':' + name}) DETACH DELETE n", **many)
    visit.check()


def test_what_cannot_be_answered_is_said_beside_the_list(visit: Visit) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/users/0?without=interest:sea")
    expect(page.get_by_role("status")).to_contain_text("The user does not have “the sea”")
    expect(page.locator(".recommendations li").first).to_contain_text(planted.missing("0").replace("-", " book "))
    visit.check()


@pytest.mark.parametrize("address", ["?without=nonsense", "?without=item:", "?with=user:1"])
def test_what_is_no_question_asks_nothing(visit: Visit, address: str) -> None:
    visit.page.goto(visit.site.link())
    visit.page.goto(f"{visit.site.address}/d/{DATASET}/users/0{address}")
    expect(visit.page.get_by_role("heading", name=re.compile("^Recommended"))).to_be_visible()
    visit.check()


@in_two
def test_what_is_wrong_is_said_kept_and_taken_back(visit: Visit, axe: str) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/users/5")
    listed = page.locator(".recommendations li")
    before = listed.all_inner_texts()
    page.get_by_role("link", name="Leave out gardens").first.click()
    page.get_by_label("Nothing is saved yet").fill("It was a present")
    visit.find_no_barrier(axe)
    page.get_by_role("button", name="Mark as wrong").dblclick()  # once is enough, and twice is once
    expect(page.get_by_text("marked wrong by operator: It was a present")).to_be_visible()
    expect(page.get_by_text("All of them were marked wrong.")).to_be_visible()
    expect(listed.first).not_to_contain_text("who share")
    visit.check()
    visit.find_no_barrier(axe)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("link", name="Leave out gardens").first).to_be_visible()
    expect(page.get_by_text("says operator")).to_have_count(0)
    assert listed.all_inner_texts() == before
    visit.check()
