"""Folders that name users and items by number: histories, and lists that say which id has which number.

`train.txt` and `test.txt` hold one user per line, `user item item …`. A list holds `org_id remap_id` and optionally
a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cikg.datasets.reading.source import Source
from cikg.datasets.records import Interaction, Record
from cikg.errors import InputError
from cikg.schema import Split

TRAIN, TEST = "train.txt", "test.txt"

LONGEST_NUMBER = 18
"""Digits of a number: what 64 bits hold."""

_LISTED = "`org_id remap_id` and optionally a name"


@dataclass(frozen=True)
class Listed:
    """A row of a list: its line, the original id and, where there is one, the name."""

    line: int
    original: str
    name: str | None


Listing = dict[int, Listed]
"""A list: its rows by number."""


def is_number(text: str) -> bool:
    """Whether a text is a number from 0 that 64 bits hold."""
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER


def original(rows: Listing | None, number: int) -> str:
    """The id behind a number: the original one where there is a list, else the number."""
    return str(number) if rows is None else rows[number].original


def numbers(source: Source, name: str, expected: str, columns: int | None = None) -> Iterator[list[int]]:
    """The rows of a file of numbers; nothing where there is no such file. Other rows are rejected.

    Args:
        source: the folder.
        name: the file's name.
        expected: what a row should be, for the reason.
        columns: how many numbers a row has; None for one or more.

    Raises:
        InputError: the file cannot be read.
    """
    file = source.optional(name)
    for text in source.lines(file) if file is not None else ():
        fields = text.split()
        wrong = next((field for field in fields if not is_number(field)), None)
        if columns is not None and len(fields) != columns:
            source.reject(f"expected {expected}, found {len(fields)} columns")
        elif wrong is not None:
            source.reject(f"expected {expected}, found {wrong[:40]!r}, which is not a whole number")
        else:
            yield [int(field) for field in fields]


def listing(source: Source, name: str) -> Listing | None:
    """Read a list, or None where the file is absent. A first row without a number is a header; others are rejected.

    Raises:
        InputError: an original id or a number occurs twice, or the file cannot be read.
    """
    file = source.optional(name)
    if file is None:
        return None
    rows: Listing = {}
    first_line: dict[str, int] = {}
    for text in source.lines(file):
        identifier, number, *name_there = (*text.split(maxsplit=2), "", "")[:3]
        if source.line == 1 and not number.isdecimal():
            source.skip()
            continue
        if not is_number(number):
            source.reject(f"expected {_LISTED}, found {text[:60]!r}")
            continue
        if identifier in first_line:
            source.wrong(f"the id {identifier!r} is already in line {first_line[identifier]}")
        if int(number) in rows:
            source.wrong(f"the number {int(number)} is already taken by {rows[int(number)].original!r}")
        first_line[identifier] = source.line
        rows[int(number)] = Listed(source.line, identifier, name_there[0] or None)
    return rows


def nodes(
    source: Source, name: str, rows: Listing | None, chosen: set[int], make: Callable[[int], Record]
) -> Iterator[Record]:
    """The nodes with these numbers, in their order, each read from the line of its list where it has one."""
    file = source.optional(name) or source.path
    for number in sorted(chosen):
        row = (rows or {}).get(number)
        if row is not None:
            source.place(file, row.line, f"{row.original} {number}")
        yield make(number)


@dataclass(frozen=True)
class _History:
    """A row of `train.txt` or `test.txt`: where it stands, a user and items."""

    line: int
    user: int
    items: list[int]


class Histories:
    """What `train.txt` and `test.txt` of a folder say, in numbers.

    A row of an unlisted user is rejected. Of others, items that are in no list are left out, and of `test.txt` those
    that the user has in train too: the test would ask for what was trained on.

    Args:
        source: the folder.
        users, items: the names of the lists and what they hold, None where they are absent.

    Attributes:
        trained: the items of each user's training.

    Raises:
        InputError: the folder is none, or has no `train.txt` or no `test.txt`.
    """

    def __init__(self, source: Source, users: tuple[str, Listing | None], items: tuple[str, Listing | None]) -> None:
        self._users, self._items = users, items
        self.trained: dict[int, set[int]] = {}
        self._rows: list[tuple[Split, Path, list[_History]]] = []
        for split, name in ((Split.TRAIN, TRAIN), (Split.TEST, TEST)):
            rows = list(self._read(source, name))
            self._rows.append((split, source.file(name), rows))
            for row in rows if split == Split.TRAIN else ():
                self.trained.setdefault(row.user, set()).update(row.items)

    @property
    def users(self) -> set[int]:
        """The users: those of their list, else those that have a row."""
        listed = self._users[1]
        return {row.user for _, _, rows in self._rows for row in rows} if listed is None else set(listed)

    @property
    def items(self) -> set[int]:
        """The items: those of their list, else those in rows."""
        listed = self._items[1]
        named = (item for _, _, rows in self._rows for row in rows for item in row.items)
        return set(named) if listed is None else set(listed)

    def interactions(self, source: Source) -> Iterator[Interaction]:
        """Yield all interactions, each from its line."""
        users, items = self._users[1], self._items[1]
        for split, file, rows in self._rows:
            for row in rows:
                source.place(file, row.line, f"{row.user} {' '.join(map(str, row.items))}")
                yield from (Interaction(original(users, row.user), original(items, item), split) for item in row.items)

    def _read(self, source: Source, name: str) -> Iterator[_History]:
        (user_file, users), (item_file, items) = self._users, self._items
        for user, *named in numbers(source, name, "a user's number and those of the items"):
            if users is not None and user not in users:
                source.reject(f"user {user} is not in {user_file}")
                continue
            unlisted = {item for item in named if items is not None and item not in items}
            if unlisted:
                source.reject(f"item {min(unlisted)} is not in {item_file}")
            leaking = self.trained.get(user, set()).intersection(named) if name == TEST else set()
            if leaking:
                source.reject(f"item {min(leaking)} of user {user} is also in {TRAIN}")
            yield _History(source.line, user, [item for item in named if item not in unlisted and item not in leaking])


def needs_histories(source: Source) -> None:
    """Refuse a path that is no folder with `train.txt` and `test.txt`, before anything of it is read.

    Raises:
        InputError: it is none.
    """
    if not source.path.is_dir():
        raise InputError(
            f"{source.path} is not a folder", cure=f"Give the path of the folder that holds {TRAIN} and {TEST}"
        )
    source.file(TRAIN), source.file(TEST)
