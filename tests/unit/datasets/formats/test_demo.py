"""The demo catalogue is complete and correct, and its readers follow the documented taste model."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import numpy as np
import pytest

from cikg.datasets.formats import demo
from cikg.datasets.records import Entity, Fact, Interaction, Item, User
from cikg.llm.standin.wording import user_interests
from cikg.schema import Split

RECORDS = tuple(demo.generate())


def histories() -> dict[str, list[str]]:
    """Train books by reader, in order."""
    found: dict[str, list[str]] = {}
    for record in RECORDS:
        if isinstance(record, Interaction) and record.split is Split.TRAIN:
            found.setdefault(record.user, []).append(record.item)
    return found


def test_the_catalogue_is_large_and_every_book_is_whole() -> None:
    books = demo.catalogue()
    assert len(books) >= 320
    assert len({book.id for book in books}) == len(books)
    assert len({(book.title.casefold(), book.author) for book in books}) == len(books)
    for book in books:
        assert 1 <= len(book.genres) <= 3, book
        assert 3 <= len(book.subjects) <= 6, book
        assert len(set(book.subjects)) == len(book.subjects), book
        assert -1000 < book.year < 1928 and book.year != 0, book
        assert 40 <= len(book.text) <= 400 and book.text.endswith("."), book
        for name in (book.title, book.author, book.language, book.country, *book.genres, *book.subjects):
            assert name == name.strip() and name, book


def test_every_taste_has_books() -> None:
    shelves = Counter(genre for book in demo.catalogue() for genre in book.genres)
    assert {name: shelves[name] for name in demo.TASTES if shelves[name] < 15} == {}


def test_names_of_one_thing_are_spelt_in_one_way() -> None:
    """Two spellings of an author or subject would become two entities, or collide in one id."""
    names: dict[str, set[str]] = {}
    for book in demo.catalogue():
        for relation, name in demo.facts(book):
            names.setdefault(f"{relation}/{demo.slug(name)}", set()).add(name)
    assert {key: sorted(spellings) for key, spellings in names.items() if len(spellings) > 1} == {}


def test_the_simulation_is_as_large_as_promised_and_repeats_itself() -> None:
    users = [record for record in RECORDS if isinstance(record, User)]
    interactions = [record for record in RECORDS if isinstance(record, Interaction)]
    assert len(users) >= 600
    assert len(interactions) >= 15_000
    assert len({(record.user, record.item) for record in interactions}) == len(interactions)
    demo._simulate.cache_clear()
    again = hashlib.sha256(repr(tuple(demo.generate())).encode()).hexdigest()
    assert again == hashlib.sha256(repr(RECORDS).encode()).hexdigest()
    other = [record for record in demo.generate(seed=1) if isinstance(record, Interaction)]
    assert other != interactions


def test_edges_join_nodes_that_came_before() -> None:
    seen: set[str] = set()
    for record in RECORDS:
        match record:
            case User(id=identifier) | Item(id=identifier) | Entity(id=identifier):
                assert identifier not in seen
                seen.add(identifier)
            case Fact(head=head, tail=tail):
                assert {head, tail} <= seen
            case Interaction(user=user, item=item):
                assert {user, item} <= seen


def test_the_last_fifth_by_time_is_held_out() -> None:
    times: dict[tuple[str, Split], list[int]] = {}
    for record in RECORDS:
        if isinstance(record, Interaction):
            assert record.at is not None
            times.setdefault((record.user, record.split), []).append(record.at)
    for reader in demo.planted():
        train, test = times[reader, Split.TRAIN], times[reader, Split.TEST]
        assert max(train) <= min(test)
        assert len(test) == round(0.2 * (len(train) + len(test)))


def test_readers_follow_the_taste_model() -> None:
    books = {book.id: book for book in demo.catalogue()}
    truth = demo.planted()
    assert all(taste.main != taste.second for taste in truth.values())
    mains = Counter(taste.main for taste in truth.values())
    weights = np.array(list(demo.TASTES.values()))
    expected = len(truth) * weights / weights.sum()
    chi_square = float((((np.array([mains[name] for name in demo.TASTES]) - expected) ** 2) / expected).sum())
    assert chi_square < 37.7  # the 99.9 % point of 15 degrees of freedom
    on_main = []
    for reader, history in histories().items():
        on_main.append(np.mean([truth[reader].main in books[item].genres for item in history]))
    # Half by choice of the main taste, the rest by overlap with the other two sources, less what ran out of books.
    assert 0.47 < np.mean(on_main) < 0.62


def test_the_truth_is_not_in_the_records() -> None:
    """Users carry a number and nothing else."""
    for record in RECORDS:
        if isinstance(record, User):
            assert record.name == f"Reader {int(record.id.removeprefix('reader-'))}"


def test_the_stand_in_finds_the_planted_main_taste() -> None:
    books = {book.id: book for book in demo.catalogue()}
    truth = demo.planted()
    found = []
    for reader, history in histories().items():
        lines = []
        for number, item in enumerate(history[-30:], start=1):
            known: dict[str, list[str]] = {}
            for relation, name in demo.facts(books[item]):
                known.setdefault(relation, []).append(name)
            lines.append(
                json.dumps({"n": number, "title": books[item].title, "facts": known, "text": books[item].text})
            )
        message = {"role": "user", "content": "<history>\n" + "\n".join(lines) + "\n</history>"}
        phrases = " | ".join(interest["phrase"] for interest in user_interests([message])["interests"])
        found.append(truth[reader].main.casefold() in phrases.casefold())
    assert np.mean(found) >= 0.8


@pytest.mark.parametrize(
    ("year", "name"),
    [
        (1813, "19th century"),
        (1900, "19th century"),
        (1901, "20th century"),
        (-8, "1st century BC"),
        (-750, "8th century BC"),
    ],
)
def test_periods(year: int, name: str) -> None:
    assert demo.period(year) == name
