"""The stores say what the graph says: against planted edges, a snapshot, and Cypher."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import TensorAttr
from torch_geometric.sampler import EdgeSamplerInput, NodeSamplerInput

from cikg.errors import InputError, NotFoundError, SnapshotError
from cikg.graph import Graph
from cikg.graph.export import NEVER
from cikg.graph.pyg import Adjacency, DiskNeighborSampler, Neo4jFeatureStore, Neo4jGraphStore, adjacency
from cikg.graph.pyg.adjacency import EdgeType, read_adjacency
from cikg.graph.snapshot import take
from cikg.graph.vectors import ensure_index
from cikg.schema import Label
from cikg.settings import Settings
from tests import planted, planted_intents

READ = ("user", "interacted", "item")


@pytest.fixture
def home(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with an empty home; nodes are read so few at a time that small graphs need many statements."""
    monkeypatch.setattr(adjacency, "NODES", 2)
    return settings.model_copy(update={"home": tmp_path})


def named_edges(store: Neo4jGraphStore, edge_type: EdgeType) -> list[tuple[str, str]]:
    """Ids of the ends of every edge of a type, sorted."""
    edges = store.adjacency.edges(edge_type)
    targets = np.repeat(np.arange(len(edges.offsets) - 1), np.diff(edges.offsets))
    ids = store.adjacency.ids
    return sorted(zip(ids(edge_type[0], edges.sources), ids(edge_type[2], targets), strict=True))


def test_edges_are_those_that_were_planted(graph: Graph, home: Settings, dataset: str) -> None:
    """Of train alone, without pruned edges and merged intents, each once, in both directions, of one dataset."""
    planted_intents.write(graph, dataset)
    planted_intents.write(graph, f"{dataset}-decoy")
    merged = {intent for intent, into in planted_intents.INTENTS.items() if into}
    standing = {
        name: {(source, target) for source, target, *_, pruned in edges if pruned is None and target not in merged}
        for name, edges in (
            ("possesses", planted_intents.POSSESSES),
            ("satisfies", planted_intents.SATISFIES),
            ("has_interest", planted_intents.HAS_INTEREST),
        )
    }
    members = {(intent, key) for key, intents in planted_intents.INTERESTS.items() for intent in intents}
    expected: dict[EdgeType, set[tuple[str, str]]] = {
        READ: {(user, item) for user, item, split, *_ in planted_intents.READ if split == "train"},
        ("user", "possesses", "intent"): standing["possesses"],
        ("item", "satisfies", "intent"): standing["satisfies"],
        ("user", "has_interest", "interest"): standing["has_interest"],
        ("intent", "member_of", "interest"): {pair for pair in members if pair[0] not in merged},
    }
    for head, relation, tail in planted_intents.FACTS:
        expected.setdefault(("item", relation.lower(), "entity"), set()).add((head, tail))
    for (source, relation, target), pairs in list(expected.items()):
        expected[target, f"rev_{relation}", source] = {(b, a) for a, b in pairs}

    store = Neo4jGraphStore(home, dataset)
    assert set(store.adjacency.edge_types) == set(expected)
    for edge_type, pairs in expected.items():
        assert named_edges(store, edge_type) == sorted(pairs), edge_type
    sizes = {attr.edge_type: attr.size for attr in store.get_all_edge_attrs()}
    assert sizes[READ] == (len(planted_intents.USERS), len(planted_intents.ITEMS))
    assert sizes["user", "possesses", "intent"] == (6, len(planted_intents.INTENTS) - len(merged))

    when = {(user, item): at for user, item, _, at, _ in planted_intents.READ}
    edges = store.adjacency.edges(READ)
    users, (moby,) = (
        store.adjacency.ids("user", edges.sources),
        np.flatnonzero([item == "moby" for item in store.adjacency.ids("item", np.arange(6))]),
    )
    own = slice(int(edges.offsets[moby]), int(edges.offsets[moby + 1]))
    assert edges.times is not None
    assert edges.times[own].tolist() == sorted(edges.times[own].tolist())
    assert [when[user, "moby"] for user in users[own]] == edges.times[own].tolist()


def test_nodes_are_numbered_as_in_a_snapshot(graph: Graph, home: Settings, dataset: str) -> None:
    planted.write(graph, dataset)
    snapshot, store = take(graph, dataset, home), Neo4jGraphStore(home, dataset)
    for kind, nodes in (("user", snapshot.users), ("item", snapshot.items), ("entity", snapshot.entities)):
        assert store.adjacency.ids(kind, np.arange(len(nodes))) == nodes.ids
    data = snapshot.to_hetero()
    read = data[READ].edge_index[:, data[READ].train_mask]
    row, col, _ = store.coo([READ])
    ours = torch.stack([row[READ], col[READ]])
    assert sorted(ours.t().tolist()) == sorted(read.t().tolist())
    assert torch.equal(store.seeds(READ)[1], ours)
    assert (store.times(READ) == NEVER).all()
    assert store.times(("item", "author", "entity")) is None


def test_a_neighbourhood_is_what_cypher_finds(graph: Graph, home: Settings, dataset: str) -> None:
    planted_intents.write(graph, dataset)
    store = Neo4jGraphStore(home, dataset)
    sampler = DiskNeighborSampler(store, [-1, -1])
    for place, item in enumerate(store.adjacency.ids("item", np.arange(6))):
        output = sampler.sample_from_nodes(NodeSamplerInput(None, torch.tensor([place]), None, "item"))
        found = {(kind, key) for kind, nodes in output.node.items() for key in store.adjacency.ids(kind, nodes.numpy())}
        rows = graph.execute(
            """
            MATCH (seed:Item {uid: $uid})
            MATCH (seed) ((a)-[e:!RECOMMENDED&!DESCRIBES&!SAME_AS]-(b)
                          WHERE e.pruned_by IS NULL AND a.merged_into IS NULL AND b.merged_into IS NULL
                            AND coalesce(e.split, 'train') = 'train'){0,2} (other)
            RETURN DISTINCT toLower(head(labels(other))) AS kind, other.id AS id
            """,
            uid=f"{dataset}:{item}",
        )
        assert found == {(row["kind"], row["id"]) for row in rows}


def embed(graph: Graph, dataset: str, label: Label, vectors: dict[str, list[float]]) -> None:
    """Give some nodes the vectors of an embedding `tiny_4`, as `cikg embed` does."""
    ensure_index(graph, label, "tiny_4")
    graph.execute(
        f"UNWIND keys($vectors) AS id MATCH (n:{label} {{uid: $d + ':' + id}}) SET n.embedding_tiny_4 = $vectors[id] "
        "WITH count(*) AS done MATCH (d:Dataset {uid: $d}) SET d.embeddings = coalesce(d.embeddings, []) + $listed",
        d=dataset,
        vectors=vectors,
        listed=f"{label}/tiny_4",
    )


BOOKS = 13
"""Items of the planted graph."""


def test_links_with_times_see_nothing_later(graph: Graph, home: Settings, dataset: str) -> None:
    """Each seed's neighbourhood is of its time, and has all that there was by then."""
    planted_intents.write(graph, dataset)
    store = Neo4jGraphStore(home, dataset)
    _, seeds = store.seeds(READ)
    when = {(user, item): at for user, item, split, at, _ in planted_intents.READ if split == "train"}
    users, items = store.adjacency.ids("user", seeds[0].numpy()), store.adjacency.ids("item", seeds[1].numpy())
    times = [when[pair] - 1 for pair in zip(users, items, strict=True)]
    index = EdgeSamplerInput(None, seeds[0], seeds[1], time=torch.tensor(times), input_type=READ)
    timed = {key: [-1 if "interacted" in key[1] else 0] for key in store.adjacency.edge_types}
    output = DiskNeighborSampler(store, timed).sample_from_edges(index)
    seen = set()
    for source, target in (("user", "item"), ("item", "user")):
        edge_type = READ if source == "user" else ("item", "rev_interacted", "user")
        column = output.col[edge_type]
        seen |= {
            (int(tree), *(pair if source == "user" else pair[::-1]))
            for tree, *pair in zip(
                output.batch[target][column].tolist(),
                store.adjacency.ids(source, output.node[source][output.row[edge_type]].numpy()),
                store.adjacency.ids(target, output.node[target][column].numpy()),
                strict=True,
            )
        }
    expected = {
        (tree, *pair)
        for tree, (user, item) in enumerate(zip(users, items, strict=True))
        for pair, at in when.items()
        if at <= times[tree] and (pair[0] == user or pair[1] == item)
    }
    assert seen == expected


@pytest.fixture
def vectors(graph: Graph, dataset: str) -> np.ndarray[Any, Any]:
    """The vector of each item of the planted graph, by index; item 0 has none, and zeros here."""
    planted.write(graph, dataset)
    ids = sorted(row["id"] for row in graph.execute("MATCH (i:Item {dataset: $d}) RETURN i.id AS id", d=dataset))
    table = np.random.default_rng(0).normal(size=(BOOKS, 4)).astype(np.float32)
    table[0] = 0
    embed(graph, dataset, Label.ITEM, {key: table[place].tolist() for place, key in enumerate(ids) if place})
    return table


@pytest.fixture
def features(home: Settings, dataset: str, vectors: Any) -> Iterator[Neo4jFeatureStore]:
    """Of the planted graph's items, of which five vectors are kept."""
    store = Neo4jFeatureStore(Neo4jGraphStore(home, dataset), "tiny_4", cache_bytes=5 * 4 * 4)
    yield store
    store.close()


@pytest.mark.parametrize(
    "index",
    [torch.tensor([7, 0, 12, 7]), np.array([3]), slice(2, 12, 3), 5, None, torch.arange(BOOKS) % 2 == 0],
    ids=["tensor", "array", "slice", "number", "all", "mask"],
)
def test_vectors_of_the_nodes_asked_for(features: Neo4jFeatureStore, vectors: Any, index: Any) -> None:
    chosen: Any = slice(None) if index is None else index.numpy() if isinstance(index, torch.Tensor) else index
    for _ in range(2):  # from the database, then partly from what was kept
        found = features.get_tensor(TensorAttr("item", "x", index))
        assert found.dtype == torch.float32
        assert np.array_equal(found.numpy(), np.atleast_2d(vectors[chosen]))
        mask = features.get_tensor(TensorAttr("item", "x_mask", index))
        assert mask.tolist() == np.atleast_1d(np.arange(BOOKS)[chosen] > 0).tolist()


def test_sizes_and_names_of_features(features: Neo4jFeatureStore) -> None:
    assert features.get_tensor_size("item", "x") == (BOOKS, 4)
    assert features.get_tensor_size("item", "x_mask") == (BOOKS,)
    assert features.get_tensor_size("user", "x") is None
    names = [(attr.group_name, attr.attr_name) for attr in features.get_all_tensor_attrs()]
    assert names == [("item", "x"), ("item", "x_mask")]
    with pytest.raises(NotFoundError, match="has no embedding 'lexical_9'"):
        Neo4jFeatureStore(features.edges, "lexical_9")
    with pytest.raises(InputError, match="is not the name of an embedding"):
        Neo4jFeatureStore(features.edges, "random")


def test_what_was_read_last_is_kept_within_its_bound(
    features: Neo4jFeatureStore, vectors: Any, graph: Graph, dataset: str
) -> None:
    """Five vectors are kept, so those read before are asked for again."""

    def read(*items: int) -> np.ndarray[Any, Any]:
        return np.asarray(features.get_tensor(TensorAttr("item", "x", torch.tensor(items))))

    read(1, 2, 3, 4, 5)
    graph.execute("MATCH (i:Item {dataset: $d}) SET i.embedding_tiny_4 = [9.0, 9.0, 9.0, 9.0]", d=dataset)
    assert np.array_equal(read(1, 2, 3, 4, 5), vectors[1:6])
    read(2)  # now the one used last
    assert (read(6, 7, 8, 9) == 9).all()
    assert np.array_equal(read(2), vectors[2:3])
    assert (read(1, 3, 4, 5) == 9).all()


def test_profiles_speak_for_users_without_vectors(graph: Graph, home: Settings, dataset: str) -> None:
    """By the profile of the latest round that was not pruned; of several, by the one whose id is the last."""
    planted_intents.write(graph, dataset)
    of_cat, of_dan = {"2": 1, "10": 1, "9": 1, "x": 0}, {"3": 1, "three": 1}  # by round
    graph.execute(
        """
        MATCH (d:Dataset {uid: $d}) SET d.relations = [], d.interests = 'extracted'
        WITH d UNWIND [['cat', $of_cat], ['dan', $of_dan]] AS row
        MATCH (user:User {uid: $d + ':' + row[0]})
        UNWIND keys(row[1]) AS id
        CREATE (:Profile {uid: $d + ':' + id, id: id, dataset: $d})-[:DESCRIBES {round: row[1][id]}]->(user)
        """,
        d=dataset,
        of_cat=of_cat,
        of_dan=of_dan,
    )
    profiles = ["about-ann", "about-ben", *of_cat, *of_dan]
    embed(graph, dataset, Label.PROFILE, {key: [float(place), 1, 0, 0] for place, key in enumerate(profiles)})
    embed(graph, dataset, Label.INTENT, {"maps": [1.0, 0, 0, 0]})
    data = take(graph, dataset, home).to_hetero("tiny_4")
    with closing(Neo4jFeatureStore(Neo4jGraphStore(home, dataset), "tiny_4")) as store:
        assert {attr.group_name for attr in store.get_all_tensor_attrs()} == {"user", "item", "intent"}
        users = store.get_tensor(TensorAttr("user", "x", None))
        assert users[:, 0].tolist() == [0, 0, profiles.index("10"), profiles.index("three"), 0, 0]
        assert users[:, 1].tolist() == [1, 0, 1, 1, 0, 0], "Ben's profile was pruned"
        for kind in ("user", "intent"):
            for name in ("x", "x_mask"):
                assert torch.equal(store.get_tensor(TensorAttr(kind, name, None)), data[kind][name])


def test_the_graph_is_read_again_when_it_has_changed(graph: Graph, home: Settings, dataset: str) -> None:
    planted.write(graph, dataset)
    read: list[int] = []
    first = Neo4jGraphStore(home, dataset, advance=read.append)
    edges = first.adjacency.edge_types[READ]
    assert sum(read) == sum(first.adjacency.edge_types.values())
    assert Neo4jGraphStore(home, dataset, advance=read.clear).adjacency == first.adjacency  # type: ignore[arg-type]

    assert Adjacency.open(first.adjacency.path) == first.adjacency
    (first.adjacency.path / "0.sources").write_bytes(b"short")
    for folder in (first.adjacency.path, home.home / "nothing"):
        with pytest.raises(SnapshotError, match="is not a complete folder of edges"):
            Adjacency.open(folder)
    read.clear()
    assert Neo4jGraphStore(home, dataset, advance=read.append).adjacency == first.adjacency
    assert read, "a damaged folder is made anew"

    for version in (2, 3):
        graph.execute(
            "MATCH (d:Dataset {uid: $d}) SET d.version = $version WITH d "
            "MATCH (:User {uid: $d + ':0'})-[r:INTERACTED {split: 'train'}]->() WITH r LIMIT 1 SET r.split = 'test'",
            d=dataset,
            version=version,
        )
        assert Neo4jGraphStore(home, dataset).adjacency.edge_types[READ] == edges - version + 1
    kept = {path.name for path in (home.home / "adjacency" / dataset).iterdir()}
    assert kept == {"2", "3"}


def test_a_dataset_that_changes_while_it_is_read(graph: Graph, home: Settings, dataset: str) -> None:
    """What was read before the change is not what is returned."""
    planted.write(graph, dataset)
    changed: list[int] = []

    def change(_count: int) -> None:
        if not changed:
            changed.append(1)
            graph.execute(
                "MATCH (d:Dataset {uid: $d}) SET d.version = d.version + 1 WITH d "
                "MATCH (:User {dataset: $d})-[r:INTERACTED]->() DELETE r",
                d=dataset,
            )

    found = read_adjacency(graph, dataset, home, change)
    assert found.path.name == "2"
    assert READ not in found.edge_types
    assert read_adjacency(graph, dataset, home) == found


def test_what_does_not_exist_is_said(graph: Graph, home: Settings, dataset: str) -> None:
    with pytest.raises(NotFoundError, match="there is no dataset"):
        Neo4jGraphStore(home, dataset)
    planted.write(graph, dataset)
    with pytest.raises(InputError, match="there are no edges"):
        Neo4jGraphStore(home, dataset).seeds(("user", "reviewed", "item"))
