"""IKGR: its equations by hand, its ablations, newcomers, and what intents tell of items that nobody has read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from cikg.graph.snapshot import Snapshot
from cikg.recommend.data.intents import Links, translation
from cikg.recommend.data.views import training_data
from cikg.recommend.methods.ikgr import CONSUMES, POSSESSES, SATISFIES, Ikgr, IkgrConfig
from cikg.recommend.parts.intent_scoring import IntentScorer
from cikg.recommend.scorers import Scorer
from cikg.schema import SplitCode
from tests.unit.recommend.planted import write_snapshot

USERS, ITEMS, INTENTS = 40, 24, 6


def with_intents(
    folder: Path, *, users: int = USERS, satisfied: bool = True, splits: np.ndarray[Any, Any] | None = None
) -> Snapshot:
    """User u, item i and intent k share a taste if they are all even or all odd; the last four items are unread.

    `splits` are those of the interactions, by user and item, instead of one in test, one in valid, and five in train.
    """
    random = np.random.default_rng(3)
    read = []
    for user in range(users):
        own = random.permutation(np.arange(user % 2, ITEMS - 4, 2))[:7]
        drawn = [SplitCode.TEST, SplitCode.VALID, *[SplitCode.TRAIN] * 5]
        read += [(user, int(item), split) for item, split in zip(own, drawn, strict=True)]
    if splits is not None:
        read = [(user, item, SplitCode(split)) for (user, item, _), split in zip(sorted(read), splits, strict=True)]
    has = [(user, intent, 1 + (intent > 3)) for user in range(users) for intent in range(user % 2, INTENTS, 2)]
    serves = [(item, intent, 1 + (intent > 3)) for item in range(ITEMS) for intent in range(item % 2, INTENTS, 2)]
    texts = np.eye(INTENTS, 8, dtype=np.float32)
    columns = {
        **_table("possesses", "user", has),
        **_table("satisfies", "item", serves if satisfied else []),
        "embeddings.intents.lexical_8": texts,
        "embeddings.items.lexical_8": random.normal(size=(ITEMS, 8)).astype(np.float32),
    }
    return write_snapshot(folder, sizes=(users, ITEMS, 0, 0), interactions=read, columns=columns, intents=INTENTS)


def with_intents_of_users_alone(folder: Path) -> Snapshot:
    """The same, but no item is known to satisfy an intent."""
    return with_intents(folder, satisfied=False)


def _table(name: str, owner: str, rows: list[tuple[int, int, int]]) -> dict[str, np.ndarray[Any, Any]]:
    table = np.array(rows, dtype=np.int32).reshape(-1, 3)
    ends = {f"{name}.{owner}_index": table[:, 0].copy(), f"{name}.intent_index": table[:, 1].copy()}
    return {**ends, f"{name}.round": table[:, 2].astype(np.int8)}


@pytest.fixture
def library(tmp_path: Path) -> Snapshot:
    return with_intents(tmp_path / "snapshots")


def build(snapshot: Snapshot, **overrides: Any) -> Ikgr:
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    torch.manual_seed(0)
    return Ikgr(data, IkgrConfig(**{"dimension": 8, "edge_dropout": 0.0, **overrides}), torch.device("cpu"))


def fitted(snapshot: Snapshot) -> IntentScorer:
    """What twenty epochs leave behind, as it comes back from disk."""
    model = build(snapshot, dimension=16, batch_size=64, learning_rate=0.02)
    (optimiser,), generator = model.optimisers().values(), torch.Generator().manual_seed(0)
    for epoch in range(20):
        for _, loss in model.steps(epoch, generator):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.no_grad():
        made = model.scorer()
    scorer = Scorer.restore("IntentScorer", made.tensors())
    assert isinstance(scorer, IntentScorer)
    return scorer


def test_the_translation_is_equation_8() -> None:
    vectors = torch.randn(7, 5, generator=torch.Generator().manual_seed(1))
    own = torch.tensor([[0, 1, 2], [3, -1, -1], [-1, -1, -1], [4, 5, -1]])
    other = torch.tensor([[3, 4], [6, -1], [1, 2], [-1, -1]])
    found = translation(vectors, own, other)
    for row in range(4):
        mine, theirs = (vectors[each[row][each[row] >= 0]] for each in (own, other))
        moved = torch.zeros(5)
        for one in mine if len(theirs) else []:
            cosines = torch.cosine_similarity(one[None], theirs)
            moved += (1 - cosines.max()) * (theirs[cosines.argmax()] - one) / len(mine)
        torch.testing.assert_close(found[row], moved)
    alike = translation(vectors, torch.tensor([[0, 1]]), torch.tensor([[1, 0]]))
    torch.testing.assert_close(alike, torch.zeros(1, 5), atol=1e-6, rtol=0)


def test_the_score_is_equations_9_to_11(library: Snapshot) -> None:
    for power in (0.0, 2.0):
        with torch.no_grad():
            scorer = build(library, mixer=0.3, support_power=power, choice_weight=0).scorer()
        scores = scorer.scores(torch.arange(USERS))
        data = training_data(library, (SplitCode.TRAIN,), SplitCode.VALID)
        for user, item in ((0, 0), (0, 1), (7, 3), (39, 23)):
            theirs = data.intents.possessed.intent_index[data.intents.possessed.owner_index == user]
            its = data.intents.satisfied.intent_index[data.intents.satisfied.owner_index == item]
            # All items of a taste satisfy all of its intents: the supports are alike, and the mean is a plain one.
            match = np.mean([max(float(k == other) for other in its) for k in theirs])
            plain = float(scorer.user_vectors[user] @ scorer.item_vectors[item] + scorer.item_bias[item])
            assert float(scores[user, item]) == pytest.approx(plain + 0.3 * match, abs=1e-5)
    assert torch.allclose(torch.linalg.vector_norm(scorer.user_vectors, dim=1), torch.ones(USERS))


def test_support_counts_the_items_that_satisfy_an_intent() -> None:
    has, serves = Links.of([0, 0, 1], [0, 1, 1], [1, 2, 1]), Links.of([0, 1, 2, 2], [0, 0, 0, 1], [1, 1, 1, 1])
    read = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0])
    assert has.support(serves, *read).tolist() == [3, 1, 0]
    assert has.exact().padded(2, 2).tolist() == [[0, -1], [1, -1]]
    assert Links.of([0, 0], [4, 2], [2, 1]).padded(1, 1).tolist() == [[2]], "exact ones first"
    assert Links.none().support(serves, *read).tolist() == []


def test_the_convolution_is_equation_3_normalised(library: Snapshot) -> None:
    model = build(library)
    with torch.no_grad():
        model.relations.normal_()
    inputs, graph = model._inputs(), model._graph
    first_intent = USERS + ITEMS
    dense = torch.zeros(graph.nodes, graph.nodes)
    dense[graph.rows.long(), graph.neighbours.long()] = graph.weights
    kind = [0] * USERS + [1] * ITEMS + [2] * INTENTS
    code = {(0, 1): 0, (1, 0): 1, (0, 2): 2, (2, 0): 3, (1, 2): 4, (2, 1): 5}
    encoded = model._encode(graph, inputs)
    for node in (0, 5, USERS, USERS + 9, first_intent):
        total = inputs[node].clone()
        for other in torch.nonzero(dense[node])[:, 0].tolist():
            total += dense[node, other] * (model.relations[code[kind[node], kind[other]]] + inputs[other])
        torch.testing.assert_close(encoded[node], torch.nn.functional.leaky_relu(model.layer(total / 2)))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Ikgr:
    """A model of width 4, whose parameters a test may set."""
    return build(with_intents(tmp_path_factory.mktemp("snapshots")), dimension=4)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 9), scale=st.floats(1e-3, 1e3))
def test_the_energy_is_equations_4_to_6(small: Ikgr, seed: int, rows: int, scale: float) -> None:
    """Against a plain loop in float64: a normal of any length spans the same plane."""
    random = np.random.default_rng(seed)
    head, tail, move = random.normal(size=(3, rows, 4)).astype(np.float32)
    normals = (scale * random.normal(size=(3, 4))).astype(np.float32)
    relation = random.integers(0, 3, rows)
    with torch.no_grad():
        small.normals.copy_(torch.from_numpy(normals))
        found = small._energy(*map(torch.from_numpy, (head, tail, move, relation)))
    for row in range(rows):
        w = normals[relation[row]].astype(np.float64) / np.linalg.norm(normals[relation[row]].astype(np.float64))
        h, t = (each[row].astype(np.float64) - (w @ each[row]) * w for each in (head, tail))
        expected = np.sum((h + move[row] - t) ** 2)
        assert float(found[row]) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_the_energy_of_what_is_true_falls_below_what_is_not_and_the_constraints_hold(library: Snapshot) -> None:
    """TransH alone: after 60 epochs the planted edges cost less than all corrupted ones of their kind."""
    model = build(library, ranking_weight=0, batch_size=64, learning_rate=0.02, dimension=16, intent_translation=False)
    (optimiser,), generator = model.optimisers().values(), torch.Generator().manual_seed(0)
    for epoch in range(60):
        for _, loss in model.steps(epoch, generator):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            with torch.no_grad():  # ‖w‖ = 1 after every step: what lies along w is projected away, and no more
                along, each = torch.nn.functional.normalize(model.normals, dim=1), torch.arange(3)
                gone = model._energy(along, torch.zeros_like(along), torch.zeros_like(along), each)
                torch.testing.assert_close(gone, torch.zeros(3), atol=1e-10, rtol=0)
    with torch.no_grad():
        encoded = model._encode(model._graph, model._inputs())
        assert float(encoded.norm(dim=1).mean()) < 1.05, "lengths are held to about 1"
        moves = torch.nn.functional.normalize(model.moves, dim=1)
        assert float((along * moves).sum(1).abs().max()) < 0.2, "each translation lies about in its plane"
        users, items = torch.arange(USERS), torch.arange(ITEMS)
        ends = {
            POSSESSES: (encoded[:USERS], encoded[USERS + ITEMS :], users % 2, torch.arange(INTENTS) % 2),
            SATISFIES: (encoded[USERS:][:ITEMS], encoded[USERS + ITEMS :], items % 2, torch.arange(INTENTS) % 2),
            CONSUMES: (encoded[:USERS], encoded[USERS:][: ITEMS - 4], users % 2, items[:-4] % 2),
        }
        for relation, (heads, tails, mine, theirs) in ends.items():
            shape = len(heads), len(tails)
            pairs = heads[:, None].expand(*shape, -1).flatten(0, 1), tails[None].expand(*shape, -1).flatten(0, 1)
            kind = torch.full((len(pairs[0]),), relation)
            energy = model._energy(*pairs, model.moves[kind], kind).view(shape)
            is_true = mine[:, None] == theirs[None]
            lower = (energy[is_true][:, None] < energy[~is_true][None]).float().mean()
            assert float(lower) > 0.9, relation


def test_ablations_leave_out_what_they_say(library: Snapshot) -> None:
    def edges(knowledge: str) -> int:
        return build(library, knowledge=knowledge)._graph.undirected

    read, every, exact = USERS * 5, (USERS + ITEMS) * 3, (USERS + ITEMS) * 2
    assert [edges(each) for each in ("none", "exact", "intents")] == [read, read + exact, read + every]
    assert read < edges("interactions") <= read + 10 * USERS
    assert not build(library, intent_scoring=False).scorer().mixer.any()
    assert build(library)._texts[USERS : USERS + ITEMS].any()
    assert not build(library, item_texts=False)._texts[USERS : USERS + ITEMS].any()
    assert build(library, item_texts=False)._texts[USERS + ITEMS :].any(), "intents keep theirs"
    generator = torch.Generator().manual_seed(0)
    given, learnt = (
        next(build(library, intent_translation=each).steps(0, generator.manual_seed(0)))[1].item()
        for each in (True, False)
    )
    assert given != learnt


def test_what_texts_about_users_may_know_is_kept_from_the_selection(library: Snapshot) -> None:
    data = training_data(library, (SplitCode.TRAIN,), SplitCode.VALID)
    written = dataclasses.replace(data.intents, user_vectors=np.ones((USERS, 8), np.float32))

    def texts(**changed: object) -> torch.Tensor:
        known = dataclasses.replace(data, intents=written, **changed)
        return Ikgr(known, IkgrConfig(dimension=8), torch.device("cpu"))._texts

    unproven = texts(profiles_proven=False)
    assert not unproven[:USERS].any()
    assert unproven[USERS:].any(1).all(), "items and intents keep theirs"
    assert texts()[:USERS].all()
    assert texts(profiles_proven=False, selection=None)[:USERS].all()


def test_intents_tell_which_unread_items_are_to_whose_taste(library: Snapshot) -> None:
    unread = fitted(library).scores(torch.arange(USERS))[:, -4:]
    own = (torch.arange(USERS)[:, None] % 2) == (torch.arange(4)[None] % 2)
    gap = unread[own].view(USERS, 2).min(1).values - unread[~own].view(USERS, 2).max(1).values
    assert (gap > 0).float().mean() >= 0.75, "by chance, one in six"


def test_a_newcomer_with_the_intents_of_a_taste_gets_its_items(library: Snapshot) -> None:
    scorer = fitted(library)
    for taste in (0, 1):
        intents = torch.arange(taste, INTENTS, 2)
        best = scorer.newcomer(intents).topk(10).indices
        assert (best % 2 == taste).float().mean() >= 0.9
        alike = scorer.likeness(intents, torch.arange(ITEMS))
        torch.testing.assert_close(alike, (torch.arange(ITEMS) % 2 == taste).float()[:, None].expand(-1, len(intents)))
