"""How values are shown."""

from __future__ import annotations

import pytest

from cikg.recommend.evaluation.places import PER_USER
from web.formatting import count, counted, measures, parameter, percent, plain, seconds, signed


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0, "under 0.1 s"),
        (0.049, "under 0.1 s"),
        (0.05, "0.1 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3661, "1 h 01 min"),
    ],
)
def test_durations(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("timings.total", "seconds, total"),
        ("config.batch_size", "setting, batch size"),
        ("peak_memory_mb", "peak memory, MiB"),
        ("users.all", "users, all"),
    ],
)
def test_parameters_have_their_units(name: str, shown: str) -> None:
    assert parameter(name) == shown


def test_numbers_are_counted_in_words() -> None:
    assert counted(1, "user") == "1 user"
    assert counted(0, "user") == "0 users"
    assert counted(12_345, "entry", "entries") == "12,345 entries"
    assert counted(None, "user") == "– users"
    assert (count(None), count(1_234_567)) == ("–", "1,234,567")
    assert (percent(0.071), percent(0.71), percent(0), percent(None)) == ("7.1\u00a0%", "71\u00a0%", "0\u00a0%", "–")


def test_parameters_are_plain_text() -> None:
    assert plain([{"name": "user_intents", "version": 1}, {"a_b": None}]) == "name user_intents, version 1; a b –"
    assert plain({}) == plain([]) == "none"
    assert (plain(True), plain(0.30000000000000004), plain(2048), plain("x")) == ("yes", "0.3", "2048", "x")


def test_differences_have_a_sign_that_is_no_hyphen() -> None:
    assert [signed(0.00412), signed(-0.0022, 3), signed(-13.4, 0), signed(0.0)] == [
        "+0.0041",
        "−0.002",
        "−13",
        "+0.0000",
    ]


def test_every_metric_that_is_measured_is_explained() -> None:
    assert all(measures(metric) for metric in (*PER_USER, "coverage", "gini", "novelty"))
    assert measures("hit rate") == measures("hit_rate")
    assert measures("luck") == ""
