"""Small datasets whose ids, names and relations hold whatever the importer does not refuse."""

from __future__ import annotations

from hypothesis import strategies as st

from cikg.datasets.records import Entity, Fact, HasInterest, Interaction, Interest, Item, Record, User
from cikg.datasets.tables import EARLIEST, LATEST, LONGEST_ID
from cikg.errors import InputError
from cikg.schema import Split, relationship_type

ODD = [
    "x'}) DETACH DELETE n //",
    '"quoted", "twice"',
    "`",
    "``) //",
    "\\",
    "\\u0027 \\N",
    "$dataset",
    "007",
    "1e5",
    "-1",
    "NaN",
    "null",
    "True",
    "=1+1",
    "'",
    "''=1",
    "@me",
    "＝1",
    "a,b;c|d::e\t",
    "<script>alert(1)</script>",
    "שלום עולם",
    "\u202eevil",
    "e\u0301",
    "👩‍👩‍👧",
    "\ufeff",
]
LINES = ["a\nb", "a\r\nb", "\r", '"\n"', "\x00", "\x85", "\u2028", " padded ", "", "#", "long " * 40_000]


def _importable(identifier: str) -> bool:
    return identifier == identifier.strip() and identifier.isprintable() and 0 < len(identifier) <= LONGEST_ID


def _typed(relation: str) -> bool:
    try:
        return bool(relationship_type(relation))
    except InputError:
        return False


UNICODE = st.characters(exclude_categories=["Cs"])
IDS = st.one_of(
    st.sampled_from(ODD), st.integers(-5, 10**6).map(str), st.text(UNICODE, min_size=1, max_size=8), st.just("書" * 500)
).filter(_importable)
TEXTS = st.one_of(st.sampled_from(ODD + LINES), st.text(UNICODE, max_size=12))
RELATIONS = st.one_of(
    st.sampled_from(["genre", "http://x/genre", "Genre", "has `x'}) DETACH DELETE n //", "possesses", "a\nb", "=1"]),
    st.text(UNICODE, min_size=1, max_size=12),
).filter(_typed)
RATINGS = st.none() | st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.none() | st.integers(EARLIEST, LATEST)


@st.composite
def datasets(draw: st.DrawFn) -> list[Record]:
    """The records of a dataset: nodes before edges."""
    users = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    things = draw(st.lists(IDS, min_size=1, max_size=6, unique=True))
    items = things[: draw(st.integers(1, len(things)))]
    interests = draw(st.lists(IDS, max_size=3, unique=True))
    relations = draw(st.lists(RELATIONS, min_size=1, max_size=3))
    pairs = st.tuples(st.sampled_from(users), st.sampled_from(items))
    interactions = draw(st.dictionaries(pairs, st.sampled_from(Split), min_size=1, max_size=8))
    thing = st.sampled_from(things)
    facts = draw(st.sets(st.tuples(thing, st.sampled_from(relations), thing), max_size=8))
    records: list[Record] = [User(user, draw(st.none() | TEXTS)) for user in users]
    records += [Item(item, draw(TEXTS), draw(TEXTS)) for item in items]
    records += [Entity(entity, draw(TEXTS)) for entity in things[len(items) :]]
    records += [Interest(interest, draw(st.none() | TEXTS)) for interest in interests]
    records += [Interaction(*pair, split, draw(RATINGS), draw(TIMES)) for pair, split in interactions.items()]
    records += [Fact(*fact) for fact in sorted(facts)]
    records += [HasInterest(draw(st.sampled_from(users)), interest) for interest in interests]
    return records
