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

A row that cannot be used is rejected. Where one of `train.txt` or `test.txt` names items that are in no list, or one of
`test.txt` items that the user has in train too (the test would ask for what was trained on), these alone are left out.
Lists that contradict themselves are refused as a whole.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from textwrap import shorten
from urllib.parse import unquote

from cikg.datasets.records import Entity, Fact, Format, HasInterest, Interaction, Interest, Item, Record, User
from cikg.datasets.source import Source
from cikg.errors import InputError
from cikg.schema import Split

TRAIN, TEST = "train.txt", "test.txt"
USERS, ITEMS, ENTITIES, RELATIONS = "user_list.txt", "item_list.txt", "entity_list.txt", "relation_list.txt"
FACTS, INTERESTS = "kg_final.txt", "user_interest_clustered.txt"

LONGEST_NUMBER = 18
"""Digits of a number: what 64 bits hold."""

LISTED = "`org_id remap_id` and perhaps a name"


@dataclass(frozen=True)
class _Listed:
    """A row of a list: its line, the original id and, where there is one, the name."""

    line: int
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


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER


def _numbers(source: Source, name: str, expected: str, columns: int | None = None) -> Iterator[list[int]]:
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
        wrong = next((field for field in fields if not _is_number(field)), None)
        if columns is not None and len(fields) != columns:
            source.reject(f"expected {expected}, found {len(fields)} columns")
        elif wrong is not None:
            source.reject(f"expected {expected}, found {wrong[:40]!r}, which is no number from 0")
        else:
            yield [int(field) for field in fields]


def _list(source: Source, name: str) -> _List | None:
    """Read a list, or None where the file is absent. A row that is none is rejected.

    Raises:
        InputError: an original id or a number occurs twice, or the file cannot be read.
    """
    file = source.optional(name)
    if file is None:
        return None
    rows: _List = {}
    first_line: dict[str, int] = {}
    for text in source.lines(file):
        original, number, *name_there = (*text.split(maxsplit=2), "", "")[:3]
        if source.line == 1 and not number.isdecimal():
            source.skip()
            continue
        if not _is_number(number):
            source.reject(f"expected {LISTED}, found {text[:60]!r}")
            continue
        if original in first_line:
            source.wrong(f"the id {original!r} is already in line {first_line[original]}")
        if int(number) in rows:
            source.wrong(f"the number {int(number)} is already taken by {rows[int(number)].original!r}")
        first_line[original] = source.line
        rows[int(number)] = _Listed(source.line, original, name_there[0] or None)
    return rows


class _Names:
    """Turns the numbers of one folder into ids and names.

    Attributes:
        items: the numbers of the items: those of their list, else those that interactions name.
    """

    def __init__(self, source: Source) -> None:
        self.user_list, self.item_list = _list(source, USERS), _list(source, ITEMS)
        self.entity_list, self.relation_list = _list(source, ENTITIES), _list(source, RELATIONS)
        self.items = set(self.item_list or ())

    @cached_property
    def taken(self) -> set[str]:
        """The ids that items have."""
        return {self.item_id(number) for number in self.items}

    def item(self, number: int) -> Item:
        row = (self.item_list or {}).get(number)
        also = (self.entity_list or {}).get(number)
        named = row.name if row and row.name else also and (also.name or ("://" in also.original and also.original))
        return Item(self.item_id(number), readable(named) if named else self.item_id(number))

    def entity(self, number: int) -> Entity:
        row = (self.entity_list or {}).get(number)
        return Entity(self.thing_id(number), readable((row and (row.name or row.original)) or str(number)))

    def item_id(self, number: int) -> str:
        return _original(self.item_list, number)

    def thing_id(self, number: int) -> str:
        """The id of an item or entity."""
        if number in self.items:
            return self.item_id(number)
        identifier = _original(self.entity_list, number)
        return f"entity:{identifier}" if identifier in self.taken else identifier

    def has_thing(self, number: int) -> bool:
        return self.entity_list is None or number in self.entity_list or number in self.items

    def user_id(self, number: int) -> str:
        return _original(self.user_list, number)

    def relation(self, number: int) -> str:
        return _original(self.relation_list, number) if self.relation_list is not None else f"relation {number}"


def _original(rows: _List | None, number: int) -> str:
    return str(number) if rows is None else rows[number].original


@dataclass(frozen=True)
class _History:
    """A row of `train.txt` or `test.txt`: where it stands, a user and items."""

    line: int
    user: int
    items: list[int]


def _histories(source: Source, name: str, names: _Names, trained: dict[int, set[int]]) -> Iterator[_History]:
    """The rows of `train.txt` or `test.txt`, without items that no list has or that the user has `trained` on."""
    for user, *items in _numbers(source, name, "a user's number and those of the items"):
        if names.user_list is not None and user not in names.user_list:
            source.reject(f"user {user} is not in {USERS}")
            continue
        unlisted = {item for item in items if names.item_list is not None and item not in names.item_list}
        if unlisted:
            source.reject(f"item {min(unlisted)} is not in {ITEMS}")
        leaking = trained.get(user, set()).intersection(items)
        if leaking:
            source.reject(f"item {min(leaking)} of user {user} is also in {TRAIN}")
        yield _History(source.line, user, [item for item in items if item not in unlisted and item not in leaking])


def _facts(source: Source, names: _Names) -> array[int]:
    """The rows of `kg_final.txt` that the lists allow, one after another: line, head, relation, tail."""
    rows = array("q")
    for head, relation, tail in _numbers(source, FACTS, "three numbers: head, relation, tail", columns=3):
        unlisted = [number for number in (head, tail) if not names.has_thing(number)]
        if unlisted:
            source.reject(f"entity {unlisted[0]} is not in {ENTITIES}")
        elif names.relation_list is not None and relation not in names.relation_list:
            source.reject(f"relation {relation} is not in {RELATIONS}")
        else:
            rows.extend((source.line, head, relation, tail))
    return rows


def _interests(source: Source, names: _Names, users: set[int], largest: int) -> Iterator[tuple[int, int, int]]:
    """The rows of `user_interest_clustered.txt` that the lists allow: line, user, interest."""
    for user, interest in _numbers(source, INTERESTS, "two numbers: user, interest", columns=2):
        if user not in users:
            source.reject(f"user {user} is not in {USERS if names.user_list is not None else TRAIN}")
        elif interest <= largest:
            source.reject(f"interest {interest} has the number of an entity; the largest is {largest}")
        else:
            yield source.line, user, interest


def _titles(interests: list[tuple[int, int, int]], trained: dict[int, set[int]], names: _Names) -> dict[int, str]:
    """Make names for interests, which this format numbers only: the two items that set their holders apart.

    These are the items of the greatest c·log(c·N / (h·n)): c of the interest's h holders and n of all N users have
    them in train. An interest whose holders have no two items more often than others do stays without a name.
    """
    overall = Counter(item for items in trained.values() for item in items)
    holders: dict[int, set[int]] = {}
    for _, user, interest in interests:
        holders.setdefault(interest, set()).add(user)
    found = {}
    for interest, users in holders.items():
        counts = Counter(item for user in users for item in trained.get(user, ()))
        expected = len(users) / max(len(trained), 1)
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
        InputError: there is no `train.txt` or `test.txt`, or a list contradicts itself.
    """
    if not source.path.is_dir():
        raise InputError(f"{source.path} is not a folder", cure="Name the folder that holds train.txt and test.txt")
    train_file, test_file = source.file(TRAIN), source.file(TEST)
    names = _Names(source)
    train = list(_histories(source, TRAIN, names, {}))
    trained: dict[int, set[int]] = {}
    for row in train:
        trained.setdefault(row.user, set()).update(row.items)
    test = list(_histories(source, TEST, names, trained))
    if names.item_list is None:
        names.items = {item for row in train + test for item in row.items}
    users = {row.user for row in train + test} if names.user_list is None else set(names.user_list)
    facts = _facts(source, names)
    entities = {*facts[1::4], *facts[3::4], *(names.entity_list or ())} - names.items
    interests = list(_interests(source, names, users, max(names.items | entities, default=-1)))

    yield from _listed(source, USERS, names.user_list, users, lambda user: User(names.user_id(user)))
    yield from _listed(source, ITEMS, names.item_list, names.items, names.item)
    yield from _listed(source, ENTITIES, names.entity_list, entities, names.entity)
    titles = _titles(interests, trained, names)
    yield from (Interest(str(number), titles.get(number)) for number in sorted({row[2] for row in interests}))
    for split, file, history in ((Split.TRAIN, train_file, train), (Split.TEST, test_file, test)):
        for row in history:
            source.place(file, row.line, f"{row.user} {' '.join(map(str, row.items))}")
            yield from (Interaction(names.user_id(row.user), names.item_id(item), split) for item in row.items)
    facts_file, interests_file = (source.optional(name) or source.path for name in (FACTS, INTERESTS))
    for line, head, relation, tail in zip(facts[0::4], facts[1::4], facts[2::4], facts[3::4], strict=True):
        source.place(facts_file, line, f"{head} {relation} {tail}")
        yield Fact(names.thing_id(head), names.relation(relation), names.thing_id(tail))
    for line, user, interest in interests:
        source.place(interests_file, line, f"{user} {interest}")
        yield HasInterest(names.user_id(user), str(interest))


def _listed(
    source: Source, name: str, rows: _List | None, numbers: set[int], make: Callable[[int], Record]
) -> Iterator[Record]:
    """The nodes with these numbers, in their order, each read from the line of its list where it has one."""
    file = source.optional(name) or source.path
    for number in sorted(numbers):
        row = (rows or {}).get(number)
        if row is not None:
            source.place(file, row.line, f"{row.original} {number}")
        yield make(number)


FORMAT = Format(
    name="cikgrec",
    help="A folder in the layout of KGAT and CIKGRec: train.txt, test.txt and, where there are any, lists, knowledge "
    "graph and interests.",
    read=read,
)
