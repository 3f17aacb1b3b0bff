"""CIKGRec: its losses, its graphs edge by edge, its ablations, and the published code's faults."""

from __future__ import annotations

import dataclasses
from itertools import starmap
from pathlib import Path

import numpy as np
import pytest
import torch

from cikg.graph.snapshot import Snapshot
from cikg.recommend import runs
from cikg.recommend.data.views import ContrastViews, SymmetricGraph, View, graph_view, training_data
from cikg.recommend.engine import train
from cikg.recommend.method import configure
from cikg.recommend.methods.cikgrec import (
    AS_CODE,
    DEPARTURES,
    RECONSTRUCTION,
    SELF_LOOPS,
    Cikgrec,
    CikgrecConfig,
    departures,
    mask_rate,
)
from cikg.recommend.parts.translation import Facts, Translation
from cikg.schema import SplitCode
from cikg.settings import Settings
from tests.unit.recommend.planted import write_snapshot

SMALL = {"dimension": 16, "batch_size": 128, "learning_rate": 0.02, "translation_learning_rate": 0.02}
CPU = torch.device("cpu")
DBBOOK = Path(__file__).parents[5] / "shared" / "data" / "cikgrec" / "dbbook2014"


def test_cikgrec_finds_items_that_nobody_has_read_through_their_facts(snapshot: Snapshot, offline: Settings) -> None:
    """The catalogue ends in items with facts alone: a wrong edge list leaves their taste unknown."""
    trained = train(snapshot, "cikgrec", settings=offline, overrides=SMALL | {"loss": "bpr"}, epochs=30)
    scores = runs.load(trained.path).scores(np.arange(60))[:, 36:]
    own = (np.arange(60)[:, None] % 2) == (np.arange(36, 40)[None] % 2)
    gaps = scores[own].reshape(60, 2).min(1) - scores[~own].reshape(60, 2).max(1)
    assert (gaps > 0).mean() > 0.95


def test_the_mask_rate_is_equation_3() -> None:
    exp = CikgrecConfig(mask_start=0.02, mask_end=0.95, mask_epochs=150, mask_growth="exp")
    lin = exp.model_copy(update={"mask_growth": "lin"})
    assert {mask_rate(epoch, exp.model_copy(update={"mask_growth": "fixed"})) for epoch in (0, 40, 400)} == {0.95}
    for epoch in (0, 1, 40, 149, 150, 151, 400):
        progress = min(epoch, 150) / 150
        assert mask_rate(epoch, lin) == pytest.approx(0.02 + progress * 0.93)
        assert mask_rate(epoch, exp) == pytest.approx(0.02 * 47.5**progress)
    for epoch in range(1, 150):
        assert mask_rate(epoch, exp) < mask_rate(epoch, lin), "equation 4"


def build(snapshot: Snapshot, **overrides: object) -> Cikgrec:
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    torch.manual_seed(0)
    return Cikgrec(data, CikgrecConfig(**{"dimension": 8, **overrides}), CPU)


@pytest.mark.parametrize(("loss", "counts"), [("bpr", True), ("psl", False)])
def test_negatives_decay_where_they_were_drawn_for_one_interaction_each(
    loss: str, counts: bool, snapshot: Snapshot
) -> None:
    """Those that a batch shares do not, even if they are as many."""
    model = build(snapshot, loss=loss, batch_size=40, negatives=40)
    batch = next(model._ranking.batches(torch.Generator().manual_seed(0)))
    assert len(batch.negative) == len(batch)
    without = model._decay(dataclasses.replace(batch, negative=None))
    assert torch.equal(model._decay(batch), without) != counts


def names_of_steps(model: Cikgrec) -> set[str]:
    return {name for name, _ in model.steps(0, torch.Generator().manual_seed(0))}


def test_ablations_leave_their_loss_out(snapshot: Snapshot) -> None:
    def first_loss(**overrides: object) -> float:
        model = build(snapshot, **overrides)
        return next(model.steps(0, torch.Generator().manual_seed(0)))[1].item()

    bare = first_loss(reconstruction_weight=0, contrast_weight=0)
    assert first_loss(reconstruction_weight=0) > bare
    assert first_loss(contrast_weight=0) > bare
    assert first_loss() > first_loss(contrast_weight=0)
    assert names_of_steps(build(snapshot)) == {"recommend", "translate"}
    assert names_of_steps(build(snapshot, translation=False)) == {"recommend"}


def test_a_graph_without_facts_or_interests_drops_what_needs_them(snapshot: Snapshot) -> None:
    assert names_of_steps(build(snapshot, graph="cig")) == {"recommend"}
    assert names_of_steps(build(snapshot, graph="cg")) == {"recommend"}


def test_only_masked_interests_are_reconstructed_and_their_own_embedding_is_hidden(snapshot: Snapshot) -> None:
    """With every interest masked and none replaced, what is rebuilt depends on no interest's embedding."""
    model = build(snapshot, mask_start=1.0, mask_end=1.0, replace_rate=0.0, mask_edge_dropout=0.0)
    first = model.nodes.first_interest
    with torch.no_grad():
        model.embeddings[first:] = torch.eye(model.nodes.interests, 8)
    loss = model._reconstruction_loss(model._masked_graph, 0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.embeddings[first:] *= 3
    assert model._reconstruction_loss(model._masked_graph, 0, torch.Generator().manual_seed(0)).item() == pytest.approx(
        loss.item()
    )
    with torch.no_grad():
        model.embeddings[:first] = torch.randn(first, 8)
    assert model._reconstruction_loss(model._masked_graph, 0, torch.Generator().manual_seed(0)).item() != pytest.approx(
        loss.item()
    )


def edges(graph: SymmetricGraph) -> set[tuple[int, int]]:
    """Its entries as (row, column), each once."""
    found = list(zip(graph.rows.tolist(), graph.neighbours.tolist(), strict=True))
    assert len(set(found)) == len(found)
    return set(found)


def both(pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
    return pairs | {(target, source) for source, target in pairs}


@pytest.fixture
def tiny(tmp_path: Path) -> Snapshot:
    """Users 0-2, items 3-6, entities 7-8, interests 9-10. User 2 and item 6 are in no training interaction."""
    return write_snapshot(
        tmp_path,
        sizes=(3, 4, 2, 2),
        interactions=[
            (0, 0, SplitCode.TRAIN),
            (0, 1, SplitCode.TRAIN),
            (1, 1, SplitCode.TRAIN),
            (1, 2, SplitCode.TRAIN),
            (0, 3, SplitCode.VALID),
            (2, 3, SplitCode.TEST),
        ],
        facts=[(0, 0, 4), (1, 0, 4), (3, 1, 5), (2, 1, 0)],
        has_interest=[(0, 0), (1, 0), (2, 1)],
    )


READ, KNOWN, LIKED = {(0, 3), (0, 4), (1, 4), (1, 5)}, {(3, 7), (4, 7), (6, 8), (5, 3)}, {(0, 9), (1, 9), (2, 10)}


def test_the_views_of_the_paper_have_the_edges_that_it_says(tiny: Snapshot) -> None:
    data = training_data(tiny, (SplitCode.TRAIN,), SplitCode.VALID)
    views = ContrastViews.of_paper(data)
    assert edges(graph_view(data, View.CIKG)) == both(READ | KNOWN | LIKED)
    assert edges(views.plain) == both(READ)
    assert edges(views.with_interests) == both(READ | LIKED)
    assert edges(views.with_facts) == both(READ | KNOWN)
    assert [graph.edges for graph in (views.plain, views.with_interests, views.with_facts)] == [8, 14, 16]


def test_the_views_of_the_published_code_have_its_faults(tiny: Snapshot) -> None:
    """Its lists of edges alias: the plain view is the whole graph; elsewhere an interaction is a loop of its ends."""
    data = training_data(tiny, (SplitCode.TRAIN,), SplitCode.VALID)
    views, loops = ContrastViews.of_reference(data, View.CIKG), {(node, node) for node in (0, 1, 3, 4, 5)}
    assert edges(views.plain) == both(READ | KNOWN | LIKED)
    assert edges(views.with_interests) == both(LIKED) | loops
    assert edges(views.with_facts) == both(KNOWN) | loops
    assert [graph.edges for graph in (views.plain, views.with_interests, views.with_facts)] == [22, 11, 13]
    assert {graph.nodes for graph in (views.plain, views.with_interests, views.with_facts)} == {11}


@pytest.mark.skipif(not DBBOOK.is_dir(), reason="the published DBbook2014 is not here")
def test_the_views_of_dbbook2014_have_as_many_edges_as_its_files_say(tmp_path: Path) -> None:
    def rows(name: str) -> np.ndarray:
        return np.unique(np.loadtxt(DBBOOK / name, dtype=np.int64), axis=0)

    read = []
    for line in (DBBOOK / "train.txt").read_text().splitlines():
        user, *items = map(int, line.split())
        read += [(user, item) for item in set(items)]
    facts, likes = rows("kg_final.txt"), rows("user_interest_clustered.txt")
    users, items = 5576, 2680
    things = max(facts[:, [0, 2]].max(), items - 1) + 1
    snapshot = write_snapshot(
        tmp_path,
        sizes=(users, items, things - items, likes[:, 1].max() + 1 - things),
        interactions=[(user, item, SplitCode.TRAIN) for user, item in read] + [(0, 0, SplitCode.TEST)],
        facts=list(map(tuple, facts.tolist())),
        has_interest=[(user, interest - things) for user, interest in likes.tolist()],
    )
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.TEST)
    linked = len({frozenset(pair) for pair in facts[:, [0, 2]].tolist() if pair[0] != pair[1]})
    assert (len(read), linked, len(likes)) == (50745, 119388, 6961)
    paper, code = ContrastViews.of_paper(data), ContrastViews.of_reference(data, View.CIKG)
    assert [graph.edges for graph in (paper.plain, paper.with_interests, paper.with_facts)] == [
        2 * len(read), 2 * (len(read) + len(likes)), 2 * (len(read) + linked),
    ]  # fmt: skip
    loops = len({user for user, _ in read}) + len({item for _, item in read})
    assert [graph.edges for graph in (code.plain, code.with_interests, code.with_facts)] == [
        2 * (len(read) + linked + len(likes)), loops + 2 * len(likes), loops + 2 * linked,
    ]  # fmt: skip


def test_a_fidelity_brings_the_published_settings_unless_they_are_set_by_hand() -> None:
    ours, paper, code = (configure("cikgrec", {"fidelity": name}) for name in ("improved", "paper", "reference"))
    assert ours == CikgrecConfig()
    for config in (paper, code):
        assert (config.loss, config.contrast_candidates, config.mask_epochs) == ("bpr", "all", 150)
        assert config.self_loops, "as in each of the published settings"
    assert configure("cikgrec", {"fidelity": "paper", "learning_rate": "0.1"}).learning_rate == 0.1
    assert departures(ours) == DEPARTURES
    assert departures(paper) == (*DEPARTURES[3:], SELF_LOOPS)
    assert departures(code) == (*AS_CODE, *RECONSTRUCTION, SELF_LOOPS)


def test_a_configuration_names_the_departures_that_it_makes() -> None:
    equations = {"fidelity": "paper", "translation": False, "self_loops": False}

    def departs(**others: object) -> tuple[str, ...]:
        return departures(CikgrecConfig(**(equations | others)))

    assert departs(reconstruction_weight=0) == departs(graph="ckg") == ()
    assert departs(reconstruction_weight=0, loss="softmax") == DEPARTURES[:1]
    again, swapped, dropped, loops = RECONSTRUCTION
    assert departs() == RECONSTRUCTION
    assert departs(replace_rate=0) == (again, dropped, loops)
    assert departs(mask_edge_dropout=0) == (again, swapped, loops)
    whole = departs(fidelity="reference", mask_edge_dropout=0)
    assert loops not in whole, "the code adds them to what it has dropped"
    assert swapped in whole


@pytest.mark.parametrize("fidelity", ["paper", "reference"])
def test_both_published_forms_learn_and_say_what_they_are(fidelity: str, snapshot: Snapshot, offline: Settings) -> None:
    overrides = SMALL | {"fidelity": fidelity}
    trained = train(snapshot, "cikgrec", settings=offline, overrides=overrides, epochs=12, metric="ndcg@10")
    assert trained.manifest["departures"] == list(departures(configure("cikgrec", {"fidelity": fidelity})))
    assert trained.valid["hit_rate@10"] > 0.85, "of nine unread items of a user's taste, among 31"


def contrast_by_hand(model: Cikgrec, users: list[int], items: list[int], last: int) -> float:
    """Eq. 9 node by node, over encodings made with dense matrices; `last` ends what an item is told apart from."""

    def encoded(graph: SymmetricGraph) -> torch.Tensor:
        matrix = torch.zeros(graph.nodes, graph.nodes)
        matrix[graph.rows.long(), graph.neighbours.long()] = graph.weights
        layer, total = model.embeddings[: graph.nodes], model.embeddings[: graph.nodes].clone()
        for _ in range(model.config.layers):
            layer = matrix @ layer
            total = total + layer
        return total / (model.config.layers + 1)

    views, first, total = model._views, model.nodes.first_item, 0.0
    plain = encoded(views.plain)
    for enriched, occurring, rows in (
        (encoded(views.with_interests), users, range(first)),
        (encoded(views.with_facts), [first + item for item in items], range(first, last)),
    ):
        for node in occurring:
            scores = torch.cosine_similarity(plain[node][None], enriched[list(rows)], dim=1) / 0.2
            total += float(torch.logsumexp(scores, 0) - scores[node - rows[0]]) / len(occurring)
    return total


@pytest.mark.parametrize("fidelity", ["paper", "reference"])
def test_the_contrast_is_equation_9(fidelity: str, snapshot: Snapshot) -> None:
    """The paper's over users and items, each node once; the code's with repetitions and over all kinds of things."""
    model = build(snapshot, fidelity=fidelity, noise=0.0, batch_size=40)
    generator = torch.Generator().manual_seed(0)
    batch = next(model._ranking.batches(generator))
    users, items = batch.user.tolist(), batch.item.tolist()
    last = model.nodes.total
    if fidelity == "paper":
        users, items, last = list(set(users)), list(set(items)), model.nodes.first_item + model.nodes.items
    with torch.no_grad():
        found = float(model._contrast_loss(model._views, batch, generator))
        assert found == pytest.approx(contrast_by_hand(model, users, items, last), rel=1e-4)


def test_translation_is_equation_12_and_draws_no_true_tail(snapshot: Snapshot) -> None:
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    facts = Facts.of(data)
    torch.manual_seed(0)
    translation = Translation(facts, 8, 50, CPU)
    embeddings = torch.randn(data.nodes.total, 8)
    known, seen = set(zip(facts.head, facts.relation, facts.tail, strict=True)), []
    for batch in translation.batches(torch.Generator().manual_seed(0)):
        ends = [each.tolist() for each in (translation._head[batch[0]], translation._relation[batch[0]],
                                           translation._tail[batch[0]], batch[1])]  # fmt: skip
        seen += list(zip(*ends[:3], strict=True))
        expected = 0.0
        for head, relation, tail, false in zip(*ends, strict=True):
            near, far = (
                float((embeddings[head] + translation.moves[relation] - embeddings[end]).square().sum().detach())
                for end in (tail, false)
            )
            expected += np.log1p(np.exp(near - far)) / len(ends[0])
        with torch.no_grad():
            assert float(translation(embeddings, batch, 0.0)) == pytest.approx(expected, rel=1e-4)
        lies = list(zip(ends[0], ends[1], ends[3], strict=True))
        assert not any(starmap(lambda *fact: fact in known, lies))
        assert all(data.nodes.first_item <= end < data.nodes.first_interest for end in ends[3])
    assert set(seen) == known
    assert len(seen) == len(known)


def test_the_codes_translation_takes_one_fact_of_each_head_and_inverses_and_interactions(tiny: Snapshot) -> None:
    data = training_data(tiny, (SplitCode.TRAIN,), SplitCode.VALID)
    facts = Facts.of(data).both_ways(data.fit.user_index, data.fit.item_index + 3)
    assert len(facts) == 2 * len(KNOWN) + 2 * len(READ)
    assert facts.relations == 2 * 2 + 2
    translation = Translation(facts, 4, 6, CPU, steps=30)
    batches = [fact for fact, _ in translation.batches(torch.Generator().manual_seed(0))]
    assert len(batches) == 30
    taken = set()
    for fact in batches:
        heads = translation._head[fact].tolist()
        assert len(set(heads)) == len(heads) == 6, "different heads"
        taken |= set(fact.tolist())
    assert taken == set(range(len(facts)))
