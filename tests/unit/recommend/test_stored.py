"""Which trainings a home keeps, told by their manifests, and by their names alone where they have not ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cikg.errors import NotFoundError
from cikg.recommend.stored import find, stored
from cikg.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """Two ended runs, of 10:00 and 11:00, one that has not ended, one that is damaged, and what is no run."""
    settings = Settings(home=tmp_path)
    for hour, name in ((10, "ease-films-000000000000"), (11, "ease-films-aaaaaaaaaaaa")):
        path = settings.runs / name
        path.mkdir(parents=True)
        said = {"method": "ease", "dataset": "films", "snapshot": "0" * 64, "trained_at": f"2026-01-01T{hour}:00"}
        (path / "manifest.json").write_text(json.dumps(said))
    damaged = settings.runs / "ials-films-bbbbbbbbbbbb"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{half")
    for name in ("item-knn-my-films-0123456789ab", ".left", "notes"):
        (settings.runs / name).mkdir()
    return settings


def test_the_newest_come_first_after_those_under_way(home: Settings) -> None:
    assert [each.run for each in stored(home)] == [
        "ials-films-bbbbbbbbbbbb",
        "item-knn-my-films-0123456789ab",
        "ease-films-aaaaaaaaaaaa",
        "ease-films-000000000000",
    ]
    (half,) = stored(home, "my-films")
    assert (half.method, half.dataset, half.ended) == ("item-knn", "my-films", False)
    assert stored(home, "knn-my-films") == stored(Settings(home=home.home / "new")) == []


def test_a_run_is_found_by_its_name_or_a_prefix(home: Settings) -> None:
    assert find(home, "ease-films-a").run == find(home, "ease-films-aaaaaaaaaaaa").run == "ease-films-aaaaaaaaaaaa"
    with pytest.raises(NotFoundError, match="several runs") as several:
        find(home, "ease")
    assert several.value.cure == "Choose one of ease-films-000000000000, ease-films-aaaaaaaaaaaa"
    with pytest.raises(NotFoundError, match="Did you mean 'ease-films-aaaaaaaaaaaa'"):
        find(home, "eese-films-aaaaaaaaaaaa")
    with pytest.raises(NotFoundError, match="no run named"):
        find(home, str(home.runs / "ease-films-000000000000"))
