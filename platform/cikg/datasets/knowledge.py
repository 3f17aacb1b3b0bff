"""What jobs and people added to a dataset, in the form in which an archive keeps it: whole, and under any name.

Properties are JSON. Where one refers to another node of the dataset by its key, or is a time, it is an object that says
so, `{"uid": …}` with the key's part after the dataset's name, `{"datetime": …}`; so an archive is the same whatever the
dataset is called, and can be imported under another name. Which run made an imported interest's edge is left out: it is
the import's that reads it. Left out too are vectors, which `cikg embed` makes again, and leases, which end with the
process that holds them.

An archive may come from anybody. What it may hold is listed here: nothing else is written, least of all an account, or
a run that a worker would carry out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cikg.schema import Label, Relationship, State, uid

Properties = Mapping[str, Any]

MADE = (Label.INTENT, Label.INTEREST, Label.PROFILE, Label.RUN, Label.SUBJECT, Label.COMPLETION)
"""Labels of nodes that are made anew."""

ADDED_TO = (Label.DATASET, Label.USER, Label.ITEM)
"""Labels of nodes of the data, which have further properties."""

ENDS = {
    (Relationship.POSSESSES, Label.USER, Label.INTENT),
    (Relationship.SATISFIES, Label.ITEM, Label.INTENT),
    (Relationship.MEMBER_OF, Label.INTENT, Label.INTEREST),
    (Relationship.HAS_INTEREST, Label.USER, Label.INTEREST),
    (Relationship.SAME_AS, Label.INTENT, Label.INTENT),
    (Relationship.DESCRIBES, Label.PROFILE, Label.USER),
    (Relationship.DESCRIBES, Label.PROFILE, Label.ITEM),
    (Relationship.DESCRIBES, Label.PROFILE, Label.DATASET),
}
"""Types of edges, with the labels at their two ends."""

RUN_KINDS = ("extract", "cluster", "import-answers")
"""Kinds of runs that add to a dataset. Others are of one machine: their files, their queue."""

_ENDED = (State.DONE, State.FAILED, State.CANCELLED)
_OF_DATASET = ("interests", "related_by")
_OWN = frozenset(("uid", "dataset"))
_GIVEN = frozenset(("id", "name", "text"))
_LEFT_OUT = re.compile(r"embedd(ing|ed)_.*|lease|leased_until|resume_at|uid|dataset")
_KEYS = re.compile(r"(.*_)?(run|completions?)|merged_into|merged_from|pruned_by")
"""Names of properties that are keys of other nodes of the dataset."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_TEXTS = frozenset(
    (
        *("id", "name", "text", "source", "kind", "state", "error", "run", "completion", "merged_into", "model"),
        *("prompt", "status", "input_hash", "pruned_by", "pruned_reason", "interests", "related_by"),
    )
)
_NUMBERS = frozenset(
    (
        *("calls", "prompt_tokens", "completion_tokens", "cost", "latency", "attempts", "total", "shard", "opening"),
        *("prompt_version", "corrected", "round", "subgraph_rounds"),
    )
)
"""Properties that every reader of the graph takes for a text, or a number. Those that end in `_at` are times."""
_MOST = 2**63


def encode(dataset: str, properties: Properties) -> str:
    """Properties of a node or an edge as an archive has them.

    Args:
        dataset: the dataset's name now.
        properties: as the driver gives them.

    Returns:
        JSON, equal for equal properties.
    """
    prefix = uid(dataset, "")

    def value(name: str, found: Any) -> Any:
        if isinstance(found, list):
            return [value(name, one) for one in found]
        if hasattr(found, "iso_format"):  # a time, as the driver has it
            return {"datetime": found.iso_format()}
        if isinstance(found, str) and found.startswith(prefix) and _KEYS.fullmatch(name):
            return {"uid": found.removeprefix(prefix)}
        return found

    kept = {name: value(name, found) for name, found in properties.items() if not _LEFT_OUT.fullmatch(name)}
    return json.dumps(kept, ensure_ascii=False, sort_keys=True)


def decode(dataset: str, text: str) -> dict[str, Any]:
    """The properties that `encode` wrote, for a dataset of this name.

    Raises:
        ValueError: they are not what `encode` writes.
    """
    properties = json.loads(text)
    if not isinstance(properties, dict) or any(not _NAME.fullmatch(name) for name in properties):
        raise ValueError("a property has a name that the platform never gives")
    return {name: _decoded(dataset, found) for name, found in properties.items()}


def _decoded(dataset: str, found: Any) -> Any:
    """A value that a property can have: a plain one, or a list of plain ones of one kind."""
    if isinstance(found, list):
        values = [_plain(dataset, one) for one in found]
        if len(set(map(type, values))) > 1:
            raise ValueError("a list mixes values of several types")
        return values
    return _plain(dataset, found)


def _plain(dataset: str, found: Any) -> Any:
    match found:
        case {"uid": str() as key}:
            return uid(dataset, key)
        case {"datetime": str() as time}:
            return datetime.fromisoformat(time)
        case str():
            found.encode()  # half a pair of surrogates is no text
        case bool() | float():
            pass
        case int() if not -_MOST <= found < _MOST:
            raise ValueError("a number is too large")
        case int():
            pass
        case _:
            raise ValueError("a value has a type that the graph cannot hold")
    return found


def _check_types(properties: Properties) -> None:
    """Refuse values of other types than the platform writes: a page that reads one would fail for everybody.

    Raises:
        ValueError: says which.
    """
    for name, found in properties.items():
        if name.endswith("_at"):
            fits = isinstance(found, datetime) and found.tzinfo is not None
        elif name in _NUMBERS:
            fits = isinstance(found, int | float) and not isinstance(found, bool)
        else:
            fits = name not in _TEXTS or isinstance(found, str)
        if not fits:
            raise ValueError(f"{name} has a value of another type than the platform writes")


def check_node(label: str, key: str, text: str) -> None:
    """Refuse a node that no archive of the platform has.

    Args:
        label: its label.
        key: its key without the dataset's name; that of the dataset itself is empty.
        text: its encoded properties.

    Raises:
        ValueError: says why.
    """
    properties = decode("", text)
    _check_types(properties)
    if properties.keys() & _OWN or (label != Label.SUBJECT and properties.get("id", key) != key):
        raise ValueError(f"the key of a {label} contradicts its properties")
    if label in ADDED_TO:
        names = set(properties)
        if (label == Label.DATASET and (key or not names <= set(_OF_DATASET))) or names & _GIVEN:
            raise ValueError(f"a {label} has properties that nothing adds to it")
    elif label not in MADE or not key:
        raise ValueError(f"an export adds no {label}")
    if label == Label.RUN and (properties.get("kind") not in RUN_KINDS or properties.get("state") not in _ENDED):
        raise ValueError("a run has not ended, or is of a kind that is not exported")
    if label == Label.SUBJECT and properties.get("state") not in set(State):
        raise ValueError("a subject has no state")


def check_edge(type: str, source_label: str, target_label: str, text: str) -> None:  # noqa: A002
    """Refuse an edge that no archive of the platform has.

    Raises:
        ValueError: says why.
    """
    _check_types(decode("", text))
    if (type, source_label, target_label) not in ENDS:
        raise ValueError(f"an export has no edge {type} from {source_label} to {target_label}")
