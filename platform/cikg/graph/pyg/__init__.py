"""PyG's loaders on a graph that does not fit in memory: stores over Neo4j, and a sampler."""

import warnings

with warnings.catch_warnings():  # PyG still scripts modules when it is imported, which torch warns about
    warnings.filterwarnings("ignore", message=".*torch.jit.script", category=FutureWarning)
    import torch_geometric.loader  # noqa: F401

from cikg.graph.pyg.adjacency import Adjacency
from cikg.graph.pyg.sampler import DiskNeighborSampler
from cikg.graph.pyg.stores import DiskGraphStore, Neo4jFeatureStore, Neo4jGraphStore

__all__ = ["Adjacency", "DiskGraphStore", "DiskNeighborSampler", "Neo4jFeatureStore", "Neo4jGraphStore"]
