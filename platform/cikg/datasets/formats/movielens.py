"""The MovieLens datasets as GroupLens publishes them: a folder, unpacked.

==================  ============================  ==========================  =======================================
release             ratings                       movies                      tags
==================  ============================  ==========================  =======================================
100K                `u.data`, by tabs             `u.item`, by `|`            none
1M, 10M             `ratings.dat`, by `::`        `movies.dat`                `tags.dat` (10M)
small, 20M to 32M   `ratings.csv`, with a header  `movies.csv`                `tags.csv`
==================  ============================  ==========================  =======================================

A movie is named by its title as published, which has the year in it. Facts are its genres, its year, and the tags that
at least two people gave it: people type tags as they like, and those of one person are often notes to themselves.
Tags differing in case alone are one.

What is not read: users' attributes (`u.user`, `users.dat`), since facts are about items; addresses in other databases
(`links.csv`); the tag genome, which is an estimate for every pair of movie and tag.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from sys import intern
from typing import NamedTuple

from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import Entities, bare_name, decoded, needed, words
from cikg.datasets.records import Format, Interaction, Item, Record, User
from cikg.schema import Split

EXPECTED = "a folder with u.data and u.item (100K), ratings.dat and movies.dat (1M, 10M) or ratings.csv and movies.csv"
MOVIES = {"u.data": "u.item", "ratings.dat": "movies.dat", "ratings.csv": "movies.csv"}
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""What the flags of `u.item` stand for, in their order."""

NO_GENRE = "(no genres listed)"
_YEAR = re.compile(r"\((\d{4})(?:\s*[-–]\s*\d{0,4})?\s*\)\s*$")


class _Movie(NamedTuple):
    """A row of the movies; `released` ends with a year, where there is one."""

    id: str
    title: str
    genres: list[str]
    released: str = ""


def read(source: Source) -> Iterator[Record]:
    """Yield movies and what is known of them, then users where they first rate, and ratings.

    Raises:
        InputError: the folder is none of a MovieLens release, or a file has another header.
    """
    entities = Entities()
    data = needed(source, "u.data", "ratings.dat", "ratings.csv", expected=EXPECTED)
    release = bare_name(data)
    movies = needed(source, MOVIES[release], expected=EXPECTED)
    if release == "u.data":
        yield from _catalogue(_movies_100k(source, movies), entities)
        yield from _ratings(source, (line.split("\t") for line in source.lines(data)))
    elif release == "ratings.dat":
        yield from _catalogue(_movies_dat(source, movies), entities)
        if tags := source.optional("tags.dat"):
            yield from _tags(_tags_dat(source, tags), entities)
        yield from _ratings(source, (line.split("::") for line in source.lines(data)))
    else:
        yield from _catalogue(_movies_csv(source, movies), entities)
        if tags := source.optional("tags.csv"):
            yield from _tags(_tags_csv(source, tags), entities)
        yield from _ratings(source, _csv(source, data, ["userId", "movieId", "rating", "timestamp"]))


def _ratings(source: Source, rows: Iterator[list[str]]) -> Iterator[Record]:
    users: set[str] = set()
    train = Split.TRAIN
    for row in rows:
        try:
            user, movie, rating, at = row
            interaction = Interaction(user, movie, train, float(rating), int(at))
        except ValueError:
            source.reject("expected a user, a movie, a rating and a time in seconds")
            continue
        if user not in users:
            users.add(user)
            yield User(user)
        yield interaction


def _catalogue(movies: Iterator[_Movie], entities: Entities) -> Iterator[Record]:
    for movie in movies:
        yield Item(movie.id, words(movie.title) or movie.id)
        genres = (genre for genre in movie.genres if genre != NO_GENRE)
        yield from entities.facts(movie.id, "genre", genres)
        year = _YEAR.search(movie.title)
        yield from entities.facts(movie.id, "year", [year[1] if year else movie.released[-4:]])


def _tags(given: Iterator[tuple[str, str, str]], entities: Entities) -> Iterator[Record]:
    """The tags that a second user gives a movie, from users, movies and tags."""
    givers: dict[tuple[str, str], str] = {}  # the first user, and "" after the second
    for user, movie, tag in given:
        key = (intern(movie), intern(words(tag).lower()))
        first = givers.setdefault(key, user)
        if first not in ("", user):
            givers[key] = ""
            yield from entities.facts(movie, "tag", [key[1]])


def _movies_100k(source: Source, file: Path) -> Iterator[_Movie]:
    """`id|title|release date|video release date|address|19 flags`; a title may have bars in it."""
    for line in source.lines(file, "latin-1"):
        identifier, _, rest = decoded(line).partition("|")
        title, *columns = rest.rsplit("|", 3 + len(GENRES_100K))
        if len(columns) != 3 + len(GENRES_100K):
            source.reject(f"expected id|title|date|date|address and {len(GENRES_100K)} flags")
            continue
        genres = [genre for genre, flag in zip(GENRES_100K, columns[3:], strict=True) if flag == "1"]
        yield _Movie(identifier, title, genres, columns[0])


def _movies_dat(source: Source, file: Path) -> Iterator[_Movie]:
    """`id::title::genre|genre`, in Latin-1 (1M) or UTF-8 (10M); a title may have colons in it."""
    for line in source.lines(file, "latin-1"):
        identifier, _, rest = decoded(line).partition("::")
        title, separator, genres = rest.rpartition("::")
        if not separator:
            source.reject("expected an id, a title and genres, separated by ::")
            continue
        yield _Movie(identifier, title, genres.split("|"))


def _movies_csv(source: Source, file: Path) -> Iterator[_Movie]:
    for row in _csv(source, file, ["movieId", "title", "genres"]):
        if len(row) != 3:
            source.reject("expected an id, a title and genres")
            continue
        yield _Movie(row[0], row[1], row[2].split("|"))


def _tags_dat(source: Source, file: Path) -> Iterator[tuple[str, str, str]]:
    """`user::movie::tag::time`; a tag may have colons in it."""
    for line in source.lines(file, "latin-1"):
        user, _, rest = decoded(line).partition("::")
        movie, _, rest = rest.partition("::")
        tag, separator, _ = rest.rpartition("::")
        if not separator:
            source.reject("expected a user, a movie, a tag and a time, separated by ::")
            continue
        yield user, movie, tag


def _tags_csv(source: Source, file: Path) -> Iterator[tuple[str, str, str]]:
    for row in _csv(source, file, ["userId", "movieId", "tag", "timestamp"]):
        if len(row) != 4:
            source.reject("expected a user, a movie, a tag and a time")
            continue
        yield row[0], row[1], row[2]


def _csv(source: Source, file: Path, header: list[str]) -> Iterator[list[str]]:
    """The rows after the header.

    Raises:
        InputError: the header is another.
    """
    rows = source.csv(file)
    found = source.header(rows)
    if found != header:
        source.wrong(f"expected the header {','.join(header)}, found {','.join(found)[:100]}")
    return rows


FORMAT = Format(
    name="movielens",
    help="The unpacked folder of a MovieLens release: 100K, 1M, 10M, or one with .csv files (small, 20M, 25M, 32M).",
    read=read,
    field="movies",
)
