"""PyG's own loaders train a small network on a graph in Neo4j, and it finds what was planted."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkLoader, NodeLoader
from torch_geometric.nn import HeteroConv, SAGEConv
from torch_geometric.sampler import NegativeSampling

from cikg.graph import Graph
from cikg.graph.pyg import DiskNeighborSampler, Neo4jFeatureStore, Neo4jGraphStore
from cikg.graph.vectors import ensure_index
from cikg.schema import Label
from cikg.settings import Settings

TASTES, READERS, BOOKS, READ = 4, 20, 12, 6
"""Tastes; readers and books of each; books of their taste that a reader has read. All have read the bestsellers."""

BESTSELLERS, WIDTH = 4, 16
INTERACTED = ("user", "interacted", "item")


def plant(graph: Graph, dataset: str) -> None:
    """Readers of four tastes: one book of their taste is in test; vectors of books say nothing of it."""
    random = np.random.default_rng(0)
    books = [*(f"{taste}-{book}" for taste in range(TASTES) for book in range(BOOKS)), *map(str, range(BESTSELLERS))]
    read = []
    for user in range(TASTES * READERS):
        own = [f"{user % TASTES}-{book}" for book in random.permutation(BOOKS)[: READ + 1]]
        read += [[str(user), own[0], "test"], *([str(user), book, "train"] for book in own[1:])]
        read += [[str(user), str(book), "train"] for book in range(BESTSELLERS)]
    ensure_index(graph, Label.ITEM, "tiny_4")
    graph.execute(
        """
        CREATE (:Dataset {uid: $d, id: $d, dataset: $d, state: 'ready', field: 'books', version: 1,
                          embeddings: ['Item/tiny_4']})
        WITH 1 AS one
        CALL () { UNWIND $users AS id CREATE (:User {uid: $d + ':' + id, id: id, dataset: $d}) }
        CALL () { UNWIND $books AS row
          CREATE (:Item {uid: $d + ':' + row[0], id: row[0], dataset: $d, embedding_tiny_4: row[1]}) }
        WITH one UNWIND $read AS row
        MATCH (u:User {uid: $d + ':' + row[0]}), (i:Item {uid: $d + ':' + row[1]})
        CREATE (u)-[:INTERACTED {split: row[2]}]->(i)
        """,
        d=dataset,
        users=[str(user) for user in range(TASTES * READERS)],
        books=[[book, random.normal(size=4).tolist()] for book in books],
        read=read,
    )


@pytest.fixture
def edges(graph: Graph, settings: Settings, dataset: str, tmp_path: Path) -> Neo4jGraphStore:
    plant(graph, dataset)
    return Neo4jGraphStore(settings.model_copy(update={"home": tmp_path}), dataset)


@pytest.fixture
def features(edges: Neo4jGraphStore) -> Iterator[Neo4jFeatureStore]:
    with closing(Neo4jFeatureStore(edges, "tiny_4")) as store:
        yield store


class Network(nn.Module):
    """Two layers of messages between readers and books; a pair's score is the product of their vectors."""

    def __init__(self, users: int, edge_types: list[Any]) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(users, WIDTH), nn.Linear(4, WIDTH)
        self.layers = nn.ModuleList(
            HeteroConv({edge_type: SAGEConv((WIDTH, WIDTH), WIDTH) for edge_type in edge_types}) for _ in range(2)
        )

    def forward(self, batch: HeteroData) -> dict[str, Tensor]:
        nodes = {"user": self.users(batch["user"].n_id), "item": self.items(batch["item"].x)}
        for number, layer in enumerate(self.layers):
            nodes = layer(nodes, batch.edge_index_dict)
            if not number:
                nodes = {kind: vectors.relu() for kind, vectors in nodes.items()}
        return nodes


def train(network: Network, loader: LinkLoader, epochs: int) -> list[float]:
    """Tell edges from other pairs; return the mean loss of each epoch."""
    optimizer, losses = torch.optim.Adam(network.parameters(), lr=0.02), []
    for _ in range(epochs):
        spent = []
        for batch in loader:
            nodes, labelled = network(batch), batch[INTERACTED]
            user, item = labelled.edge_label_index
            scores = (nodes["user"][user] * nodes["item"][item]).sum(dim=1)
            loss = nn.functional.binary_cross_entropy_with_logits(scores, labelled.edge_label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            spent.append(float(loss.detach()))
        losses.append(float(np.mean(spent)))
    return losses


@torch.no_grad()
def represented(network: Network, features: Neo4jFeatureStore, edges: Neo4jGraphStore, kind: str) -> Tensor:
    """Every node of a kind, each from all of its neighbourhood."""
    loader = NodeLoader((features, edges), DiskNeighborSampler(edges, [-1, -1]), kind, batch_size=32)
    return torch.cat([network(batch)[kind][: batch[kind].batch_size] for batch in loader])


def hits(scores: Tensor, edges: Neo4jGraphStore, graph: Graph, dataset: str, k: int) -> float:
    """The share of readers who have their test book among the k best that they have not read."""
    _, (users, items) = edges.seeds(INTERACTED)
    scores[users, items] = -torch.inf
    best = scores.topk(k).indices.tolist()
    ids = edges.adjacency.ids("item", np.arange(scores.size(1)))
    rows = graph.execute(
        "MATCH (u:User {dataset: $d})-[:INTERACTED {split: 'test'}]->(i:Item) RETURN u.id AS user, i.id AS item",
        d=dataset,
    )
    wanted = {row["user"]: row["item"] for row in rows}
    users_ids = edges.adjacency.ids("user", np.arange(len(best)))
    return float(np.mean([wanted[user] in [ids[item] for item in best[place]] for place, user in enumerate(users_ids)]))


def test_a_network_finds_what_was_planted(
    edges: Neo4jGraphStore, features: Neo4jFeatureStore, graph: Graph, dataset: str
) -> None:
    torch.manual_seed(0)
    loader = LinkLoader(
        (features, edges),
        DiskNeighborSampler(edges, [8, 4]),
        edges.seeds(INTERACTED),
        neg_sampling=NegativeSampling("binary", 2),
        batch_size=128,
        shuffle=True,
    )
    network = Network(TASTES * READERS, list(edges.adjacency.edge_types))
    losses = train(network, loader, epochs=12)
    assert losses[-1] < 0.7 * losses[0], losses

    learned = represented(network, features, edges, "user") @ represented(network, features, edges, "item").T
    popular = torch.bincount(edges.seeds(INTERACTED)[1][1], minlength=learned.size(1)).float().repeat(len(learned), 1)
    ours, theirs = (hits(scores, edges, graph, dataset, k=6) for scores in (learned, popular))
    # Six books of a taste are left to each reader, so one that knows the tastes alone hits always, and chance 6 in 46.
    assert ours > 0.8
    assert theirs < 0.4


def batches(
    stores: tuple[Neo4jFeatureStore, Neo4jGraphStore], sampler: DiskNeighborSampler, **options: Any
) -> list[tuple[list[int], list[list[float]]]]:
    """The readers of each batch, and the vectors of its books."""
    loader = LinkLoader(stores, sampler, stores[1].seeds(INTERACTED, count=40), batch_size=20, **options)
    return [(batch["user"].n_id.tolist(), batch["item"].x.tolist()) for batch in loader]


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # as a person's own workers are made
def test_a_worker_opens_the_database_for_itself(edges: Neo4jGraphStore, features: Neo4jFeatureStore) -> None:
    """It gets what the loader itself gets, though its stores had been opened before it was forked."""
    sampler = DiskNeighborSampler(edges, [3])
    features.get_tensor("item", "x", torch.tensor([0]))
    forked = batches((features, edges), sampler, num_workers=1, multiprocessing_context="fork")
    assert forked == batches((features, edges), sampler), "and the connection of this process still answers"


def test_what_is_sent_to_a_process_is_small(edges: Neo4jGraphStore, features: Neo4jFeatureStore) -> None:
    """A spawned worker gets the path of the edges, not the edges; and no connection."""
    sampler = DiskNeighborSampler(edges, [3])
    expected = batches((features, edges), sampler)
    content = pickle.dumps((features, edges, sampler))
    assert len(content) < 10_000
    sent, *rest = pickle.loads(content)
    with closing(sent):
        assert batches((sent, rest[0]), rest[1]) == expected


def test_the_example_of_the_documentation_runs(
    edges: Neo4jGraphStore, environment: dict[str, str], dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[4] / "docs" / "loaders.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for name, value in (environment | {"CIKG_HOME": str(edges.settings.home)}).items():
        monkeypatch.setenv(name, value)
    shown: dict[str, Any] = {}
    exec(example.replace('"demo"', repr(dataset)).replace("lexical_64", "tiny_4"), shown)
    assert shown["vectors"].shape == (len(shown["batch"]["item"].n_id), 4)
    assert shown["labels"].shape == (shown["pairs"].shape[1],)
