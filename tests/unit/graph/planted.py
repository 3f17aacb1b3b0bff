"""Snapshots without a database, from what people would write down: ids, names, and edges between ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cikg.graph.export import KINDS, NEVER, Export, by_id
from cikg.graph.snapshot import Snapshot, write

ENDS = {
    "interactions": ("users", "items"),
    "facts": ("things", "things"),
    "has_interest": ("users", "interests"),
    "possesses": ("users", "intents"),
    "satisfies": ("items", "intents"),
    "member_of": ("intents", "interests"),
}
COLUMNS = {
    "interactions": {"split": np.int8, "rating": np.float32, "at": np.int64},
    "facts": {},
    "has_interest": {"from_evidence": np.bool_},
    "possesses": {"round": np.int8},
    "satisfies": {"round": np.int8},
    "member_of": {},
}
DEFAULTS = {"split": 0, "rating": np.nan, "at": NEVER, "from_evidence": True, "round": 1}


@dataclass
class Content:
    """A dataset.

    Attributes:
        nodes: for each kind, names by id.
        texts: for each of `items.text`, `users.profile` and `items.profile`, texts by id.
        edges: for each table, what is said of an edge by the ids of its ends; of a fact: head, relation, tail.
        vectors: for each `<kind>.<embedding>`, vectors by id.
    """

    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    texts: dict[str, dict[str, str]] = field(default_factory=dict)
    edges: dict[str, dict[tuple[str, ...], dict[str, Any]]] = field(default_factory=dict)
    vectors: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def made(folder: Path, content: Content) -> Snapshot:
    """Write a snapshot."""
    ids = {kind: sorted(content.nodes.get(kind, {}), key=lambda one: by_id({"id": one})) for kind in KINDS}
    texts = {f"{kind}.id": ids[kind] for kind in KINDS}
    texts |= {f"{kind}.name": [content.nodes[kind][one] for one in ids[kind]] for kind in KINDS if ids[kind]}
    texts |= {f"{kind}.name": [] for kind in KINDS if not ids[kind]}
    for name, said in content.texts.items():
        texts[name] = [said.get(one, "") for one in ids[name.split(".")[0]]]
    index = {kind: {one: place for place, one in enumerate(found)} for kind, found in ids.items()}
    index["things"] = {one: place for place, one in enumerate(ids["items"] + ids["entities"])}
    relations = sorted({edge[1] for edge in content.edges.get("facts", {})})
    columns: dict[str, Any] = {}
    for table, ends in ENDS.items():
        edges = content.edges.get(table, {})
        names = (
            ["head_index", "relation_index", "tail_index"] if table == "facts" else [f"{e[:-1]}_index" for e in ends]
        )
        maps = [index[ends[0]], *([{r: i for i, r in enumerate(relations)}] * (len(names) - 2)), index[ends[1]]]
        rows = sorted((tuple(m[one] for m, one in zip(maps, edge, strict=True)), edge) for edge in edges)
        for place, name in enumerate(names):
            columns[f"{table}.{name}"] = np.array([key[place] for key, _ in rows], dtype=np.int32)
        for name, kind in COLUMNS[table].items():
            said = [edges[edge].get(name, DEFAULTS[name]) for _, edge in rows]
            columns[f"{table}.{name}"] = np.array(said, dtype=kind)
    for name, vectors in content.vectors.items():
        kind = name.split(".")[0]
        found = ids[{"user_profiles": "users", "item_profiles": "items"}.get(kind, kind)]
        unknown = [np.nan] * len(next(iter(vectors.values())))
        columns[f"embeddings.{name}"] = np.array([vectors.get(one, unknown) for one in found], dtype=np.float32)
    properties = {"uid": "planted", "field": "books", "interests": "extracted", "version": 1}
    return write(folder, Export(properties, texts, columns, relations))
