"""What a person does with somebody new: says what they like, switches intents off; searches in a reader's order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from cikg.access import audit
from cikg.graph import Graph
from tests import planted_tastes
from tests.browser.conftest import DATASET, Site, Visit, in_two

SHELF = "test-browser-tastes"


@pytest.fixture(scope="module")
def shelf(graph: Graph, site: Site) -> Iterator[str]:
    """The address of a dataset with a trained model."""
    planted_tastes.write(graph, SHELF)
    planted_tastes.fit(graph, SHELF, site.settings)
    yield f"{site.address}/d/{SHELF}"
    graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=SHELF)


@in_two
def test_an_intent_is_switched_off_and_on(visit: Visit, shelf: str, graph: Graph, axe: str) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{shelf}/newcomer")
    visit.check()
    visit.find_no_barrier(axe)
    sentence = page.get_by_label("What they like")
    sentence.fill("zzz qqq")
    page.get_by_role("button", name="Recommend").click()
    expect(page.get_by_role("alert")).to_contain_text("other words")
    sentence.fill("I love ghosts and chess and dragons")
    page.get_by_role("button", name="Recommend").click()
    expect(page.get_by_text("This took 2 questions")).to_be_visible()
    logged = audit.read(graph, 1, action="newcomers.from_sentence")
    assert [(entry.actor, entry.target, entry.detail) for entry in logged] == [("operator", SHELF, {})]
    listed = page.locator(".changes li")
    expect(listed).to_have_count(20)
    expect(page.get_by_text("dragons", exact=True)).to_be_visible()
    visit.check()
    visit.find_no_barrier(axe)
    before = listed.all_inner_texts()
    page.get_by_label("Without ghosts", exact=True).press("Enter")
    expect(page.get_by_label("Give back ghosts", exact=True)).to_be_focused()
    page.get_by_label("Without stories about ghosts").press("Enter")
    expect(page.get_by_label("Give back stories about ghosts")).to_be_focused()
    expect(listed.first).to_contain_text("chess")
    expect(page.get_by_role("heading", name="No longer in the list")).to_be_visible()
    expect(page.locator(".changes .change").first).to_contain_text("up from")
    expect(sentence).to_have_value("I love ghosts and chess and dragons")
    assert "dragons" not in page.url
    visit.check()
    visit.find_no_barrier(axe)
    page.get_by_label("Give back stories about ghosts").press("Enter")
    expect(page.get_by_label("Without stories about ghosts")).to_be_focused()
    page.get_by_label("Give back ghosts", exact=True).press("Enter")
    expect(page.get_by_label("Without ghosts", exact=True)).to_be_visible()
    assert listed.all_inner_texts() == before


@in_two
def test_a_search_is_put_in_a_readers_order(visit: Visit, shelf: str, axe: str) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{shelf}/search?q=tale")
    page.get_by_label("Rank for user").fill("reader 0")
    page.get_by_role("button", name="Rank").click()
    expect(page.get_by_role("heading", name="For")).to_contain_text("Reader 0")
    expect(page.locator(".changes .because").first).to_contain_text("ghosts")
    visit.check()
    visit.find_no_barrier(axe)
    ready = visit.site.app.extensions["cikg.newcomers"]
    with ready.lock:  # as long as loading takes
        ready.models.clear()
        page.goto(f"{shelf}/search?q=tale&user=r0")
        expect(page.get_by_role("status").filter(has_text="Loading the model")).to_be_visible()
        visit.check()
    expect(page.locator(".changes .because").first).to_contain_text("ghosts")
    page.get_by_role("link", name="For no user").click()
    expect(page.locator(".hits").last).to_be_visible()
    page.goto(f"{visit.site.address}/d/{DATASET}/search?q=garden")
    expect(page.get_by_label("Rank for user")).to_have_count(0)
    page.goto(f"{visit.site.address}/d/{DATASET}/newcomer")
    expect(page.get_by_text("cikg train ikgr")).to_be_visible()
