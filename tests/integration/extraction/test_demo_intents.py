"""Both rounds of IKGR over the demo catalogue, against what was planted there."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

import pytest

from cikg.datasets.formats import demo
from cikg.datasets.loader import load
from cikg.graph import Graph

from .conftest import Workplace
from .test_item_intents import extract

READERS = 120
"""Readers asked about: every other one costs two more answers, and changes the shares little."""
BOOKS = {book.id: {name.casefold() for name in (*book.genres, *book.subjects)} for book in demo.catalogue()}
"""Planted in a book are its genres and subjects."""
NAMES = set().union(*BOOKS.values())
TASTES = {taste.casefold() for taste in demo.TASTES}


@pytest.fixture
def library(graph: Graph, dataset: str) -> Iterator[str]:
    """The demo catalogue in the graph."""
    try:
        load(graph, "demo", None, dataset)
        yield dataset
    finally:
        graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=dataset)


def named(phrase: str) -> set[str]:
    """The names of the catalogue that a phrase has whole, without those that are part of another one."""
    found = {name for name in NAMES if re.search(rf"\b{re.escape(name)}\b", phrase)}
    return {name for name in found if not any(name != other and name in other for other in found)}


def held(graph: Graph, dataset: str, label: str, number: int) -> dict[str, set[str]]:
    """User or item -> the intents of a round."""
    rows = graph.execute(
        f"MATCH (n:{label} {{dataset: $d}})-[e:POSSESSES|SATISFIES {{round: $r}}]->(t:Intent) "
        "RETURN n.id AS n, t.id AS t",
        d=dataset,
        r=number,
    )
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        found[row["n"]].add(row["t"])
    return found


def characteristic() -> dict[str, set[str]]:
    """Taste -> itself, and the names at least twice as frequent among its books as among the others."""
    shelves = {taste: [names for names in BOOKS.values() if taste in names] for taste in TASTES}
    everywhere = Counter(name for names in BOOKS.values() for name in names)
    found: dict[str, set[str]] = {}
    for taste, books in shelves.items():
        here = Counter(name for names in books for name in names)
        elsewhere = len(BOOKS) - len(books)
        found[taste] = {
            name for name, n in here.items() if n / len(books) >= 2 * (everywhere[name] - n) / elsewhere
        } | {taste}
    return found


def test_both_rounds_find_what_was_planted(place: Workplace, library: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is measured, in words: names compare without case; a phrase names what it has whole.

    - Round 1 of a book: the share of its genres and subjects that it has as intents; each book at least 0.8.
    - Round 1 of readers: the share that has an intent naming the main taste, and the second one; each at least 0.8.
    - Round 2 of books: a chosen intent is right when all names of the catalogue in it were planted in the book.
    - Round 2 of readers: it is right when it names the favourite subject, a taste of theirs, or what is characteristic
      of the books of one: twice as frequent there as elsewhere. At random, one in four is.
    """
    graph, settings = place.graph, place.settings(place.standin())
    extract(graph, library, settings, "user_intents", limit=READERS)
    extract(graph, library, settings, "item_intents")
    exact = held(graph, library, "Item", 1), held(graph, library, "User", 1)
    extract(graph, library, settings, "related_item_intents")
    extract(graph, library, settings, "related_user_intents", limit=READERS)
    assert (held(graph, library, "Item", 1), held(graph, library, "User", 1)) == exact
    recall = [len(names & exact[0][book]) / len(names) for book, names in BOOKS.items()]
    related = held(graph, library, "Item", 2)
    right = [named(phrase) != set() and named(phrase) <= BOOKS[book] for book in related for phrase in related[book]]
    truth = {reader: taste for reader, taste in demo.planted().items() if reader in exact[1]}
    main = [any(taste.main.casefold() in named(each) for each in exact[1][who]) for who, taste in truth.items()]
    second = [any(taste.second.casefold() in named(each) for each in exact[1][who]) for who, taste in truth.items()]
    of = characteristic()
    theirs = held(graph, library, "User", 2)
    fitting = []
    for reader in theirs:
        taste = truth[reader]
        wanted = of[taste.main.casefold()] | of[taste.second.casefold()] | {taste.favourite_subject.casefold()}
        fitting += [bool(named(phrase) & wanted) for phrase in theirs[reader]]
    with capsys.disabled():
        print(  # noqa: T201 - the figures, for whoever reads the log
            f"\n  round 1: least of a book {min(recall):.2f}, readers' main taste {sum(main) / len(main):.2f}, "
            f"second {sum(second) / len(second):.2f}; round 2: {len(right)} edges of books, "
            f"{sum(right) / len(right):.2f} right; {len(fitting)} of readers, {sum(fitting) / len(fitting):.2f} right"
        )
    assert len(truth) == READERS
    assert min(recall) >= 0.8
    assert min(sum(main), sum(second)) >= 0.8 * READERS
    assert (len(right) >= len(BOOKS), len(fitting) >= READERS) == (True, True), "at least one each, on average"
    assert sum(right) / len(right) >= 0.7
    assert sum(fitting) / len(fitting) >= 0.7
    assert all(not related[book] & exact[0][book] for book in related), "what it has already is not offered"
    assert graph.one("extraction_leaks", dataset=library)["leaks"] == 0
