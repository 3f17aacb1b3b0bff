"""Pictures as SVG, for papers and pages: no library, no script, readable without telling colours apart.

The colours are M. Okabe's and K. Ito's, which people with any kind of colour vision can tell apart; bars stand in the
order of the legend, lines have patterns of their own, and each mark says its figure to screen readers and under the
pointer. What a page's theme changes has a class: `ground`, `ink`, `grid`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from html import escape

from cikg.recommend.evaluation.comparison import Interval
from cikg.recommend.evaluation.groups import Group

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM, LINE = 720, 400, 64, 16, 48, 64, 20
TICKS = 5
DASHES = ("", "7 4", "2 4", "10 3 2 3")
"""How lines are broken, so that they can be told apart without colours."""


def bars(title: str, names: Sequence[str], groups: Sequence[Group], *, metric: str, axis: str) -> str:
    """Bars side by side for each group, with the interval of each mean.

    Args:
        title: what is shown.
        names: of the entries, in the order of each group's figures.
        groups: from left to right.
        metric: what the height says.
        axis: what the groups differ in.

    Returns:
        An SVG document. It says its figures as text too, so nothing depends on seeing colours.
    """
    tallest = max((figure.high for group in groups for figure in group.figures), default=1.0) or 1.0
    step = _step(tallest)
    ticks = max(1, math.ceil(tallest / step - 1e-9))
    highest = step * ticks
    parts = [
        *_scale(step, ticks, metric),
        *_groups(names, groups, highest),
        _axis(axis),
        *_legend(names),
    ]
    return _document(title, _in_words(names, groups, metric, axis), len(names), parts)


Point = tuple[float, float]


def lines(title: str, names: Sequence[str], each: Sequence[Sequence[Point]], *, metric: str, axis: str) -> str:
    """Curves over each other, from 0 up.

    Args:
        title: what is shown.
        names: of the curves.
        each: the points of each curve, from left to right; not all may be empty.
        metric: what the height says.
        axis: what goes from left to right.

    Returns:
        An SVG document that says the best of each curve as text too.
    """
    points = [point for curve in each for point in curve]
    step = _step(max(y for _, y in points) or 1.0)
    ticks = max(1, math.ceil(max(y for _, y in points) / step - 1e-9))
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    parts = [*_scale(step, ticks, metric), *_span(first, last), _axis(axis)]
    for index, (name, curve) in enumerate(zip(names, each, strict=True)):
        colour = COLOURS[index % len(COLOURS)]
        at = [(_x(x, first, last), _y(y, step * ticks)) for x, y in curve]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        dash = f' stroke-dasharray="{DASHES[index % len(DASHES)]}"' if DASHES[index % len(DASHES)] else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}">'
            f"<title>{escape(name)}, {point[0]:g}: {point[1]:.4f}</title></circle>"
            for (x, y), point in zip(at, curve, strict=True)
        ]
    highest = ((name, max(curve, key=lambda point: point[1])) for name, curve in zip(names, each, strict=True) if curve)
    best = (f"{name}: at most {y:.4f}, at {x:g}" for name, (x, y) in highest)
    words = f"{metric} by {axis}. " + "; ".join(best)
    return _document(title, words, len(names), [*parts, *_legend(names, DASHES)])


def lifts(title: str, names: Sequence[str], rows: Sequence[tuple[str, Sequence[Interval | None]]], axis: str) -> str:
    """Intervals beside a line at 0, from top to bottom.

    Args:
        title: what is shown.
        names: what the intervals of a row are of, as `valid` and `test`.
        rows: a name and its intervals each; None where there is none.
        axis: what is left to right.

    Returns:
        An SVG document that says its figures as text too.
    """
    known = [interval for _, row in rows for interval in row if interval]
    most = max((max(abs(interval.low), abs(interval.high)) for interval in known), default=0.0) or 1.0
    step = _step(most)
    ends = step * max(1, math.ceil(most / step - 1e-9))
    zero, half = (LEFT + WIDTH - RIGHT) / 2 + 60, (WIDTH - RIGHT - LEFT) / 2 - 80
    room = (HEIGHT - TOP - BOTTOM) / max(len(rows), 1)
    parts = []
    for tick in range(round(-ends / step), round(ends / step) + 1):
        x = zero + tick * step / ends * half
        kind = "whisker" if tick == 0 else "grid"
        line = f'x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"'
        parts.append(f'<line class="{kind}" {line} stroke="{"#333333" if tick == 0 else "#cccccc"}"/>')
        at = f'x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}"'
        parts.append(f'<text class="ink" {at} text-anchor="middle">{f"{tick * step:+.3g}" if tick else "0"}</text>')
    for place, (name, row) in enumerate(rows):
        top = TOP + place * room
        parts.append(f'<text class="ink" x="16" y="{top + room / 2 + 4:.1f}">{escape(name)}</text>')
        for index, interval in enumerate(row):
            if interval is not None:
                y = top + room * (index + 1) / (len(row) + 1)
                parts += _whisker(f"{name}, {names[index]}", interval, y, COLOURS[index], (zero, half / ends))
    words = "; ".join(
        f"{name}: " + ", ".join(_said(each, interval) for each, interval in zip(names, row, strict=True))
        for name, row in rows
    )
    return _document(title, f"{axis}. {words}", len(names), [*parts, _axis(axis), *_legend(names)])


def _whisker(name: str, interval: Interval, y: float, colour: str, scale: Point) -> Iterator[str]:
    low, mean, high = (scale[0] + value * scale[1] for value in (interval.low, interval.mean, interval.high))
    ends = f'x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"'
    yield f'<line {ends} stroke="{colour}" stroke-width="3"/>'
    yield (
        f'<circle cx="{mean:.1f}" cy="{y:.1f}" r="5" fill="{colour}">'
        f"<title>{escape(_said(name, interval))}</title></circle>"
    )


def _said(name: str, interval: Interval | None) -> str:
    if interval is None:
        return f"{name} not measured"
    return f"{name} {interval.mean:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


def _document(title: str, words: str, legend: int, parts: Sequence[str]) -> str:
    """An SVG with its title and what it says in words, under ids that no other picture of a page has."""
    height, own = HEIGHT + LINE * legend, "chart-" + hashlib.sha256(f"{title}{words}".encode()).hexdigest()[:8]
    whole = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-labelledby="{own}-title {own}-words" font-family="system-ui, sans-serif" font-size="13">',
        f'<title id="{own}-title">{escape(title)}</title>',
        f'<desc id="{own}-words">{escape(words)}</desc>',
        f'<rect class="ground" width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text class="ink" x="{LEFT}" y="26" font-size="16" font-weight="600">{escape(title)}</text>',
        *parts,
        "</svg>",
    ]
    return "\n".join(whole) + "\n"


def _step(highest: float) -> float:
    """The least of 1, 2, 2.5 and 5 times a power of ten by which at most `TICKS` steps reach `highest`."""
    power = 10.0 ** math.floor(math.log10(highest / TICKS))
    return next(power * times for times in (1, 2, 2.5, 5, 10) if power * times * TICKS >= highest * (1 - 1e-9))


def _y(value: float, highest: float) -> float:
    return HEIGHT - BOTTOM - value / highest * (HEIGHT - BOTTOM - TOP)


def _scale(step: float, ticks: int, metric: str) -> Iterator[str]:
    for tick in range(ticks + 1):
        y = _y(tick, ticks)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid" stroke="#cccccc"/>'
        yield f'<text class="ink" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick * step:.3g}</text>'
    middle = (HEIGHT - BOTTOM + TOP) / 2
    place = f'transform="translate(16 {middle:g}) rotate(-90)" text-anchor="middle"'
    yield f'<text class="ink" {place}>{escape(metric)}</text>'


def _x(value: float, first: float, last: float) -> float:
    return LEFT + (value - first) / max(last - first, 1e-12) * (WIDTH - LEFT - RIGHT - 8)


def _span(first: float, last: float) -> Iterator[str]:
    """Whole numbers along the bottom, at most ten of them."""
    step = max(1, math.ceil((last - first) / 10))
    for value in range(math.ceil(first), math.floor(last) + 1, step):
        at = f'x="{_x(value, first, last):.1f}" y="{HEIGHT - BOTTOM + 18}"'
        yield f'<text class="ink" {at} text-anchor="middle">{value}</text>'


def _axis(name: str) -> str:
    at = f'x="{(LEFT + WIDTH - RIGHT) / 2:g}" y="{HEIGHT - 24}"'
    return f'<text class="ink" {at} text-anchor="middle">{escape(name)}</text>'


def _groups(names: Sequence[str], groups: Sequence[Group], highest: float) -> Iterator[str]:
    room = (WIDTH - LEFT - RIGHT) / max(len(groups), 1)
    width = room * 0.8 / max(len(names), 1)
    for place, group in enumerate(groups):
        start = LEFT + place * room + room * 0.1
        for index, (name, figure) in enumerate(zip(names, group.figures, strict=True)):
            x, y, middle = start + index * width, _y(figure.mean, highest), start + (index + 0.5) * width
            yield (
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{HEIGHT - BOTTOM - y:.1f}" '
                f'fill="{COLOURS[index % len(COLOURS)]}" stroke="#ffffff">'
                f"<title>{escape(name)}, {escape(group.label)}: {figure.mean:.4f} "
                f"({figure.low:.4f} to {figure.high:.4f})</title></rect>"
            )
            ends = f'y1="{_y(figure.low, highest):.1f}" y2="{_y(figure.high, highest):.1f}"'
            yield f'<line class="whisker" x1="{middle:.1f}" x2="{middle:.1f}" {ends} stroke="#333333"/>'
        label = f'x="{LEFT + (place + 0.5) * room:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle"'
        yield f'<text class="ink" {label}>{escape(group.label)}</text>'


def _legend(names: Sequence[str], dashes: Sequence[str] = ()) -> Iterator[str]:
    """Names beside a square of their colour, or a line that is broken as theirs."""
    for index, name in enumerate(names):
        y = HEIGHT + index * LINE
        colour = COLOURS[index % len(COLOURS)]
        if dashes:
            ends = f'x1="{LEFT - 16}" x2="{LEFT + 13}" y1="{y - 5}" y2="{y - 5}"'
            dash = dashes[index % len(dashes)] or "none"
            yield f'<line {ends} stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        else:
            yield f'<rect x="{LEFT}" y="{y - 11}" width="13" height="13" fill="{colour}"/>'
        yield f'<text class="ink" x="{LEFT + 20}" y="{y}">{escape(name)}</text>'


def _in_words(names: Sequence[str], groups: Sequence[Group], metric: str, axis: str) -> str:
    each = (
        f"{group.label}: " + ", ".join(f"{name} {f.mean:.4f}" for name, f in zip(names, group.figures, strict=True))
        for group in groups
    )
    return f"{metric} by {axis}. " + "; ".join(each)
