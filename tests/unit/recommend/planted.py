"""Snapshots with a known answer: readers and items of two tastes, and nobody reads across."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cikg.graph.export import Export
from cikg.graph.snapshot import Snapshot, write
from cikg.schema import SplitCode

TASTES = 2
INTENT_EDGES = [
    ("possesses", "user"), ("possesses", "intent"), ("satisfies", "item"), ("satisfies", "intent"),
    ("member_of", "intent"), ("member_of", "interest"),
]  # fmt: skip


def write_snapshot(
    folder: Path,
    *,
    sizes: tuple[int, int, int, int],
    interactions: list[tuple[int, int, SplitCode]],
    facts: list[tuple[int, int, int]] = (),
    has_interest: list[tuple[int, int]] = (),
    from_evidence: bool = True,
    dataset: str = "planted",
    columns: dict[str, np.ndarray] | None = None,
    intents: int = 0,
) -> Snapshot:
    """Write a snapshot without a database. `sizes`: users, items, entities, interests; facts are in thing space."""
    counts = dict(zip(("users", "items", "entities", "interests"), sizes, strict=True)) | {"intents": intents}
    texts = {f"{kind}.id": [str(i) for i in range(n)] for kind, n in counts.items()}
    texts |= {f"{kind}.name": [f"{kind} {i}" for i in range(n)] for kind, n in counts.items()}
    read = np.array(sorted(interactions), dtype=np.int64).reshape(-1, 3)
    known = np.array(sorted(facts), dtype=np.int32).reshape(-1, 3)
    liked = np.array(sorted(has_interest), dtype=np.int32).reshape(-1, 2)
    empty, rounds = np.empty(0, np.int32), np.empty(0, np.int8)
    given = {
        "interactions.user_index": read[:, 0].astype(np.int32),
        "interactions.item_index": read[:, 1].astype(np.int32),
        "interactions.split": read[:, 2].astype(np.int8),
        "facts.head_index": known[:, 0].copy(),
        "facts.relation_index": known[:, 1].copy(),
        "facts.tail_index": known[:, 2].copy(),
        "has_interest.user_index": liked[:, 0].copy(),
        "has_interest.interest_index": liked[:, 1].copy(),
        "has_interest.from_evidence": np.full(len(liked), from_evidence),
        **{f"{table}.{end}_index": empty for table, end in INTENT_EDGES},
        "possesses.round": rounds,
        "satisfies.round": rounds,
    }
    relations = [f"RELATION_{i}" for i in range(int(known[:, 1].max()) + 1 if len(known) else 0)]
    properties = {"uid": dataset, "field": "books", "interests": "extracted", "version": 1}
    return write(folder, Export(properties, texts, given | (columns or {}), relations))


def two_tastes(
    folder: Path,
    *,
    users: int = 60,
    items: int = 40,
    cold: int = 4,
    test_seed: int | None = None,
    facts: bool = True,
) -> Snapshot:
    """A checkerboard: user u and item i share a taste if u and i are both even or both odd.

    Each user has read about half of their taste's items; one read is held out for valid, two others for test. The last
    `cold` items are in nobody's training: only facts and the vectors of texts say to which taste they belong. With
    `test_seed`, the test items are drawn anew and all else stays; without `facts`, nothing is known of the items.
    """
    random = np.random.default_rng(1)
    redrawn = np.random.default_rng(test_seed)
    warm = items - cold
    interactions = []
    for user in range(users):
        own = np.arange(user % TASTES, warm, TASTES)
        chosen = random.permutation(own)[: len(own) // 2 + 3]
        test = [*chosen[:2].tolist(), warm + user % TASTES + TASTES * int(random.integers(cold // TASTES))]
        if test_seed is not None:
            test = redrawn.permutation(np.setdiff1d(np.arange(items), chosen[2:]))[:3].tolist()
        interactions += [(user, int(item), SplitCode.TEST) for item in test]
        interactions += [(user, int(chosen[2]), SplitCode.VALID)]
        interactions += [(user, int(item), SplitCode.TRAIN) for item in chosen[3:]]
    subjects = 3
    texts = np.eye(TASTES, 4)[np.arange(items) % TASTES] + np.random.default_rng(2).normal(scale=0.2, size=(items, 4))
    known = [(item, i, items + (item % TASTES) * subjects + i) for item in range(items) for i in range(subjects)]
    return write_snapshot(
        folder,
        sizes=(users, items, TASTES * subjects, TASTES * 2),
        interactions=interactions,
        facts=known if facts else [],
        has_interest=[(user, user % TASTES + TASTES * (user // TASTES % 2)) for user in range(users)],
        columns={"embeddings.items.lexical_4": texts.astype(np.float32)} if facts else {},
    )
