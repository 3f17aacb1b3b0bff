"""RecBole's atomic files: `NAME.inter`, and where there are any `NAME.user`, `NAME.item`, `NAME.kg`, `NAME.link`.

Each has columns with tabs between, in any order, and begins with their names and types (`user_id:token`,
`rating:float`). The path is the folder of one dataset, or its `.inter` file.

=========  =========================================================================================================
`.inter`   `user_id` and `item_id` become an interaction, with `rating` (or `stars`) and `timestamp` (or `date`) where
           there are such columns; times may be in milliseconds. `NAME.train.inter`, `NAME.valid.inter` and
           `NAME.test.inter` are read instead where there are any, and keep their splits
`.user`    all users; named by a column `name` or `user_name`
`.item`    all items. The title (`title`, `movie_title`, `item_name`, …) becomes the name, `description` and its like
           the text; each other column of tokens becomes facts, in a relation of the column's name. A sequence is parted
           at blanks, or at commas if the column has any
`.kg`      `head_id`, `relation_id`, `tail_id` become facts between items and entities
`.link`    says which entity of the graph is which item
=========  =========================================================================================================

Numbers (`float`, `float_seq`) of items, attributes of users and `.net` have no place in facts and are not read. An
entity of the graph keeps its id; one whose id an item already has is called `entity:<id>`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cikg.datasets.formats.cikgrec import readable
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import LONGEST_TEXT, Entities, bare_name, seconds, split_files, unfamiliar, words
from cikg.datasets.records import Entity, Fact, Format, Interaction, Item, Record, User
from cikg.schema import Split

EXPECTED = "NAME.inter of one dataset, or its folder"
USER_IDS = ("user_id", "session_id")
_KINDS = ("item", "product", "business", "movie", "book", "artist", "track", "app", "game", "venue", "news", "music")
ITEM_IDS = tuple(f"{kind}_id" for kind in _KINDS)
TITLES = ("title", *(f"{kind}_title" for kind in _KINDS), "name", *(f"{kind}_name" for kind in _KINDS))
TEXTS = ("description", "text", "abstract", "summary", "overview", "plot", "synopsis", "review")
RATINGS, TIMES = ("rating", "stars"), ("timestamp", "date")
HEADS, RELATIONS, TAILS = ("head_id", "head_entity"), ("relation_id", "relation"), ("tail_id", "tail_entity")


class _Column(NamedTuple):
    """A column: where it stands, its name and its type."""

    place: int
    name: str
    type: str


class _Table:
    """An atomic file.

    Raises:
        InputError: its first line is no header.
    """

    def __init__(self, source: Source, file: Path) -> None:
        self.source, self._rows = source, source.csv(file, delimiter="\t")
        named = [name.partition(":") for name in source.header(self._rows)]
        if not all(type_ in ("token", "token_seq", "float", "float_seq") for _, _, type_ in named):
            source.wrong("expected a header of names and types such as user_id:token, separated by tabs")
        self.columns = [_Column(place, name, type_) for place, (name, _, type_) in enumerate(named)]

    def find(self, names: tuple[str, ...]) -> int | None:
        """The place of the first of these columns that the file has."""
        places = {column.name: column.place for column in self.columns}
        return next((places[name] for name in names if name in places), None)

    def needed(self, *names: str) -> int:
        """Like `find`.

        Raises:
            InputError: there is none of them.
        """
        found = self.find(names)
        if found is None:
            columns = ", ".join(column.name for column in self.columns)
            self.source.wrong(f"expected a column {' or '.join(names)}, found {columns[:200]}")
        return found

    def __iter__(self) -> Iterator[list[str]]:
        """The rows that have all columns; others are rejected."""
        for row in self._rows:
            if len(row) == len(self.columns):
                yield row
            else:
                self.source.reject(f"expected {len(self.columns)} columns, found {len(row)}")


def read(source: Source) -> Iterator[Record]:
    """Yield users, items, interactions and facts; the layout is described above.

    Raises:
        InputError: the path holds no atomic files or those of several datasets, or a file lacks a column.
    """
    within, name = _dataset(source)
    here = Source(within)
    users: set[str] = set()
    items: set[str] = set()
    if file := here.optional(f"{name}.user"):
        yield from _users(_Table(source, file), users)
    if file := here.optional(f"{name}.item"):
        yield from _items(_Table(source, file), items, _with_commas(file))
    is_whole = bare_name(source.path) == f"{name}.inter"
    splits = [] if is_whole else split_files(within, name, ".inter")
    for file, split in splits or [(here.file(f"{name}.inter"), Split.TRAIN)]:
        yield from _interactions(_Table(source, file), split, users, items)
    if file := here.optional(f"{name}.kg"):
        link = here.optional(f"{name}.link")
        linked = _links(_Table(source, link), items) if link else {}
        yield from _graph(_Table(source, file), linked, items)


def _dataset(source: Source) -> tuple[Path, str]:
    """The folder and the name of the dataset.

    Raises:
        InputError: there is none, or more than one.
    """
    within = source.path if source.path.is_dir() else source.path.parent
    files = within.iterdir() if source.path.is_dir() else [source.path]
    plain = {bare_name(file).removesuffix(".inter") for file in files if bare_name(file).endswith(".inter")}
    names = {name.removesuffix(f".{split}") for name in plain for split in Split if name.endswith(f".{split}")}
    names |= {name for name in plain if not name.endswith(tuple(f".{split}" for split in Split))}
    if not names or not source.path.exists():
        raise unfamiliar(source.path, EXPECTED)
    if len(names) > 1:
        source.wrong(
            f"the folder has several datasets: {', '.join(sorted(names))}", cure="Give the path of one .inter file"
        )
    return within, names.pop()


def _users(table: _Table, users: set[str]) -> Iterator[User]:
    user, name = table.needed(*USER_IDS), table.find(("name", "user_name"))
    for row in table:
        users.add(row[user])
        yield User(row[user], None if name is None else words(row[name]) or None)


def _items(table: _Table, items: set[str], with_commas: set[str]) -> Iterator[Record]:
    entities = Entities()
    item, title, text = table.needed(*ITEM_IDS, "id"), table.find(TITLES), table.find(TEXTS)
    described = [
        column
        for column in table.columns
        if column.place not in (item, title, text) and column.type in ("token", "token_seq")
    ]
    for row in table:
        identifier = row[item]
        items.add(identifier)
        name = words(row[title]) if title is not None else ""
        yield Item(identifier, name or identifier, "" if text is None else words(row[text], LONGEST_TEXT))
        for column in described:
            value = row[column.place]
            if column.type == "token":
                names = [value]
            else:
                names = value.strip("[]{}").split(",") if column.name in with_commas else value.split()
            yield from entities.facts(identifier, column.name, (name.strip(" '\"") for name in names))


def _with_commas(file: Path) -> set[str]:
    """The columns of sequences that are parted at commas. RecBole parts at blanks; the files often mean commas."""
    table = _Table(Source(file), file)  # of its own, so that nothing is counted or rejected twice
    sequences = [column for column in table.columns if column.type == "token_seq"]
    found: set[str] = set()
    for row in table:
        found.update(column.name for column in sequences if "," in row[column.place])
    return found


def _interactions(table: _Table, split: Split, users: set[str], items: set[str]) -> Iterator[Record]:
    user_column, item_column = table.needed(*USER_IDS), table.needed(*ITEM_IDS)
    rating_column, time_column = table.find(RATINGS), table.find(TIMES)
    for row in table:
        user, item = row[user_column], row[item_column]
        rating = "" if rating_column is None else row[rating_column]
        time = "" if time_column is None else row[time_column]
        try:
            interaction = Interaction(
                user, item, split, float(rating) if rating else None, seconds(time) if time else None
            )
        except ValueError:
            table.source.reject("expected numbers for the rating and the time")
            continue
        if user not in users:
            users.add(user)
            yield User(user)
        if item not in items:
            items.add(item)
            yield Item(item, item)
        yield interaction


def _links(table: _Table, items: set[str]) -> dict[str, str]:
    """The items of entities of the graph. An entity that stands for several items is the first of them."""
    item, entity = table.needed(*ITEM_IDS), table.needed("entity_id", "entity")
    linked: dict[str, str] = {}
    for row in table:
        if row[item] in items:
            linked.setdefault(row[entity], row[item])
    return linked


def _graph(table: _Table, linked: dict[str, str], items: set[str]) -> Iterator[Record]:
    head_column, relation_column, tail_column = table.needed(*HEADS), table.needed(*RELATIONS), table.needed(*TAILS)
    known = dict(linked)
    for row in table:
        for entity in (row[head_column], row[tail_column]):
            if entity not in known:
                known[entity] = f"entity:{entity}" if entity in items else entity
                yield Entity(known[entity], words(readable(entity)))
        yield Fact(known[row[head_column]], row[relation_column], known[row[tail_column]])


FORMAT = Format(
    name="recbole",
    help="RecBole's atomic files: a folder with NAME.inter and, optionally, NAME.user, .item, .kg and .link.",
    read=read,
)
