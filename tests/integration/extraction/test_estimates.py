"""What a dry run says and what is metered then, for every job of every pipeline on the demo catalogue."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cikg.datasets.drop import drop
from cikg.datasets.loader import load
from cikg.extraction import ledger
from cikg.extraction.estimate import Estimate, estimate
from cikg.extraction.job import job, names
from cikg.extraction.pipelines import PIPELINES
from cikg.extraction.runner import Runner
from cikg.settings import Price
from tests.integration.extraction.conftest import Workplace

PRICE = Price(input=500, output=1000)
SUBJECTS = 40


def test_every_job_belongs_to_a_pipeline() -> None:
    stages = {stage for pipeline in PIPELINES.values() for stage in pipeline.stages if isinstance(stage, str)}
    assert stages == set(names())


@pytest.fixture
def catalogue(place: Workplace) -> Iterator[str]:
    """The demo catalogue, removed afterwards."""
    load(place.graph, "demo", None, place.dataset)
    yield place.dataset
    drop(place.graph, place.dataset)


@pytest.mark.parametrize("name", sorted(PIPELINES))
@pytest.mark.usefixtures("catalogue")
def test_the_estimate_is_what_is_metered_before_and_after_the_first_answers(place: Workplace, name: str) -> None:
    settings = place.settings(place.standin(), llm_prices={"stand-in": PRICE}, lease_seconds=60.0)
    stages = PIPELINES[name].stages
    asks = [number for number, stage in enumerate(stages) if isinstance(stage, str)]
    for stage in stages[: asks[-1] + 1]:
        if not isinstance(stage, str):
            stage.carry_out(place.graph, settings, place.dataset)
            continue
        before = {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0}
        for limit in (SUBJECTS, 2 * SUBJECTS):  # without any experience, and with some
            plan = ledger.plan(place.graph, job(stage), place.dataset, "stand-in", limit=limit)
            if not plan.pending:
                continue  # nothing of so few users is to be aligned
            expected = estimate(place.graph, plan, settings)
            shards = ledger.start(place.graph, plan)
            with Runner(place.graph, settings) as runner:
                runner.work_all(plan.run.uid, shards)
            after = ledger.progress(place.graph, plan.run.uid)
            _compare(stage, expected, {key: after[key] - before[key] for key in before})
            before = {key: after[key] for key in before}


def _compare(stage: str, expected: Estimate, metered: dict[str, float]) -> None:
    said = {
        "calls": expected.calls,
        "tokens": expected.prompt_tokens + expected.completion_tokens,
        "cost": expected.cost,
    }
    was = {
        "calls": metered["calls"],
        "tokens": metered["prompt_tokens"] + metered["completion_tokens"],
        "cost": metered["cost"],
    }
    assert said == pytest.approx(was, rel=0.15), stage
