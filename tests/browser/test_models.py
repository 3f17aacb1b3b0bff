"""What a person does with models: train one, put them side by side, publish one, go back, ask what a stage adds."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest
from playwright.sync_api import expect

from cikg.embedded import supervisor
from cikg.extraction import commands
from cikg.graph import Graph
from cikg.recommend import runs, stages
from cikg.recommend.evaluation.comparison import Interval
from cikg.schema import uid
from tests import planted, trained
from tests.browser.conftest import Site, Visit, in_all, in_two

DATASET = "test-browser-models"


@pytest.fixture(scope="module")
def models(site: Site, graph: Graph) -> list[str]:
    """Runs of popularity, EASE and LightGCN over a dataset of their own, the first of which is served."""
    planted.write(graph, DATASET)
    names = trained.write(graph, site.settings, DATASET, "popularity", "ease", "lightgcn")
    trained.publish(graph, site.settings, names[0])
    return names


@in_all
def test_runs_are_put_side_by_side(visit: Visit, models: list[str], axe: str) -> None:
    page = visit.page
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/models")
    visit.find_no_barrier(axe)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("alert")).to_contain_text("no runs are chosen")
    visit.find_no_barrier(axe)
    page.get_by_role("link", name="Choose other runs").click()
    for run in models[:2]:
        page.get_by_role("checkbox", name=re.compile(f"{run[-8:]}$")).check()
    page.get_by_role("button", name="Compare").press("Enter")
    expect(page.get_by_role("heading", name="Side by side")).to_be_visible()
    figures = page.locator("#figures")
    expect(figures.get_by_role("columnheader", name="popularity").first).to_be_visible()
    expect(figures.locator(".verdict").first).to_have_text(re.compile("better, proven|worse, proven|not proven"))
    expect(figures.get_by_role("img", name=re.compile("ndcg@50 on valid, during training"))).to_be_visible()
    expect(page.locator("#groups svg")).to_have_count(2)
    visit.check()
    visit.find_no_barrier(axe)
    address = page.url
    against = figures.locator(".total").first
    (led,) = {"popularity", "ease"} - {against.inner_text().removeprefix("against ")}
    page.get_by_role("link", name="compare the others with it").click()
    expect(against).to_have_text(f"against {led}")
    page.goto(address)
    expect(page.locator("#groups svg"), "an address says it all, and what is known is there at once").to_have_count(2)
    page.get_by_role("link", name="On test instead").click()
    expect(page.get_by_role("alert")).to_contain_text("has not been measured on test")
    visit.check()


@in_two
def test_a_run_is_published_and_taken_back(
    visit: Visit, models: list[str], graph: Graph, axe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, (popular, ease, _) = visit.page, models
    for name, value in supervisor.environment(visit.site.settings).items():
        monkeypatch.setenv(name, value)
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/models/{ease}")
    page.get_by_label("Recommendations per user").fill("3")
    page.get_by_role("button", name="Publish", exact=True).press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("waits for a worker")
    visit.find_no_barrier(axe)
    waiting = graph.many("recent_commands", dataset=DATASET, name="publish ", argument="", limit=1)[0]
    commands.carry_out(graph, visit.site.settings, uid(DATASET, waiting["id"]))
    expect(page.get_by_role("button", name="Publish again"), "the page notices by itself").to_be_visible()
    page.goto(f"{visit.site.address}/d/{DATASET}/users/0")
    expect(page.locator(".recommendations > li").first).to_contain_text(planted.missing("0").replace("-", " book "))
    page.goto(f"{visit.site.address}/d/{DATASET}/models")
    served = page.locator("#served")
    expect(served.get_by_role("link", name="ease")).to_be_visible()
    visit.check()
    visit.find_no_barrier(axe)
    served.get_by_role("button", name="Roll back to it").press("Enter")
    expect(page).to_have_url(re.compile(popular))
    expect(page.get_by_text("served since")).to_be_visible()
    page.goto(f"{visit.site.address}/d/{DATASET}/users/0")
    expect(page.locator(".recommendations > li")).to_have_count(5)
    visit.check()


@in_two
def test_what_a_stage_adds_stands_beside_its_cost(visit: Visit, models: list[str], graph: Graph, axe: str) -> None:
    page, run = visit.page, models[2]
    path = visit.site.settings.runs / run / stages.REPORT.format(metric=stages.METRIC)
    path.unlink(missing_ok=True)
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{DATASET}/models/{run}")
    page.get_by_role("link", name="What each extraction stage adds").click()
    page.get_by_role("button", name="Measure").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("waits for a worker")
    visit.find_no_barrier(axe)
    lift = stages.Lift("interests", "their edges", ("other",), Interval(0.01, -0.1, 0.1), Interval(0.04, 0.02, 0.06))
    report = stages.Report("lightgcn", DATASET, stages.METRIC, (run,), 0.5, 0.6, (lift,))
    runs.write_json(path, asdict(report))
    graph.execute("MATCH (r:Run {dataset: $d, kind: 'command'}) SET r.state = 'done'", d=DATASET)
    row = page.get_by_role("row").filter(has_text="interests")
    expect(row).to_contain_text("better, proven")
    expect(row).to_contain_text("not proven")
    expect(page.get_by_role("img", name=re.compile("What each stage adds to lightgcn"))).to_be_visible()
    visit.check()
    visit.find_no_barrier(axe)


@in_two
def test_a_method_is_trained_and_stands_in_the_table(visit: Visit, graph: Graph, axe: str) -> None:
    page, dataset = visit.page, f"test-browser-training-{visit.width}"
    graph.execute("MATCH (r:Run {dataset: $d}) DETACH DELETE r", d=dataset)
    planted.write(graph, dataset)
    page.goto(visit.site.link())
    page.goto(f"{visit.site.address}/d/{dataset}/models")
    visit.find_no_barrier(axe)
    expect(page.get_by_role("radio", name="mixture"), "nothing was trained: the form is open").to_be_checked()
    planted.write_training(graph, dataset, "popularity-1", "popularity", 0.1)
    page.reload()
    expect(page.get_by_role("radio", name="mixture")).to_be_hidden()
    page.get_by_text("Choose a method").press("Enter")
    page.get_by_role("radio", name="mixture").press("ArrowDown")
    page.get_by_role("spinbutton", name="Runs").fill("2")
    visit.check()
    visit.find_no_barrier(axe)
    page.get_by_role("button", name="Train", exact=True).press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Training cikgrec waits for a worker")
    page.get_by_role("checkbox", name="Compare popularity").check()
    planted.write_training(graph, dataset, "cikgrec-1", "cikgrec", 0.3)
    graph.execute("MATCH (r:Run {dataset: $d, kind: 'command'}) SET r.state = 'done'", d=dataset)
    expect(page.get_by_role("link", name="cikgrec"), "the page notices by itself").to_be_visible()
    expect(page.get_by_role("status")).to_have_count(0)
    expect(page.get_by_role("checkbox", name="Compare popularity"), "and keeps what is ticked").to_be_checked()
    visit.check()
    visit.find_no_barrier(axe)
