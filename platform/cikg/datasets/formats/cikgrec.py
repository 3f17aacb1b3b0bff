"""The folder layout of KGAT, as CIKGRec publishes its datasets.

=============================  ==========================================================================
`train.txt`, `test.txt`        a user's number, then the numbers of the items; needed
`user_list.txt`                `org_id remap_id`: the original id of each user
`item_list.txt`                `org_id remap_id [name]`: the original id of each item, a name that may hold blanks
`kg_final.txt`                 `head relation tail`, by number; an item's number is also its entity number
`entity_list.txt`              `org_id remap_id [name]`: items and entities
`relation_list.txt`            `org_id remap_id`
`user_interest_clustered.txt`  `user interest`, by number; interests are numbered after the largest entity
=============================  ==========================================================================

All but the first two are optional. A list may begin with a header; blank lines are skipped.

What becomes an `id`: the original id where there is a list, else the number. An item's id comes from `item_list.txt`,
even where `entity_list.txt` has an address for it; that address gives its name. Lists of items and entities come from
different sources, so an entity whose id an item already has is called `entity:<id>`: items and entities share one set
of ids. A name is the list's, else what can be read from an address
(`http://dbpedia.org/resource/Dragonfly_in_Amber` → *Dragonfly in Amber*), else the id. Interests have numbers only, and
are named after the two items that set their holders apart.

An item both in train and in test of one user is refused: the test would ask for what was trained on.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from urllib.parse import unquote

from cikg.datasets.records import Entity, Fact, Format, HasInterest, Interaction, Interest, Item, Record, User
from cikg.datasets.source import Source
from cikg.errors import InputError
from cikg.schema import Split

TRAIN, TEST = "train.txt", "test.txt"
USERS, ITEMS, ENTITIES, RELATIONS = "user_list.txt", "item_list.txt", "entity_list.txt", "relation_list.txt"
FACTS, INTERESTS = "kg_final.txt", "user_interest_clustered.txt"

LISTED = "`org_id remap_id` and perhaps a name"


@dataclass(frozen=True)
class _Listed:
    """A row of a list: the original id and, where there is one, the name."""

    original: str
    name: str | None


_List = dict[int, _Listed]


_WORD_BREAK = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9s])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SYNSET = re.compile(r"^(?:Wikicat|Yago)(?=[A-Z0-9])|(?<=[A-Za-z])1\d{8}$")
_LINKING = re.compile(r"\b(?:A|And|About|At|By|For|From|In|Of|On|Set|The|To|With)\b")


def readable(text: str) -> str:
    """The name in an address: its last segment, decoded, with blanks for underscores; other text as it is.

    DBpedia's classes are written together: `…/class/yago/WikicatColdWarNovels` is *Cold War Novels*, and the number of
    a WordNet synset at an end is left out. Its categories lose the word that says so.
    """
    if "://" not in text:
        return text
    if "/resource/" in text:
        name = unquote(text.split("/resource/", 1)[-1]).removeprefix("Category:")
    else:
        name = unquote(text.rstrip("/#").replace("#", "/").split("/")[-1])
    if "/class/" in text:
        words = _WORD_BREAK.sub(" ", _SYNSET.sub("", name))
        name = words[:1] + _LINKING.sub(lambda found: found[0].lower(), words[1:])
    return " ".join(name.replace("_", " ").split()) or text


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers.

    Raises:
        InputError: the file cannot be read, or a line is not UTF-8.
    """
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                except UnicodeDecodeError:
                    raise InputError(
                        "the line is not UTF-8 text", path, number, cure="Save the file as UTF-8"
                    ) from None
                if line:
                    yield number, line
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}", path) from None


def _numbers(path: Path, expected: str, columns: int | None = None) -> Iterator[tuple[int, list[int]]]:
    """The rows of a file of numbers.

    Args:
        path: the file.
        expected: what a row should be, for the error.
        columns: how many numbers a row has; None for one or more.

    Raises:
        InputError: a row has another number of columns, or something that is no number from 0.
    """
    for line, text in _lines(path):
        fields = text.split()
        if columns is not None and len(fields) != columns:
            raise InputError(f"expected {expected}, found {len(fields)} columns", path, line)
        for value in fields:
            if not (value.isascii() and value.isdecimal()):
                raise InputError(f"expected {expected}, found {value[:40]!r}, which is no number from 0", path, line)
        yield line, [int(value) for value in fields]


def _list(path: Path) -> _List | None:
    """Read a list, or None where the file is absent.

    Raises:
        InputError: a row is malformed, or an original id or a number occurs twice.
    """
    if not path.exists():
        return None
    rows: _List = {}
    first_line: dict[str, int] = {}
    for line, text in _lines(path):
        original, number, *name = (*text.split(maxsplit=2), "")[:3]
        if not number.isdecimal() and not rows and not first_line and line == 1:
            continue
        if not (number.isascii() and number.isdecimal()):
            raise InputError(f"expected {LISTED}, found {text[:60]!r}", path, line)
        if original in first_line:
            raise InputError(f"the id {original!r} is already in line {first_line[original]}", path, line)
        if int(number) in rows:
            raise InputError(f"the number {int(number)} is already taken by {rows[int(number)].original!r}", path, line)
        first_line[original] = line
        rows[int(number)] = _Listed(original, name[0] or None)
    return rows


class _Names:
    """Turns the numbers of one folder into ids and names.

    Args:
        folder: the folder.
        items: the numbers of the items where no list names them.
    """

    def __init__(self, folder: Path, items: set[int]) -> None:
        self.user_list, self.item_list = _list(folder / USERS), _list(folder / ITEMS)
        self.entity_list, self.relation_list = _list(folder / ENTITIES), _list(folder / RELATIONS)
        self.items = sorted(items if self.item_list is None else self.item_list)
        self.item_ids = {number: _original(self.item_list, number) for number in self.items}
        self.taken = set(self.item_ids.values())

    def item(self, number: int) -> Item:
        row = (self.item_list or {}).get(number)
        also = (self.entity_list or {}).get(number)
        named = row.name if row and row.name else also and (also.name or ("://" in also.original and also.original))
        return Item(self.item_ids[number], readable(named) if named else self.item_ids[number])

    def entity(self, number: int) -> Entity:
        row = (self.entity_list or {}).get(number)
        return Entity(self.thing_id(number), readable((row and (row.name or row.original)) or str(number)))

    def thing_id(self, number: int) -> str:
        """The id of an item or entity."""
        if number in self.item_ids:
            return self.item_ids[number]
        identifier = _original(self.entity_list, number)
        return f"entity:{identifier}" if identifier in self.taken else identifier

    def user_id(self, number: int) -> str:
        return _original(self.user_list, number)

    def relation(self, number: int) -> str:
        return _original(self.relation_list, number) if self.relation_list is not None else f"relation {number}"


def _original(rows: _List | None, number: int) -> str:
    return str(number) if rows is None else rows[number].original


_History = list[tuple[int, int, list[int]]]
"""Line, user and items of each line of `train.txt` or `test.txt`."""


def _history(path: Path) -> _History:
    if not path.exists():
        raise InputError(
            f"{path} is missing", cure="The format needs train.txt and test.txt, a user and its items a line"
        )
    return [(line, row[0], row[1:]) for line, row in _numbers(path, "a user's number and those of the items")]


def _check_history(path: Path, history: _History, names: _Names) -> None:
    for line, user, items in history:
        if names.user_list is not None and user not in names.user_list:
            raise InputError(f"user {user} is not in {USERS}", path, line)
        for item in items:
            if item not in names.item_ids:
                raise InputError(f"item {item} is not in {ITEMS}", path, line)


def _check_leaks(path: Path, train: _History, test: _History) -> None:
    """Refuse an item that is both in train and in test of one user."""
    trained: dict[int, set[int]] = {}
    for _, user, items in train:
        trained.setdefault(user, set()).update(items)
    for line, user, items in test:
        for item in items:
            if item in trained.get(user, ()):
                raise InputError(f"item {item} of user {user} is also in {TRAIN}", path, line)


def _facts(path: Path, names: _Names) -> list[list[int]]:
    """The rows of `kg_final.txt`, checked against the lists; empty where there is no such file."""
    rows = []
    for line, row in _numbers(path, "three numbers: head, relation, tail", columns=3) if path.exists() else ():
        for number in (row[0], row[2]):
            if names.entity_list is not None and number not in names.entity_list and number not in names.item_ids:
                raise InputError(f"entity {number} is not in {ENTITIES}", path, line)
        if names.relation_list is not None and row[1] not in names.relation_list:
            raise InputError(f"relation {row[1]} is not in {RELATIONS}", path, line)
        rows.append(row)
    return rows


def _interests(path: Path, names: _Names, users: set[int], largest: int) -> list[list[int]]:
    """The rows of `user_interest_clustered.txt`, checked; empty where there is no such file."""
    rows = []
    for line, row in _numbers(path, "two numbers: user, interest", columns=2) if path.exists() else ():
        if row[0] not in users:
            raise InputError(f"user {row[0]} is not in {USERS if names.user_list is not None else TRAIN}", path, line)
        if row[1] <= largest:
            raise InputError(f"interest {row[1]} has the number of an entity; the largest is {largest}", path, line)
        rows.append(row)
    return rows


def _titles(interests: list[list[int]], train: _History, names: _Names) -> dict[int, str]:
    """Make names for interests, which this format numbers only: the two items that set their holders apart.

    These are the items of the greatest c·log(c·N / (h·n)): c of the interest's h holders and n of all N users have
    them in train. An interest whose holders have no two items more often than others do stays without a name.
    """
    chosen = {user: set(items) for _, user, items in train}
    overall = Counter(item for items in chosen.values() for item in items)
    holders: dict[int, set[int]] = {}
    for user, interest in interests:
        holders.setdefault(interest, set()).add(user)
    found = {}
    for interest, users in holders.items():
        counts = Counter(item for user in users for item in chosen.get(user, ()))
        expected = len(users) / len(chosen)
        weights = {item: count * math.log(count / (overall[item] * expected)) for item, count in counts.items()}
        best = sorted((item for item in weights if weights[item] > 0), key=lambda item: (-weights[item], item))[:2]
        if len(best) == 2:
            found[interest] = "Around " + " and ".join(
                shorten(names.item(item).name, 50, placeholder="…") for item in best
            )
    return found


def read(source: Source) -> Iterator[Record]:
    """Yield the records of a folder; the layout is described above.

    Raises:
        InputError: a file is missing or malformed, an id occurs twice, or a number is not in its list; with the line.
    """
    folder = source.path
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", cure="Name the folder that holds train.txt and test.txt")
    train, test = _history(folder / TRAIN), _history(folder / TEST)
    names = _Names(folder, {item for _, _, items in train + test for item in items})
    _check_history(folder / TRAIN, train, names)
    _check_history(folder / TEST, test, names)
    _check_leaks(folder / TEST, train, test)
    facts = _facts(folder / FACTS, names)
    entities = {number for row in facts for number in (row[0], row[2])} | set(names.entity_list or ())
    entities -= names.item_ids.keys()
    users = {user for _, user, _ in train + test} if names.user_list is None else set(names.user_list)
    interests = _interests(folder / INTERESTS, names, users, max([*names.items, *entities], default=-1))

    yield from (User(names.user_id(user)) for user in sorted(users))
    yield from map(names.item, names.items)
    yield from map(names.entity, sorted(entities))
    titles = _titles(interests, train, names)
    yield from (Interest(str(number), titles.get(number)) for number in sorted({row[1] for row in interests}))
    for split, history in ((Split.TRAIN, train), (Split.TEST, test)):
        for _, user, items in history:
            yield from (Interaction(names.user_id(user), names.item_ids[item], split) for item in items)
    yield from (Fact(names.thing_id(head), names.relation(of), names.thing_id(tail)) for head, of, tail in facts)
    yield from (HasInterest(names.user_id(user), str(interest)) for user, interest in interests)


FORMAT = Format(
    name="cikgrec",
    help="A folder in the layout of KGAT and CIKGRec: train.txt, test.txt and, where there are any, lists, knowledge "
    "graph and interests.",
    read=read,
)
