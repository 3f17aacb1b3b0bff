"""Adds users and items that came after a training to the model, by their intents: IKGR's cold start, without training.

Both rounds of extraction go over what is new as they did over the rest: the exact intents that its text says, and
related ones chosen from the pool. A newer snapshot holds them. Here a trained model is carried over to it: what was
known keeps what was learned, and what is new gets the vector that the model's own convolution makes of its intents
(equation 3, over intents alone), and the intents themselves to be compared (equations 9 to 11). What comes of it is a
run like any other: it is published, searched and evaluated the same way.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from cikg.errors import InputError
from cikg.graph.snapshot import Snapshot
from cikg.recommend import runs
from cikg.recommend.data.intents import Links
from cikg.recommend.data.nodes import pairs
from cikg.recommend.engine import Trained, code_version
from cikg.recommend.evaluation.measuring import KNOWS_TEST
from cikg.recommend.newcomers.newcomer import Model
from cikg.recommend.parts.intent_scoring import NEWCOMERS_MIXER, IntentScorer, prefixed
from cikg.schema import SplitCode
from cikg.settings import Settings

if TYPE_CHECKING:
    from cikg.graph.columns import Nodes


TEST_IS_KNOWN = (
    "the training knew interactions that are in the test split now: this run can be published, but not measured"
)


def extend(settings: Settings, directory: Path, snapshot: Snapshot) -> Trained:
    """Write a run that is an older one over a newer snapshot. A repeated call finds it.

    Args:
        settings: say where runs live.
        directory: of a run of IKGR.
        snapshot: a later one of the same dataset, with the intents of what came since.

    Raises:
        NotFoundError: the run knows no intents, or its snapshot is no longer kept.
        InputError: it was trained on this very snapshot, or on another dataset.
        SnapshotError: a file of it is damaged.
    """
    from cikg.recommend.newcomers import newcomer  # noqa: PLC0415 - what it takes to ask an LLM, which this does not

    before = runs.read_json(directory / runs.MANIFEST)
    if before["dataset"] != snapshot.dataset:
        raise InputError(f"{before['run']} was trained on {before['dataset']!r}, not on {snapshot.dataset!r}")
    if before["snapshot"] == snapshot.hash:
        raise InputError(
            f"{before['run']} was trained on this very snapshot: nothing is new",
            cure=f"Write what is new to the graph, then run `cikg extract ikgr --dataset {snapshot.dataset}`",
        )
    run = runs.run_id("ikgr", snapshot.dataset, {"extends": before["run"], "weights": before["weights"],
                                                  "snapshot": snapshot.hash})  # fmt: skip
    path = settings.runs / run
    if (path / runs.MANIFEST).is_file():
        return Trained(run, path, runs.read_json(path / runs.MANIFEST), {}, reused=True)
    began = datetime.now(UTC)
    model = newcomer.load(settings, directory)
    scorer = carried_over(model, snapshot, exact=before["config"]["knowledge"] == "exact")
    knows_test = before.get(KNOWS_TEST, False) or bool(learned_of_test(model.snapshot, snapshot))
    weights = path / runs.WEIGHTS
    runs.write_tensors(weights, scorer.tensors(), {"kind": type(scorer).__name__})
    runs.write_json(path / runs.CURVE, {"epochs": []})
    ended = datetime.now(UTC)
    manifest: dict[str, Any] = before | {
        "run": run,
        "extends": before["run"],
        "snapshot": snapshot.hash,
        "new": {
            kind: sum(each not in old.index for each in new.ids)
            for kind, old, new in (
                ("users", model.snapshot.users, snapshot.users),
                ("items", model.snapshot.items, snapshot.items),
            )
        },
        "valid": {},  # measured with other items to choose from
        KNOWS_TEST: knows_test,
        "warnings": list(dict.fromkeys([*before["warnings"], *([TEST_IS_KNOWN] if knows_test else [])])),
        "timings": {"total": round((ended - began).total_seconds(), 3)},
        "code": code_version(),
        "trained_at": ended.isoformat(timespec="seconds"),
        "weights": runs.digest(weights),
    }
    runs.write_json(path / runs.MANIFEST, manifest)
    return Trained(run, path, manifest, {})


def carried_over(model: Model, snapshot: Snapshot, *, exact: bool = False) -> IntentScorer:
    """What a trained model scores, by the indices of a later snapshot.

    Args:
        model: the trained one.
        snapshot: the later one.
        exact: whether the model knows none but exact intents, so that what is new has no others either.
    """
    old, scorer = model.snapshot, model.scorer
    users, items, pool = (places(getattr(old, kind), getattr(snapshot, kind)) for kind in ("users", "items", "intents"))
    new_pool = torch.full((len(old.intents.ids),), -1).index_copy_(
        0, pool[pool >= 0], torch.arange(len(pool))[pool >= 0]
    )  # by old places; -1 what the newer snapshot has no more
    has, serves = snapshot.possesses, snapshot.satisfies
    possessed, satisfied = (
        _known(links.exact() if exact else links, pool)
        for links in (
            Links.of(has.user_index, has.intent_index, has.round),
            Links.of(serves.item_index, serves.intent_index, serves.round),
        )
    )
    most = scorer.user_intents.shape[1]
    own = torch.from_numpy(possessed.padded(len(users), most))
    its = torch.from_numpy(satisfied.padded(len(items), most))
    known, sold = users >= 0, items >= 0
    own[known] = _renamed(scorer.user_intents[users[known]], new_pool)
    its[sold] = _renamed(_table(scorer, most)[items[sold]], new_pool)
    shares = (own >= 0).float() / (own >= 0).sum(1, keepdim=True).clamp_min(1)
    shares[known] = scorer.user_shares[users[known]] * (own[known] >= 0)
    mixer = torch.full((len(users),), NEWCOMERS_MIXER)
    mixer[known] = scorer.mixer[users[known]]
    messages, item_messages = _rows(scorer.messages, pool), _rows(scorer.item_messages, pool)
    user_vectors = scorer.encoded(messages, own)
    user_vectors[known] = scorer.user_vectors[users[known]]
    item_vectors = scorer.encoded(item_messages, its)
    item_vectors[sold] = scorer.item_vectors[items[sold]]
    bias = scorer.item_bias.mean().expand(len(items)).clone()  # how popular it will be is not known
    bias[sold] = scorer.item_bias[items[sold]]
    present = its >= 0
    choice_weight = torch.zeros(len(users))  # of a new user no choice is known that would tell an intent from another
    choice_weight[known] = scorer.choice_weight[users[known]]
    choices = scorer.choices and scorer.choices.carried_over(users, items, pool, satisfied.exact())
    return IntentScorer(
        user_vectors=user_vectors,
        item_vectors=item_vectors,
        intent_vectors=_rows(scorer.intent_vectors, pool),
        item_bias=bias,
        user_intents=own,
        user_shares=shares,
        item_offsets=torch.nn.functional.pad(present.sum(1).cumsum(0), (1, 0)),
        item_intents=its[present],
        messages=messages,
        item_messages=item_messages,
        weight=scorer.weight,
        bias=scorer.bias,
        mixer=mixer,
        choice_weight=choice_weight,
        **(prefixed(choices) if choices else {}),
    )


def learned_of_test(old: Snapshot, new: Snapshot) -> int:
    """How many test interactions of a snapshot an older one had in train or valid, where a training saw them."""
    test, items = pairs(new, SplitCode.TEST), len(old.items.ids)
    user, item = (
        places(getattr(old, kind), getattr(new, kind)).numpy()[index]
        for kind, index in (("users", test.user_index), ("items", test.item_index))
    )
    both = (user >= 0) & (item >= 0)
    seen = pairs(old, SplitCode.TRAIN, SplitCode.VALID)
    return int(np.isin(user[both] * items + item[both], seen.user_index * items + seen.item_index).sum())


def places(old: Nodes, new: Nodes) -> Tensor:
    """Where each node was before; int64, -1 where it is new."""
    return torch.tensor([old.index.get(each, -1) for each in new.ids], dtype=torch.int64)


def _known(links: Links, pool: Tensor) -> Links:
    """Those whose intents the model knows."""
    kept = pool.numpy()[links.intent_index] >= 0
    return Links(links.owner_index[kept], links.intent_index[kept], links.round[kept])


def _rows(table: Tensor, pool: Tensor) -> Tensor:
    """The rows of the pool as it is now; zeros, which are like nothing, for intents that the model does not know."""
    return torch.where((pool >= 0)[:, None], table[pool.clamp_min(0)], 0.0)


def _renamed(table: Tensor, new_pool: Tensor) -> Tensor:
    """Places of intents in the newer pool; -1 stays, and stands for those that are no more."""
    return torch.where(table >= 0, new_pool[table.clamp_min(0)], -1)


def _table(scorer: IntentScorer, most: int) -> Tensor:
    """Each item's intents as a row, filled up with -1."""
    count = scorer.item_offsets.diff()
    owner = np.repeat(np.arange(len(count)), count.numpy())
    place = np.arange(len(owner)) - scorer.item_offsets[:-1].numpy()[owner]
    table = torch.full((len(count), most), -1)
    table[torch.from_numpy(owner), torch.from_numpy(place)] = scorer.item_intents
    return table
