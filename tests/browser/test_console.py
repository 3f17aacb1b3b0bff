"""The Cypher console and the API's documentation, on a desk and on a phone, by day and by night."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from cikg.graph import Graph
from tests import planted
from tests.browser.conftest import DATASET, Visit, in_all, in_two


@pytest.fixture
def console(visit: Visit) -> Iterator[str]:
    """The console's address, switched on, to someone who is logged in."""
    visit.site.settings.console = True
    visit.page.goto(visit.site.link())
    yield f"{visit.site.address}/d/{DATASET}/cypher"
    visit.site.settings.console = False


@in_all
def test_a_statement_is_written_asked_and_drawn(visit: Visit, console: str, axe: str) -> None:
    page = visit.page
    page.goto(f"{visit.site.address}/d/{DATASET}")
    page.get_by_role("link", name="Cypher", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cypher")
    expect(page.locator(".cypher-word").first).to_have_text("MATCH")
    visit.find_no_barrier(axe)
    page.locator("#cypher").focus()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Rows")).to_contain_text("20")
    if visit.width > 900:
        expect(page.locator("[data-graph] canvas").first).to_be_visible()
    visit.find_no_barrier(axe)
    page.locator("#cypher").fill("// nothing\nCREATE (n:Evil {name: 'x'}) RETURN $y, 12")
    coloured = page.locator(".cypher-comment, .cypher-string, .cypher-parameter, .cypher-number")
    expect(coloured).to_have_text(["// nothing", "'x'", "$y", "12"])
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_role("alert")).to_contain_text("may only read the graph")
    expect(page.locator("#cypher")).to_have_value("// nothing\nCREATE (n:Evil {name: 'x'}) RETURN $y, 12")
    visit.check()
    visit.find_no_barrier(axe)


@in_two
def test_the_library_a_plan_and_a_file(visit: Visit, console: str, axe: str, tmp_path: Path) -> None:
    page = visit.page
    page.goto(console)
    section = page.locator(".library details").filter(has_text="users_by_intent")
    if section.get_attribute("open") is None:  # the first section is open
        section.locator("summary").click()
    page.get_by_role("link", name="users_by_intent", exact=True).click()
    expect(page).to_have_url(re.compile("users_by_intent"))
    expect(page.locator("#cypher")).to_have_value(re.compile("MATCH"))
    page.get_by_label("Parameters").fill(json.dumps({"intent": "gardens"}))
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_role("heading", name="Plan")).to_be_visible()
    visit.find_no_barrier(axe)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "answer.csv")
    assert "Reader 0" in (tmp_path / "answer.csv").read_text()
    with page.expect_download():  # another button of the same form is no second click
        page.get_by_role("button", name="JSON").click()
    visit.check()


@in_two
def test_the_documentation_of_the_api_can_be_read_and_tried(visit: Visit, axe: str) -> None:
    page = visit.page
    page.goto(f"{visit.site.address}/api/v1/docs#shape-Recommendation")
    expect(page.locator("#shape-Recommendation table")).to_contain_text("because")
    expect(page.get_by_role("button", name="Try GET")).to_have_count(0)  # a stranger reads alone
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/api/v1/docs")
    path = "/datasets/{dataset}/users/{user}/recommendations"
    operation = page.locator("details.operation").filter(has=page.get_by_text(path, exact=True))
    operation.locator("summary").click()
    operation.get_by_label("dataset").fill(DATASET)
    operation.get_by_label("user").fill(planted.QUIRK)  # a name that has to be escaped
    operation.get_by_role("button", name="Try GET").click()
    expect(operation.get_by_role("status")).to_contain_text("200 OK")
    expect(operation.get_by_role("status")).to_contain_text('"because"')
    expect(page.locator("#busy")).to_be_hidden()
    visit.check()
    visit.find_no_barrier(axe)


@in_two
def test_logging_in_needs_no_mouse(visit: Visit, axe: str) -> None:
    page = visit.page
    page.goto(f"{visit.site.address}/login")
    visit.find_no_barrier(axe)
    page.get_by_label("Name").focus()
    page.keyboard.type("nobody")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Wrong name or password")
    visit.find_no_barrier(axe)


@in_two
def test_settings_make_a_user_and_a_token(visit: Visit, graph: Graph, axe: str) -> None:
    page, name = visit.page, f"ann-{visit.width}-{id(visit)}"
    page.goto(visit.site.link())
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Add a user").click()
    expect(page.get_by_label(f"Role of {name}")).to_have_value("viewer")
    page.get_by_label("For", exact=True).fill("a shop")
    page.get_by_role("button", name="Create a token").click()
    expect(page.get_by_role("status")).to_contain_text("cikg_")
    visit.check()
    visit.find_no_barrier(axe)
    page.goto(f"{visit.site.address}/settings")
    page.get_by_role("button", name=f"Remove {name}").click()  # whoever does not say yes has removed nobody
    expect(page.get_by_label(f"Role of {name}")).to_have_count(1)
    page.once("dialog", lambda dialog: dialog.accept())
    with page.expect_navigation():
        page.get_by_role("button", name=f"Remove {name}").click()
    expect(page.get_by_label(f"Role of {name}")).to_have_count(0)
    visit.check()
