"""LightGCN on sampled neighbourhoods, through PyG's `LinkLoader`: for graphs that no step can propagate over whole.

A step touches the seeds of its batch and what is drawn around them, hop by hop. An edge that is drawn weighs as much
more as its target has neighbours that are not: so a layer is right on average, and exact where all are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from cikg.graph.pyg import DiskNeighborSampler  # first: it imports PyG without its warnings

# isort: split
from torch_geometric.data import GraphStore, HeteroData
from torch_geometric.data.graph_store import EdgeAttr, EdgeLayout
from torch_geometric.loader import LinkLoader

from cikg.recommend.data.views import SymmetricGraph

LINK = ("node", "to", "node")


class _Edges(GraphStore):  # type: ignore[misc] # PyG carries no types
    """A symmetric graph as PyG's store of edges: its rows are its columns, so nothing is copied."""

    def __init__(self, graph: SymmetricGraph) -> None:
        super().__init__()
        self._graph = graph

    def get_all_edge_attrs(self) -> list[EdgeAttr]:
        return [EdgeAttr(LINK, EdgeLayout.CSC, size=(self._graph.nodes, self._graph.nodes))]

    def csc(self, *_: Any) -> tuple[dict[Any, Tensor], dict[Any, Tensor], dict[Any, None]]:
        return {LINK: self._graph.neighbours}, {LINK: self._graph.offsets}, {LINK: None}

    def _put_edge_index(self, *_: Any) -> bool:
        raise NotImplementedError

    def _get_edge_index(self, *_: Any) -> Any:
        raise NotImplementedError

    def _remove_edge_index(self, *_: Any) -> bool:
        raise NotImplementedError


@dataclass(frozen=True)
class Neighbourhood:
    """What was drawn around the pairs of a batch.

    Attributes:
        nodes: rows of the whole graph, int64, shape (n,).
        ends: the pairs, as places in `nodes`; int64, shape (2, pairs).
        source, target: the edges drawn, as places in `nodes`; int64, shape (edges,).
        weights: of the edges; float32, shape (edges, 1).
    """

    nodes: Tensor
    ends: Tensor
    source: Tensor
    target: Tensor
    weights: Tensor

    def encode(self, embeddings: Tensor, layers: int) -> Tensor:
        """The mean of `layers` + 1 layers: right at the ends of the pairs; shape (n, d).

        Args:
            embeddings: of `nodes`, shape (n, d).
            layers: as many as hops were drawn.
        """
        layer, total = embeddings, embeddings
        for _ in range(layers):
            messages = self.weights * F.embedding(self.source, layer)
            layer = torch.zeros_like(embeddings).index_add(0, self.target, messages)
            total = total + layer
        return total / (layers + 1)


class Neighbourhoods:
    """Draws around batches of pairs. What is drawn depends on the seed, the epoch and the batch alone.

    Args:
        graph: in the main memory.
        fan_out: how many neighbours of a node to draw at each hop; -1 for all.
        device: where the neighbourhoods are used.
        seed: of the draws.
    """

    def __init__(self, graph: SymmetricGraph, fan_out: Sequence[int], device: torch.device, seed: int = 0) -> None:
        self._edges, self._device = _Edges(graph), device
        self._sampler = DiskNeighborSampler(self._edges, {LINK: list(fan_out)}, seed=seed)
        self._degrees = graph.offsets.diff().float()

    def around(self, batches: Sequence[Tensor], epoch: int) -> Iterator[Neighbourhood]:
        """Yield the neighbourhood of each batch.

        Args:
            batches: pairs of rows of the graph, each int64, shape (2, pairs).
            epoch: other epochs have other draws.
        """
        self._sampler.epoch = epoch
        ends = np.cumsum([0, *(batch.shape[1] for batch in batches)]).tolist()
        loader = LinkLoader(
            (HeteroData(), self._edges),
            self._sampler,
            (LINK, torch.cat(list(batches), dim=1).cpu()),
            batch_sampler=[range(begin, end) for begin, end in pairwise(ends)],
        )
        for found in loader:
            nodes, (source, target) = found["node"].n_id, found[LINK].edge_index
            degrees = self._degrees[nodes]
            drawn = torch.bincount(target, minlength=len(nodes)).clamp_min(1)
            # 1/√(dᵢdⱼ), times dᵢ over the number of i's neighbours that were drawn
            weights = (degrees[target] / degrees[source]).sqrt() / drawn[target]
            parts = nodes, found[LINK].edge_label_index, source, target, weights[:, None]
            yield Neighbourhood(*(part.to(self._device) for part in parts))
