"""A snapshot as PyTorch Geometric's heterogeneous graph."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from cikg.errors import NotFoundError
from cikg.schema import SplitCode

with warnings.catch_warnings():  # PyG still scripts modules when it is imported, which torch warns about
    warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning)
    from torch_geometric.data import HeteroData

if TYPE_CHECKING:
    import numpy.typing as npt

    from cikg.graph.snapshot import Snapshot

NODES = {"user": "users", "item": "items", "entity": "entities", "intent": "intents", "interest": "interests"}
"""Node types, and what a snapshot calls them."""

INTERACTED = ("user", "interacted", "item")


def to_hetero(snapshot: Snapshot, embedding: str | None = None) -> HeteroData:
    """Build the heterogeneous graph of a snapshot.

    Node types are those of `NODES`. With an embedding, each kind that has it gets `x`, float32 of shape
    (nodes, dimension), with zeros for nodes without a vector, and `x_mask`, which says who has one. Users and items
    without vectors of their own get those of their profiles.

    Edge types, each with an `edge_index` of shape (2, edges):

    - `(user, interacted, item)` with `train_mask`, `val_mask` and `test_mask`, and `rating` and `time`;
    - `(user, has_interest, interest)` with `from_evidence`;
    - `(user, possesses, intent)` and `(item, satisfies, intent)` with `round`; `(intent, member_of, interest)`;
    - one for every relation and kinds of its two ends: `(item, literary_genre, entity)`.

    Args:
        snapshot: the snapshot.
        embedding: which one becomes `x`, as `lexical_64`.

    Raises:
        NotFoundError: no kind has this embedding; says which there are.
    """
    data = HeteroData()
    for kind, nodes in NODES.items():
        data[kind].num_nodes = snapshot.counts[nodes]
    if embedding is not None:
        _add_features(data, snapshot, embedding)
    _add_interactions(data, snapshot)
    has = snapshot.has_interest
    edge = data["user", "has_interest", "interest"]
    edge.edge_index = _edge_index(has.user_index, has.interest_index)
    edge.from_evidence = _tensor(has.from_evidence)
    possesses, satisfies, member_of = snapshot.possesses, snapshot.satisfies, snapshot.member_of
    data["user", "possesses", "intent"].edge_index = _edge_index(possesses.user_index, possesses.intent_index)
    data["user", "possesses", "intent"].round = _tensor(possesses.round)
    data["item", "satisfies", "intent"].edge_index = _edge_index(satisfies.item_index, satisfies.intent_index)
    data["item", "satisfies", "intent"].round = _tensor(satisfies.round)
    data["intent", "member_of", "interest"].edge_index = _edge_index(member_of.intent_index, member_of.interest_index)
    _add_facts(data, snapshot)
    return data


class LinkSplits(NamedTuple):
    """Graphs to train, select and test on, in the manner of PyG's `RandomLinkSplit`.

    Attributes:
        train: messages pass over train; the labels are train's.
        valid: messages pass over train; the labels are valid's.
        test: messages pass over train and valid; the labels are test's.
    """

    train: HeteroData
    valid: HeteroData
    test: HeteroData


def to_link_splits(snapshot: Snapshot, embedding: str | None = None) -> LinkSplits:
    """Build the graphs of link prediction: interactions of later splits are in no `edge_index`, and so pass no message.

    `(user, interacted, item)` has `edge_index`, `rating` and `time` of the splits that messages pass over,
    `edge_label_index` of shape (2, labels) and `edge_label`, ones of shape (labels,). All else is as `to_hetero` makes
    it, and shared between the three.

    Args:
        snapshot: the snapshot.
        embedding: see `to_hetero`, as for what it raises.
    """
    whole = to_hetero(snapshot, embedding)
    edge = whole[INTERACTED]
    split = _tensor(snapshot.interactions.split)

    def cut(known: tuple[SplitCode, ...], wanted: SplitCode) -> HeteroData:
        data = copy.copy(whole)
        part = data[INTERACTED]
        chosen = torch.isin(split, torch.tensor(known, dtype=split.dtype))
        part.edge_index, part.rating, part.time = edge.edge_index[:, chosen], edge.rating[chosen], edge.time[chosen]
        part.edge_label_index = edge.edge_index[:, split == wanted]
        part.edge_label = torch.ones(part.edge_label_index.size(1))
        del part.train_mask, part.val_mask, part.test_mask
        return data

    return LinkSplits(
        train=cut((SplitCode.TRAIN,), SplitCode.TRAIN),
        valid=cut((SplitCode.TRAIN,), SplitCode.VALID),
        test=cut((SplitCode.TRAIN, SplitCode.VALID), SplitCode.TEST),
    )


def _add_features(data: HeteroData, snapshot: Snapshot, embedding: str) -> None:
    found = False
    for kind, nodes in NODES.items():
        for source in (nodes, f"{kind}_profiles"):
            if embedding in snapshot.embeddings.get(source, []):
                vectors = _tensor(snapshot.embedding(source, embedding))
                data[kind].x_mask = ~vectors.isnan().any(dim=1)
                data[kind].x = vectors.nan_to_num_(nan=0.0)
                found = True
                break
    if not found:
        listed = ", ".join(sorted({name for names in snapshot.embeddings.values() for name in names}))
        raise NotFoundError(
            f"the snapshot {snapshot.hash[:16]} has no embedding {embedding!r}",
            cure=f"It has {listed}" if listed else "Make some with `cikg embed`, then take a snapshot again",
        )


def _add_interactions(data: HeteroData, snapshot: Snapshot) -> None:
    interactions = snapshot.interactions
    edge = data[INTERACTED]
    edge.edge_index = _edge_index(interactions.user_index, interactions.item_index)
    split = _tensor(interactions.split)
    edge.train_mask, edge.val_mask, edge.test_mask = (split == code for code in SplitCode)
    edge.rating, edge.time = _tensor(interactions.rating), _tensor(interactions.at)


def _add_facts(data: HeteroData, snapshot: Snapshot) -> None:
    """Things are numbered items first, then entities: each kind's own index begins at 0 again."""
    items = snapshot.counts["items"]
    head, relation, tail = (
        np.asarray(column)
        for column in (snapshot.facts.head_index, snapshot.facts.relation_index, snapshot.facts.tail_index)
    )
    group = relation.astype(np.int64) * 4 + (head >= items) * 2 + (tail >= items)
    order = np.argsort(group, kind="stable")
    groups, starts = np.unique(group[order], return_index=True)
    for number, chosen in zip(groups.tolist(), np.split(order, starts[1:]), strict=False):
        name = snapshot.relations[number // 4].lower()
        first, last = number // 2 % 2, number % 2
        edge = data[("item", "entity")[first], name, ("item", "entity")[last]]
        edge.edge_index = _edge_index(head[chosen] - items * first, tail[chosen] - items * last)


def _tensor(column: npt.NDArray[np.generic]) -> torch.Tensor:
    """A copy: a column on disk is read-only, and torch knows no such thing."""
    return torch.from_numpy(np.array(column))


def _edge_index(source: npt.NDArray[np.int32], target: npt.NDArray[np.int32]) -> torch.Tensor:
    """Shape: (2, edges), int64 as PyG expects."""
    return torch.from_numpy(np.stack([source, target]).astype(np.int64))
