"""Proposes a mapping for tables that nobody has described yet, as a conversation: questions, each with a guess.

`converse` is a generator that yields questions and receives answers; it does not know who answers. A terminal asks a
person, `agree` takes every guess. An answer that cannot be is asked for again, with the reason.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from cikg.datasets.mapping.guessing import (
    ITEM,
    NAME,
    RATING,
    SPLIT,
    TEXT,
    TIME,
    USER,
    USER_NAME,
    Interacting,
    belongs_to,
    by_name,
    is_fact,
    is_name,
    many_of,
    relation_of,
    roles_of,
)
from cikg.datasets.mapping.inspection import Column, Look, look
from cikg.datasets.mapping.model import TIME_FORMATS, Mapping, nearest
from cikg.datasets.reading.tabular import Dialect
from cikg.datasets.reading.values import bare_name
from cikg.errors import InputError

NONE = "-"
"""The answer that there is no such column."""

YES, NO = "yes", "no"
ROLES = ("interactions", "items", "users", "facts", "nothing")


@dataclass(frozen=True)
class Question:
    """Something that the data does not say by itself.

    Attributes:
        key: what it is about: a file, then a key of the mapping (`ratings.csv: user`).
        text: the question.
        guess: the likeliest answer; None where there is none.
        why: what speaks for it.
        choices: the answers there are, where they are few.
        columns: the columns of the file, as answers, where one of them is asked for.
        optional: whether `-` may be answered: there is none.
        several: whether several columns may be answered, with commas between.
        problem: why the last answer cannot be.
    """

    key: str
    text: str
    guess: str | None
    why: str = ""
    choices: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    optional: bool = False
    several: bool = False
    problem: str | None = None


T = TypeVar("T")
Talk = Generator[Question, str, T]


def converse(files: Sequence[Path], beside: Path | None) -> Talk[Mapping]:
    """Ask about files, and return the mapping that the answers make.

    Args:
        files: the tables.
        beside: the folder that the mapping will stand in, from where it names them; None names them in full.

    Raises:
        InputError: a file cannot be read, or no file can hold interactions.
    """
    looks = []
    for file in files:
        looks.append((yield from _dialect(look(file))))
    roles = yield from _roles(looks)
    chosen = [found for found, role in zip(looks, roles, strict=True) if role == "interactions"]
    if not chosen:
        raise InputError("none of the files holds interactions", cure="Say which one does, or give another file")
    sections: dict[str, Any] = {}
    item_names = {column.name for found in chosen if (column := by_name(found.columns, ITEM))}
    for found, role in zip(looks, roles, strict=True):
        if role != "nothing":
            parts = yield from _PARTS[role](found, item_names, "items" not in roles)
            for section, part in parts.items():
                sections.setdefault(section, []).append(_file(found, beside) | part)
    ids = [part.get("item", part.get("id", "")) for part in (*sections["interactions"], *sections.get("items", ()))]
    listed = [found.file.name for found, role in zip(looks, roles, strict=True) if role == "items"]
    guess = many_of([*map(str, ids), *(found.file.name for found in looks)], listed)
    field = yield from _free("field", "What are the items called, in the plural?", guess)
    try:
        return Mapping.model_validate({"field": field, **sections})
    except ValidationError as error:
        raise InputError(f"these answers do not make a mapping: {error.errors()[0]['msg']}") from None


def agree(talk: Talk[T]) -> tuple[T, list[Question]]:
    """Take every guess; returns what comes of it, and the questions.

    Raises:
        InputError: a question has no guess.
    """
    return answer(talk, _guessed)


def _guessed(question: Question) -> str:
    if question.guess is None:
        raise InputError(
            f"{question.key}: the answer cannot be guessed. {question.why}", cure="Run this in a terminal to answer"
        )
    return question.guess


def answer(talk: Talk[T], reply: Callable[[Question], str]) -> tuple[T, list[Question]]:
    """Have `reply` answer every question; returns what comes of it, and the questions."""
    asked = []
    try:
        question = next(talk)
        while True:
            asked.append(question)
            question = talk.send(reply(question).strip())
    except StopIteration as end:
        return end.value, asked


def _free(key: str, text: str, guess: str | None) -> Talk[str]:
    problem = None
    while True:
        found = yield Question(key, text, guess, problem=problem)
        if found:
            return found
        problem = "an answer is needed"


def _one_of(key: str, text: str, guess: str, choices: tuple[str, ...]) -> Talk[str]:
    problem = None
    while True:
        found = yield Question(key, text, guess, choices=choices, problem=problem)
        if found in choices:
            return found
        problem = f"expected one of {', '.join(choices)}, found {found!r}"


def _dialect(found: Look) -> Talk[Look]:
    """Ask whether the file is read rightly, and how else."""
    if found.dialect is None:
        return found
    dialect, key = found.dialect, found.file.name
    shown = {"\t": "tabs", ",": "commas", ";": "semicolons"}.get(dialect.delimiter, repr(dialect.delimiter))
    header = "with a header" if dialect.header else "without a header"
    text = f"{len(found.columns)} columns separated by {shown}, {dialect.encoding}, {header}: is that right?"
    if (yield from _one_of(key, text, YES, (YES, NO))) == YES:
        return found
    given = "tab" if dialect.delimiter == "\t" else dialect.delimiter
    delimiter = yield from _free(f"{key}: delimiter", "What separates the columns? (tab for a tab)", given)
    encoding = yield from _encoding(f"{key}: encoding", dialect.encoding)
    guess = YES if dialect.header else NO
    named = yield from _one_of(f"{key}: header", "Does the first row name the columns?", guess, (YES, NO))
    delimiter = "\t" if delimiter in ("tab", "\\t") else delimiter
    return look(found.file, replace(dialect, delimiter=delimiter, encoding=encoding, header=named == YES))


def _encoding(key: str, guess: str) -> Talk[str]:
    problem = None
    while True:
        name = yield Question(key, "Which encoding is it in?", guess, problem=problem)
        try:
            if len("\n".encode(codecs.lookup(name).name)) == 1:
                return name
        except LookupError:
            pass
        problem = f"expected an encoding such as utf-8, cp1252 or latin-1, found {name!r}"


def _roles(looks: list[Look]) -> Talk[list[str]]:
    """Ask what each file holds; one alone holds interactions."""
    if len(looks) == 1:
        return ["interactions"]
    roles = []
    for found, guess in zip(looks, roles_of(looks), strict=True):
        roles.append((yield from _one_of(f"{found.file.name}: holds", "What does it hold?", guess, ROLES)))
    return roles


def _why(column: Column | None, named: bool) -> str:
    if column is None:
        return ""
    shape = "every value occurs once" if column.is_unique else f"{len(column.counts):,} different values"
    examples = ", ".join(value[:30] for value in list(column.counts)[:3])
    return f"{'by its name; ' if named else ''}{shape}: {examples}"


def _ask_column(
    found: Look, key: str, text: str, guess: Column | None, *, words: str, optional: bool = False
) -> Talk[Column | None]:
    """Ask for a column, until there is one."""
    problem = None
    shown = found.answer(guess) if guess else NONE if optional else None
    named = guess is not None and bool(by_name([guess], words))
    names = tuple(column.name for column in found.columns)
    while True:
        why = _why(guess, named) or (f"The columns are {', '.join(names)}" if shown is None else "")
        name = yield Question(
            f"{found.file.name}: {key}", text, shown, why, columns=found.answers, optional=optional, problem=problem
        )
        column = found.find(name)
        if column is not None or (optional and name in (NONE, "")):
            return column
        near = nearest(name, names)
        problem = f"there is no column {name!r}" + (
            f"; did you mean {near!r}?" if near else f" among {', '.join(names)}"
        )


def _interactions(found: Look, _item_names: set[str], describe: bool) -> Talk[dict[str, dict[str, Any]]]:
    """Ask about a file of interactions; `describe`: also about what it says of its items."""
    if len(found.columns) < 2:
        raise InputError(
            f"{found.file} has only one column",
            cure="Interactions need a column of users and one of items; check the delimiter",
        )
    guess = Interacting(found)
    user = yield from _ask_column(found, "user", "Which column is the user?", guess.user, words=USER)
    item = yield from _ask_column(found, "item", "Which column is the item?", guess.item, words=ITEM)
    if user is item:
        raise InputError(
            f"{found.file}: the user and the item cannot be the same column",
            cure="Choose another column for one of them",
        )
    rating = yield from _ask_column(
        found, "rating", "Which column is the rating?", guess.rating, optional=True, words=RATING
    )
    time = yield from _ask_column(found, "time", "Which column is the time?", guess.time, optional=True, words=TIME)
    part = _part(found, user=user, item=item, rating=rating, time=time)
    if time is not None:
        part["time_format"] = yield from _time_format(found, time)
    split = yield from _ask_column(
        found, "split", "Which column says train, valid or test?", guess.split, optional=True, words=SPLIT
    )
    part |= _part(found, split=split)
    nulls = sorted({word for column in (rating, time) if column for word in column.nulls})
    if nulls:
        part["null"] = ["", *nulls]
    if not describe or item is None:
        return {"interactions": part}
    used = [column for column in (user, item, rating, time, split) if column]
    about = [column for column in found.columns if column not in used and belongs_to(column, item)]
    described = (yield from _about_items(found, item, about)) if about else {}
    return {"interactions": part} | ({"items": described} if described.keys() > {"id"} else {})


def _time_format(found: Look, time: Column) -> Talk[str]:
    key, problem = f"{found.file.name}: time_format", None
    text = f"How is the time written? ({', '.join(TIME_FORMATS)}, or like %d.%m.%Y)"
    while True:
        name = yield Question(key, text, time.time[0], f"like {time.filled[0] if time.filled else ''}",
                              problem=problem)  # fmt: skip
        if name in TIME_FORMATS or "%" in name:
            return name
        problem = f"expected {', '.join(TIME_FORMATS)}, or a format such as %d.%m.%Y, found {name!r}"


def _items(found: Look, item_names: set[str], _describe: bool) -> Talk[dict[str, dict[str, Any]]]:
    """Ask about a file of items."""
    columns = found.meant
    shared = next((column for column in columns if column.name in item_names), None)
    unique = next((column for column in columns if column.is_unique), columns[0])
    guess = shared or by_name(columns, ITEM) or unique
    item = yield from _ask_column(found, "id", "Which column is the item's id?", guess, words=ITEM)
    described = yield from _about_items(found, item, [column for column in columns if column is not item])
    return {"items": described}


def _about_items(found: Look, item: Column | None, columns: list[Column]) -> Talk[dict[str, Any]]:
    """Ask for name, text and facts among the columns that are about items."""
    name = by_name(columns, NAME) or next((column for column in columns if is_name(column)), None)
    name = yield from _ask_column(found, "name", "Which column is the item's name?", name, optional=True, words=NAME)
    text = by_name(columns, TEXT) or next((column for column in columns if column.length > 80), None)
    text = yield from _ask_column(found, "text", "Which column describes it in words?", text, optional=True, words=TEXT)
    facts = [column for column in columns if column not in (name, text) and is_fact(column)]
    chosen = yield from _columns(found, "facts", "Which columns are facts about it? (separated by commas)", facts)
    described: dict[str, Any] = {}
    for column in chosen:
        separator = None if column.is_list else (yield from _separator(found, column))
        entry = {"column": found.reference(column), "separator": separator}
        described[relation_of(column.name)] = {key: value for key, value in entry.items() if value is not None}
    return _part(found, id=item, name=name, text=text) | ({"facts": described} if described else {})


def _columns(found: Look, key: str, text: str, guess: list[Column]) -> Talk[list[Column]]:
    problem = None
    while True:
        shown = ", ".join(map(found.answer, guess)) or NONE
        names = yield Question(
            f"{found.file.name}: {key}",
            text,
            shown,
            columns=found.answers,
            optional=True,
            several=True,
            problem=problem,
        )
        if names in (NONE, ""):
            return []
        columns = {name.strip(): found.find(name.strip()) for name in names.split(",")}
        unknown = [name for name, column in columns.items() if column is None]
        if not unknown:
            return [column for column in columns.values() if column]
        problem = f"there is no column {unknown[0]!r} among {', '.join(column.name for column in found.columns)}"


def _separator(found: Look, column: Column) -> Talk[str | None]:
    text = f"What separates several values of {column.name}? ({NONE} if each is a single one)"
    examples = ", ".join(map(repr, list(column.counts)[:2]))
    key = f"{found.file.name}: facts.{column.name}"
    name = yield Question(key, text, column.separator or NONE, examples, optional=True)
    return None if name in (NONE, "") else name


def _users(found: Look, _item_names: set[str], _describe: bool) -> Talk[dict[str, dict[str, Any]]]:
    """Ask about a file of users."""
    guess = by_name(found.meant, USER) or found.meant[0]
    user = yield from _ask_column(found, "id", "Which column is the user's id?", guess, words=USER)
    named = by_name([column for column in found.columns if column is not user], f"{USER_NAME} {NAME}")
    name = yield from _ask_column(
        found, "name", "Which column is the user's name?", named, optional=True, words=USER_NAME
    )
    return {"users": _part(found, id=user, name=name)}


def _facts(found: Look, _item_names: set[str], _describe: bool) -> Talk[dict[str, dict[str, Any]]]:
    """Ask about a file of facts."""
    part: dict[str, Any] = {}
    for key, words in (
        ("head", "head subject source"),
        ("relation", "relation predicate"),
        ("tail", "tail object target"),
    ):
        guess = by_name(found.columns, words)
        column = yield from _ask_column(found, key, f"Which column is the {key}?", guess, words=words)
        part |= _part(found, **{key: column})
    return {"facts": part}


_PARTS: dict[str, Callable[[Look, set[str], bool], Talk[dict[str, dict[str, Any]]]]] = {
    "interactions": _interactions,
    "items": _items,
    "users": _users,
    "facts": _facts,
}


def _part(found: Look, **columns: Column | None) -> dict[str, Any]:
    return {key: found.reference(column) for key, column in columns.items() if column is not None}


def _file(found: Look, beside: Path | None) -> dict[str, Any]:
    """How a mapping names a file and its dialect."""
    whole = found.file.resolve()
    file = str(whole) if beside is None else os.path.relpath(whole, beside.resolve())
    if found.dialect is None:
        return {"file": file}
    given, usual = asdict(found.dialect), Dialect()
    kept = ("delimiter", "encoding", "header") + (("quote",) if found.dialect.quote != usual.quote else ())
    return {"file": file} | {key: given[key] for key in kept}


def mapping_path(file: Path) -> Path:
    """Where the mapping of a file is written: beside it."""
    return file.parent / f"{Path(bare_name(file)).stem}.toml"


def dataset_of(file: str) -> str:
    """A dataset's name made of a file's."""
    name = Path(bare_name(Path(file))).stem
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64].strip("-") or "mine"
