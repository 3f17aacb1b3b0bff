"""What a person changes in the dashboard: intents that mean the same, and jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from cikg.extraction import ledger
from cikg.graph import Graph
from cikg.schema import State, uid
from tests import planted_intents
from tests.browser.conftest import Visit, in_two

DATASET = "test-browser-intents"


@pytest.fixture
def base(visit: Visit, graph: Graph) -> Iterator[str]:
    """The address of a dataset with intents, to someone who is logged in."""
    planted_intents.write(graph, DATASET)
    visit.page.goto(visit.site.link())
    yield f"{visit.site.address}/d/{DATASET}"
    graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=DATASET)


@in_two
def test_intents_are_merged_and_the_merge_is_undone(visit: Visit, base: str, graph: Graph, axe: str) -> None:
    page = visit.page
    page.goto(f"{base}/intents")
    visit.find_no_barrier(axe)
    page.get_by_role("link", name="Gardens").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Gardens")
    expect(page.locator(".summary")).to_contain_text("part of the interest Green")
    visit.check()
    visit.find_no_barrier(axe)
    pair = page.locator("section[aria-labelledby=users] li").filter(has_text="Walks")
    expect(pair.locator(".state")).to_have_text("proposed")
    pair.get_by_role("button", name="Merge").click()
    expect(pair.locator(".state")).to_have_text("merged")
    merged = graph.execute("MATCH (n:Intent {uid: $uid}) RETURN n.merged_into AS into", uid=uid(DATASET, "walks"))
    assert merged == [{"into": uid(DATASET, "gardens")}]
    pair.get_by_role("link", name="Walks").click()
    expect(page.get_by_role("note")).to_contain_text("merged into")
    page.get_by_role("button", name="Unmerge").click()
    expect(page.locator(".state").first).to_have_text("undone")
    page.goto(f"{base}/merges?state=undone")
    expect(page.get_by_role("row").filter(has_text="Walks")).to_have_count(1)
    visit.find_no_barrier(axe)
    page.get_by_role("button", name="They differ").click()
    expect(page.get_by_text("No pairs are undone.")).to_be_visible()
    actions = graph.execute(
        "MATCH (entry:Audit) WHERE entry.target = $uid RETURN entry.action AS action ORDER BY entry.uid",
        uid=uid(DATASET, "walks"),
    )
    assert [row["action"] for row in actions[-3:]] == ["intents.merged", "intents.undone", "intents.rejected"]
    visit.check()


@in_two
def test_a_job_is_planned_started_paused_resumed_and_cancelled(visit: Visit, base: str, graph: Graph, axe: str) -> None:
    page = visit.page
    page.goto(f"{base}/jobs")
    page.get_by_role("link", name="Plan and start a job").click()
    page.get_by_label("user interests").check()
    page.get_by_label("Only the first").fill("4")
    page.get_by_role("button", name="What would it cost?").click()
    expect(page.locator("dl.pairs")).to_contain_text("4 of 4")
    visit.check()
    visit.find_no_barrier(axe)
    page.get_by_label("Pause once it has spent").fill("nonsense")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".failure")).to_contain_text("nonsense")
    expect(page.get_by_label("Pause once it has spent")).to_have_value("nonsense")
    visit.forgive("400")
    page.get_by_label("Pause once it has spent").fill("500 calls")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("user interests")
    run = uid(DATASET, page.locator(".id code").inner_text())
    state = page.locator(".summary .state")
    expect(state).to_have_text("running")
    page.get_by_role("button", name="Pause").click()
    expect(state).to_have_text("paused")
    assert ledger.progress(graph, run)["state"] == State.PAUSED
    visit.find_no_barrier(axe)
    page.get_by_role("button", name="Resume").click()
    expect(state).to_have_text("running")
    page.get_by_role("button", name="Cancel").click()
    expect(state).to_have_text("cancelled")
    assert ledger.progress(graph, run)["error"] == "cancelled by operator"
    visit.check()
    trail = page.get_by_role("link", name="trail").first.get_attribute("href")
    page.get_by_role("link", name="Jobs", exact=True).click()
    page.get_by_role("link", name="Costs").click()
    expect(page.get_by_role("row").filter(has_text="user interests").first).to_be_visible()
    visit.check()
    visit.find_no_barrier(axe)
    page.goto(f"{visit.site.address}{trail}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("What the LLM was asked")
    visit.check()
    visit.find_no_barrier(axe)


@in_two
def test_the_graph_is_explored_and_the_view_is_an_address(visit: Visit, base: str, axe: str) -> None:
    page = visit.page
    page.goto(f"{base}/users/ann")
    page.get_by_role("link", name="Explore from here").click()
    around_ann = page.get_by_role("region", name="Around Ann")
    expect(around_ann).to_contain_text("Emma")
    if visit.width > 900:
        expect(page.locator("[data-graph] canvas").first).to_be_visible()
    around_ann.get_by_role("link", name="Open Sea").click()
    expect(page.get_by_role("region", name="Around Sea")).to_contain_text("Cat")
    page.get_by_label("How is Ann connected to").fill("desert")
    page.get_by_role("button", name="Find paths").click()
    paths = page.get_by_role("region", name="Paths")
    expect(paths.get_by_role("listitem").first).to_contain_text("Dune")
    visit.check()
    visit.find_no_barrier(axe)
    relationships = page.get_by_role("navigation", name="Relationships")
    relationships.get_by_role("link", name="wants").click()
    expect(around_ann).not_to_contain_text("Gardens")
    relationships.get_by_role("link", name="wants").click()
    expect(around_ann).to_contain_text("Gardens")
    relationships.get_by_role("link", name="pruned").click()
    expect(relationships.get_by_role("link", name="pruned")).to_have_attribute("aria-current", "true")
    page.get_by_role("region", name="Around Sea").get_by_role("link", name="Open Cat").click()
    around_cat = page.get_by_role("region", name="Around Cat")
    expect(around_cat).to_contain_text("pruned: too vague")
    address = page.url
    page.get_by_role("link", name="Close Ann").click()
    expect(around_ann).to_have_count(0)
    page.goto(address)
    expect(around_ann).to_be_visible()
    visit.check()
    visit.find_no_barrier(axe)
