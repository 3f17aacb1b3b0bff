"""A whole dataset in memory, checked and in canonical order: what lies between a format's reader and the graph.

Columns instead of objects keep a million interactions below 30 MB. Everything that can be wrong with a dataset as a
whole is found here, before anything is written.
"""

from __future__ import annotations

import hashlib
import math
import re
from array import array
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Generic, NoReturn, TypeVar

import numpy as np
import numpy.typing as npt

from cikg.datasets.knowledge import ADDED_TO, MADE
from cikg.datasets.reading.source import Source
from cikg.datasets.records import (
    Entity,
    Fact,
    HasInterest,
    Interaction,
    Interest,
    Item,
    KnowledgeEdge,
    KnowledgeNode,
    Record,
    User,
)
from cikg.errors import InputError
from cikg.schema import Label, Split, relationship_type

SPLITS = tuple(Split)
"""The order of the splits' codes: 0 train, 1 valid, 2 test."""

LONGEST_ID = 500
"""Characters of an id: what a unique key of the database can hold in any script."""

LONGEST_TEXT = 1_000_000
"""Characters of a name or a description: a book's, and what one transaction holds beside others."""

EARLIEST, LATEST = -62_135_596_800, 253_402_300_799
"""The times that can be shown as dates: the years 1 to 9999, in seconds since 1970."""

_CODES = {split: code for code, split in enumerate(SPLITS)}
_HALF_PAIR = re.compile("[\ud800-\udfff]")

Indices = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Interactions:
    """Who interacted with what, in the order of (user, item); each pair occurs once.

    Attributes:
        user_index, item_index: rows of `Tables.users` and `Tables.items`. Shape: (n,)
        split: index into `SPLITS`. Shape: (n,)
        rating: NaN where there is none. Shape: (n,)
        at: seconds since 1970, and `NEVER` where unknown. Shape: (n,)
    """

    user_index: Indices
    item_index: Indices
    split: npt.NDArray[np.int8]
    rating: npt.NDArray[np.float64]
    at: npt.NDArray[np.int64]


NEVER = int(np.iinfo(np.int64).min)
"""The time of an interaction whose time is unknown."""


@dataclass(frozen=True)
class Pairs:
    """Edges of one kind in canonical order, each once: rows of the tables at their two ends. Shape of both: (n,)."""

    source_index: Indices
    target_index: Indices


@dataclass(frozen=True)
class Tables:
    """A checked dataset.

    Attributes:
        users, items, entities, interests: sorted by id.
        interactions: sorted by user, then item.
        facts: edges of each relation, by its own name, between rows of `things`.
        types: the relationship type of each relation; two relations never share one.
        has_interest: from rows of `users` to rows of `interests`.
        duplicates: how many repeated rows were left out, by kind.
        knowledge: what jobs and people added, nodes before edges, in the order in which an archive has it.
    """

    users: list[User]
    items: list[Item]
    entities: list[Entity]
    interests: list[Interest]
    interactions: Interactions
    facts: dict[str, Pairs]
    types: dict[str, str]
    has_interest: Pairs
    duplicates: dict[str, int] = field(default_factory=dict)
    knowledge: list[KnowledgeNode | KnowledgeEdge] = field(default_factory=list)

    @property
    def things(self) -> list[Item | Entity]:
        """Items, then entities: what a fact can join."""
        return [*self.items, *self.entities]

    def counts(self) -> dict[str, int]:
        """Rows by kind; interactions also by split."""
        by_split = np.bincount(self.interactions.split, minlength=len(SPLITS))
        return {
            "users": len(self.users),
            "items": len(self.items),
            "entities": len(self.entities),
            "interests": len(self.interests),
            "interactions": len(self.interactions.split),
            **{str(split): int(count) for split, count in zip(SPLITS, by_split, strict=True)},
            "relations": len(self.facts),
            "facts": sum(len(pairs.source_index) for pairs in self.facts.values()),
            "interest_edges": len(self.has_interest.source_index),
            **({"knowledge": len(self.knowledge)} if self.knowledge else {}),
        }

    def digest(self) -> str:
        """SHA-256 over the content: equal for equal datasets, in whatever order their rows were read."""
        digest = hashlib.sha256()
        for nodes in (self.users, self.items, self.entities, self.interests):
            for node in nodes:
                digest.update(repr(node).encode())
        for row in self.knowledge:
            digest.update(repr(row).encode())
        for column in vars(self.interactions).values():
            digest.update(column.tobytes())
        for name, pairs in [*self.facts.items(), ("", self.has_interest)]:
            digest.update(name.encode() + b"\0" + pairs.source_index.tobytes() + pairs.target_index.tobytes())
        return digest.hexdigest()


def relation_types(relations: Iterable[str], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give each relation a relationship type of its own.

    Where two names lead to one type (`http://a/genre`, `http://b/genre`), the later in alphabetical order is numbered
    (`GENRE_2`), so that they are never merged.

    Args:
        relations: their names.
        known: types that relations have already, these among them or others.

    Raises:
        InputError: a name has no letter or digit.
    """
    names = sorted(relations)
    plain = {name: relationship_type(name) for name in names}
    known = known or {}
    types, taken = {name: known[name] for name in names if name in known}, set(known.values())
    for name in sorted(plain.keys() - types.keys()):
        candidate, number = plain[name], 1
        while candidate in taken or (number > 1 and candidate in plain.values()):
            number += 1
            candidate = f"{plain[name]}_{number}"
        taken.add(candidate)
        types[name] = candidate
    return types


Node = TypeVar("Node", User, Item, Entity, Interest)


Reject = Callable[[str], None]
"""Leaves out the record at hand, for a reason."""

Known = Callable[[Label], Container[str]]
"""The ids of nodes of some label that a source may name without describing them."""


class _Nodes(Generic[Node]):
    """Nodes of one kind while they are read: numbered by arrival, renumbered by id at the end.

    `known` are ids that the source need not describe: what names one of them gets a bare node.
    """

    def __init__(
        self, kind: str, reject: Reject, bare: Callable[[str], Node], known: Callable[[], Container[str]]
    ) -> None:
        self.kind = kind
        self.reject = reject
        self.bare: Callable[[str], Node] = bare
        self.known = known
        self.others: _Nodes[Any] | None = None
        self.nodes: list[Node] = []
        self.index: dict[str, int] = {}
        self.repeated = 0

    def add(self, node: Node) -> None:
        """Add a node whose id is new. One that says something else of a known id is rejected."""
        identifier, texts = node.id, _texts(node)
        if not identifier or identifier != identifier.strip() or not identifier.isprintable():
            self.reject(f"{identifier[:LONGEST_ID]!r} cannot be the id of {self.kind}: expected visible characters")
        elif len(identifier) > LONGEST_ID:
            self.reject(f"the id of {self.kind} has {len(identifier):,} characters, more than {LONGEST_ID}")
        elif any(len(text) > LONGEST_TEXT for text in texts.values()):
            self.reject(f"a text of {self.kind} {identifier!r} is longer than {LONGEST_TEXT:,} characters")
        elif identifier in self.index:
            if self.nodes[self.index[identifier]] == _storable(node, texts):
                self.repeated += 1
            else:
                self.reject(f"the id {identifier!r} of {self.kind} occurs again, with other contents")
        elif self.others is not None and identifier in self.others.index:
            self.reject(f"the id {identifier!r} of {self.kind} is also that of {self.others.kind}")
        else:
            self.index[identifier] = len(self.nodes)
            self.nodes.append(_storable(node, texts))

    def find(self, identifier: str, used_by: str) -> int | None:
        """The number by arrival of the node with this id; None where there is none, and the record is rejected."""
        found = self.get(identifier)
        if found is None:
            self.reject(f"{used_by} names {self.kind} {identifier[:LONGEST_ID]!r} that the dataset does not have")
        return found

    def get(self, identifier: str) -> int | None:
        """The number by arrival of the node with this id, or None."""
        found = self.index.get(identifier)
        if found is None and identifier in self.known():
            found = self.index[identifier] = len(self.nodes)
            self.nodes.append(self.bare(identifier))
        return found

    def ordered(self) -> tuple[list[Node], Indices]:
        """The nodes sorted by id, and for each number by arrival its place in that order. Shape: (n,)."""
        order = sorted(range(len(self.nodes)), key=lambda number: self.nodes[number].id)
        place = np.empty(len(order), dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        return [self.nodes[number] for number in order], place


def _texts(node: User | Item | Entity | Interest) -> dict[str, str]:
    """What a node has of texts, by their names."""
    return {name: text for name in _FIELDS[type(node)] if (text := getattr(node, name))}


_FIELDS = {kind: tuple(entry.name for entry in fields(kind)) for kind in (User, Item, Entity, Interest)}


def _storable(node: Node, texts: dict[str, str]) -> Node:
    """The node, with a replacement character for each half of a pair that no database takes (JSON can hold them)."""
    broken = {name: _HALF_PAIR.sub("\ufffd", text) for name, text in texts.items() if not text.isascii()}
    return replace(node, **broken) if any(texts[name] != text for name, text in broken.items()) else node


class _Reading:
    """Takes records one after another and makes `Tables` of them."""

    def __init__(self, reject: Reject, known: Known) -> None:
        self.reject = reject
        ids = [partial(known, label) for label in (Label.USER, Label.ITEM, Label.ENTITY, Label.INTEREST)]
        self.users: _Nodes[User] = _Nodes("a user", reject, User, ids[0])
        self.items: _Nodes[Item] = _Nodes("an item", reject, lambda name: Item(name, name), ids[1])
        self.entities: _Nodes[Entity] = _Nodes("an entity", reject, lambda name: Entity(name, name), ids[2])
        self.interests: _Nodes[Interest] = _Nodes("an interest", reject, Interest, ids[3])
        self.items.others, self.entities.others = self.entities, self.items
        self.user, self.item, self.split = array("i"), array("i"), array("b")
        self.rating, self.at = array("d"), array("q")
        self.facts: dict[str, tuple[array[int], array[int]]] = {}
        self.holder, self.held = array("i"), array("i")
        self.knowledge: list[KnowledgeNode | KnowledgeEdge] = []
        self.known: set[tuple[str, str]] = {(Label.DATASET, "")}

    def add(self, record: Record) -> None:
        match record:
            case Interaction():
                self._interaction(record)
            case Fact():
                self._fact(record)
            case HasInterest():
                self._has_interest(record)
            case User():
                self.users.add(record)
            case Item():
                self.items.add(record)
            case Entity():
                self.entities.add(record)
            case Interest():
                self.interests.add(record)
            case KnowledgeNode() | KnowledgeEdge():
                self._knowledge(record)

    def _has_interest(self, record: HasInterest) -> None:
        user = self.users.find(record.user, "an interest edge")
        interest = self.interests.find(record.interest, "an interest edge")
        if user is not None and interest is not None:
            self.holder.append(user)
            self.held.append(interest)

    def _knowledge(self, record: KnowledgeNode | KnowledgeEdge) -> None:
        if isinstance(record, KnowledgeNode):
            ends = [] if record.label in MADE else [(record.label, record.key)]
            self.known.add((record.label, record.key))
        else:
            ends = [(record.source_label, record.source), (record.target_label, record.target)]
        if all(self._has(*end) for end in ends):
            self.knowledge.append(record)
        else:
            self.reject("it is about something that the dataset does not have")

    def _has(self, label: str, key: str) -> bool:
        data: dict[str, _Nodes[Any]] = {Label.USER: self.users, Label.ITEM: self.items, Label.INTEREST: self.interests}
        if label in ADDED_TO and label in data:
            return key in data[label].index
        return (label, key) in self.known or (label in data and key in data[label].index)

    def _interaction(self, record: Interaction) -> None:
        user = self.users.find(record.user, "an interaction")
        item = self.items.find(record.item, "an interaction")
        rating, at = record.rating, record.at
        if user is None or item is None:
            return
        if rating is not None and not math.isfinite(rating):
            self.reject(f"the rating {rating} is not a finite number")
            return
        if at is not None and not EARLIEST <= at <= LATEST:
            self.reject(f"the time {at} is not in the years 1 to 9999, in seconds since 1970")
            return
        self.user.append(user)
        self.item.append(item)
        self.split.append(_CODES[record.split])
        self.rating.append(math.nan if rating is None else rating)
        self.at.append(NEVER if at is None else at)

    def _fact(self, record: Fact) -> None:
        if record.relation not in self.facts:
            try:
                relationship_type(record.relation)
                record.relation.encode()
            except (InputError, UnicodeEncodeError) as error:
                self.reject(error.message if isinstance(error, InputError) else "the relation is not Unicode text")
                return
        head, tail = self._thing(record.head), self._thing(record.tail)
        if head is not None and tail is not None:
            heads, tails = self.facts.get(record.relation) or self.facts.setdefault(
                record.relation, (array("i"), array("i"))
            )
            heads.append(head)
            tails.append(tail)

    def _thing(self, identifier: str) -> int | None:
        """Items by their number from 0 upwards, entities from -1 downwards, as long as items may still arrive."""
        number = self.items.get(identifier)
        if number is not None:
            return number
        number = self.entities.find(identifier, "a fact")
        return None if number is None else -1 - number

    def tables(self) -> Tables:
        users, user_place = self.users.ordered()
        items, item_place = self.items.ordered()
        entities, entity_place = self.entities.ordered()
        interests, interest_place = self.interests.ordered()
        thing_place = np.concatenate([item_place, (entity_place + np.int32(len(items)))[::-1]])
        facts, repeated_facts = {}, 0
        for relation in sorted(self.facts):
            heads, tails = (thing_place[np.asarray(side, dtype=np.int32)] for side in self.facts[relation])
            facts[relation], repeated = _pairs(heads, tails)
            repeated_facts += repeated
        holders, held = (np.asarray(side, dtype=np.int32) for side in (self.holder, self.held))
        has_interest, repeated_interests = _pairs(user_place[holders], interest_place[held])
        interactions = self._interactions(users, items, user_place, item_place)
        if not len(interactions.split):
            raise InputError(
                "the dataset has no interactions", cure="Check that the path holds what the format expects"
            )
        duplicates = {
            "nodes": sum(kind.repeated for kind in (self.users, self.items, self.entities, self.interests)),
            "interactions": len(self.split) - len(interactions.split),
            "facts": repeated_facts,
            "interest_edges": repeated_interests,
        }
        types = relation_types(facts)
        return Tables(
            users, items, entities, interests, interactions, facts, types, has_interest, duplicates, self.knowledge
        )

    def _interactions(
        self, users: list[User], items: list[Item], user_place: Indices, item_place: Indices
    ) -> Interactions:
        """Sort by (user, item) and keep the latest of each pair.

        Raises:
            InputError: a pair is in two splits, so that testing would ask for what was trained on.
        """
        user = user_place[np.asarray(self.user, dtype=np.int32)]
        item = item_place[np.asarray(self.item, dtype=np.int32)]
        split, at = np.asarray(self.split, dtype=np.int8), np.asarray(self.at, dtype=np.int64)
        order = np.lexsort((np.arange(len(at)), at, item, user))
        user, item, split = user[order], item[order], split[order]
        same = (user[1:] == user[:-1]) & (item[1:] == item[:-1])
        leaks = np.flatnonzero(same & (split[1:] != split[:-1]))
        if len(leaks):
            row = int(leaks[0])
            names = sorted((SPLITS[split[row]], SPLITS[split[row + 1]]))
            raise InputError(
                f"user {users[user[row]].id!r} has item {items[item[row]].id!r} in both {names[1]} and {names[0]}",
                cure="Keep each interaction in one split",
            )
        keep = np.append(~same, True)[: len(user)]
        rating = np.asarray(self.rating, dtype=np.float64)[order]
        return Interactions(user[keep], item[keep], split[keep], rating[keep], at[order][keep])


def _pairs(source: Indices, target: Indices) -> tuple[Pairs, int]:
    """Sort pairs and drop repeated ones; returns them and how many were dropped."""
    order = np.lexsort((target, source))
    source, target = source[order], target[order]
    keep = np.ones(len(source), dtype=bool)
    keep[1:] = (source[1:] != source[:-1]) | (target[1:] != target[:-1])
    return Pairs(source[keep], target[keep]), int((~keep).sum())


def nothing_known(_label: Label) -> Container[str]:
    """Where a source has to describe all that it names."""
    return ()


def collect(records: Iterable[Record], source: Source | None = None, known: Known = nothing_known) -> Tables:
    """Read all records and check them as a whole.

    Args:
        records: what a format's reader yields.
        source: where from. A record that cannot be used (an id is unusable or not unique, an edge names a node that is
            not there) is rejected there, and so is the row at which the reader stands; without a source it is an error.
        known: what the source need not describe.

    Raises:
        InputError: an interaction is in two splits, or there is no interaction at all.
    """
    reading = _Reading(_refuse if source is None else source.reject, known)
    for record in records:
        reading.add(record)
    return reading.tables()


def _refuse(reason: str) -> NoReturn:
    raise InputError(reason)
