"""Neighbourhoods for PyG's loaders, sampled in numpy: no compiled extension, and no edge in memory that is not drawn.

Sampling goes from a batch's nodes against the direction of edges, hop by hop, as PyG's own `NeighborSampler` does. All
of a hop's draws of one edge type are made at once, and what they cost depends on their number, not on degrees.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import GraphStore, HeteroData
from torch_geometric.sampler import (
    BaseSampler,
    EdgeSamplerInput,
    HeteroSamplerOutput,
    NegativeSampling,
    NodeSamplerInput,
)
from torch_geometric.sampler.base import NumNeighbors
from torch_geometric.sampler.neighbor_sampler import edge_sample, node_sample

from cikg.errors import InputError
from cikg.graph.pyg.neighbourhood import Array, Edges, Found

EdgeType = tuple[str, str, str]


class DiskNeighborSampler(BaseSampler):  # type: ignore[misc] # PyG carries no types
    """Samples neighbourhoods of nodes (`NodeLoader`) and of edges (`LinkLoader`) in a heterogeneous graph.

    Where seeds come with times (`input_time`, `edge_label_time`), each has a neighbourhood of its own in which no edge
    is later than the seed. Edges of types that have no times are followed as they are, and one whose time is unknown
    counts as old.

    What is drawn depends on the seed, the epoch and the batch alone: not on how many workers a loader has, nor on what
    was drawn before. A loader that shuffles has other batches in every epoch; for one that does not, set `epoch` before
    it is iterated to have other draws.

    Args:
        store: the edges: a `Neo4jGraphStore`, whose files stay on disk; a `HeteroData`, whose edges may have `time`; or
            another graph store of PyG that knows the sizes of its edge types.
        num_neighbors: how many neighbours to draw for a node at each hop, -1 for all: a list for every edge type, or a
            list by edge type. An edge type with zeros is not followed.
        replace: draw with replacement.
        disjoint: give each seed a neighbourhood of its own; `batch` then says whose a node is.
        seed: of all draws, those of negative examples too.

    Attributes:
        epoch: number of the epoch; set it to draw differently from the same batches.

    Raises:
        ValueError: the numbers of neighbours are not complete, or of edge types that there are not.
    """

    def __init__(
        self,
        store: GraphStore,
        num_neighbors: Sequence[int] | Mapping[EdgeType, Sequence[int]] | NumNeighbors,
        *,
        replace: bool = False,
        disjoint: bool = False,
        seed: int = 0,
    ) -> None:
        self.replace, self.disjoint, self.seed, self.epoch = replace, disjoint, seed, 0
        self._store = store
        self._map()
        fan_outs = num_neighbors if isinstance(num_neighbors, NumNeighbors) else NumNeighbors(num_neighbors)
        self._fan_outs: dict[EdgeType, list[int]] = fan_outs.get_values(list(self._edges))
        self._hops: int = fan_outs.num_hops

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_edges"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()

    def _map(self) -> None:
        sorted_edges = _of_data if isinstance(self._store, HeteroData) else _of_store
        self._sizes, self._edges = sorted_edges(self._store)

    @property
    def edge_permutation(self) -> dict[EdgeType, Tensor | None]:
        """The place of each sampled edge number in the store's own order; None where both are the same."""
        return {
            edge_type: None if edges.numbers is None else torch.from_numpy(edges.numbers)
            for edge_type, edges in self._edges.items()
        }

    def sample_from_nodes(self, index: NodeSamplerInput, **_options: Any) -> HeteroSamplerOutput:
        """Sample the neighbourhoods of nodes.

        Raises:
            InputError: no edges touch nodes of the seeds' type, or seeds have times and edges have not.
        """
        self._check(index)
        return node_sample(index, self._sample)

    def sample_from_edges(
        self, index: EdgeSamplerInput, neg_sampling: NegativeSampling | None = None
    ) -> HeteroSamplerOutput:
        """Sample the neighbourhoods of both ends of edges, and of the ends of negative examples.

        Negative examples are drawn as PyG draws them: by chance some of them are edges.

        Raises:
            InputError: no edges touch nodes of the seeds' type, or seeds have times and edges have not.
        """
        self._check(index)
        disjoint = self.disjoint or index.time is not None
        random = self._random({"source": index.row, "target": index.col})
        with _torch_seeded(int(random.integers(2**63))):
            return edge_sample(index, self._sample, self._sizes, disjoint, neg_sampling=neg_sampling)

    def _check(self, seeds: NodeSamplerInput | EdgeSamplerInput) -> None:
        named = seeds.input_type
        kinds = {named} if named is None or isinstance(named, str) else {named[0], named[-1]}
        if not kinds <= set(self._sizes):
            raise InputError(f"no edges touch nodes of the type {named!r}", cure=f"Choose one of {sorted(self._sizes)}")
        if seeds.time is not None and all(edges.times is None for edges in self._edges.values()):
            raise InputError("the seeds have times, but no edge of the graph has one", cure="Leave out the times")

    def _random(self, seeds: Mapping[str, Tensor]) -> np.random.Generator:
        digest = hashlib.blake2b(digest_size=16)
        for kind, nodes in seeds.items():
            digest.update(f"{kind}:{len(nodes)}:".encode())
            digest.update(nodes.numpy().tobytes())
        return np.random.default_rng([self.seed, self.epoch, int.from_bytes(digest.digest())])

    def _sample(
        self, seeds: Mapping[str, Tensor], seed_times: Mapping[str, Tensor] | None = None
    ) -> HeteroSamplerOutput:
        """Sample from nodes by kind, each of shape (n,), and their times, if they have any."""
        random = self._random(seeds)
        disjoint = self.disjoint or seed_times is not None
        found, until = self._begin(seeds, disjoint), None
        if seed_times is not None:
            until = np.concatenate([seed_times[kind].numpy() for kind in seeds])
        drawn: dict[EdgeType, list[_Drawn]] = {edge_type: [] for edge_type in self._edges}
        for hop in range(self._hops):
            frontiers = {kind: nodes.frontier() for kind, nodes in found.items()}
            for edge_type, edges in self._edges.items():
                frontier, count = frontiers[edge_type[2]], self._fan_outs[edge_type][hop]
                owner, edge = edges.draw(frontier, count, self.replace, until, random)
                trees = None if frontier.trees is None else frontier.trees[owner]
                source = found[edge_type[0]].number(edges.sources[edge].astype(np.int64), trees)
                drawn[edge_type].append(_Drawn(source, frontier.first + owner, edge))
        return _output(found, drawn, disjoint)

    def _begin(self, seeds: Mapping[str, Tensor], disjoint: bool) -> dict[str, Found]:
        """The seeds as what was found, trees numbered in their order."""
        trees = np.split(np.arange(sum(map(len, seeds.values()))), np.cumsum([len(nodes) for nodes in seeds.values()]))
        numbered = dict(zip(seeds, trees, strict=False))  # the last part is empty
        nothing = np.empty(0, np.int64)
        return {
            kind: Found(
                size,
                seeds[kind].numpy() if kind in seeds else nothing,
                numbered.get(kind, nothing) if disjoint else None,
            )
            for kind, size in self._sizes.items()
        }


@dataclass(frozen=True)
class _Drawn:
    """Edges of one type that one hop drew: ends by local index, and numbers. Shape of each: (edges,)."""

    source: Array
    target: Array
    edge: Array


def _output(
    found: Mapping[str, Found], drawn: Mapping[EdgeType, Sequence[_Drawn]], disjoint: bool
) -> HeteroSamplerOutput:
    for nodes in found.values():
        nodes.frontier()  # closes the last hop
    return HeteroSamplerOutput(
        node={kind: torch.from_numpy(nodes.nodes) for kind, nodes in found.items()},
        row={edge_type: _joined([hop.source for hop in hops]) for edge_type, hops in drawn.items()},
        col={edge_type: _joined([hop.target for hop in hops]) for edge_type, hops in drawn.items()},
        edge={edge_type: _joined([hop.edge for hop in hops]) for edge_type, hops in drawn.items()},
        batch={kind: torch.from_numpy(nodes.trees) for kind, nodes in found.items()} if disjoint else None,
        num_sampled_nodes={kind: nodes.hops for kind, nodes in found.items()},
        num_sampled_edges={edge_type: [len(hop.edge) for hop in hops] for edge_type, hops in drawn.items()},
    )


def _joined(parts: Sequence[Array]) -> Tensor:
    return torch.from_numpy(np.concatenate([np.empty(0, np.int64), *parts]))


@contextmanager
def _torch_seeded(seed: int) -> Iterator[None]:
    """Let torch draw from a seed, as PyG's negative examples do, and go on afterwards as if it had not."""
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)


def _of_store(store: GraphStore) -> tuple[dict[str, int], dict[EdgeType, Edges]]:
    """Sizes by kind and edges by type of a graph store, without a copy where it has them by target."""
    sizes: dict[str, int] = {}
    for attr in store.get_all_edge_attrs():
        sizes[attr.edge_type[0]], sizes[attr.edge_type[2]] = attr.size
    sources, offsets, numbers = store.csc()
    times = getattr(store, "times", lambda _edge_type: None)

    def array(tensor: Tensor | None) -> Array | None:
        return None if tensor is None else tensor.numpy()

    return sizes, {
        edge_type: Edges(offsets[edge_type].numpy(), row.numpy(), array(times(edge_type)), array(numbers[edge_type]))
        for edge_type, row in sources.items()
    }


def _of_data(data: HeteroData) -> tuple[dict[str, int], dict[EdgeType, Edges]]:
    """Sizes by kind and edges by type of a graph in memory."""
    sizes = {kind: int(data[kind].num_nodes) for kind in data.node_types}
    found = {}
    for edge_type in data.edge_types:
        source, target = data[edge_type].edge_index.numpy()
        times = data[edge_type].time.numpy() if "time" in data[edge_type] else None
        numbers = np.lexsort((source, target) if times is None else (source, times, target))
        offsets = np.searchsorted(target[numbers], np.arange(sizes[edge_type[2]] + 1))
        found[edge_type] = Edges(offsets, source[numbers], None if times is None else times[numbers], numbers)
    return sizes, found
