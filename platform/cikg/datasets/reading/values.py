"""What readers of formats share: text as people wrote it, times, entities that facts name, paths that do not fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

from cikg.datasets.reading.packed import PACKED
from cikg.datasets.reading.source import Source
from cikg.datasets.records import Entity, Fact
from cikg.errors import InputError
from cikg.schema import Split

LONGEST_NAME = 200
"""Characters of a name that are kept."""

LONGEST_TEXT = 2_000
"""Characters of a description that are kept: what a person, or a prompt, would read of it."""

_FIRST_IN_MILLISECONDS = 10**11
_LISTED = 6
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--(?:[^-]|-(?!->))*+(?:-->)?", re.DOTALL)
_UNKNOWN = frozenset({"unknown", "n/a", "not applicable", "not applicable (na )", "none", "null", "nan"})


def words(text: str, longest: int = LONGEST_NAME) -> str:
    """Text on one line: visible characters, single blanks, and an ellipsis where it is longer than `longest`."""
    if not text.isprintable():
        text = "".join(character for character in text if character.isprintable() or character.isspace())
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def plain(markup: str, longest: int = LONGEST_NAME) -> str:
    """`words` of text that was cut out of a web page: without tags, and with `&` for `&amp;`."""
    if "<" in markup:
        markup = _TAG.sub(" ", markup)
    return words(unescape(markup), longest)


def decoded(text: str) -> str:
    """Text that was read as Latin-1, in the encoding that it is in: UTF-8 if it can be, else Windows-1252, else that.

    Old datasets are Latin-1 by name and Windows-1252 in fact; copies of them are often UTF-8.
    """
    if text.isascii():
        return text
    for encoding in ("utf-8", "cp1252"):
        try:
            return text.encode("latin-1").decode(encoding)
        except UnicodeDecodeError:
            continue
    return text


def identifier(value: object) -> str:
    """An id of a JSON file as text.

    Raises:
        ValueError: it is neither text nor a whole number.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{value!r} is not an id")


def seconds(time: float | str) -> int:
    """A Unix time in seconds. One later than the year 5000 is in milliseconds.

    Raises:
        ValueError: it is no finite number.
    """
    number = float(time)
    if not math.isfinite(number):
        raise ValueError(f"{time!r} is not a time")
    return int(number) // (1000 if abs(number) >= _FIRST_IN_MILLISECONDS else 1)


def date_seconds(date: str) -> int:
    """The Unix time of `2017-12-17` or `2017-12-17 09:30:00`, which is taken to be in UTC.

    Raises:
        ValueError: it is no such date.
    """
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())


class Entities:
    """The entities that facts about items name: each is yielded where it is first named.

    An entity's id is the relation and its name, as in `genre:Comedy`, so that it is never taken for an item.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()

    def facts(self, item: str, relation: str, names: Iterable[str]) -> Iterator[Entity | Fact]:
        """Yield what `item` has to do with, entities before facts, leaving out names that say nothing."""
        for text in names:
            name = words(text)
            if not name or name.casefold() in _UNKNOWN:
                continue
            entity = f"{relation}:{name}"
            if entity not in self._known:
                self._known.add(entity)
                yield Entity(entity, name)
            yield Fact(item, relation, entity)


def needed(source: Source, *names: str, expected: str) -> Path:
    """The first of these files that the source's folder has, plain or packed.

    Raises:
        InputError: the source is no folder, or has none of them.
    """
    found = source.optional(*names) if source.path.is_dir() else None
    if found is None:
        raise unfamiliar(source.path, expected)
    return found


def unfamiliar(path: Path, expected: str) -> InputError:
    """The error for a path that does not hold what a format expects; says what it does hold."""
    if path.is_dir():
        names = sorted(entry.name + "/" * entry.is_dir() for entry in path.iterdir())
        others = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return InputError(
            f"{path} holds {', '.join(names[:_LISTED]) or 'nothing'}{others}", cure=f"Expected {expected}"
        )
    if path.suffix in (".zip", ".tar", ".tgz") or path.name.endswith(".tar.gz"):
        return InputError(f"{path} is an archive", cure=f"Unpack it; expected {expected}")
    what = "does not fit this format" if path.exists() else "does not exist"
    return InputError(f"{path} {what}", cure=f"Expected {expected}")


def bare_name(file: Path) -> str:
    """A file's name without `.gz` or `.zst`."""
    return file.name.removesuffix(file.suffix) if file.suffix in PACKED else file.name


def split_files(within: Path, stem: str, ending: str) -> list[tuple[Path, Split]]:
    """The files `STEM.train.ENDING`, `STEM.valid.ENDING` and `STEM.test.ENDING` that a folder has, plain or packed."""
    here = Source(within)
    found = ((here.optional(f"{stem}.{split}{ending}"), split) for split in Split)
    return [(file, split) for file, split in found if file is not None]
