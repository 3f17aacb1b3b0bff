"""The Amazon Reviews datasets of 2014, 2018 and 2023: reviews, or ratings alone, with the products' metadata.

==========================  =======================================  ================================================
release                     reviews (JSON lines)                     ratings (CSV)
==========================  =======================================  ================================================
2014                        `reviews_Books_5.json`                   `ratings_Books.csv`: user, item, rating, time
2018                        `Books_5.json`, `Books.json`             `Books.csv`: item, user, rating, time
2023                        `Books.jsonl`                            `Books.csv`: with a header; `Books.train.csv`,
                                                                     `Books.valid.csv` and `Books.test.csv` keep their
                                                                     splits
==========================  =======================================  ================================================

The path is such a file, or a folder that has one. `meta_Books.json` or `meta_Books.jsonl` beside it is read with it;
what it was printed with, JSON or Python, is seen from its lines. Metadata covers many more products than were reviewed,
so reviews are read twice: once to see which products they name.

A user's name is that of the first review. A product of 2023 is the parent of its variants (`parent_asin`). From the
metadata come name, text (the description, else the features), and facts: `brand`, `store`, `category`, and
`also_bought`, `also_viewed`, `bought_together` and `bought_after_viewing` between reviewed products. A second
description of a product is skipped; a product without one is named by its number. The texts of reviews are not read.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple

from cikg.datasets.reading import loose
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import (
    LONGEST_TEXT,
    Entities,
    bare_name,
    identifier,
    plain,
    seconds,
    split_files,
    unfamiliar,
)
from cikg.datasets.records import Fact, Format, Interaction, Item, Record, User
from cikg.schema import Split

EXPECTED = (
    "a file of reviews (Books.jsonl, Books_5.json, reviews_Books_5.json) or of ratings (Books.csv, ratings_Books.csv), "
    "or a folder with one"
)
HEADER_2023 = ["user_id", "parent_asin", "rating", "timestamp"]
RELATED = {
    "also_bought": "also_bought",
    "also_buy": "also_bought",
    "also_viewed": "also_viewed",
    "also_view": "also_viewed",
    "bought_together": "bought_together",
    "buy_after_viewing": "bought_after_viewing",
}
"""The names that the releases have for what products have to do with each other, and ours."""

_JSON = (".json", ".jsonl")
_NUMBER = re.compile(r"B[0-9A-Z]{9}|\d{9}[\dX]")
_MAKER = re.compile(r"^Visit Amazon's (.+) Page$")
_DECIDING = 1_000


class _Review(NamedTuple):
    """Who rated what; `name` is the user's where it is known, as the file has it."""

    user: str
    item: str
    rating: float | None
    at: int | None
    name: Any = None


def read(source: Source) -> Iterator[Record]:
    """Yield described products and facts about them, then users and other products where they are first named.

    What joins two products comes last.

    Raises:
        InputError: the path holds no reviews or those of several categories, or they have an unknown layout.
    """
    files, metadata = _files(source)
    items: set[str] = set()
    related: _Related | None = None
    if metadata:
        silent = source.again()  # what cannot be used is rejected when it is read for the second time
        reviewed = {review.item for file, _ in files for review in _reviews(silent, file)}
        related = _Related(reviewed)
        yield from _products(source, metadata, related, items)
    users: set[str] = set()
    for file, split in files:
        for user, item, rating, at, name in _reviews(source, file):
            if user not in users:
                users.add(user)
                yield User(user, plain(name) or None if isinstance(name, str) else None)
            if item not in items:
                items.add(item)
                yield Item(item, item)
            yield Interaction(user, item, split, rating, at)
    if related:
        yield from related.facts()


def _files(source: Source) -> tuple[list[tuple[Path, Split]], Path | None]:
    """The files of reviews, with their splits, and the metadata of the same category.

    Raises:
        InputError: there are no reviews, or those of several categories.
    """
    path = source.path
    within = path if path.is_dir() else path.parent
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        name, ending = _parted(file)
        if file.is_file() and ending in (*_JSON, ".csv") and not name.startswith("meta_"):
            found.setdefault(name + ending, file)
    if not found:
        raise unfamiliar(path, EXPECTED)
    if len(found) > 1:
        source.wrong(
            f"the folder has several files of reviews: {', '.join(sorted(found))}", cure="Give the path of one of them"
        )
    file = found.popitem()[1]
    name, _ = _parted(file)
    category = name.removeprefix("reviews_").removeprefix("ratings_")
    stems = (f"meta_{stem}" for stem in (category, re.sub(r"_\d+$", "", category)))
    metadata = Source(within).optional(*(stem + ending for stem in stems for ending in _JSON))
    is_whole = bare_name(path) == f"{name}.csv"
    splits = [] if is_whole else split_files(within, name, ".csv")
    return splits or [(file, Split.TRAIN)], metadata


def _parted(file: Path) -> tuple[str, str]:
    """A file's name without endings and split, and its ending without `.gz`."""
    name, dot, ending = bare_name(file).rpartition(".")
    for split in Split if ending == "csv" else ():
        name = name.removesuffix(f".{split}")
    return name, dot + ending


def _reviews(source: Source, file: Path) -> Iterator[_Review]:
    return _ratings(source, file) if _parted(file)[1] == ".csv" else _written(source, file)


def _written(source: Source, file: Path) -> Iterator[_Review]:
    """Reviews of any release."""
    for row in loose.objects(source, file):
        try:
            if "reviewerID" in row:
                user, item, rating, at = row["reviewerID"], row["asin"], row.get("overall"), row.get("unixReviewTime")
            else:
                user, item = row["user_id"], row.get("parent_asin") or row["asin"]
                rating, at = row.get("rating"), row.get("timestamp")
            user, item = identifier(user), identifier(item)
            rating, at = None if rating is None else float(rating), None if at is None else seconds(at)
        except (KeyError, TypeError, ValueError):
            source.reject("expected reviewerID and asin, or user_id and parent_asin, with numbers for rating and time")
            continue
        yield _Review(user, item, rating, at, row.get("reviewerName"))


def _ratings(source: Source, file: Path) -> Iterator[_Review]:
    """Ratings alone. 2023 has a header; 2014 and 2018 differ in which column is the product's number.

    Raises:
        InputError: the header is another, or neither of the first two columns has products' numbers in it.
    """
    begin = list(islice(Source(file).csv(file), _DECIDING))
    rows = source.csv(file)
    if begin and {"user_id", "parent_asin"} & set(begin[0]):
        if source.header(rows)[:4] != HEADER_2023:
            source.wrong(f"expected the header {','.join(HEADER_2023)}")
        found: int | None = 1
    else:
        found = _item_column(begin)
    if found is None:
        source.place(file, 1)
        source.wrong("expected product numbers such as B00TLEMSVK in the first or the second column")
    item_column, user_column = found, 1 - found
    for row in rows:
        try:
            yield _Review(row[user_column], row[item_column], float(row[2]), seconds(row[3]))
        except (IndexError, ValueError):
            source.reject("expected a user, a product, a rating and a time")


def _item_column(rows: list[list[str]]) -> int | None:
    """Which of the first two columns holds products' numbers, such as `0001713353` and `B00TLEMSVK`."""
    counts = [sum(len(row) > 1 and _NUMBER.fullmatch(row[column]) is not None for row in rows) for column in (0, 1)]
    return None if counts[0] == counts[1] else counts.index(max(counts))


class _Related:
    """What joins reviewed products, in columns until all of them are known.

    Args:
        reviewed: the numbers of these products.
    """

    def __init__(self, reviewed: set[str]) -> None:
        self._numbers = sorted(reviewed)
        self.place = {number: place for place, number in enumerate(self._numbers)}
        self._pairs: dict[str, tuple[array[int], array[int]]] = {}

    def add(self, number: str, row: dict[str, Any]) -> None:
        """Keep what a product's metadata names of the reviewed products."""
        within = row["related"] if isinstance(row.get("related"), dict) else row
        for key, relation in RELATED.items():
            tails = [self.place[other] for other in _texts(within.get(key)) if other in self.place and other != number]
            if tails:
                pairs = self._pairs.setdefault(relation, (array("i"), array("i")))
                pairs[0].extend([self.place[number]] * len(tails))
                pairs[1].extend(tails)

    def facts(self) -> Iterator[Fact]:
        for relation, (heads, tails) in self._pairs.items():
            for head, tail in zip(heads, tails, strict=True):
                yield Fact(self._numbers[head], relation, self._numbers[tail])


def _products(source: Source, file: Path, related: _Related, items: set[str]) -> Iterator[Record]:
    """The products that were both reviewed and described, and what is known of them."""
    entities = Entities()
    for row in loose.objects(source, file):
        number = row.get("parent_asin") or row.get("asin")
        if not isinstance(number, str):
            source.reject("expected a product with asin or parent_asin")
            continue
        if number not in related.place or number in items:
            continue
        items.add(number)
        yield Item(number, _title(row) or number, _text(row))
        for relation in ("brand", "store"):
            yield from entities.facts(number, relation, map(_maker, _texts(row.get(relation))))
        yield from entities.facts(number, "category", _categories(row))
        related.add(number, row)


def _texts(value: Any) -> list[str]:
    """The texts in a value, however deep in lists."""
    if isinstance(value, str):
        return [value]
    return [text for inner in value for text in _texts(inner)] if isinstance(value, list | tuple) else []


def _title(row: dict[str, Any]) -> str:
    """The title; where the page's script was taken for it (2018), there is none."""
    title = " ".join(_texts(row.get("title")))
    return "" if "getTime" in title else plain(title)


def _text(row: dict[str, Any]) -> str:
    for key in ("description", "features", "feature"):
        if found := plain(" ".join(_texts(row.get(key))), LONGEST_TEXT):
            return found
    return ""


def _maker(text: str) -> str:
    """A brand or store. 2018 has what stood on the page: `by` above it, or a sentence about an author."""
    return _MAKER.sub(r"\1", plain(re.sub(r"^\s*by\s*\n", "", text)))


def _categories(row: dict[str, Any]) -> Iterator[str]:
    """The names of all categories, each once. Those of 2018 end where the page's markup begins."""
    main = [text for key in ("main_category", "main_cat") for text in _texts(row.get(key)) if "<" not in text]
    paths = [text for key in ("category", "categories") for text in _texts(row.get(key))]
    clean = takewhile(lambda text: "<" not in text, paths)
    yield from dict.fromkeys(plain(text) for text in chain(main, clean))


FORMAT = Format(
    name="amazon",
    help="Amazon Reviews of 2014, 2018 or 2023: a file of reviews (.json, .jsonl) or ratings (.csv), or a folder with "
    "one; meta_*.json[l] beside it is read too.",
    read=read,
    field="products",
)
