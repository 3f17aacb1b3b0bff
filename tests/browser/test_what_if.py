"""What a person asks about a user: the list, were something otherwise."""

from __future__ import annotations

from playwright.sync_api import expect

from tests import planted
from tests.browser.conftest import DATASET, Visit, in_two


@in_two
def test_an_interest_is_taken_away_and_given_back(visit: Visit, axe: str) -> None:
    page, missing = visit.page, planted.missing("0").replace("-", " book ")
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/users/0")
    page.get_by_role("link", name="What if something were otherwise?").click()
    listed = page.locator(".changes li")
    expect(listed.first).to_contain_text(missing)
    visit.check()
    visit.find_no_barrier(axe)
    page.get_by_role("link", name="Without gardens").first.click()
    page.get_by_label("And were there also").fill("nothing is named so")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("Nothing that could be added")).to_be_visible()
    page.get_by_label("And were there also").fill("sea")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("the effect is estimated")).to_be_visible()
    expect(listed.first).to_contain_text("sea")
    expect(listed.first).to_contain_text("up from")
    visit.check()
    visit.find_no_barrier(axe)
    page.get_by_role("link", name="Give back gardens").first.click()
    page.get_by_role("link", name="away again").click()
    expect(listed.first).to_contain_text(missing)
    expect(page.locator(".changes small")).to_have_count(0)
    visit.check()
