"""What the columns of plain tables mean: the mapping file of the format `table`, read, checked and written.

A mapping is TOML. Each section says which file holds what, and which of its columns is what; docs/tables.md is its
reference.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping as Dictionary
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from cikg.errors import InputError
from cikg.schema import Split

SECONDS, MILLISECONDS, ISO = "seconds", "milliseconds", "iso"
TIME_FORMATS = (SECONDS, MILLISECONDS, ISO)

SPLIT_NAMES = {
    **{str(split): split for split in Split},
    "training": Split.TRAIN,
    "validation": Split.VALID,
    "val": Split.VALID,
    "dev": Split.VALID,
    "testing": Split.TEST,
}
"""How splits are called in the values of a column."""


def _column(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "" or (value in (0,)):
        raise ValueError("expected the name of a column, or its number from 1")
    return value


ColumnName = Annotated[str | int, BeforeValidator(_column)]
"""A column: its name in the header, or its number from 1."""


def _several(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]


Word = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Part(_Strict):
    """A file, and how its text is to be read; what is not given is found out. None of it matters for Parquet.

    Attributes:
        NAMED: the keys that name columns.
        file: its path, from the folder of the mapping.
        delimiter, encoding, quote, null: see `Dialect`.
        header: whether the first row names the columns; without, it does unless all columns are given by number.
    """

    NAMED: ClassVar[tuple[str, ...]] = ()

    file: Word
    delimiter: Word | None = None
    encoding: Word | None = None
    header: bool | None = None
    quote: str = Field('"', max_length=1)
    null: Annotated[tuple[str, ...], BeforeValidator(_several), Field(strict=False)] = ("",)

    @field_validator("encoding")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        try:
            wide = value is not None and len("\n".encode(value)) > 1
        except LookupError:
            wide = True
        if wide:  # lines are found before they are decoded
            raise ValueError("expected an encoding such as utf-8, cp1252 or latin-1")
        return value

    def columns(self) -> dict[str, ColumnName]:
        """The columns that the part names, by key."""
        found = {key: getattr(self, key) for key in self.NAMED}
        return {key: value for key, value in found.items() if value is not None}


class Users(Part):
    """All users, one per row."""

    NAMED = ("id", "name")

    id: ColumnName
    name: ColumnName | None = None


class FactColumn(_Strict):
    """A column of things that items have to do with.

    Attributes:
        column: which.
        separator: what stands between two of them in one value.
        kind: what they are; the entities' ids begin with it. Without, the relation's name. Two relations of one kind
            share their entities (the director and the actors of a film are people).
    """

    column: ColumnName
    separator: Word | None = None
    kind: Word | None = None


def _fact(value: Any) -> Any:
    return {"column": value} if isinstance(value, (str, int)) else value


class Items(Part):
    """All items, one per row, with what is known of them."""

    NAMED = ("id", "name", "text")

    id: ColumnName
    name: ColumnName | None = None
    text: ColumnName | None = None
    facts: dict[Word, Annotated[FactColumn, BeforeValidator(_fact)]] = {}

    def columns(self) -> dict[str, ColumnName]:
        """The columns that the part names, by key."""
        return super().columns() | {f"facts.{relation}": fact.column for relation, fact in self.facts.items()}


class Entities(Part):
    """All entities of one kind, one per row. With a kind, their ids begin with it: `person:12`."""

    NAMED = ("id", "name")

    id: ColumnName
    name: ColumnName | None = None
    kind: Word | None = None


class Interactions(Part):
    """Who interacted with what, one interaction per row."""

    NAMED = ("user", "item", "rating", "time", "split")

    user: ColumnName
    item: ColumnName
    rating: ColumnName | None = None
    time: ColumnName | None = None
    time_format: Word | None = None
    split: ColumnName | None = None
    split_is: str | None = None

    @field_validator("time_format")
    @classmethod
    def _format(cls, value: str | None) -> str | None:
        if value is None or value in TIME_FORMATS or "%" in value:
            return value
        raise ValueError(f"expected {', '.join(TIME_FORMATS)}, or a format such as %d.%m.%Y")

    @field_validator("split_is")
    @classmethod
    def _split(cls, value: str | None) -> str | None:
        if value is None or value in SPLIT_NAMES:
            return value
        raise ValueError("expected train, valid or test")

    @model_validator(mode="after")
    def _one_split(self) -> Self:
        if self.split is not None and self.split_is is not None:
            raise ValueError("expected the key 'split' (a column) or 'split_is' (for the whole file), found both")
        return self


class Facts(Part):
    """Which thing has which relation to which, one fact per row, by ids of items or entities."""

    NAMED = ("head", "relation", "tail")

    head: ColumnName
    tail: ColumnName
    relation: ColumnName | None = None
    relation_is: Word | None = None
    head_kind: Word | None = None
    tail_kind: Word | None = None

    @model_validator(mode="after")
    def _one_relation(self) -> Self:
        if (self.relation is None) == (self.relation_is is None):
            found = "neither" if self.relation is None else "both"
            raise ValueError(f"expected the key 'relation' (a column) or 'relation_is' (for all), found {found}")
        return self


class Interests(Part):
    """Which user has which interest, one pair per row."""

    NAMED = ("user", "interest", "name")

    user: ColumnName
    interest: ColumnName
    name: ColumnName | None = None


SECTIONS: dict[str, type[Part]] = {
    "users": Users,
    "items": Items,
    "entities": Entities,
    "interactions": Interactions,
    "facts": Facts,
    "interests": Interests,
}

_SEVERAL = (BeforeValidator(_several), Field(strict=False))


class Mapping(_Strict):
    """A dataset in plain tables. Each section may be given several times (`[[interactions]]`), one a file.

    Attributes:
        field: what the items are, in the plural, for prompts and pages.
    """

    field: Word = "items"
    users: Annotated[tuple[Users, ...], *_SEVERAL] = ()
    items: Annotated[tuple[Items, ...], *_SEVERAL] = ()
    entities: Annotated[tuple[Entities, ...], *_SEVERAL] = ()
    interactions: Annotated[tuple[Interactions, ...], *_SEVERAL]
    facts: Annotated[tuple[Facts, ...], *_SEVERAL] = ()
    interests: Annotated[tuple[Interests, ...], *_SEVERAL] = ()

    def parts(self) -> list[tuple[str, Part]]:
        """All parts with what they are called in an error: `items`, or `interactions[2]`."""
        found: list[tuple[str, Part]] = []
        for section in SECTIONS:
            parts: Sequence[Part] = getattr(self, section)
            for number, part in enumerate(parts, start=1):
                found.append((section if len(parts) == 1 else f"{section}[{number}]", part))
        return found


def nearest(word: str, words: Sequence[str]) -> str | None:
    """The word that is likeliest meant, if any is like it."""
    plain = {other.lower(): other for other in words}
    found = difflib.get_close_matches(word.lower(), plain, n=1, cutoff=0.5)
    return plain[found[0]] if found else None


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        InputError: it cannot be read, or a key is unknown, missing or wrong; names the key and what was expected.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror}", path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        cure = (
            None
            if path.suffix == ".toml"
            else f"If it holds the data, `cikg import wizard {path}` writes a mapping for it"
        )
        raise InputError(f"it is not a mapping in TOML: {error}", path, cure=cure) from None
    try:
        return Mapping.model_validate(data)
    except ValidationError as error:
        raise _wrong(path, error, data) from None


def _wrong(path: Path, error: ValidationError, data: Dictionary[str, Any]) -> InputError:
    """One sentence on the first mistake: an unknown key before a missing one, for it may be that key misspelt."""
    details = error.errors(include_url=False)
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
    detail = (unknown or details)[0]
    key = _dotted(detail["loc"], data)
    if unknown:
        known = _siblings(detail["loc"])
        near = nearest(str(detail["loc"][-1]), known)
        cure = f"Did you mean {near!r}?" if near else f"Known keys are {', '.join(known)}"
        return InputError(f"the key {key} is unknown", path, cure=cure)
    if detail["type"] == "missing":
        return InputError(f"the key {key} is missing", path, cure="docs/tables.md lists the keys of a mapping")
    return InputError(f"{key}: {_expected(detail)}", path)


def _expected(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        message = str(detail["ctx"]["error"])
    elif detail["type"] == "model_type":
        message = "expected a section with keys"
    else:
        message = detail["msg"].replace("Input should be", "expected").replace("String should have", "expected")
    found = json.dumps(detail["input"], default=str, ensure_ascii=False)
    return message if "found" in message else f"{message}, found {found[:60]}"


def _dotted(place: Sequence[str | int], data: Dictionary[str, Any]) -> str:
    """A place as a person writes it: `items.facts.genre`, and `interactions[2].user` where there are several."""
    section = data.get(str(place[0])) if place else None
    shown = ""
    for depth, step in enumerate(place):
        if isinstance(step, int):
            shown += f"[{step + 1}]" if isinstance(section, list) and len(section) > 1 else ""
        else:
            shown += ("." if depth else "") + step
    return shown or "the mapping"


def _siblings(place: Sequence[str | int]) -> list[str]:
    """The keys that are known where an unknown one was found."""
    if len(place) == 1:
        return list(Mapping.model_fields)
    if "facts" in place[1:]:
        return list(FactColumn.model_fields)
    return list(SECTIONS[str(place[0])].model_fields)


def render(mapping: Mapping) -> str:
    """A mapping as TOML, without what is the default."""
    lines = [] if mapping.field == "items" else [f"field = {_toml(mapping.field)}", ""]
    for section in SECTIONS:
        parts: Sequence[Part] = getattr(mapping, section)
        for part in parts:
            lines.append(f"[{section}]" if len(parts) == 1 else f"[[{section}]]")
            given = part.model_dump(exclude_unset=True, exclude_none=True)
            lines += [f"{key} = {_toml(value)}" for key, value in given.items() if value not in ({},)]
            lines.append("")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    """A value as TOML writes it within a line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case dict():
            if value.keys() == {"column"}:
                return _toml(value["column"])
            inner = ", ".join(f"{_key(key)} = {_toml(entry)}" for key, entry in value.items() if entry is not None)
            return f"{{ {inner} }}"
    return f"[{', '.join(map(_toml, value))}]"


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _toml(key)
