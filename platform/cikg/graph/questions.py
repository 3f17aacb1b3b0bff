"""The queries that a person runs by name: the sections of the library, and their parameters explained.

A parameter means the same in every question, so it is described once, here. `dataset` and `limit` are not given with
the others: every asker has them anyway.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from cikg.errors import InputError, NotFoundError
from cikg.graph import datasets
from cikg.graph.database import Graph
from cikg.graph.statements import Statement, library
from cikg.schema import Label, Relationship, uid

SURROUNDINGS = ("dataset", "limit")
"""Parameters that are not given with the others."""
_EDGES = (
    Relationship.POSSESSES,
    Relationship.SATISFIES,
    Relationship.HAS_INTEREST,
    Relationship.DESCRIBES,
    Relationship.MEMBER_OF,
)


@dataclass(frozen=True)
class Parameter:
    """A parameter of questions.

    Attributes:
        meaning: what it stands for.
        kind: what it is: an id or other text, a whole number, a number, a time, or the type of an LLM-made edge.
        default: what it is unless given; None where it has to be given.
        label: of the node that an id stands for.
        least: the smallest number allowed.
    """

    meaning: str
    kind: Literal["text", "whole number", "number", "time", "edge"] = "text"
    default: float | None = None
    label: Label | None = None
    least: float = -math.inf


PARAMETERS: Mapping[str, Parameter] = {
    "user": Parameter("a user's id", label=Label.USER),
    "other": Parameter("another user's id", label=Label.USER),
    "item": Parameter("an item's id", label=Label.ITEM),
    "intent": Parameter("an intent's id", label=Label.INTENT),
    "interest": Parameter("an interest's id", label=Label.INTEREST),
    "run": Parameter("a run's id", label=Label.RUN),
    "kind": Parameter("the kind of edge: " + ", ".join(_EDGES), "edge"),
    "source": Parameter("the id of the node that the edge leads from"),
    "target": Parameter("the id of the node that the edge leads to"),
    "from": Parameter("the first moment of the window", "time"),
    "to": Parameter("the moment at which the window ends", "time"),
    "smoothing": Parameter("added to each count, so that rare intents rise less by chance", "number", 1.0, least=1e-9),
    "least": Parameter("the minimum number of users", "whole number", 2, least=1),
    "most": Parameter("the most training interactions of a cold item", "whole number", 5, least=0),
    "threshold": Parameter("the minimum cosine of two vectors", "number", 0.85, least=-1),
    "neighbours": Parameter("how many of its nearest neighbours each is compared with", "whole number", 10, least=1),
    "skip": Parameter("how many rows to leave out at the start", "whole number", 0, least=0),
}


def readable() -> list[Statement]:
    """All reading statements: those in sections first, as the files order them, then the platform's own by domain."""
    reading = [statement for statement in library().values() if not statement.writes]
    sections = list(dict.fromkeys(statement.section for statement in reading if statement.section))
    return [statement for section in sections for statement in reading if statement.section == section] + sorted(
        (statement for statement in reading if not statement.section), key=lambda each: (each.domain, each.name)
    )


def asked(statement: Statement) -> dict[str, Parameter]:
    """The parameters that a person gives, with what they mean."""
    unknown = Parameter("JSON or text")
    return {
        name: PARAMETERS.get(name, unknown) if statement.section else unknown
        for name in statement.parameters
        if name not in SURROUNDINGS
    }


def signature(statement: Statement) -> str:
    """How a statement is asked: its name and what has to be given, what may be given in brackets."""
    words = [
        f"[{name}={parameter.default:g}]" if parameter.default is not None else name
        for name, parameter in asked(statement).items()
    ]
    return " ".join([statement.name, *words])


def arguments(statement: Statement, given: Mapping[str, str], dataset: str, limit: int) -> dict[str, Any]:
    """The parameters of a question from what a person typed.

    Raises:
        InputError: one is missing, unknown, or not what it has to be; says which.
    """
    wanted = asked(statement)
    for name in SURROUNDINGS:
        if name in given:
            raise InputError(f"{name} is an option of its own", cure=f"Write --{name} {given[name]}")
    unknown = [name for name in given if name not in wanted]
    if unknown:
        takes = f"It takes {', '.join(wanted)}" if wanted else "It takes only --dataset"
        raise InputError(f"{statement.name} does not take {', '.join(unknown)}", cure=takes)
    missing = [name for name, parameter in wanted.items() if name not in given and parameter.default is None]
    if missing:
        lacks = ", ".join(f"{name} ({wanted[name].meaning})" for name in missing)
        example = " ".join(f"-p {name}=…" for name in missing)
        raise InputError(f"{statement.name} needs {lacks}", cure=f"Add {example}")
    values = {name: parameter.default for name, parameter in wanted.items() if name not in given}
    values |= {name: _value(name, text, wanted[name], known=bool(statement.section)) for name, text in given.items()}
    surroundings = {"dataset": dataset, "limit": limit}
    return values | {name: value for name, value in surroundings.items() if name in statement.parameters}


def loose_value(text: str) -> Any:
    """What was typed as JSON, or as the text it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _value(name: str, text: str, parameter: Parameter, *, known: bool) -> Any:
    """What was typed, as the type that the parameter has."""
    if not known:
        return loose_value(text)
    match parameter.kind:
        case "text":
            return text
        case "time":
            return _seconds(name, text)
        case "edge":
            if text.upper() not in _EDGES:
                raise InputError(f"{name} cannot be {text!r}", cure=f"Choose one of {', '.join(_EDGES)}")
            return text.upper()
    try:
        number = int(text) if parameter.kind == "whole number" else float(text)
    except ValueError:
        raise InputError(f"{name} is a {parameter.kind}, not {text!r}", cure=f"It is {parameter.meaning}") from None
    if not parameter.least <= number < math.inf:
        raise InputError(f"{name} is at least {parameter.least:g}, not {text}", cure=f"It is {parameter.meaning}")
    return number


def _seconds(name: str, text: str) -> int | float:
    """Seconds since 1970 from such a number, or from a date and time (UTC unless it says otherwise)."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{name} is a time, not {text!r}", cure="Write 2026-01-31, 2026-01-31T12:00 or seconds since 1970"
        ) from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def check_existence(graph: Graph, statement: Statement, values: Mapping[str, Any]) -> None:
    """Make sure that what a question is about exists: an empty answer about nothing would mislead.

    Raises:
        NotFoundError: there is no such dataset, user, item, intent, interest or run; or the intent was merged.
    """
    if "dataset" not in values or not statement.section:
        return
    dataset = values["dataset"]
    if not graph.many("find_dataset", dataset=dataset):
        raise datasets.unknown(graph, dataset)
    for name, parameter in asked(statement).items():
        if parameter.label is None:
            continue
        found = graph.many("find_labelled", label=parameter.label, uid=uid(dataset, values[name]))
        if not found:
            raise NotFoundError(
                f"the dataset {dataset!r} has no {parameter.label.lower()} {values[name]!r}",
                cure="The dashboard's lists show every id",
            )
        if found[0]["merged_into"]:
            raise NotFoundError(
                f"the intent {values[name]!r} was merged into {found[0]['merged_into']!r}", cure="Ask about that one"
            )
