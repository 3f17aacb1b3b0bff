"""Lines that hold JSON, or what Python printed for a dictionary: `{u'asin': '0001', 'title': "Bob's", 'new': None}`.

Several published dumps were written that way. Nothing in a line is ever run. Most lines need no more than other quotes
to be JSON, which is a few times faster to read than Python's own literals; whatever is not is left to those.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from cikg.datasets.reading.source import Source

_STRING = re.compile(r"""('[^'\\]*+(?:\\.[^'\\]*+)*+'?|"[^"\\]*+(?:\\.[^"\\]*+)*+"?)""", re.DOTALL)
_WORD = re.compile(r"\b(?:u|True|False|None)\b")
_WORDS = {"u": "", "True": "true", "False": "false", "None": "null"}
_USUAL = frozenset({": ", ", "})


def objects(source: Source, file: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file that has one a line; anything else on a line is rejected.

    Raises:
        InputError: the file cannot be read.
    """
    for line in source.lines(file):
        try:
            found = parse(line)
        except ValueError:
            source.reject("expected a JSON object or a Python dictionary")
            continue
        if isinstance(found, dict):
            yield found
        else:
            source.reject(f"expected an object, found {type(found).__name__}")


def parse(text: str) -> Any:
    """The value of a JSON text, or of a literal of Python.

    Raises:
        ValueError: it is neither.
    """
    for translate in (str, _as_json):
        try:
            return json.loads(translate(text), strict=False, parse_constant=_refuse)
        except (ValueError, RecursionError):
            continue
    return _literal(text)


def _as_json(text: str) -> str:
    parts = _STRING.split(text)
    parts[1::2] = map(_string, parts[1::2])
    parts[::2] = [code if code in _USUAL else _WORD.sub(lambda word: _WORDS[word[0]], code) for code in parts[::2]]
    return "".join(parts)


def _string(quoted: str) -> str:
    if "\\" in quoted:
        return json.dumps(_literal(quoted))
    return '"' + quoted[1:-1].replace('"', '\\"') + '"'


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an escape that Python does not know stays as it is
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("it is not a literal") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
