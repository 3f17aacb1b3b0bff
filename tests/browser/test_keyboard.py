"""Every page without a mouse: the Tab key reaches what can be used, in reading order, and never stays anywhere."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Request, expect

from cikg.graph import Graph
from tests import planted
from tests.browser.conftest import DATASET, Site, Visit, in_two

BASE = f"/d/{DATASET}"
PAGES = [
    "/",
    "/settings",
    BASE,
    f"{BASE}/users?q=reader%201",
    f"{BASE}/users/0",
    f"{BASE}/items/garden-1",
    f"{BASE}/interests/garden",
    f"{BASE}/intents/gardens",
    f"{BASE}/entities/author~20of~20sea",
    f"{BASE}/explore?at=Item:garden-1",
    f"{BASE}/jobs",
    f"{BASE}/jobs/extraction",
    f"{BASE}/jobs-start",
    f"{BASE}/models",
    f"{BASE}/models/neighbours-1",
    "/nowhere",
]

# What the Tab key should reach: all that is shown and takes the focus. Of radio buttons it reaches one.
_REACHABLE = """
() => [...document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
  .filter((each) => !each.disabled && each.checkVisibility({ visibilityProperty: true }))
  .filter((each) => each.type !== 'radio' || each === document.querySelector(`[name="${each.name}"]`))
  .length
"""
_WALK = """
() => {
  window.walked = [];
  document.addEventListener('focusin', ({ target }) => {
    window.walked.push({ target, marked: getComputedStyle(target).outlineStyle !== 'none' });
  });
}
"""
_SEEN = """
() => {
  const told = (steps) => steps.map(({ target }) => target.outerHTML.slice(0, 100));
  const steps = window.walked;
  const once = steps.filter(({ target }, at) => steps.findIndex((step) => step.target === target) === at);
  const follows = ({ target }, next) => target.compareDocumentPosition(next.target) & Node.DOCUMENT_POSITION_FOLLOWING;
  return {
    stops: once.length,
    backwards: told(once.filter((step, at) => at && !follows(once[at - 1], step))),
    unmarked: told(once.filter((step) => !step.marked)),
  };
}
"""


def _looks(request: Request) -> bool:
    return "hx-request" in request.headers


@pytest.mark.parametrize("path", PAGES)
def test_tab_walks_through_the_page_in_order(visit: Visit, path: str) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(visit.site.address + path)
    page.wait_for_load_state("networkidle")
    # A page that looks again by itself finds nothing new, so that what was walked through stays.
    page.route("**/*", lambda route: route.fulfill(status=204) if _looks(route.request) else route.continue_())
    reachable = page.evaluate(_REACHABLE)
    page.evaluate(_WALK)
    for _ in range(reachable + 5):
        page.keyboard.press("Tab")
    seen = page.evaluate(_SEEN)
    assert seen["backwards"] == []
    assert seen["stops"] >= reachable  # nothing holds the focus, and nothing is out of reach
    assert seen["unmarked"] == []


@in_two
def test_the_first_stop_skips_to_the_content(visit: Visit) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}{BASE}/users/0")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.getElementById('main').contains(document.activeElement)")


def test_nothing_moves_for_those_who_do_not_want_it(browser: Browser, site: Site, graph: Graph) -> None:
    planted.write_runs(graph, DATASET, "running")  # its mark pulses otherwise
    counts = {}
    for wish in ("reduce", "no-preference"):
        page = browser.new_page(reduced_motion=wish)
        page.goto(site.link())
        page.goto(f"{site.address}{BASE}/jobs/extraction")
        counts[wish] = page.evaluate("document.getAnimations().length")
        page.close()
    assert counts["reduce"] == 0
    assert counts["no-preference"] > 0
