from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from cikg.recommend.engine import train
from cikg.recommend.evaluation.charts import BOTTOM, COLOURS, HEIGHT, TOP, bars
from cikg.recommend.evaluation.comparison import Comparison, Entry, Interval, compare
from cikg.recommend.evaluation.groups import Group, by_sparsity
from cikg.recommend.evaluation.measuring import evaluate
from cikg.recommend.evaluation.places import Places
from cikg.schema import SplitCode
from cikg.settings import Settings
from tests.unit.recommend.planted import write_snapshot

SVG = "{http://www.w3.org/2000/svg}"


REFITTED = {"seed": 0, "refit": True, "protocol": "honest"}


def by_hand(folder: Path, **manifest: object) -> tuple[Comparison, object]:
    """Six users who have read 1, 1, 2, 3, 3 and 5 of eight items; each has one test item, user 5 a second.

    One model finds the items of those who have read most at once, the other those of all others.
    """
    history = [1, 1, 2, 3, 3, 5]
    interactions = [(user, item, SplitCode.TRAIN) for user, count in enumerate(history) for item in range(count)]
    interactions += [(user, 6, SplitCode.TEST) for user in range(6)] + [(5, 4 + 3, SplitCode.TEST)]
    interactions += [(0, 5, SplitCode.VALID)]
    snapshot = write_snapshot(folder, sizes=(6, 8, 0, 0), interactions=interactions)
    users, items = np.array([0, 1, 2, 3, 4, 5, 5], np.int32), np.array([6, 6, 6, 6, 6, 6, 7], np.int32)
    entries = []
    for name, first in (("dense", [3, 4, 5]), ("sparse", [0, 1, 2])):
        rank = np.where(np.isin(users, first), 1, 0).astype(np.int16)
        if name == "dense":
            rank[-1] = 2
        entries.append(Entry(name, (REFITTED | manifest,), (Places(users, items, rank),)))
    return Comparison("test", tuple(entries), 1), snapshot


def test_users_are_divided_by_what_could_be_learned_of_them(tmp_path: Path) -> None:
    comparison, snapshot = by_hand(tmp_path)
    groups = by_sparsity(comparison, snapshot, "users", count=3)
    assert [group.label for group in groups] == ["3–5", "2", "1"], (
        "user 0's second is in valid, and is learned in a refit"
    )
    assert [(group.size, group.users) for group in groups] == [(3, 3), (2, 2), (1, 1)]
    assert [[figure.mean for figure in group.figures] for group in groups] == [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    assert [group.differences[0].mean for group in groups] == [-1.0, 1.0, 1.0]
    on_valid = by_sparsity(Comparison("valid", comparison.entries, 1), snapshot, "users", count=3)
    assert [group.size for group in on_valid] == [3, 1, 2]
    for other, sizes in (({"refit": False}, [3, 1, 2]), ({"refit": False, "protocol": "paper"}, [3, 2, 1])):
        comparison, snapshot = by_hand(tmp_path, **other)
        assert [group.size for group in by_sparsity(comparison, snapshot, "users", count=3)] == sizes, other


def test_a_group_of_items_counts_as_if_nothing_else_were_held_out(tmp_path: Path) -> None:
    interactions = [(user, 0, SplitCode.TRAIN) for user in range(4)] + [(0, 1, SplitCode.TRAIN)]
    interactions += [(user, item, SplitCode.TEST) for user in (1, 2) for item in (1, 2)]
    snapshot = write_snapshot(tmp_path, sizes=(4, 3, 0, 0), interactions=interactions)
    users, items = np.array([1, 1, 2, 2], np.int32), np.array([1, 2, 1, 2], np.int32)
    places = Places(users, items, np.array([2, 1, 1, 0], np.int16))
    comparison = Comparison("test", (Entry("one", (REFITTED,), (places,)),), 1)
    warm, cold = by_sparsity(comparison, snapshot, "items", "mrr@5")
    assert (warm.label, cold.label) == ("1", "0")
    assert warm.figures[0].mean == pytest.approx((1 / 2 + 1) / 2), (
        "item 1 is second for one user and first for the other"
    )
    assert cold.figures[0].mean == pytest.approx((1 + 0) / 2)


def test_facts_help_where_nothing_else_is_known(offline: Settings, snapshot: object) -> None:
    """The planted items that nobody read: only facts tell who likes them."""
    paths = [train(snapshot, "ease", settings=offline, overrides={"facts_weight": weight}).path for weight in (0, 30)]
    for path in paths:
        evaluate(path, snapshot)
    groups = by_sparsity(compare(paths), snapshot, "items", "recall@20")
    assert groups[-1].label == "0"
    assert groups[-1].differences[0].sure
    assert groups[-1].differences[0].mean > max(group.differences[0].mean for group in groups[:-1])


def test_groups_are_of_about_equal_size_and_never_part_equals() -> None:
    from cikg.recommend.evaluation.groups import _divide  # noqa: PLC0415

    amounts = np.random.default_rng(0).geometric(0.02, 5000)
    groups = _divide(amounts, 5)
    sizes = np.bincount(groups)
    assert len(sizes) == 6
    assert sizes[0] == 0
    assert sizes[1:].min() > 0.9 * 1000
    for amount in np.unique(amounts):
        assert len(set(groups[amounts == amount])) == 1
    assert (np.diff(groups[np.argsort(amounts, kind="stable")]) >= 0).all()
    assert set(_divide(np.full(9, 4), 5)) == {3}, "all alike: one group"
    assert _divide(np.array([0, 1, 0, 9]), 1).tolist() == [0, 1, 0, 1], "nothing is not like little"
    assert _divide(np.zeros(3), 5).tolist() == [0, 0, 0]


def drawn(names: list[str]) -> ET.Element:
    figures = tuple(Interval(0.1 * (i + 1), 0.08 * (i + 1), 0.12 * (i + 1)) for i in range(len(names)))
    groups = [Group(5, 9, 10, 10, figures, ()), Group(0, 4, 10, 10, figures, ())]
    return ET.fromstring(bars("NDCG & more", names, groups, metric="ndcg@50", axis="<many> to few"))


def test_a_picture_says_every_figure_in_colours_in_words_and_in_heights() -> None:
    names = ["one", "two <b>"]
    picture = drawn(names)
    marks = [rect for rect in picture.iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None]
    assert [mark.find(f"{SVG}title").text for mark in marks] == [
        f"{name}, {label}: {value:.4f} ({value * 0.8:.4f} to {value * 1.2:.4f})"
        for label in ("5–9", "0–4")
        for name, value in zip(names, (0.1, 0.2), strict=True)
    ]
    heights = [float(mark.get("height")) for mark in marks]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert [mark.get("fill") for mark in marks[:2]] == list(COLOURS[:2])
    assert picture.get("role") == "img"
    assert "two <b> 0.2000" in picture.find(f"{SVG}desc").text
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"NDCG & more", "one", "two <b>", "5–9", "0–4", "<many> to few", "ndcg@50"} <= set(texts)


@pytest.mark.parametrize("highest", [0.0, 1e-4, 0.0499, 0.05, 0.3, 0.333, 1.0])
def test_the_scale_holds_every_bar(highest: float) -> None:
    groups = [Group(0, 4, 10, 10, (Interval(highest, highest, highest),), ())]
    picture = ET.fromstring(bars("t", ["one"], groups, metric="m", axis="a"))
    for rect in picture.iter(f"{SVG}rect"):
        assert float(rect.get("y") or 0) >= 0
        assert float(rect.get("height")) >= 0
    (bar,) = (rect for rect in picture.iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None)
    assert not highest or float(bar.get("height")) > 0.6 * (HEIGHT - TOP - BOTTOM), "and wastes little room"
