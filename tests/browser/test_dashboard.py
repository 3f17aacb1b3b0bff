"""What a person does in the dashboard, in a real browser, on a desk and on a phone, by day and by night."""

from __future__ import annotations

import re
import uuid

from playwright.sync_api import expect

from cikg.access import accounts
from cikg.access.accounts import Role
from cikg.graph import Graph
from tests import planted
from tests.browser.conftest import DATASET, Visit, in_all, in_two

POSIX = "Object.defineProperty(Navigator.prototype, 'language', { get: () => 'en-US@posix' })"
"""What some systems call the browser's language; `Intl` refuses it."""


@in_all
def test_from_the_link_to_the_model(visit: Visit) -> None:
    page, missing = visit.page, planted.missing("0").replace("-", " book ")
    page.add_init_script(POSIX)
    page.goto(visit.site.link())
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.locator("#health")).to_contain_text("Neo4j")
    visit.check()
    page.goto(f"{visit.site.address}/?q={DATASET}")
    page.get_by_role("group", name="Datasets").get_by_role("link", name=DATASET, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(DATASET)
    visit.check()
    page.get_by_role("link", name="Users", exact=True).click()
    page.get_by_role("link", name=re.compile("Reader 0$")).click()
    first = page.locator(".recommendations > li").first
    expect(first).to_contain_text(missing)
    expect(first).to_contain_text("who share")
    if visit.width > 900:
        expect(page.locator("[data-graph] canvas").first).to_be_visible()
    visit.check()
    first.get_by_role("link", name="gardens").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("gardens")
    visit.check()
    page.get_by_role("link", name="garden book 1").first.click()
    expect(page.get_by_text("About garden-1.")).to_be_visible()
    visit.check()
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("link", name=re.compile("LLM job")).click()
    expect(page.get_by_text("the LLM timed out")).to_be_visible()
    visit.check()
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("table").get_by_role("link", name="neighbours", exact=True).first.click()
    expect(page.get_by_text("+300 %")).to_be_visible()
    expect(page.locator("[data-chart] canvas").first).to_be_visible()
    visit.check()


@in_two
def test_names_are_text_and_search_needs_no_mouse(visit: Visit) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("script al", delay=10)
    suggestion = page.locator("#suggestions a").first
    expect(suggestion).to_contain_text(planted.SCRIPT)
    visit.check()
    page.keyboard.press("ArrowDown")
    expect(suggestion).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(planted.SCRIPT)
    expect(page.locator(".id code")).to_have_text(planted.QUIRK)
    visit.check()


@in_two
def test_the_theme_is_chosen_and_kept(visit: Visit) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/users/0")
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.get_by_role("button", name=re.compile("light and dark")).click()
    after = page.evaluate(ground)
    assert before != after
    page.reload()
    assert page.evaluate(ground) == after
    visit.check()


def test_jobs_follow_a_run_without_reloading(visit: Visit, graph: Graph) -> None:
    page = visit.page
    planted.write_runs(graph, DATASET, "running")
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/jobs")
    row = page.get_by_role("row").filter(has_text="LLM job")
    expect(row).to_contain_text("running")
    page.evaluate("window.sameDocument = true")
    planted.write_runs(graph, DATASET, "done")
    expect(row).to_contain_text("done")
    assert page.evaluate("window.sameDocument")
    assert not page.locator("#runs").get_attribute("hx-trigger")
    planted.write_runs(graph, DATASET, "running")
    visit.check()


def test_a_list_is_filtered_while_somebody_types(visit: Visit) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/items?page=1")
    page.evaluate("window.sameDocument = true")
    page.get_by_role("searchbox", name="Filter items").press_sequentially("sea book")
    expect(page.locator("#found")).to_have_text("6 items match “sea book”")
    expect(page.locator("#listed tbody tr")).to_have_count(6)
    assert page.evaluate("location.href").endswith(f"/d/{DATASET}/items?q=sea%20book")
    assert page.evaluate("window.sameDocument")
    expect(page.get_by_role("searchbox", name="Filter items")).to_be_focused()
    page.locator("details.menu summary").click()
    page.keyboard.press("Escape")
    expect(page.locator("details.menu")).not_to_have_attribute("open", "")
    visit.check()


def test_a_list_is_sorted_by_a_figure_and_stays_so(visit: Visit) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/users")
    page.get_by_role("link", name="Interests", exact=True).last.click()
    ordered = page.locator("th[aria-sort=descending]")
    expect(ordered).to_contain_text("Interests")
    page.get_by_role("searchbox", name="Filter users").fill("reader 3")
    expect(page.locator("#found")).to_have_text("11 users match “reader 3”")
    expect(ordered).to_contain_text("Interests")
    assert "by=interests" in page.evaluate("location.href")
    name, figure = page.locator("#listed tbody tr").first.locator("td").all()[:2]
    edge = "cell => cell.firstElementChild.getBoundingClientRect()"
    apart = figure.evaluate(edge)["left"] - name.evaluate(edge)["right"]
    assert 0 < apart < 400, "a figure stands near the name that it belongs to"
    visit.check()


def test_what_takes_longer_than_a_moment_shows_it(visit: Visit) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/users/0")
    ready = visit.site.app.extensions["cikg.served"]
    busy = page.locator("#busy")
    expect(busy).to_be_hidden()
    with ready.lock:  # as long as loading a model takes
        page.get_by_label("Leave out gardens").first.click()
        expect(busy).to_be_visible()
        expect(busy).to_have_css("opacity", "1")
    expect(page.get_by_role("heading", name="What would be recommended")).to_be_visible()
    expect(busy).to_be_hidden()
    visit.check()


@in_two
def test_tables_fit_and_say_what_each_value_is(visit: Visit, graph: Graph) -> None:
    page, account = visit.page, f"somebody-{uuid.uuid4().hex[:8]}"
    page.goto(visit.site.link())
    accounts.add(graph, account, Role.VIEWER, None, actor="tests")  # a table of nobody is hidden
    for path in ("/", "/settings", f"/d/{DATASET}/jobs", f"/d/{DATASET}/models", f"/d/{DATASET}/jobs/extraction"):
        page.goto(visit.site.address + path)
        expect(page.locator("table.stacked").first).to_be_visible()
        too_wide = "tables => tables.filter(t => t.scrollWidth > t.parentElement.clientWidth).length"
        assert page.locator("table.stacked").evaluate_all(too_wide) == 0, path
    state = page.locator("td:has(.state)").first
    said = state.evaluate("cell => getComputedStyle(cell, '::before').content")
    assert said == ('"State "' if visit.width < 600 else "none")
    accounts.remove(graph, account, actor="tests")


@in_two
def test_no_barrier(visit: Visit, axe: str) -> None:
    page = visit.page
    page.goto(visit.site.link())
    base = f"/d/{DATASET}"
    paths = [
        "/",
        f"{base}/users/quirk~20~22~2F~3Cb~3E~2Ejson",
        f"{base}/jobs/extraction",
        f"{base}/models/neighbours-1",
        f"{base}/users/0",
        f"{base}/explore",
    ]
    if visit.width > 900:  # colours and widths differ, the other pages' elements do not
        paths += [base, f"{base}/users", f"{base}/items/garden-1", f"{base}/entities/author~20of~20sea"]
        paths += [f"{base}/interests/sea", f"{base}/search?q=garden", f"{base}/completions/answer", f"{base}/costs"]
    for path in paths:
        page.goto(visit.site.address + path)
        page.wait_for_load_state("load")
        visit.find_no_barrier(axe)
    visit.check()
