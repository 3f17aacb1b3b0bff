"""Completions: every answer is kept under a key of what was asked, and a validated one is never asked for twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from cikg.digests import digest
from cikg.graph import Graph
from cikg.llm.answers import Usage
from cikg.llm.prompts import Prompt
from cikg.schema import uid


def key(model: str, parameters: Mapping[str, Any], prompt: Prompt, schema: type[BaseModel]) -> str:
    """What an answer depends on, as one digest: model, parameters, prompt, its version and input, and the schema."""
    return digest([model, dict(parameters), prompt.name, prompt.version, prompt.messages, _shape(schema)])


@cache
def _shape(schema: type[BaseModel]) -> str:
    return digest(schema.model_json_schema())


def find(graph: Graph, dataset: str, keys: Iterable[str]) -> dict[str, str]:
    """The texts of validated answers, by key."""
    rows = graph.many("completion_texts", dataset=dataset, uids=[uid(dataset, each) for each in sorted(set(keys))])
    return {row["id"]: row["text"] for row in rows}


def row(
    dataset: str, run: str, identifier: str, prompt: Prompt, *, model: str, text: str, usage: Usage
) -> dict[str, Any]:
    """An answer as `store_completions` takes it; valid until someone finds that it is not."""
    properties = {
        "id": identifier,
        "run": run,
        "model": model,
        "prompt": prompt.name,
        "prompt_version": prompt.version,
        "asked": prompt.messages[-1][1],  # the rest is the same for every subject: the template has it
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "latency": round(usage.latency, 4),
        "cost": usage.cost,
        "status": "valid",
        "error": None,
        "text": text,
    }
    return {"uid": uid(dataset, identifier), "properties": properties}


def store(graph: Graph, dataset: str, rows: Iterable[dict[str, Any]]) -> None:
    """Keep answers; a valid one that is there already stays as it is."""
    unique = {each["uid"]: each for each in rows}
    graph.write_rows("store_completions", [unique[each] for each in sorted(unique)], dataset=dataset, batch=500)
