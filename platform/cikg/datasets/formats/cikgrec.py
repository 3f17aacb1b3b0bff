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
(`http://dbpedia.org/resource/Dragonfly_in_Amber` → *Dragonfly in Amber*), else the id; the published lists write `None`
where they know none. Interests have numbers only, and are named after the two items that set their holders apart.

A row that cannot be used is rejected. Where one of `train.txt` or `test.txt` names items that are in no list, or one of
`test.txt` items that the user has in train too (the test would ask for what was trained on), these alone are left out.
Lists that contradict themselves are refused as a whole.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from textwrap import shorten
from urllib.parse import unquote

from cikg.datasets.reading.numbered import TRAIN, Histories, listing, needs_histories, nodes, numbers, original
from cikg.datasets.reading.source import Source
from cikg.datasets.records import Entity, Fact, Format, HasInterest, Interest, Item, Record, User

USERS, ITEMS, ENTITIES, RELATIONS = "user_list.txt", "item_list.txt", "entity_list.txt", "relation_list.txt"
FACTS, INTERESTS = "kg_final.txt", "user_interest_clustered.txt"


NAMELESS = "None"
"""The name of an item that the published lists know no name of."""
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


class _Names:
    """Turns the numbers of one folder into ids and names.

    Attributes:
        items: the numbers of the items: those of their list, else those that interactions name.
    """

    def __init__(self, source: Source) -> None:
        self.user_list, self.item_list = listing(source, USERS), listing(source, ITEMS)
        self.entity_list, self.relation_list = listing(source, ENTITIES), listing(source, RELATIONS)
        self.items = set(self.item_list or ())

    @cached_property
    def taken(self) -> set[str]:
        """The ids that items have."""
        return {self.item_id(number) for number in self.items}

    def item(self, number: int) -> Item:
        row = (self.item_list or {}).get(number)
        also = (self.entity_list or {}).get(number)
        named = row.name if row and row.name != NAMELESS else None
        if not named and also:
            named = also.name or (also.original if "://" in also.original else None)
        return Item(self.item_id(number), readable(named) if named else self.item_id(number))

    def entity(self, number: int) -> Entity:
        row = (self.entity_list or {}).get(number)
        return Entity(self.thing_id(number), readable((row and (row.name or row.original)) or str(number)))

    def item_id(self, number: int) -> str:
        return original(self.item_list, number)

    def thing_id(self, number: int) -> str:
        """The id of an item or entity."""
        if number in self.items:
            return self.item_id(number)
        identifier = original(self.entity_list, number)
        return f"entity:{identifier}" if identifier in self.taken else identifier

    def has_thing(self, number: int) -> bool:
        return self.entity_list is None or number in self.entity_list or number in self.items

    def user_id(self, number: int) -> str:
        return original(self.user_list, number)

    def relation(self, number: int) -> str:
        return original(self.relation_list, number) if self.relation_list is not None else f"relation {number}"


def _facts(source: Source, names: _Names) -> array[int]:
    """The rows of `kg_final.txt` that the lists allow, one after another: line, head, relation, tail."""
    rows = array("q")
    for head, relation, tail in numbers(source, FACTS, "three numbers: head, relation, tail", columns=3):
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
    for user, interest in numbers(source, INTERESTS, "two numbers: user, interest", columns=2):
        if user not in users:
            source.reject(f"user {user} is not in {USERS if names.user_list is not None else TRAIN}")
        elif interest <= largest:
            source.reject(f"expected an interest's number above {largest}, the largest of an entity, found {interest}")
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
    needs_histories(source)
    names = _Names(source)
    histories = Histories(source, (USERS, names.user_list), (ITEMS, names.item_list))
    names.items, users = histories.items, histories.users
    facts = _facts(source, names)
    entities = {*facts[1::4], *facts[3::4], *(names.entity_list or ())} - names.items
    interests = list(_interests(source, names, users, max(names.items | entities, default=-1)))

    yield from nodes(source, USERS, names.user_list, users, lambda user: User(names.user_id(user)))
    yield from nodes(source, ITEMS, names.item_list, names.items, names.item)
    yield from nodes(source, ENTITIES, names.entity_list, entities, names.entity)
    titles = _titles(interests, histories.trained, names)
    yield from (Interest(str(number), titles.get(number)) for number in sorted({row[2] for row in interests}))
    yield from histories.interactions(source)
    facts_file, interests_file = (source.optional(name) or source.path for name in (FACTS, INTERESTS))
    for line, head, relation, tail in zip(facts[0::4], facts[1::4], facts[2::4], facts[3::4], strict=True):
        source.place(facts_file, line, f"{head} {relation} {tail}")
        yield Fact(names.thing_id(head), names.relation(relation), names.thing_id(tail))
    for line, user, interest in interests:
        source.place(interests_file, line, f"{user} {interest}")
        yield HasInterest(names.user_id(user), str(interest))


FORMAT = Format(
    name="cikgrec",
    help="A folder in the layout of KGAT and CIKGRec: train.txt, test.txt and, where there are any, lists, knowledge "
    "graph and interests.",
    read=read,
)
