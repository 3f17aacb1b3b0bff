"""Tables as CSV that a spreadsheet can open without running what someone hid in a name."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a text begins that a spreadsheet may take for a formula."""


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: one that it would gets an apostrophe before it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def csv_text(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV (RFC 4180) with a header: lists as JSON, what is missing as nothing, every text harmless."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        value = json.dumps(value, default=str, ensure_ascii=False)
    elif isinstance(value, bool):
        value = str(value).lower()
    elif not isinstance(value, str):
        return value
    return harmless(value)
