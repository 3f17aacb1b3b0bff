"""Pipelines through the queue: stages in order, within one budget, resumed by the same command, stopped as a whole."""

from __future__ import annotations

import json
from typing import Any

from cikg.extraction import control
from cikg.schema import State
from tests.integration.extraction.conftest import Workplace, everything
from tests.workplace import wait_for


def by_stage(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["stage"]: row for row in data["stages"]}


def test_stages_follow_each_other_within_one_budget_and_are_resumed(place: Workplace) -> None:
    place.planted(30)
    llm = place.standin()
    settings = place.settings(llm, llm_concurrency=4)
    place.worker(settings)
    pipeline = ("extract", "ikgr", "--dataset", place.dataset)

    expected = place.cikg(settings, *pipeline, "--dry-run").result().data
    assert (expected["model"], expected["certain"], llm.calls) == ("stand-in", False, 0)
    stages = by_stage(expected)
    items = len(place.graph.execute("MATCH (i:Item {dataset: $d}) RETURN i.id", d=place.dataset))
    assert (stages["item_intents"]["certain"], stages["item_intents"]["calls"]) == (True, items)
    assert (stages["related_item_intents"]["certain"], stages["related_item_intents"]["calls"]) == (False, None)

    budget = items // 2
    paused = place.cikg(settings, *pipeline, "--budget", f"{budget} calls").result()
    assert (paused.code, paused.data["state"]) == (1, State.PAUSED)
    assert paused.data["calls"] == llm.calls == budget, "the budget is that of the whole"
    assert [row["stage"] for row in paused.data["stages"]] == ["glossary", "item_intents"]

    done = place.cikg(settings, *pipeline).result()
    assert (done.code, done.data["state"]) == (0, "done"), done.errors
    assert [row["stage"] for row in done.data["stages"]] == list(stages)
    assert done.data["calls"] == llm.calls - budget
    assert by_stage(done.data)["item_intents"]["calls"] == items - items // 2, "no question is put again"

    before, asked = everything(place.graph, place.dataset), llm.calls
    again = place.cikg(settings, *pipeline).result()
    assert (again.code, again.data["calls"], llm.calls) == (0, 0, asked)
    assert everything(place.graph, place.dataset) == before
    expected = place.cikg(settings, *pipeline, "--dry-run").result().data
    assert (expected["certain"], expected["calls"]) == (True, 0)


def test_cancelling_the_stage_that_goes_on_stops_the_whole(place: Workplace) -> None:
    place.planted(60)
    llm = place.standin(latency_ms=500)
    settings = place.settings(llm, llm_concurrency=4, lease_seconds=2.0)
    place.worker(settings)
    command = place.cikg(settings, "extract", "cikgrec", "--dataset", place.dataset)
    wait_for(lambda: llm.calls > 4, "the first calls")
    run = control.find(place.graph, place.dataset, "user_interests")
    control.stop(place.graph, settings, run, State.CANCELLED, "ann")
    ended = command.result()
    assert (ended.code, ended.data["state"]) == (1, State.CANCELLED)
    assert [row["stage"] for row in ended.data["stages"]] == ["user_interests"]
    assert "cancelled by ann" in ended.data["message"]
    assert llm.calls < 60


def test_a_pipeline_has_to_be_waited_for(place: Workplace) -> None:
    place.planted(1)
    ended = place.cikg(place.settings("http://127.0.0.1:1/v1"), "extract", "cikgrec", "--no-wait").result()
    assert (ended.code, ended.data["error"]) == (2, "InputError")


def test_a_worker_carries_out_commands_that_nobody_waits_for(place: Workplace) -> None:
    place.planted(12)
    settings = place.settings(place.standin())
    place.worker(settings)
    queued = place.cikg(settings, "jobs", "queue", "extract", "cikgrec", "--dataset", place.dataset).result()
    assert queued.data["queue"] == "graph"
    wait_for(lambda: bool(place.graph.many("held_interests", dataset=place.dataset)), "the interests", 90)
    wait_for(lambda: control.commands(place.graph, place.dataset)[0]["finished_at"], "the end of the command")
    (command,) = control.commands(place.graph, place.dataset)
    assert (command["state"], command["error"]) == ("done", None)
    assert json.loads(command["said"])["calls"] == 12
