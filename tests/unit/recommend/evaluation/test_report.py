from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from cikg.errors import InputError
from cikg.graph.snapshot import Snapshot
from cikg.recommend import runs
from cikg.recommend.engine import train
from cikg.recommend.evaluation import report
from cikg.recommend.evaluation.measuring import evaluate
from cikg.recommend.evaluation.report import KEPT, Question, answer, drawing, is_kept, kept
from cikg.settings import Settings


def trained(snapshot: Snapshot, settings: Settings, method: str, **options: object) -> Path:
    path = train(snapshot, method, settings=settings, **options).path
    evaluate(path, snapshot)
    return path


@pytest.fixture
def home(offline: Settings, snapshot: Snapshot) -> Settings:
    """Settings under which the snapshot's folder is found by its hash."""
    place = offline.snapshots / snapshot.dataset
    place.mkdir(parents=True)
    (place / snapshot.hash[:16]).symlink_to(snapshot.path)
    return offline


def test_what_was_found_is_asked_for_once(snapshot: Snapshot, home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    popular, ease = trained(snapshot, home, "popularity"), trained(snapshot, home, "ease")
    question = Question((popular, ease), by="users")
    assert not is_kept(question)
    first = kept(home, question)
    assert is_kept(question)
    gap = first["entries"][1]["differences"]["recall@20"]
    assert gap["verdict"] == "better"
    assert gap == answer(home, question)["entries"][1]["differences"]["recall@20"]
    monkeypatch.setattr(report, "compare", lambda *_, **__: pytest.fail("it was kept"))
    assert kept(home, question) == first
    assert list(kept(home, question)["entries"][0]["metrics"]) == list(question.metrics), "in the order asked for"
    monkeypatch.undo()
    for other in (replace(question, seed=1), replace(question, metrics=("mrr@5",)), replace(question, by=None)):
        assert not is_kept(other)
    (path,) = (popular / KEPT).iterdir()
    path.write_text("{")
    assert kept(home, question) == first, "what is damaged is made again"


def test_a_run_that_was_measured_again_is_compared_again(snapshot: Snapshot, home: Settings) -> None:
    popular, ease = trained(snapshot, home, "popularity"), trained(snapshot, home, "ease")
    question = Question((popular, ease))
    kept(home, question)
    places = ease / runs.PLACES.format(split="test")
    tensors, note = runs.read_tensors(places)
    tensors["rank"][0] = 7
    runs.write_tensors(places, tensors, note)
    assert not is_kept(question)
    places.unlink()
    with pytest.raises(InputError, match="has not been measured on test"):
        kept(home, question)


def test_settings_that_differ_are_named_and_others_are_not(snapshot: Snapshot, home: Settings) -> None:
    paths = [trained(snapshot, home, "ease", overrides={"penalty": each}) for each in (5, 500)]
    found = answer(home, Question(tuple(paths)))
    assert found["settings"] == {"penalty": [5.0, 500.0]}
    assert [entry["name"] for entry in found["entries"]] == ["ease penalty=5", "ease penalty=500"]
    assert all(entry["seconds"] > 0 and entry["peak_memory_mb"] > 0 for entry in found["entries"])
    popular = trained(snapshot, home, "popularity", refit=False)
    mixed = answer(home, Question((paths[0], popular)))["settings"]
    assert mixed["refit"] == [True, False]
    assert mixed["penalty"] == [5.0, None]
    assert list(mixed).index("refit") < list(mixed).index("penalty"), "what both have comes first"


def test_a_picture_shows_the_groups(snapshot: Snapshot, home: Settings) -> None:
    popular, ease = trained(snapshot, home, "popularity"), trained(snapshot, home, "ease")
    found = kept(home, Question((popular, ease), by="items"))
    picture = ET.fromstring(drawing(found, "items"))
    said = [each.text for each in picture.iter() if each.tag.endswith("title")]
    group = found["groups"][0]
    wanted = f"ease, {group['interactions']}: {group['figures'][1]['mean']:.4f}"
    assert any(text.startswith(wanted) for text in said)
    with pytest.raises(InputError, match="no groups to draw"):
        drawing(kept(home, Question((popular, ease))), "items")
