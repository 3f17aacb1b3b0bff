from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cikg.errors import InputError
from cikg.extraction.job import names as job_names
from cikg.graph.snapshot import Snapshot
from cikg.recommend import runs, stages
from cikg.recommend.engine import train
from cikg.recommend.evaluation.comparison import Interval
from cikg.recommend.method import configure
from cikg.recommend.stages import STAGES, Report, drawing, measure, priced
from cikg.recommend.workshop import Progress
from cikg.schema import SplitCode
from cikg.settings import Settings
from tests.unit.recommend.methods.test_ikgr import with_intents
from tests.unit.recommend.planted import write_snapshot

USERS, ITEMS, TASTES = 160, 320, 20
QUICK = {"dimension": 16, "layers": 2, "batch_size": 256, "learning_rate": 0.05}


def one_choice_each(settings: Settings, *, told: bool) -> Snapshot:
    """Users of twenty tastes who have chosen one item each; interests tell their tastes, or are drawn at random."""
    random = np.random.default_rng(0)
    interactions, splits = [], [SplitCode.VALID, SplitCode.TEST, SplitCode.TEST, SplitCode.TRAIN]
    for user in range(USERS):
        own = random.permutation(np.arange(user % TASTES, ITEMS, TASTES)).tolist()
        interactions += [(user, item, split) for item, split in zip(own, splits, strict=False)]
    interests = [(user, user % TASTES if told else int(random.integers(TASTES))) for user in range(USERS)]
    return write_snapshot(
        settings.snapshots / "planted",
        sizes=(USERS, ITEMS, 0, TASTES),
        interactions=interactions,
        has_interest=interests,
    )


@contextmanager
def quietly(_title: str) -> Iterator[Any]:
    def observe(_progress: Progress) -> None: ...

    yield observe


def whole(snapshot: Snapshot, settings: Settings, method: str = "lightgcn", **options: Any) -> Path:
    overrides = (QUICK if method == "lightgcn" else {}) | options.pop("overrides", {})
    return train(snapshot, method, settings=settings, overrides=overrides, epochs=8, **options).path


def measured(settings: Settings, *paths: Path) -> tuple[Report, list[str]]:
    made: list[str] = []
    found = measure(settings, paths, quietly, lambda trained, _: made.append(trained.run_id), "recall@10")
    return found, made


@pytest.mark.parametrize("told", [True, False], ids=["a signal", "no signal"])
def test_a_stage_that_tells_something_is_proven_and_one_that_does_not_is_not(offline: Settings, told: bool) -> None:
    path = whole(one_choice_each(offline, told=told), offline)
    found, made = measured(offline, path)
    (lift,) = found.stages
    assert lift.stage == "interests"
    assert made == [path.name, *lift.runs], "the whole is evaluated, too"
    assert runs.read_json(offline.runs / lift.runs[0] / runs.MANIFEST)["config"]["graph"] == "ckg"
    assert lift.test is not None
    assert lift.test.sure == told
    assert (lift.test.low > 0) == told
    assert found.test == pytest.approx(runs.read_json(path / runs.EVALUATION)["test"]["recall@10"])
    without = runs.read_json(offline.runs / lift.runs[0] / runs.EVALUATION)
    assert lift.test.mean == pytest.approx(found.test - without["test"]["recall@10"])
    assert lift.valid is not None
    assert lift.valid.mean == pytest.approx(found.valid - without["valid"]["recall@10"])
    again, made = measured(offline, path)
    assert (again, made) == (found, []), "nothing is trained twice"
    assert runs.read_json(path / stages.REPORT.format(metric="recall@10"))["test"] == found.test


def test_seeds_are_paired_and_what_a_run_does_without_is_said(offline: Settings) -> None:
    snapshot = one_choice_each(offline, told=True)
    seeds = [whole(snapshot, offline, seed=seed) for seed in (0, 1)]
    found, made = measured(offline, *seeds)
    (lift,) = found.stages
    assert len(found.runs) == len(lift.runs) == 2
    assert [runs.read_json(offline.runs / run / runs.MANIFEST)["seed"] for run in lift.runs] == [0, 1]
    assert len(made) == 4
    bare = whole(snapshot, offline, overrides={"graph": "ckg"})
    (lift,) = measured(offline, bare)[0].stages
    assert (lift.left_out, lift.valid, lift.test) == ("the run does not use it", None, None)
    with pytest.raises(InputError, match="differ in more than their seed"):
        measured(offline, seeds[0], bare)


def test_what_proves_nothing_is_refused(offline: Settings) -> None:
    snapshot = one_choice_each(offline, told=True)
    with pytest.raises(InputError, match="popularity has no extraction stages"):
        measured(offline, whole(snapshot, offline, "popularity"))
    with pytest.raises(InputError, match="was selected on test, which proves nothing"):
        measured(offline, whole(snapshot, offline, protocol="paper"))


@pytest.mark.parametrize("method", STAGES)
def test_what_leaves_a_stage_out_is_a_setting_that_differs_and_its_jobs_exist(method: str) -> None:
    whole = configure(method, {}).model_dump(mode="json")
    for stage in STAGES[method]:
        assert set(stage.jobs) <= set(job_names())
        assert stage.left_out
        without = stages._without(stage, whole)
        assert (without is None) == (not stage.settings)
        if without is not None:
            assert configure(method, without) != configure(method, {})


KINDS = {"both": {"users", "items"}, "users": {"users"}, "items": {"items"}, "none": set()}


@pytest.mark.parametrize(("method", "name"), [("colakg", "texts"), ("seekrec", "semantics")])
@pytest.mark.parametrize("present", KINDS)
def test_a_run_without_a_stage_keeps_what_else_it_uses(method: str, name: str, present: str) -> None:
    for stage in stages.of_method(method):
        taken = {kind for kind in ("users", "items") if f"{kind}'" in stage.left_out or "all " in stage.left_out}
        if stage.settings:
            without = stages._without(stage, {name: present})
            assert without is not None
            assert KINDS[without[name]] == KINDS[present] - taken, stage.name


@pytest.mark.parametrize(
    ("knowledge", "expected"),
    [("intents", ["none", "exact"]), ("exact", ["none", "exact"]), ("none", ["none", "none"])],
)
def test_a_round_that_a_run_does_not_use_changes_nothing(knowledge: str, expected: list[str]) -> None:
    found = [stages._without(stage, {"knowledge": knowledge}) for stage in stages.of_method("ikgr")]
    assert found == [{"knowledge": each} for each in expected]


def test_a_stage_that_no_setting_leaves_out_is_not_measured(offline: Settings) -> None:
    snapshot = with_intents(offline.snapshots / "planted")
    path = whole(snapshot, offline, "ikgr", overrides={"dimension": 4, "knowledge": "interactions"})
    first, second = measured(offline, path)[0].stages
    assert first.test is not None
    assert (second.left_out, second.runs, second.test) == (stages.CANNOT, (), None)


def report_of(**lifts: tuple[Interval | None, Interval | None]) -> dict[str, Any]:
    rows = tuple(
        stages.Lift(name.replace("_", " "), "its texts", ("run",) if test else (), valid, test)
        for name, (valid, test) in lifts.items()
    )
    return asdict(Report("colakg", "books", "recall@20", ("whole",), 0.3, 0.4, rows))


def test_a_point_has_a_price_where_the_lift_is_proven() -> None:
    ledger = [
        {"job": "item_comprehension", "calls": 10, "tokens": 4_000, "cost": 3.0},
        {"job": "item_comprehension", "calls": 2, "tokens": 1_000, "cost": 1.0},
        {"job": "user_comprehension", "calls": 7, "tokens": 700, "cost": 0.5},
        {"job": "user_interests", "calls": 99, "tokens": 99, "cost": 99.0},
    ]
    sure, unsure = Interval(0.02, 0.01, 0.03), Interval(0.02, -0.01, 0.05)
    found = report_of(item_comprehension=(unsure, sure), user_comprehension=(sure, unsure), both=(None, None))
    items, users, both = priced(found, ledger)
    assert (items["calls"], items["tokens"], items["cost"]) == (12, 5_000, 4.0)
    assert items["cost_a_point"] == pytest.approx(2.0), "4 for two points"
    assert items["tokens_a_point"] == pytest.approx(2_500)
    assert items["verdict"] == {"valid": "not proven", "test": "better"}
    assert (users["cost"], users["cost_a_point"]) == (0.5, None), "valid proves nothing: it chose the epoch"
    assert (both["calls"], both["verdict"]) == (19, {"valid": None, "test": None})
    assert next(priced(found, []))["cost"] == 0, "answers that were there cost nothing"


def test_a_picture_has_every_lift_on_its_side_of_zero() -> None:
    found = report_of(
        item_comprehension=(Interval(0.01, 0.005, 0.02), Interval(0.02, 0.01, 0.03)),
        user_comprehension=(Interval(-0.01, -0.02, -0.005), Interval(0.0, -0.01, 0.01)),
        both=(None, None),
    )
    picture = ET.fromstring(drawing(found))
    marks = [mark for mark in picture.iter() if mark.tag.endswith("circle")]
    assert len(marks) == 4, "what cannot be left out is not drawn"
    places = {mark[0].text: float(mark.get("cx", "0")) for mark in marks}
    zero = places["user comprehension, test +0.0000 (-0.0100 to +0.0100)"]
    right = places["item comprehension, test +0.0200 (+0.0100 to +0.0300)"] - zero
    assert right == pytest.approx(
        2 * (zero - places["user comprehension, valid -0.0100 (-0.0200 to -0.0050)"]), abs=0.2
    )
    said = next(each.text for each in picture.iter() if each.tag.endswith("desc"))
    assert "item comprehension: valid +0.0100 (+0.0050 to +0.0200), test +0.0200" in said
