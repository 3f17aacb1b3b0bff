"""Faults that the stand-in shows on demand, so that tests meet them over real HTTP.

A fault is asked for as `NAME[:ARGUMENT][*TIMES][@TEXT]`, in the header `x-standin-fault` or for the whole server in
`CIKG_STANDIN_FAULT`; several are separated by `;`, and the first that applies wins. `TIMES` limits it to the first so
many calls of each distinct request, `TEXT` to requests that contain the text.

| name | what happens | argument |
|---|---|---|
| `rate-limit` | 429 with `Retry-After` | seconds, 1 |
| `server-error` | 500 | |
| `hang` | no answer | seconds until one comes after all, 3600 |
| `drip` | the answer comes byte by byte | milliseconds a byte, 100 |
| `reset` | the connection closes within the answer | |
| `truncated` | JSON cut off half-way, finish reason `length` | |
| `not-json` | prose instead of JSON | |
| `wrong-schema` | JSON of another shape | |
| `nan` | JSON with `NaN`, which Python writes and JSON does not know, in place of its numbers | |
| `unknown` | an answer of the right shape whose numbers are those of nothing that was asked about | |
| `refusal` | a refusal instead of content | |
| `huge` | a valid answer of many bytes | bytes, 10000000 |
| `lose` | of a batch: the request is in no file that comes back | |
| `expire` | of a batch: it ends before it comes to the request | |
| `reject` | the batch that holds the request fails as a whole | |

In a batch a request that meets `rate-limit` or `server-error` comes back in the file of errors; the faults of an
answer's content are the same there, and those of a connection do nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

_DEFAULT_ARGUMENTS = {
    "rate-limit": 1,
    "server-error": 0,
    "hang": 3600,
    "drip": 100,
    "reset": 0,
    "truncated": 0,
    "not-json": 0,
    "wrong-schema": 0,
    "nan": 0,
    "unknown": 0,
    "refusal": 0,
    "huge": 10_000_000,
    "lose": 0,
    "expire": 0,
    "reject": 0,
}
_SPELLING = re.compile(r"(?P<name>[a-z-]+)(?::(?P<argument>\d+))?(?:\*(?P<times>\d+))?(?:@(?P<text>.+))?")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as it was asked for."""

    name: str
    argument: int
    times: int | None = None
    text: str | None = None


def parse_faults(spelling: str) -> list[Fault]:
    """Read faults as the module's docstring spells them.

    Raises:
        ValueError: it is none of them.
    """
    faults = []
    for part in filter(None, (part.strip() for part in spelling.split(";"))):
        found = _SPELLING.fullmatch(part)
        if found is None or found["name"] not in _DEFAULT_ARGUMENTS:
            raise ValueError(f"{part!r} is not a fault; the stand-in knows {', '.join(_DEFAULT_ARGUMENTS)}")
        argument = int(found["argument"]) if found["argument"] else _DEFAULT_ARGUMENTS[found["name"]]
        times = int(found["times"]) if found["times"] else None
        faults.append(Fault(found["name"], argument, times, found["text"]))
    return faults


class FaultBook:
    """Decides which fault a request meets, and remembers how often each distinct request met it."""

    def __init__(self, standing: list[Fault]) -> None:
        self.standing = standing
        self._met: Counter[tuple[Fault, str]] = Counter()

    def choose(self, asked: list[Fault], body: str, key: str) -> Fault | None:
        """The first fault that applies to the request, those of the request itself before the server's.

        Args:
            asked: the faults named in the request's header.
            body: the request's text.
            key: the same for equal requests.
        """
        for fault in (*asked, *self.standing):
            if fault.text is not None and fault.text not in body:
                continue
            if fault.times is not None:
                self._met[fault, key] += 1
                if self._met[fault, key] > fault.times:
                    continue
            return fault
        return None
