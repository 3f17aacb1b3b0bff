"""What a method may see of a snapshot: the training data without any test column, and graphs over it.

Nodes of every graph are users, items, entities, interests, in this order, so that all views share embedding rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cikg.errors import ConflictError
from cikg.recommend.data.intents import Intents, intents
from cikg.recommend.data.nodes import Array, NodeSpace, Pairs, pairs, sizes
from cikg.schema import SplitCode

if TYPE_CHECKING:
    from cikg.graph.snapshot import Snapshot

__all__ = [
    "Array",
    "ContrastViews",
    "NodeSpace",
    "Pairs",
    "SymmetricGraph",
    "TrainingData",
    "View",
    "graph_view",
    "pairs",
    "profiles",
    "sizes",
    "training_data",
]


class View(StrEnum):
    """Which edges a graph has."""

    CG = "cg"  # interactions
    CIG = "cig"  # interactions and interests
    CKG = "ckg"  # interactions and item facts
    CIKG = "cikg"  # all of them


@dataclass(frozen=True)
class TrainingData:
    """All that fitting may use. There is no test column: what is not here cannot leak.

    Attributes:
        nodes: the sizes.
        fit: the interactions to fit.
        selection: the interactions to select on (epoch, hyperparameters), or None in a refit.
        head_index: facts, in the space of things; int64, shape (facts,).
        relation_index: the same facts' relations.
        tail_index: the same facts' tails.
        relations: number of relations.
        interest_user_index: who has …; int64, shape (interest edges,).
        interest_index: … which interest.
        item_text: a description of each item.
        user_profile: vectors of what a model wrote about each user, float32, NaN where it wrote nothing; shape
            (users, d), where d is 0 if nothing was embedded.
        item_profile: the same of each item, in the same space; of one without a profile that of its own text.
        intents: who has which intents, with the vectors of their texts.
        warnings: what a report must say about these data.
        interests_proven: whether every interest rests on training items; else interests may know what was held out.
        profiles_proven: the same of profiles.
    """

    nodes: NodeSpace
    fit: Pairs
    selection: Pairs | None
    head_index: Array
    relation_index: Array
    tail_index: Array
    relations: int
    interest_user_index: Array
    interest_index: Array
    item_text: tuple[str, ...]
    user_profile: Array
    item_profile: Array
    intents: Intents
    warnings: tuple[str, ...]
    interests_proven: bool
    profiles_proven: bool

    @property
    def edges(self) -> int:
        """How many undirected edges a graph of all this has, at most."""
        return len(self.fit) + len(self.interest_index) + len(self.head_index)

    @property
    def trusted_user_profile(self) -> Array:
        """Users' profiles as far as they may be read: none while something is selected on what they may know."""
        return self._trusted(self.user_profile)

    @property
    def trusted_user_vectors(self) -> Array:
        """The same of what was written about users, in the space of the intents."""
        return self._trusted(self.intents.user_vectors)

    def _trusted(self, vectors: Array) -> Array:
        return vectors if self.selection is None or self.profiles_proven else np.full_like(vectors, np.nan)


def training_data(snapshot: Snapshot, fit: tuple[SplitCode, ...], selection: SplitCode | None) -> TrainingData:
    """Cut from a snapshot what fitting on some splits and selecting on another may see.

    Raises:
        ConflictError: the snapshot holds what an LLM made of something else than the training split.
    """
    if snapshot.leaks:
        raise ConflictError(
            f"{snapshot.leaks} edges that an LLM made about users of {snapshot.dataset!r} rest on none of their "
            "training interactions: a model trained on them could know what it is tested on",
            cure="Run the jobs that made them again with `cikg extract`; `cikg query leaking_edges` lists them",
        )
    facts, interests = snapshot.facts, snapshot.has_interest
    user_profile, item_profile = profiles(snapshot)
    warnings = []
    proven = bool(np.all(interests.from_evidence))
    if not proven:
        warnings.append(
            "imported interests have no evidence: they may have been inferred from validation items, "
            "so validation figures may flatter methods that use interests"
        )
    if snapshot.imported_profiles:
        warnings.append(
            "imported profiles have no evidence: they may have been written from validation items, "
            "so only the refit uses those of users"
        )
    return TrainingData(
        nodes=sizes(snapshot),
        fit=pairs(snapshot, *fit),
        selection=None if selection is None else pairs(snapshot, selection),
        head_index=np.asarray(facts.head_index, dtype=np.int64),
        relation_index=np.asarray(facts.relation_index, dtype=np.int64),
        tail_index=np.asarray(facts.tail_index, dtype=np.int64),
        relations=len(snapshot.relations),
        interest_user_index=np.asarray(interests.user_index, dtype=np.int64),
        interest_index=np.asarray(interests.interest_index, dtype=np.int64),
        item_text=tuple(snapshot.item_text),
        user_profile=user_profile,
        item_profile=item_profile,
        intents=intents(snapshot),
        warnings=tuple(warnings),
        interests_proven=proven,
        profiles_proven=not snapshot.imported_profiles,
    )


def profiles(snapshot: Snapshot) -> tuple[Array, Array]:
    """Vectors of users' and of items' profiles by one embedding, as `TrainingData` describes them.

    Of several embeddings the one counts that is not lexical, then the longest, then the last by name.
    """
    known = snapshot.embeddings
    described = known.get("item_profiles", [])
    named = [name for name in described if name in known.get("user_profiles", [])] or described or known.get("items")
    if not named:
        return np.empty((snapshot.counts["users"], 0), np.float32), np.empty((snapshot.counts["items"], 0), np.float32)
    length = {name: int(name.rpartition("_")[2]) for name in named}
    name = max(named, key=lambda name: (not name.startswith("lexical_"), length[name], name))
    users, items = (np.full((snapshot.counts[kind], length[name]), np.nan, np.float32) for kind in ("users", "items"))
    for vectors, kind in ((users, "user_profiles"), (items, "items"), (items, "item_profiles")):
        if name in known.get(kind, []):
            found = snapshot.embedding(kind, name)
            np.copyto(vectors, found, where=~np.isnan(found))
    return users, items


@dataclass(frozen=True)
class SymmetricGraph:
    """A symmetric adjacency matrix, normalised as D^-1/2 A D^-1/2, in compressed rows.

    Attributes:
        offsets: where each row begins; int32, shape (N + 1,). (int64 past 2³¹ edges, like the next.)
        neighbours: column of each entry; int32, shape (E,).
        weights: its value; float32, shape (E,).
        rows: row of each entry, like `neighbours`.
        mirror: number of the undirected edge that each entry belongs to, so that both directions drop together.
        undirected: how many undirected edges there are, self-loops included.
    """

    offsets: Tensor
    neighbours: Tensor
    weights: Tensor
    rows: Tensor
    mirror: Tensor
    undirected: int

    @property
    def nodes(self) -> int:
        """Rows of the matrix."""
        return len(self.offsets) - 1

    @property
    def edges(self) -> int:
        """Entries of the matrix: each undirected edge twice, a self-loop once."""
        return len(self.neighbours)

    def to(self, device: torch.device) -> SymmetricGraph:
        """The same graph on `device`."""
        return SymmetricGraph(
            offsets=self.offsets.to(device),
            neighbours=self.neighbours.to(device),
            weights=self.weights.to(device),
            rows=self.rows.to(device),
            mirror=self.mirror.to(device),
            undirected=self.undirected,
        )

    @classmethod
    def of(cls, nodes: int, source: Array, target: Array, *, self_loops: bool | Array = False) -> SymmetricGraph:
        """Build from undirected edges, given in either direction and any number of times.

        Args:
            nodes: N.
            source: one end of each edge; shape (edges,).
            target: the other end.
            self_loops: give every node one, or the nodes that are listed, each once; those in the input are dropped
                in any case.
        """
        low, high = np.minimum(source, target).astype(np.int64), np.maximum(source, target).astype(np.int64)
        keys = np.unique((low * nodes + high)[low != high])
        low, high, number = keys // nodes, keys % nodes, np.arange(len(keys))
        loops = np.arange(nodes if self_loops else 0) if isinstance(self_loops, bool) else self_loops
        rows = np.concatenate([low, high, loops])
        columns = np.concatenate([high, low, loops])
        mirror = np.concatenate([number, number, len(keys) + np.arange(len(loops))])
        order = np.lexsort((columns, rows))
        rows, columns, mirror = rows[order], columns[order], mirror[order]
        degree = np.bincount(rows, minlength=nodes)
        scale = np.zeros(nodes, dtype=np.float32)
        scale[degree > 0] = degree[degree > 0] ** -0.5
        kind = torch.int32 if len(rows) < 2**31 else torch.int64
        return cls(
            offsets=torch.from_numpy(np.concatenate([[0], np.cumsum(degree)])).to(kind),
            neighbours=torch.from_numpy(columns).to(kind),
            weights=torch.from_numpy(scale[rows] * scale[columns]),
            rows=torch.from_numpy(rows).to(kind),
            mirror=torch.from_numpy(mirror).to(kind),
            undirected=len(keys) + len(loops),
        )


def graph_view(data: TrainingData, view: View, *, self_loops: bool = False) -> SymmetricGraph:
    """The graph of one view over the fitted interactions. A pure function: views never share or extend arrays.

    Kinds at the end of the node order that the view does not have are left out, so its rows are the first
    `SymmetricGraph.nodes` rows of an embedding table.
    """
    nodes = data.nodes
    rows = {View.CG: nodes.users + nodes.items, View.CKG: nodes.first_interest}.get(view, nodes.total)
    ends = [_interactions(data)]
    if view in (View.CIG, View.CIKG):
        ends.append(_interests(data))
    if view in (View.CKG, View.CIKG):
        ends.append(_facts(data))
    sources, targets = zip(*ends, strict=True)
    return SymmetricGraph.of(rows, np.concatenate(sources), np.concatenate(targets), self_loops=self_loops)


@dataclass(frozen=True)
class ContrastViews:
    """The three graphs that CIKGRec contrasts (eq. 8). A pure function made each: none shares an array with another.

    Attributes:
        plain: interactions alone.
        with_interests: interactions and interests; None where there are none.
        with_facts: interactions and facts; None where there are none.
    """

    plain: SymmetricGraph
    with_interests: SymmetricGraph | None
    with_facts: SymmetricGraph | None

    def only(self, *, interests: bool, facts: bool) -> ContrastViews:
        """Leave out what is not asked for."""
        return ContrastViews(self.plain, self.with_interests if interests else None, self.with_facts if facts else None)

    def to(self, device: torch.device) -> ContrastViews:
        """The same graphs on `device`."""
        moved = (graph and graph.to(device) for graph in (self.with_interests, self.with_facts))
        return ContrastViews(self.plain.to(device), *moved)

    @classmethod
    def of_paper(cls, data: TrainingData) -> ContrastViews:
        """As the paper defines them."""
        return cls(
            graph_view(data, View.CG),
            graph_view(data, View.CIG) if len(data.interest_index) else None,
            graph_view(data, View.CKG) if len(data.head_index) else None,
        )

    @classmethod
    def of_reference(cls, data: TrainingData, whole: View) -> ContrastViews:
        """As the published code makes them: its lists of edges alias each other, and sources are taken for targets.

        So its plain view is the whole graph, and in the other two each interaction is a self-loop of both its ends.

        Args:
            data: what the edges are.
            whole: the graph that recommends; the paper's is the CIKG.
        """
        loops = np.unique(np.concatenate(_interactions(data)))
        total = data.nodes.total
        return cls(
            graph_view(data, whole),
            SymmetricGraph.of(total, *_interests(data), self_loops=loops) if len(data.interest_index) else None,
            SymmetricGraph.of(total, *_facts(data), self_loops=loops) if len(data.head_index) else None,
        )


def _interactions(data: TrainingData) -> tuple[Array, Array]:
    return data.fit.user_index, data.fit.item_index + data.nodes.first_item


def _interests(data: TrainingData) -> tuple[Array, Array]:
    return data.interest_user_index, data.interest_index + data.nodes.first_interest


def _facts(data: TrainingData) -> tuple[Array, Array]:
    return data.head_index + data.nodes.first_item, data.tail_index + data.nodes.first_item
