"""The demo catalogue: public-domain books, and simulated readers whose tastes are known.

**Books** stand in `demo_data`, one file a shelf: published before 1928, their facts real, their descriptions our own.

**Readers** are simulated, so that what extraction and recommendation should find is known:

1. A reader has a main taste and another second one, each a genre of `TASTES`, drawn by the tastes' weights, and a
   favourite subject among those of the main taste's books.
2. How many books a reader reads is 10 + ⌊Gamma(1.6, 7)⌋, at most 60: a mean of about 21 with a long tail.
3. Each next book is drawn from the main taste with probability 0.50, from the second with 0.25, and from the whole
   catalogue with 0.25, among the books not yet read, by their popularity; in the main taste a book on the favourite
   subject weighs three times as much.
4. Popularity is Zipf's law over a random order of all books: the r-th has weight 1 / (r + 10)^0.9.
5. The last fifth of a reader's books, by time, is the test split.

The truth of 1 (`planted`) is never part of the records: an extraction has to find it in what the readers did.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from cikg.datasets.reading.source import Source
from cikg.datasets.records import Entity, Fact, Format, Interaction, Item, Record, User
from cikg.schema import Split

READERS = 800
SEED = 2025
MAIN_SHARE, SECOND_SHARE = 0.50, 0.25
FAVOURITE_WEIGHT = 3.0
TEST_SHARE = 0.2
_FIRST_DAY = 1_577_836_800  # 1 January 2020
_DAY = 86_400

TASTES: dict[str, float] = {
    "Gothic fiction": 1.2,
    "Detective fiction": 1.5,
    "Sea stories": 0.9,
    "Scientific romance": 1.3,
    "Russian realism": 1.0,
    "Novels of society": 1.4,
    "Adventure": 1.2,
    "Fairy tales and folklore": 1.0,
    "Children's classics": 1.1,
    "Philosophy": 0.8,
    "Drama": 0.9,
    "Poetry": 0.8,
    "Satire and humour": 1.0,
    "War and historical fiction": 1.1,
    "Classics of antiquity": 0.8,
    "Nature and travel writing": 0.8,
}
"""The planted tastes: a genre, and how often it is somebody's main taste compared with the others."""


@dataclass(frozen=True)
class Book:
    """One book of the catalogue. `year` is of first publication, negative before our era."""

    id: str
    title: str
    author: str
    year: int
    language: str
    country: str
    genres: tuple[str, ...]
    subjects: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Taste:
    """What was planted in a reader."""

    main: str
    second: str
    favourite_subject: str


def slug(name: str) -> str:
    """A readable id: `Émile Zola` becomes `emile-zola`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.casefold().replace("'", "")).strip("-")


@cache
def catalogue() -> tuple[Book, ...]:
    """All books, shelf after shelf. Two of one title are told apart by their authors."""
    folder = files("cikg.datasets.formats").joinpath("demo_data")
    shelves = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name
    )
    rows: list[dict[str, Any]] = [
        row for shelf in shelves for row in tomllib.loads(shelf.read_text(encoding="utf-8"))["book"]
    ]
    titles = [slug(row["title"]) for row in rows]
    books = []
    for row, title in zip(rows, titles, strict=True):
        identifier = title if titles.count(title) == 1 else f"{title}-{slug(row['author'])}"
        lists = {"genres": tuple(row["genres"]), "subjects": tuple(row["subjects"])}
        books.append(Book(id=identifier, **{**row, **lists}))
    return tuple(books)


def period(year: int) -> str:
    """The century of a year: `19th century`, `5th century BC`."""
    number = (abs(year) + 99) // 100
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending} century{' BC' if year < 0 else ''}"


def facts(book: Book) -> Iterator[tuple[str, str]]:
    """What is known of a book: relation and name."""
    yield "author", book.author
    yield from (("genre", genre) for genre in book.genres)
    yield from (("subject", subject) for subject in book.subjects)
    yield "period", period(book.year)
    yield "language", book.language
    yield "country", book.country


@dataclass(frozen=True)
class _Reading:
    """One simulated reader: the planted taste, and the books (by position in the catalogue) in order, with times."""

    id: str
    taste: Taste
    books: tuple[int, ...]
    times: tuple[int, ...]


@cache
def _simulate(readers: int, seed: int) -> tuple[_Reading, ...]:
    generator = np.random.Generator(np.random.PCG64(seed))
    books = catalogue()
    popularity = 1.0 / (generator.permutation(len(books)) + 10.0) ** 0.9
    names = list(TASTES)
    weights = np.array(list(TASTES.values()))
    on_taste = np.array([[name in book.genres for book in books] for name in names])
    subjects = [sorted({s for book in books if name in book.genres for s in book.subjects}) for name in names]
    found = []
    for number in range(1, readers + 1):
        main, second = generator.choice(len(names), size=2, replace=False, p=weights / weights.sum())
        favourite = subjects[main][generator.integers(len(subjects[main]))]
        is_favourite = np.array([favourite in book.subjects for book in books])
        preferences = np.stack(
            [
                popularity * on_taste[main] * np.where(is_favourite, FAVOURITE_WEIGHT, 1.0),
                popularity * on_taste[second],
                popularity,
            ]
        )
        chosen = _draw(generator, preferences, min(60, 10 + int(generator.gamma(1.6, 7.0))))
        days = np.sort(generator.integers(0, 5 * 365, size=len(chosen)))
        found.append(
            _Reading(
                f"reader-{number:04d}",
                Taste(names[main], names[second], favourite),
                tuple(chosen),
                tuple(_FIRST_DAY + _DAY * int(day) for day in days),
            )
        )
    return tuple(found)


def _draw(generator: np.random.Generator, preferences: np.ndarray[Any, np.dtype[np.float64]], count: int) -> list[int]:
    """Draw different books one after the other; a source whose books are all read gives way to the catalogue."""
    sources = generator.choice(3, size=count, p=[MAIN_SHARE, SECOND_SHARE, 1 - MAIN_SHARE - SECOND_SHARE])
    left = preferences.copy()
    chosen: list[int] = []
    for source in sources:
        weights = left[source] if left[source].any() else left[2]
        book = int(generator.choice(len(weights), p=weights / weights.sum()))
        left[:, book] = 0.0
        chosen.append(book)
    return chosen


def planted(readers: int = READERS, seed: int = SEED) -> dict[str, Taste]:
    """The truth: each reader's taste by the reader's id. For judging results, never for making them."""
    return {reading.id: reading.taste for reading in _simulate(readers, seed)}


def generate(readers: int = READERS, seed: int = SEED) -> Iterator[Record]:
    """Yield the records of the catalogue and of its simulated readers; the same for the same arguments."""
    books = catalogue()
    readings = _simulate(readers, seed)
    yield from (User(reading.id, f"Reader {int(reading.id.rpartition('-')[2])}") for reading in readings)
    yield from (Item(book.id, book.title, book.text) for book in books)
    entities = sorted({(relation, name) for book in books for relation, name in facts(book)})
    yield from (Entity(f"{relation}/{slug(name)}", name) for relation, name in entities)
    for book in books:
        yield from (Fact(book.id, relation, f"{relation}/{slug(name)}") for relation, name in facts(book))
    for reading in readings:
        first_test = len(reading.books) - round(TEST_SHARE * len(reading.books))
        for order, (position, at) in enumerate(zip(reading.books, reading.times, strict=True)):
            split = Split.TRAIN if order < first_test else Split.TEST
            yield Interaction(reading.id, books[position].id, split, at=at)


def _read(_source: Source) -> Iterator[Record]:
    return generate()


FORMAT = Format(
    name="demo",
    help="The demo catalogue that comes with the platform: public-domain books and simulated readers.",
    read=_read,
    field="books",
    needs_path=False,
)
