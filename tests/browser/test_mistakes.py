"""What people do by mistake and what becomes of it: double clicks, late answers, a server or a session that is gone."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Response, Route, expect

from cikg.access import tokens
from cikg.graph import Graph
from tests import planted
from tests.browser.conftest import DATASET, Visit
from web.parts import training

RUN = f"/d/{DATASET}/jobs/extraction"


@pytest.fixture
def page(visit: Visit, graph: Graph) -> Page:
    """The page of a run that goes on, to someone who is logged in; it looks again by itself."""
    planted.write_runs(graph, DATASET, "running")
    visit.page.goto(visit.site.link())
    visit.page.goto(visit.site.address + RUN)
    return visit.page


def looks_again(answer: Response) -> bool:
    """Whether this is what a page got that looks again by itself."""
    return urlsplit(answer.url).path == RUN and "hx-request" in answer.request.headers


def wait_until_replaced(page: Page, name: str) -> None:
    """Wait until an element that the page keeps under a name is no longer part of it."""
    for _ in range(150):
        if not page.evaluate(f"window.{name}.isConnected"):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{name} is still there")


def test_a_double_click_sends_once(visit: Visit, graph: Graph, dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page, create = visit.page, tokens.create

    def slowly(*given: Any, **named: Any) -> tuple[str, str]:
        time.sleep(0.3)  # so long that the page is still there at the second click
        return create(*given, **named)

    monkeypatch.setattr(tokens, "create", slowly)
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/settings")
    page.get_by_label("For", exact=True).fill(dataset)
    button = page.get_by_role("button", name="Create a token")
    button.evaluate("(button) => { button.click(); setTimeout(() => button.click(), 100); }")
    expect(page.get_by_role("status")).to_contain_text("cikg_")
    visit.check()
    assert [token.name for token in tokens.listed(graph, 10_000)].count(dataset) == 1


def test_a_form_with_a_field_called_method_is_sent_once(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    page = visit.page
    sent: list[tuple[Any, ...]] = []

    def slowly(*given: Any) -> None:
        sent.append(given)
        time.sleep(0.3)

    monkeypatch.setattr(training, "act", slowly)
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/models")
    page.get_by_text("Choose a method").click()
    button = page.get_by_role("button", name="Train", exact=True)
    with page.expect_navigation():  # the answer comes after the second click
        button.evaluate("(button) => { button.click(); setTimeout(() => button.click(), 100); }")
    visit.check()
    assert len(sent) == 1


def test_a_button_that_is_pressed_stays_until_it_is_let_go(visit: Visit, page: Page) -> None:
    page.evaluate("window.pressed = document.getElementById('do-pause')")
    page.get_by_role("button", name="Pause").hover()
    page.mouse.down()
    with page.expect_response(looks_again):
        pass
    page.wait_for_timeout(100)  # as long as an answer needs to be shown
    assert page.evaluate("window.pressed.isConnected")
    page.mouse.move(5, 5)
    page.mouse.up()
    wait_until_replaced(page, "pressed")  # what the page finds then is shown
    expect(page.locator(".summary .state")).to_have_text("running")
    visit.check()


def test_the_focus_stays_where_a_page_looks_again(visit: Visit, page: Page) -> None:
    page.get_by_role("button", name="Pause").focus()
    page.evaluate("window.focused = document.activeElement")
    wait_until_replaced(page, "focused")
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    visit.check()


@pytest.mark.parametrize("name", ["Reader 1", "trail"])
def test_the_focus_stays_on_a_link_without_an_id(visit: Visit, page: Page, name: str) -> None:
    link = page.locator("#subjects-table").get_by_role("link", name=name).last
    link.focus()
    page.evaluate("window.focused = document.activeElement")
    wait_until_replaced(page, "focused")
    expect(link).to_be_focused()
    visit.check()


def test_a_page_that_looks_again_tells_once_what_it_does_not_get(visit: Visit, page: Page) -> None:
    cause = "<div class=error><h1>No <i>graph</i>.</h1><p class=cure>Start <code>one</code>.</p></div>"
    page.route(re.compile(RUN), lambda route: route.fulfill(status=503, content_type="text/html", body=cause))
    told = page.get_by_role("alert").filter(has_text="No graph.")
    expect(told).to_have_text("No graph.Start one.What is shown below may be out of date.")
    page.evaluate("window.told = document.querySelector('[data-told]')")
    for _ in range(2):
        with page.expect_response(looks_again):
            pass
    page.wait_for_timeout(100)  # as long as an answer needs to be shown
    expect(told).to_have_count(1)
    assert page.evaluate("window.told.isConnected"), "it is not said again"
    expect(page.get_by_role("heading", name="Subjects")).to_be_visible()
    page.unroute_all()
    expect(told).to_have_count(0)
    assert all("503" in complaint for complaint in visit.complaints)
    visit.complaints.clear()
    visit.check()


def test_a_page_says_that_nobody_answers_and_goes_on(visit: Visit, page: Page) -> None:
    said = page.get_by_text("The dashboard does not answer")
    expect(said).to_be_hidden()
    page.context.set_offline(True)
    expect(said).to_be_visible()
    page.context.set_offline(False)
    expect(said).to_be_hidden()
    assert visit.complaints
    visit.complaints.clear()
    with page.expect_response(looks_again):
        pass


def test_what_a_page_asks_for_and_does_not_get_is_told_in_its_place(visit: Visit) -> None:
    page, cause = visit.page, "<div class=error><h1>No <i>LLM</i>.</h1><p class=cure>Start <code>one</code>.</p></div>"
    page.goto(visit.site.link())
    page.route(re.compile("look=1"), lambda route: route.fulfill(status=503, content_type="text/html", body=cause))
    page.goto(f"{visit.site.address}/d/{DATASET}/jobs-start?job=user_interests")
    plan = page.get_by_role("region", name="What it would cost")
    expect(plan.get_by_role("alert")).to_have_text("No LLM.Start one.")
    expect(plan.get_by_role("progressbar")).to_have_count(0)
    visit.forgive("503")
    visit.forgive("503")
    visit.check()


def test_a_page_notices_that_its_session_has_ended(visit: Visit, page: Page) -> None:
    other = page.context.new_page()
    other.goto(f"{visit.site.address}/settings")
    other.get_by_role("button", name="Log out").click()
    expect(other.get_by_role("heading", name="Log in")).to_be_visible()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expect(page.locator("input[name=to]")).to_have_value(RUN)


def test_a_late_suggestion_takes_nothing_away(visit: Visit) -> None:
    page = visit.page

    def late(route: Route) -> None:
        answer = route.fetch()
        page.evaluate("document.querySelector('#suggestions a').focus()")  # somebody is faster than this answer
        route.fulfill(response=answer)

    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}")
    page.keyboard.press("/")
    page.keyboard.type("garden")
    first = page.locator("#suggestions a").first
    expect(first).to_be_visible()
    page.route(re.compile("q=garden(%20|\\+)book"), late)
    with page.expect_response(re.compile("q=garden(%20|\\+)book")):
        page.keyboard.type(" book")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("garden")
    visit.check()
