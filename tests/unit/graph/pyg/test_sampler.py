"""Sampled neighbourhoods against slow, obvious oracles: PyG's k-hop subgraph, and a walk edge by edge in Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkLoader, NodeLoader
from torch_geometric.sampler import EdgeSamplerInput, NegativeSampling, NodeSamplerInput
from torch_geometric.utils import k_hop_subgraph

from cikg.errors import InputError
from cikg.graph.pyg import DiskNeighborSampler

SIZES = {"user": 7, "item": 5, "entity": 4}
TYPES = [
    ("user", "interacted", "item"),
    ("item", "rev_interacted", "user"),
    ("item", "author", "entity"),
    ("entity", "rev_author", "item"),
    ("entity", "near", "entity"),
]
CHECKS = settings(max_examples=150, deadline=None)


@st.composite
def graphs(draw: st.DrawFn) -> HeteroData:
    """A graph of three kinds with any edges between them, repeated ones and isolated nodes included."""
    data = HeteroData()
    for kind, size in SIZES.items():
        data[kind].num_nodes = size
    for source, relation, target in TYPES:
        ends = st.tuples(st.integers(0, SIZES[source] - 1), st.integers(0, SIZES[target] - 1), st.integers(0, 9))
        edges = torch.tensor(draw(st.lists(ends, max_size=25)), dtype=torch.int64).reshape(-1, 3)
        data[source, relation, target].edge_index = edges[:, :2].t().contiguous()
        if "interacted" in relation:
            data[source, relation, target].time = edges[:, 2].contiguous()
    return data


def nodes(kind: str, index: Sequence[int], times: Sequence[int] | None = None) -> NodeSamplerInput:
    time = None if times is None else torch.tensor(times)
    return NodeSamplerInput(torch.arange(len(index)), torch.tensor(index), time, kind)


def edges_of(sampler: DiskNeighborSampler, output: Any) -> dict[Any, list[int]]:
    """The numbers of the sampled edges in the graph's own order."""
    permutation = sampler.edge_permutation
    return {key: permutation[key][edge].tolist() for key, edge in output.edge.items()}


def check_ends(data: HeteroData, sampler: DiskNeighborSampler, output: Any) -> None:
    """Every sampled edge is the graph's edge of that number."""
    for key, numbers in edges_of(sampler, output).items():
        source = output.node[key[0]][output.row[key]]
        target = output.node[key[2]][output.col[key]]
        assert torch.equal(torch.stack([source, target]), data[key].edge_index[:, numbers])


@CHECKS
@given(graphs(), st.lists(st.integers(0, 4), min_size=1, max_size=3, unique=True), st.integers(1, 3))
def test_all_neighbours_are_the_k_hop_subgraph(data: HeteroData, seeds: list[int], hops: int) -> None:
    sampler = DiskNeighborSampler(data, [-1] * hops)
    output = sampler.sample_from_nodes(nodes("item", seeds))

    first = dict(zip(SIZES, np.cumsum([0, *SIZES.values()]).tolist(), strict=False))
    offset = {key: torch.tensor([[first[key[0]]], [first[key[2]]]]) for key in TYPES}
    together = torch.cat([data[key].edge_index + offset[key] for key in TYPES], dim=1)
    wanted = [first["item"] + seed for seed in seeds]
    subset, _, _, mask = k_hop_subgraph(wanted, hops, together, num_nodes=sum(SIZES.values()), directed=True)

    found = torch.cat([output.node[kind] + first[kind] for kind in SIZES])
    assert sorted(found.tolist()) == subset.tolist()
    begins = np.cumsum([0, *(data[key].num_edges for key in TYPES)])
    sampled = [
        begin + edge for begin, key in zip(begins, TYPES, strict=False) for edge in edges_of(sampler, output)[key]
    ]
    assert sorted(sampled) == mask.nonzero().flatten().tolist()
    assert output.node["item"][: len(seeds)].tolist() == seeds
    check_ends(data, sampler, output)


@CHECKS
@given(graphs(), st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(1, 4), st.booleans())
def test_each_node_gets_as_many_neighbours_as_asked_for(
    data: HeteroData, seeds: list[int], count: int, replace: bool
) -> None:
    """Seeds may repeat: each repetition is served."""
    sampler = DiskNeighborSampler(data, [count, count], replace=replace)
    output = sampler.sample_from_nodes(nodes("user", seeds))
    check_ends(data, sampler, output)
    served = {kind: sum(output.num_sampled_nodes[kind][:2]) for kind in SIZES}  # those of the last hop are not
    for key in TYPES:
        degrees = torch.bincount(data[key].edge_index[1], minlength=SIZES[key[2]])
        expected = degrees[output.node[key[2]][: served[key[2]]]]
        expected = torch.where(expected > 0, count, 0) if replace else expected.clamp(max=count)
        got = torch.bincount(output.col[key], minlength=len(output.node[key[2]]))
        assert torch.equal(got[: served[key[2]]], expected)
        assert not got[served[key[2]] :].any()
        if not replace:
            drawn = Counter(zip(output.col[key].tolist(), output.edge[key].tolist(), strict=True))
            assert set(drawn.values()) <= {1}
        assert sum(output.num_sampled_edges[key]) == len(output.edge[key])
    for kind in SIZES:
        assert sum(output.num_sampled_nodes[kind]) == len(output.node[kind])


@CHECKS
@given(graphs(), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=4))
def test_no_edge_is_later_than_its_seed(data: HeteroData, seeds: list[tuple[int, int]]) -> None:
    sampler = DiskNeighborSampler(data, [-1, -1])
    items, times = zip(*seeds, strict=True)
    output = sampler.sample_from_nodes(nodes("item", items, times))
    for tree, (item, until) in enumerate(seeds):
        expected, reached, frontier = [], {("item", item)}, {("item", item)}
        for _ in range(2):
            following = set()
            for key in TYPES:
                for number, (source, target) in enumerate(data[key].edge_index.t().tolist()):
                    allowed = "time" not in data[key] or data[key].time[number] <= until
                    if (key[2], target) in frontier and allowed:
                        expected.append((key, number))
                        following.add((key[0], source))
            frontier = following - reached
            reached |= following
        got = []
        for key, numbers in edges_of(sampler, output).items():
            whose = output.batch[key[2]][output.col[key]].tolist()
            assert whose == output.batch[key[0]][output.row[key]].tolist(), "an edge stays in its neighbourhood"
            got += [(key, number) for owner, number in zip(whose, numbers, strict=True) if owner == tree]
        assert sorted(got) == sorted(expected)
        for kind in SIZES:
            mine = output.node[kind][output.batch[kind] == tree].tolist()
            assert sorted(mine) == sorted(node for other, node in reached if other == kind)


def star(leaves: int) -> HeteroData:
    """Items 0 … 19, each read by every user."""
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = leaves, 20
    users, items = torch.meshgrid(torch.arange(leaves), torch.arange(20), indexing="ij")
    data["user", "interacted", "item"].edge_index = torch.stack([users.flatten(), items.flatten()])
    data["item", "rev_interacted", "user"].edge_index = torch.stack([items.flatten(), users.flatten()])
    return data


@pytest.mark.parametrize("replace", [False, True])
def test_draws_are_uniform(replace: bool) -> None:
    sampler = DiskNeighborSampler(star(10), [3], replace=replace)
    choices: Counter[tuple[int, ...]] = Counter()
    for epoch in range(300):
        sampler.epoch = epoch
        output = sampler.sample_from_nodes(nodes("item", range(20)))
        key = ("user", "interacted", "item")
        drawn = output.node["user"][output.row[key]][output.col[key].argsort(stable=True)].reshape(20, 3)
        choices.update(tuple(sorted(row)) for row in drawn.tolist())
    trials = 300 * 20
    users = Counter(user for choice, count in choices.items() for user in choice for _ in range(count))
    assert len(users) == 10
    assert all(abs(count - 0.3 * trials) < 5 * (0.3 * trials) ** 0.5 for count in users.values())
    distinct = {choice: count for choice, count in choices.items() if len(set(choice)) == 3}
    expected = trials * (6 / 1000 if replace else 1 / 120)
    assert len(distinct) == 120
    assert all(abs(count - expected) < 5 * expected**0.5 for count in distinct.values())
    assert (distinct == choices) != replace


def test_a_sample_depends_on_seed_epoch_and_batch_alone() -> None:
    batch, other = nodes("item", range(10)), nodes("item", range(10, 20))
    sampler = DiskNeighborSampler(star(40), [4, 4])
    first = sampler.sample_from_nodes(batch)
    different = sampler.sample_from_nodes(other)
    torch.manual_seed(1)
    assert edges_of(sampler, sampler.sample_from_nodes(batch)) == edges_of(sampler, first)
    assert edges_of(sampler, different) != edges_of(sampler, first)
    sampler.epoch = 1
    assert edges_of(sampler, sampler.sample_from_nodes(batch)) != edges_of(sampler, first)
    reseeded = DiskNeighborSampler(star(40), [4, 4], seed=1)
    assert edges_of(reseeded, reseeded.sample_from_nodes(batch)) != edges_of(sampler, first)


def test_negative_examples_are_reproducible_and_leave_torch_alone() -> None:
    sampler = DiskNeighborSampler(star(40), [2])
    index = EdgeSamplerInput(None, torch.arange(8), torch.arange(8), input_type=("user", "interacted", "item"))
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first = sampler.sample_from_edges(index, NegativeSampling("binary", 2))
    assert torch.equal(torch.rand(3), expected)
    again = sampler.sample_from_edges(index, NegativeSampling("binary", 2))
    assert torch.equal(first.metadata[1], again.metadata[1])
    assert torch.equal(first.node["item"], again.node["item"])


@pytest.mark.parametrize("mode", ["binary", "triplet"])
@pytest.mark.parametrize("disjoint", [False, True])
def test_links_point_at_the_ends_of_their_edges(mode: str, disjoint: bool) -> None:
    data = star(12)
    positive = torch.tensor([[3, 3, 7, 11], [1, 19, 1, 0]])
    loader = LinkLoader(
        data,
        DiskNeighborSampler(data, [2, 2], disjoint=disjoint),
        (("user", "interacted", "item"), positive),
        neg_sampling=NegativeSampling(mode, 2),
        batch_size=4,
    )
    (batch,) = loader
    users, items = batch["user"].n_id, batch["item"].n_id
    if mode == "binary":
        label_index, label = batch["user", "item"].edge_label_index, batch["user", "item"].edge_label
        assert label.tolist() == [1] * 4 + [0] * 8
        assert torch.equal(torch.stack([users[label_index[0, :4]], items[label_index[1, :4]]]), positive)
    else:
        assert torch.equal(users[batch["user"].src_index], positive[0])
        assert torch.equal(items[batch["item"].dst_pos_index], positive[1])
        assert batch["item"].dst_neg_index.shape == (4, 2)
    for key in data.edge_types:
        assert torch.equal(
            torch.stack([batch[key[0]].n_id[batch[key].edge_index[0]], batch[key[2]].n_id[batch[key].edge_index[1]]]),
            data[key].edge_index[:, batch[key].e_id],
        )


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_workers_draw_what_the_loader_itself_draws() -> None:
    data = star(40)

    def drawn(workers: int) -> list[list[int]]:
        sampler = DiskNeighborSampler(data, [4, 4])
        loader = NodeLoader(data, sampler, ("item", torch.arange(20)), batch_size=5, num_workers=workers)
        return [batch["user"].n_id.tolist() for batch in loader]

    assert drawn(2) == drawn(0)


def test_numbers_by_edge_type_and_what_is_missing() -> None:
    data = star(10)
    read, reverse = data.edge_types
    output = DiskNeighborSampler(data, {read: [2, 2], reverse: [0, 0]}).sample_from_nodes(nodes("item", [0]))
    assert (len(output.edge[read]), len(output.edge[reverse])) == (2, 0)
    assert output.num_sampled_edges == {read: [2, 0], reverse: [0, 0]}
    with pytest.raises(ValueError, match="Missing number of neighbors"):
        DiskNeighborSampler(data, {read: [2, 2]})
    with pytest.raises(InputError, match="no edges touch nodes of the type 'planet'"):
        DiskNeighborSampler(data, [1]).sample_from_nodes(nodes("planet", [0]))
    with pytest.raises(InputError, match="no edge of the graph has one"):
        DiskNeighborSampler(data, [1]).sample_from_nodes(nodes("item", [0], [5]))
