"""PyG's graph store and feature store over Neo4j: edges from disk, vectors of the nodes asked for from the database.

    edges = Neo4jGraphStore(settings, "demo")
    features = Neo4jFeatureStore(edges, "lexical_64")
    sampler = DiskNeighborSampler(edges, num_neighbors=[10, 5])
    loader = LinkLoader((features, edges), sampler, edges.seeds(("user", "interacted", "item")), batch_size=512)

Both can be sent to the worker processes of a loader: each opens the database and maps the files for itself.
"""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from io import UnsupportedOperation
from typing import Any, Never

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import FeatureStore, GraphStore, TensorAttr
from torch_geometric.data.graph_store import EdgeAttr, EdgeLayout

from cikg.errors import InputError, NotFoundError
from cikg.graph.database import Graph, connect
from cikg.graph.pyg.adjacency import Adjacency, EdgeType, read_adjacency
from cikg.graph.statements import Statement, named
from cikg.graph.vectors import dimension, embeddings
from cikg.schema import Label, uid
from cikg.settings import Settings

ROWS = 10_000
"""Vectors a statement: enough for a batch of most trainings, few enough for the memory of a transaction."""

LABELS = {str(label).lower(): label for label in (Label.USER, Label.ITEM, Label.ENTITY, Label.INTENT, Label.INTEREST)}
"""PyG's node types -> labels."""

PROFILED = (Label.USER, Label.ITEM)
"""What a profile describes."""


class DiskGraphStore(GraphStore):  # type: ignore[misc] # PyG carries no types
    """The edges of a folder, memory-mapped and in PyG's CSC layout.

    Args:
        adjacency: the folder.

    Attributes:
        adjacency: as given.
    """

    def __init__(self, adjacency: Adjacency) -> None:
        super().__init__()
        self.adjacency = adjacency

    def get_all_edge_attrs(self) -> list[EdgeAttr]:
        """All edge types, with the numbers of their sources and targets."""
        counts = self.adjacency.counts
        return [
            EdgeAttr(edge_type, EdgeLayout.CSC, size=(counts[edge_type[0]], counts[edge_type[2]]))
            for edge_type in self.adjacency.edge_types
        ]

    def times(self, edge_type: EdgeType) -> Tensor | None:
        """When each edge came about: int64, shape (edges,), ascending for each target; None where nothing says."""
        times = self.adjacency.edges(edge_type).times
        return None if times is None else _tensor(times)

    def seeds(self, edge_type: EdgeType, count: int | None = None, seed: int = 0) -> tuple[EdgeType, Tensor]:
        """Edges to learn from, as a `LinkLoader` takes them: the type, and sources and targets of shape (2, n).

        A loader holds them in memory. Where all edges are too many, take some anew for every epoch.

        Args:
            edge_type: of which edges.
            count: how many, drawn with replacement; without it, each edge once.
            seed: of the draw.

        Raises:
            InputError: there are no such edges.
        """
        if edge_type not in self.adjacency.edge_types:
            raise InputError(
                f"there are no edges {edge_type}", cure=f"Choose one of {sorted(self.adjacency.edge_types)}"
            )
        edges = self.adjacency.edges(edge_type)
        if count is None:
            chosen = np.arange(len(edges.sources))
        else:
            chosen = np.sort(np.random.default_rng(seed).integers(len(edges.sources), size=count))
        target = np.searchsorted(edges.offsets, chosen, side="right") - 1
        return edge_type, torch.from_numpy(np.stack([edges.sources[chosen], target]).astype(np.int64))

    def _get_edge_index(self, edge_attr: EdgeAttr) -> tuple[Tensor, Tensor] | None:
        if edge_attr.layout != EdgeLayout.CSC or edge_attr.edge_type not in self.adjacency.edge_types:
            return None
        edges = self.adjacency.edges(edge_attr.edge_type)
        return _tensor(edges.sources), _tensor(edges.offsets)

    def _put_edge_index(self, edge_index: Any, edge_attr: EdgeAttr) -> Never:
        raise UnsupportedOperation("edges are written by `cikg import` and by jobs")

    def _remove_edge_index(self, edge_attr: EdgeAttr) -> Never:
        raise UnsupportedOperation("edges are not removed through this store")


class Neo4jGraphStore(DiskGraphStore):
    """The edges of a dataset to train on: read from Neo4j when it has changed, then from disk.

    Edge types are called as `Snapshot.to_hetero` calls them, and each is there in the other direction too, as
    `(item, rev_interacted, user)`. Of interactions there are those of the training split alone.

    Args:
        settings: say where Neo4j answers and where files are kept.
        dataset: the dataset's name.
        advance: called with numbers of edges while the graph is read.

    Attributes:
        settings, dataset: as given.

    Raises:
        NotFoundError: there is no such dataset.
        ConflictError: its import is not complete, or it is being written all the time.
    """

    def __init__(
        self, settings: Settings, dataset: str, *, advance: Callable[[int], None] = lambda _count: None
    ) -> None:
        self.settings, self.dataset = settings, dataset
        with connect(settings) as graph:
            super().__init__(read_adjacency(graph, dataset, settings, advance))


class Neo4jFeatureStore(FeatureStore):  # type: ignore[misc] # PyG carries no types
    """Vectors of nodes, read from the database when they are asked for.

    As in `Snapshot.to_hetero`, each kind of nodes that has the embedding has `x`, float32 of shape (n, dimension), with
    zeros for nodes without a vector, and `x_mask`, which says who has one; users and items without vectors of their own
    have those of their profiles. What was read last is kept, up to a number of bytes in each process; a loader's
    workers keep it from one epoch to the next with `persistent_workers=True`.

    Args:
        edges: the graph store, which knows the order of nodes.
        embedding: which one, as `lexical_64`.
        cache_bytes: the most bytes of vectors to keep.

    Raises:
        InputError: this names no embedding.
        NotFoundError: no kind of nodes has it.
    """

    def __init__(self, edges: Neo4jGraphStore, embedding: str, *, cache_bytes: int = 256 * 2**20) -> None:
        super().__init__()
        self.edges, self.embedding = edges, embedding
        self._dimension, self._cache_bytes = dimension(embedding), cache_bytes
        with connect(edges.settings) as graph:
            listed = {label for label, slugs in embeddings(graph, edges.dataset).items() if embedding in slugs}
        self._statements = {
            kind: "vectors_of" if label in listed else "profile_vectors_of"
            for kind, label in LABELS.items()
            if label in listed or (label in PROFILED and Label.PROFILE in listed)
        }
        if not self._statements:
            raise NotFoundError(
                f"the dataset {edges.dataset!r} has no embedding {embedding!r}", cure="Make it with `cikg embed`"
            )
        self._begin()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_graphs", "_rows")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def get_all_tensor_attrs(self) -> list[TensorAttr]:
        """The attributes `x` and `x_mask` of each kind of nodes that has vectors."""
        return [TensorAttr(kind, name) for kind in self._statements for name in ("x", "x_mask")]

    def close(self) -> None:
        """Close this process's connection; it is opened again when it is needed."""
        graph = self._graphs.pop(os.getpid(), None)
        if graph is not None:
            graph.close()

    def _begin(self) -> None:
        self._graphs: dict[int, Graph] = {}  # by process: after a fork, a child opens its own
        self._rows: OrderedDict[tuple[str, int], np.ndarray[Any, Any]] = OrderedDict()
        self._kept = 0

    def _get_tensor_size(self, attr: TensorAttr) -> tuple[int, ...] | None:
        if attr.group_name not in self._statements or attr.attr_name not in ("x", "x_mask"):
            return None
        nodes = self.edges.adjacency.counts[attr.group_name]
        return (nodes, self._dimension) if attr.attr_name == "x" else (nodes,)

    def _get_tensor(self, attr: TensorAttr) -> Tensor | None:
        size = self._get_tensor_size(attr)
        if size is None:
            return None
        index = np.arange(size[0])
        if attr.index is not None:
            index = index[attr.index.numpy() if isinstance(attr.index, Tensor) else attr.index]
        wanted, inverse = np.unique(np.atleast_1d(index), return_inverse=True)
        vectors = self._vectors(attr.group_name, wanted)[inverse]
        return torch.from_numpy(~np.isnan(vectors[:, 0]) if attr.attr_name == "x_mask" else np.nan_to_num(vectors))

    def _vectors(self, kind: str, index: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The vectors of some nodes, each of them once, NaN where there is none; shape (n, dimension)."""
        found = np.full((len(index), self._dimension), np.nan, dtype=np.float32)
        missing = []
        for place, node in enumerate(index.tolist()):
            row = self._rows.get((kind, node))
            if row is None:
                missing.append(place)
            else:
                found[place] = row
                self._rows.move_to_end((kind, node))
        for first in range(0, len(missing), ROWS):
            places = missing[first : first + ROWS]
            for read in self._read(kind, index[places]):
                found[places[read["place"]]] = read["vector"]
        for place in missing:
            self._keep((kind, int(index[place])), found[place].copy())
        return found

    def _read(self, kind: str, index: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
        process = os.getpid()
        if process not in self._graphs:
            self._graphs[process] = connect(self.edges.settings)
        uids = [uid(self.edges.dataset, key) for key in self.edges.adjacency.ids(kind, index)]
        statement = written_for(self._statements[kind], LABELS[kind])
        return self._graphs[process].run(statement, uids=uids, property=f"embedding_{self.embedding}")

    def _keep(self, key: tuple[str, int], row: np.ndarray[Any, Any]) -> None:
        self._rows[key] = row
        self._kept += row.nbytes
        while self._kept > self._cache_bytes:
            _, forgotten = self._rows.popitem(last=False)
            self._kept -= forgotten.nbytes

    def _put_tensor(self, tensor: Any, attr: TensorAttr) -> Never:
        raise UnsupportedOperation("vectors are written by `cikg embed`")

    def _remove_tensor(self, attr: TensorAttr) -> Never:
        raise UnsupportedOperation("vectors are not removed through this store")


def written_for(name: str, label: Label) -> Statement:
    """A statement of stores.cypher for another label than items', for which it is written."""
    statement = named(name)
    return replace(statement, text=statement.text.replace(f"(node:{Label.ITEM} ", f"(node:{label} ", 1))


def _tensor(mapped: np.ndarray[Any, Any]) -> Tensor:
    """A tensor over a mapped file, which nobody may write to; torch cannot mark it so, and warns."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.from_numpy(mapped)
