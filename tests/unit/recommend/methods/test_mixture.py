"""The mixture: what its scores are made of, what it does without, and what it must not look at."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cikg.errors import InputError
from cikg.graph.snapshot import Snapshot
from cikg.recommend import runs
from cikg.recommend.data.views import TrainingData, training_data
from cikg.recommend.engine import train
from cikg.recommend.evaluation.measuring import evaluate
from cikg.recommend.methods.lightgcn import Lightgcn
from cikg.recommend.methods.mixture import DENSITIES, EXPERTS, Mixture, MixtureConfig
from cikg.recommend.parts import linear, mixing
from cikg.recommend.scorers import DotScorer, MixtureScorer, StaticScorer
from cikg.schema import SplitCode
from cikg.settings import Settings
from tests.unit.recommend.planted import two_tastes, write_snapshot

SMALL = {"dimension": 16, "batch_size": 128, "learning_rate": 0.02, "most_epochs": 6, "rank": 4}
CPU = torch.device("cpu")


def test_a_score_is_the_sum_of_its_experts_shares(snapshot: Snapshot, offline: Settings) -> None:
    trained = train(snapshot, "mixture", settings=offline, overrides=SMALL)
    recommender = runs.load(trained.path)
    users, items = np.arange(60), np.tile(np.arange(40), (60, 1))
    experts, shares = recommender.shares(users, items)
    assert set(experts) == set(trained.manifest["chosen"]["gate"])
    np.testing.assert_allclose(shares.sum(2), recommender.scores(users), atol=1e-5)
    for place, expert in enumerate(experts):
        whole = recommender.scorer.experts[expert].scores(torch.arange(60))  # type: ignore[attr-defined]
        correlation = np.corrcoef(shares[0, :, place], whole[0].numpy())[0, 1]
        assert correlation == pytest.approx(1.0, abs=1e-4), "a share ranks as its expert does"


def test_what_is_served_is_on_valid_no_worse_than_any_expert(snapshot: Snapshot, offline: Settings) -> None:
    trained = train(snapshot, "mixture", settings=offline, overrides=SMALL)
    rows = json.loads((trained.path / "curve.json").read_text())["epochs"]
    tried = {tuple(sorted(row["gate"])): row["ndcg@50"] for row in rows if row["phase"] == "select"}
    assert {(expert,) for expert in EXPERTS} < set(tried)
    assert max(tried.values()) == tried[tuple(sorted(trained.manifest["chosen"]["gate"]))] == trained.valid["ndcg@50"]


def test_what_is_absent_drops_its_expert(tmp_path: Path, offline: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = two_tastes(tmp_path, facts=False)
    stripped = write_snapshot(
        tmp_path / "bare",
        sizes=(60, 40, 0, 0),
        interactions=list(zip(*(np.asarray(column).tolist() for column in columns(bare)), strict=True)),
    )
    monkeypatch.setattr(linear, "available_memory", lambda: 1000)
    trained = train(stripped, "mixture", settings=offline, overrides=SMALL)
    rows = json.loads((trained.path / "curve.json").read_text())["epochs"]
    assert {expert for row in rows for expert in row.get("gate", ())} == {"popularity", "spectral", "graph", "factors"}
    said = {note.partition(":")[0]: note for note in trained.manifest["notes"]}
    assert "no text vectors tell" in said["without the expert 'texts'"]
    assert "no user has an interest" in said["without the expert 'interests'"]
    assert "matrices of 40 × 40 items need 0 GiB" in said["without the expert 'linear'"]
    assert evaluate(trained.path, stripped)["test"]["ndcg@10"] > 0.3


def test_the_linear_expert_asks_for_memory_once_before_other_experts_hold_some(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, free = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID), iter([2**40])
    monkeypatch.setattr(linear, "available_memory", lambda: next(free, 1000))
    tried = [set(chosen["gate"]) for chosen, _ in Mixture(data, MixtureConfig(**SMALL), CPU).candidates()]
    assert {"linear"} in tried
    with pytest.raises(InputError, match="mixture does not fit in memory"):
        Mixture(data, MixtureConfig(gate={"linear": (0.0, 0.0)}), CPU)


def test_a_killed_training_keeps_what_was_fitted_and_ends_with_the_same_scores(
    snapshot: Snapshot, tmp_path: Path, offline: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the graph is refitted: nothing of the selection is fitted again, and the graph goes on."""
    script = """
import json, pathlib, sys, torch
from cikg.graph.snapshot import open_snapshot
from cikg.recommend.engine import train
from cikg.settings import Settings
torch.set_num_threads(1)
train(open_snapshot(pathlib.Path(sys.argv[1])), "mixture", settings=Settings(home=sys.argv[2], device="cpu"),
      overrides=json.loads(sys.argv[3]), checkpoint_seconds=0, observer=lambda p: print(p.phase, p.done, flush=True))
"""
    home, chosen = tmp_path / "killed", SMALL | {"gate": {"graph": (0.0, 0.0), "linear": (0.0, 0.0)}}
    command = [sys.executable, "-c", script, str(snapshot.path), str(home), json.dumps(chosen)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        refitting = (line for line in process.stdout if line.startswith("refit"))
        assert len(list(islice(refitting, 2))) == 2, "a later epoch of the graph begins"
        process.kill()
    assert process.returncode == -signal.SIGKILL

    class NoneForASelection(Lightgcn):
        def __init__(self, data: TrainingData, *rest: Any) -> None:
            assert data.selection is None, "the selection's graph was kept"
            super().__init__(data, *rest)

    with monkeypatch.context() as patched:
        patched.setattr("cikg.recommend.methods.mixture.Lightgcn", NoneForASelection)
        epochs: list[int] = []
        killed = Settings(home=home, device="cpu")
        observer = lambda p: epochs.append(p.done) if p.phase == "refit" else None  # noqa: E731
        resumed = train(snapshot, "mixture", settings=killed, overrides=chosen, observer=observer)
    whole = train(snapshot, "mixture", settings=offline, overrides=chosen)
    assert epochs[0] in (2, 3), "the refit's graph goes on from its checkpoint"
    assert resumed.manifest["weights"] == whole.manifest["weights"]
    assert resumed.manifest["chosen"] == whole.manifest["chosen"]
    assert not list(resumed.path.glob("parts-*")), "what was kept is not needed any more"


def columns(snapshot: Snapshot) -> tuple[np.ndarray, ...]:
    table = snapshot.interactions
    return table.user_index, table.item_index, table.split


@pytest.mark.parametrize("options", [{"refit": False}, {"protocol": "paper"}, {}])
def test_a_run_that_lacks_interests_for_want_of_a_refit_says_so(
    options: dict[str, object], tmp_path: Path, offline: Settings
) -> None:
    snapshot = leaky(tmp_path, [(user, user % 4) for user in range(60)])
    two = {"gate": {"popularity": (0.0, 0.0), "spectral": (0.0, 0.0)}}
    trained = train(snapshot, "mixture", settings=offline, overrides=SMALL | two, **options)
    said = "interests have no evidence, so only a refit would use them: this run has none"
    assert (said in trained.manifest["notes"]) == bool(options)


def test_nothing_that_valid_decides_sees_interests_without_evidence(tmp_path: Path) -> None:
    """Interests that know the validation items by heart change nothing that is selected; the refit uses them."""
    found = []
    for holds in ([(user, user % 4) for user in range(60)], [(user, user * 7 % 4) for user in range(60)]):
        snapshot = leaky(tmp_path / str(len(found)), holds)
        data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
        assert not data.interests_proven
        torch.manual_seed(0)
        *_, (chosen, scorer) = Mixture(data, MixtureConfig(**SMALL), CPU).candidates()
        assert "interests" not in scorer.experts  # type: ignore[attr-defined]
        found.append(chosen)
        refitted = training_data(snapshot, (SplitCode.TRAIN, SplitCode.VALID), None)
        torch.manual_seed(0)
        two = {"gate": {"graph": (0.0, 0.0), "linear": (0.0, 0.0)}}
        config = MixtureConfig(**SMALL).model_copy(update=chosen | two)
        ((_, last),) = Mixture(refitted, config, CPU).candidates()
        assert last.gates[:, -1].tolist() == pytest.approx([0.15] * 60)  # type: ignore[attr-defined]
        assert list(last.experts)[-1] == "interests"  # type: ignore[attr-defined]
    assert found[0] == found[1]


def leaky(folder: Path, holds: list[tuple[int, int]]) -> Snapshot:
    source = two_tastes(folder / "source")
    facts = source.facts
    return write_snapshot(
        folder,
        sizes=(60, 40, 6, 4),
        interactions=list(zip(*(np.asarray(column).tolist() for column in columns(source)), strict=True)),
        facts=list(
            zip(facts.head_index.tolist(), facts.relation_index.tolist(), facts.tail_index.tolist(), strict=True)
        ),
        has_interest=holds,
        from_evidence=False,
    )


@pytest.mark.parametrize("best", range(4))
def test_the_factors_settings_are_sought_as_long_as_the_next_is_clearly_better(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, best: int
) -> None:
    tried: list[tuple[float, float]] = []

    def worth(*_: object) -> float:
        place = DENSITIES.index(tried[-1])
        return 1.0 + 0.1 * place if place <= best else 1.0 + 0.1 * best + 0.001  # better, but by less than noise

    def fitted(_: Mixture, found: dict[str, float], starts: int) -> StaticScorer:
        if starts == 1:
            tried.append((found["unobserved_weight"], found["factors_penalty"]))
        return StaticScorer(torch.zeros(40))

    monkeypatch.setattr(mixing, "worth", worth)
    monkeypatch.setattr(Mixture, "_ials", fitted)
    mixture = Mixture(training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID), MixtureConfig(), CPU)
    _, chosen = mixture._factors({})
    assert tuple(chosen.values()) == DENSITIES[best]
    assert tried == list(DENSITIES[: best + 2])
    _, again = mixture._factors(chosen)
    assert again == chosen
    assert len(tried) == best + 2, "what is known is not sought again"


def test_a_setting_of_the_factors_that_is_given_stays(snapshot: Snapshot) -> None:
    config = MixtureConfig(factors_penalty=0.03, factors_starts=1, factors=4)
    mixture = Mixture(training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID), config, CPU)
    _, chosen = mixture._factors({})
    assert chosen["factors_penalty"] == 0.03
    assert chosen["unobserved_weight"] in [weight for weight, _ in DENSITIES]


def test_the_gate_finds_who_is_right_and_for_whom(snapshot: Snapshot) -> None:
    """One expert knows the held-out items of short histories, another those of long ones, a third nothing."""
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    nodes, random = data.nodes, torch.Generator().manual_seed(0)
    length = mixing.history_lengths(data.fit, nodes.users)
    right = torch.zeros(nodes.users, nodes.items)
    assert data.selection is not None
    right[data.selection.user_index, data.selection.item_index] = 3.0
    long = torch.arange(nodes.users) % 3 == 0
    noise = [torch.randn(nodes.users, nodes.items, generator=random) for _ in range(3)]
    identity = torch.eye(nodes.items)
    experts = {
        "long": DotScorer(noise[0] + right * long[:, None], identity),
        "short": DotScorer(noise[1] + right * ~long[:, None], identity),
        "nothing": DotScorer(noise[2], identity),
    }
    gate = mixing.fit_gate(data, experts, 0)
    weight = dict(zip(gate, mixing.weights(gate, length).mean(0).tolist(), strict=True))
    assert weight.get("nothing", 0.0) < min(weight["long"], weight["short"]) / 2


def test_what_a_few_users_happen_to_prefer_does_not_throw_an_expert_out(snapshot: Snapshot) -> None:
    """The gate is the mean of what halves of the users find, whichever user comes first."""
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    random = torch.Generator().manual_seed(0)
    vectors = [torch.randn(data.nodes.users, data.nodes.items, generator=random) for _ in range(2)]
    experts = {name: DotScorer(each, torch.eye(data.nodes.items)) for name, each in zip("ab", vectors, strict=True)}
    ballot = mixing.cast(data, experts, 0)
    length = mixing.history_lengths(data.fit, data.nodes.users)[torch.from_numpy(ballot.user_index)]
    order, found = np.random.default_rng(0), []
    for _ in range(mixing.SPLITS):
        for half in np.array_split(order.permutation(len(length)), 2):
            only = mixing.Ballot(ballot.user_index[half], ballot.scores[half], ballot.right[half])
            found.append(mixing.ascend(only, length[half]).numpy())
    assert np.std(found, axis=0).max() > 0.1, "the halves differ"
    a, b = np.mean(found, axis=0)
    gate = mixing.fit_gate(data, experts, 0)
    np.testing.assert_allclose([gate[name] for name in "ab"], np.stack([a - a.max(), b], axis=1), atol=1e-4)


def test_an_expert_is_worth_what_another_does_not_know(snapshot: Snapshot) -> None:
    """One knows by heart what the other knows too; one knows, less surely, what the other does not."""
    data = training_data(snapshot, (SplitCode.TRAIN,), SplitCode.VALID)
    nodes, random = data.nodes, torch.Generator().manual_seed(0)
    right = torch.zeros(nodes.users, nodes.items)
    assert data.selection is not None
    right[data.selection.user_index, data.selection.item_index] = 1.0
    even = torch.arange(nodes.users)[:, None] % 2 == 0

    def expert(known: torch.Tensor, sure: float) -> DotScorer:
        noise = torch.randn(nodes.users, nodes.items, generator=random)
        return DotScorer(noise + sure * right * known, torch.eye(nodes.items))

    served, same, other = expert(even, 9.0), expert(even, 9.0), expert(~even, 2.0)
    assert mixing.worth(data, same, None, 0) > mixing.worth(data, other, None, 0)
    assert mixing.worth(data, same, served, 0) < mixing.worth(data, other, served, 0)


def test_a_gate_of_unknown_experts_is_refused(snapshot: Snapshot, offline: Settings) -> None:
    with pytest.raises(InputError, match="popularity, spectral, texts, interests, graph, factors, linear"):
        train(snapshot, "mixture", settings=offline, overrides={"gate": {"oracle": (0.0, 0.0)}})


def test_a_gate_that_weighs_interests_without_evidence_is_refused(snapshot: Snapshot) -> None:
    data = training_data(snapshot, (SplitCode.TRAIN,), None)
    config = MixtureConfig(gate={"popularity": (0.0, 0.0), "interests": (0.0, 0.0)})
    ((_, scorer),) = Mixture(data, config, CPU).candidates()
    assert scorer.scores(torch.arange(60)).isfinite().all()
    with pytest.raises(InputError, match=r"interests have no evidence.*unproven_weight"):
        Mixture(dataclasses.replace(data, interests_proven=False), config, CPU)


def test_the_gate_looks_at_the_length_of_a_history() -> None:
    gate = {"linear": (0.0, 0.5), "popularity": (0.0, -0.5)}
    short, long = mixing.weights(gate, torch.tensor([-1.0, 1.0])).tolist()
    assert short == pytest.approx(long[::-1])
    assert long[0] > 0.7
    assert sum(long) == pytest.approx(1.0)


def test_an_expert_that_says_the_same_of_every_item_adds_nothing() -> None:
    vectors = torch.randn(3, 2)
    mixed = MixtureScorer.of(
        torch.full((3, 2), 0.5), {"a": DotScorer(vectors, torch.randn(5, 2)), "b": StaticScorer(torch.ones(5))}
    )
    *_, (name, share) = mixed.shares(torch.arange(3))
    assert name == "b"
    assert share.abs().max() == 0
    torch.testing.assert_close(mixed.scores(torch.arange(3)), next(mixed.shares(torch.arange(3)))[1])
