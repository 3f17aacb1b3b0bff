"""A snapshot as PyTorch Geometric's heterogeneous graph."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch

with warnings.catch_warnings():  # PyG still scripts modules when it is imported, which torch warns about
    warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning)
    from torch_geometric.data import HeteroData

if TYPE_CHECKING:
    import numpy.typing as npt

    from cikg.graph.snapshot import Snapshot


def to_hetero(snapshot: Snapshot) -> HeteroData:
    """Build the heterogeneous graph of a snapshot.

    Node types are `user`, `item`, `entity` and `interest`, with `num_nodes` alone: features are a method's choice.

    Edge types, each with an `edge_index` of shape (2, edges):

    - `(user, interacted, item)` with `train_mask`, `val_mask` and `test_mask`, and `rating` and `time`;
    - `(user, has_interest, interest)` with `from_evidence`;
    - one for every relation and kinds of its two ends: `(item, literary_genre, entity)`.

    Args:
        snapshot: the snapshot.
    """
    data = HeteroData()
    for kind, nodes in (("user", "users"), ("item", "items"), ("entity", "entities"), ("interest", "interests")):
        data[kind].num_nodes = snapshot.counts[nodes]
    interactions = snapshot.interactions
    edge = data["user", "interacted", "item"]
    edge.edge_index = _edge_index(interactions.user_index, interactions.item_index)
    split = torch.from_numpy(np.array(interactions.split))
    edge.train_mask, edge.val_mask, edge.test_mask = (split == code for code in range(3))
    edge.rating = torch.from_numpy(np.array(interactions.rating))
    edge.time = torch.from_numpy(np.array(interactions.at))
    held = data["user", "has_interest", "interest"]
    held.edge_index = _edge_index(snapshot.has_interest.user_index, snapshot.has_interest.interest_index)
    held.from_evidence = torch.from_numpy(np.array(snapshot.has_interest.from_evidence))
    _add_facts(data, snapshot)
    return data


def _add_facts(data: HeteroData, snapshot: Snapshot) -> None:
    """Things are numbered items first, then entities: each kind's own index begins at 0 again."""
    items = snapshot.counts["items"]
    head, relation, tail = (
        np.asarray(column)
        for column in (snapshot.facts.head_index, snapshot.facts.relation_index, snapshot.facts.tail_index)
    )
    for number, name in enumerate(snapshot.relations):
        for head_kind in ("item", "entity"):
            for tail_kind in ("item", "entity"):
                chosen = ((relation == number) & ((head >= items) == (head_kind == "entity"))) & (
                    (tail >= items) == (tail_kind == "entity")
                )
                if chosen.any():
                    data[head_kind, name.lower(), tail_kind].edge_index = _edge_index(
                        head[chosen] - items * (head_kind == "entity"), tail[chosen] - items * (tail_kind == "entity")
                    )


def _edge_index(source: npt.NDArray[np.int32], target: npt.NDArray[np.int32]) -> torch.Tensor:
    """Shape: (2, edges), int64 as PyG expects."""
    return torch.from_numpy(np.stack([source, target]).astype(np.int64))
