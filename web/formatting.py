"""How values are shown: counts with separators, shares as percentages, times in UTC."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, current_app, url_for
from markupsafe import Markup, escape

from cikg.schema import relation_in_words
from web.chrome import address

_EDGES = {
    ("User", "INTERACTED"): "chose",
    ("User", "HAS_INTEREST"): "is interested in",
    ("User", "POSSESSES"): "wants",
    ("User", "RECOMMENDED"): "is recommended",
    ("Item", "INTERACTED"): "chosen by",
    ("Item", "SATISFIES"): "offers",
    ("Item", "RECOMMENDED"): "recommended to",
    ("Intent", "POSSESSES"): "wanted by",
    ("Intent", "SATISFIES"): "offered by",
    ("Intent", "MEMBER_OF"): "part of",
    ("Intent", "SAME_AS"): "may mean the same as",
    ("Interest", "HAS_INTEREST"): "held by",
    ("Interest", "MEMBER_OF"): "made of",
}
"""What an edge of the platform says, read from the node of this label; facts say it themselves."""
_TYPES = {
    "INTERACTED": "choices",
    "HAS_INTEREST": "interests",
    "POSSESSES": "wants",
    "SATISFIES": "offers",
    "RECOMMENDED": "recommendations",
    "MEMBER_OF": "parts of interests",
    "SAME_AS": "may mean the same",
}


def init_app(app: Flask) -> None:
    """Give templates the filters and functions of this module."""
    app.jinja_env.filters.update(
        count=count,
        counted=counted,
        percent=percent,
        number=number,
        when=when,
        day=day,
        seconds=seconds,
        relation=relation_in_words,
        edge=edge_in_words,
        code=code,
        plain=plain,
        signed=signed,
        parameter=parameter,
        measures=measures,
        model=model,
    )
    app.jinja_env.globals.update(address=address, asset=asset)


def edge_in_words(kind: str, label: str = "") -> str:
    """An edge as a person says it: read from a node with this label, or all edges of the type together."""
    said = _EDGES.get((label, kind)) if label else _TYPES.get(kind)
    return said or relation_in_words(kind)


def count(value: int | None) -> str:
    """`12,345`."""
    return "–" if value is None else f"{value:,}"


def percent(share: float | None) -> str:
    """`34 %` from .34, on one line; small shares keep a digit."""
    if share is None:
        return "–"
    digits = 0 if share >= 0.1 or share == 0 else 1
    return f"{100 * share:.{digits}f}\u00a0%"


def counted(value: int | None, one: str, many: str = "") -> str:
    """`1 user`, `12,345 users`."""
    return f"{count(value)} {one if value == 1 else many or f'{one}s'}"


def number(value: Any, digits: int = 4) -> str:
    """A measured number with a fixed number of digits; anything else as it is."""
    return f"{value:.{digits}f}" if isinstance(value, float) else count(value) if isinstance(value, int) else str(value)


def signed(value: float, digits: int = 4) -> str:
    """A difference: `+0.0041`, `−0.0022`."""
    return f"{value:+.{digits}f}".replace("-", "−")


def plain(value: Any) -> str:
    """A parameter: numbers without digits that say nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {plain(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return "; ".join(plain(part) for part in value) or "none"
    return f"{value:.6g}" if isinstance(value, float) else "–" if value is None else str(value)


_PARTS = {"config": "setting", "timings": "seconds", "peak_memory_mb": "peak memory, MiB"}
"""Parts of parameters' names, as a person says them."""


_METRICS = {
    "recall": "share of held-out items in the list",
    "ndcg": "the same, with more credit near the top",
    "precision": "share of the list that was held out",
    "hit rate": "share of users with at least one",
    "mrr": "1 for a first place, ½ for a second, …",
    "coverage": "share of all items that anyone is shown",
    "gini": "0: all items shown equally; 1: only one shown",
    "novelty": "how little known the shown items are, in bits",
}
"""What a metric measures, in a few words."""


def measures(metric: str) -> str:
    """What a metric measures; empty for one that is not known."""
    return _METRICS.get(metric.replace("_", " "), "")


def parameter(name: str) -> str:
    """The name of something that a run was given or measured, with its unit: `seconds, total` for `timings.total`."""
    return ", ".join(_PARTS.get(part, part) for part in name.split(".")).replace("_", " ")


def as_time(value: Any) -> datetime | None:
    """A time from seconds since 1970, ISO text, or the driver's own type."""
    if value is None:
        return None
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    native = value.to_native() if hasattr(value, "to_native") else value
    return native if isinstance(native, datetime) else None


def when(value: Any) -> str:
    """`2026-08-01 12:30`, in UTC."""
    time = as_time(value)
    return "–" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def day(value: Any) -> str:
    """`2026-08-01`, in UTC."""
    return when(value)[:10]


def seconds(value: float | None) -> str:
    """A duration: `under 0.1 s`, `0.4 s`, `38 s`, `4 min 20 s`, `2 h 05 min`."""
    if value is None:
        return "–"
    if value < 9.95:
        return f"{value:.1f} s" if value >= 0.05 else "under 0.1 s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    return (
        f"{whole // 60} min {whole % 60:02d} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    )


def model(name: str) -> str:
    """A language model's name; of the stand-in, that it is none."""
    return f"{name}: answers by rule" if name == "stand-in" else name


def code(text: str) -> Markup:
    """A sentence of ours with its `commands` marked; everything in it is escaped."""
    parts = text.split("`")
    marked = [Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)]
    return Markup("").join(marked)


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else "missing"


def asset(name: str) -> str:
    """The address of a file in `static`, which changes when the file does."""
    return url_for("static", filename=name, v=_digest(Path(current_app.static_folder or "") / name))
