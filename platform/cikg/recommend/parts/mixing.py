"""The gate of a mixture: how much each expert counts for a user, by how much is known of the user.

    weight of expert e for user u = exp(aₑ + bₑ·xᵤ) / Σ over experts,  xᵤ = standardised log of the history's length

a and b are sought uphill, one at a time, on the ranking itself: the `quality` of users' held-out items. They are two
numbers an expert, so that a small validation split is enough. Such a walk also follows what a few users happen to
prefer; so it is made on several halves of them, and the mean of where these end is served (bagging: Breiman, Machine
Learning 1996). A likelihood would be smoother, and was tried: scores of linear models have tails so heavy that its
optimum ranks worse than equal weights do. Which expert is trusted for whom is the idea of mixtures of experts (Jacobs
et al., Neural Computation 1991); adding standardised scores that of fusion (Fox and Shaw, TREC-2, 1994); seeking
weights uphill on the metric that of coordinate ascent (Metzler and Croft, Information Retrieval 2007).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cikg.recommend.data.views import Array, Pairs, TrainingData
from cikg.recommend.evaluation.measuring import Metrics
from cikg.recommend.parts import linear
from cikg.recommend.scorers import Scorer, standardise

JUDGES = 4000
"""Users whose held-out items fit the gate: more would not move it."""
CANDIDATES = 150
"""Best items of each expert that compete with the held-out ones."""
CHUNK = 256
NEVER = -1e4
"""The score of a place without a candidate."""
DEPTHS = (50, 100)
"""Quality is averaged over these cut-offs."""
STEPS = (1.0, 0.5, 0.25, 0.12)
"""How far a moves, round by round; b moves a fifth of that. The last rounds polish."""
BLENDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
"""Weights of the second of two experts, of which the best says what it is worth beside the first."""
DROPPED = -6.0
"""The a of an expert that adds nothing."""
LEAST = 0.01
"""Mean weight below which an expert is left out."""
GAIN = 2e-5
"""The least gain of a move: below it, staying is simpler."""
SPLITS = 2
"""How often the judges are split into halves, of which each finds a gate."""

Gate = dict[str, tuple[float, float]]
"""(a, b) of each expert."""


@dataclass(frozen=True)
class Ballot:
    """Candidates for some users, and what each expert makes of them.

    Attributes:
        user_index: shape (U,).
        scores: standardised; shape (U, C, experts).
        right: whether a candidate was held out; shape (U, C).
    """

    user_index: Array
    scores: Tensor
    right: Tensor

    def of(self, some: Array) -> Ballot:
        """What only some of the users judge.

        Args:
            some: their places, shape (n,).
        """
        places = torch.from_numpy(some)
        return Ballot(self.user_index[some], self.scores[places], self.right[places])

    def quality(self, weights: Tensor) -> Tensor:
        """NDCG: the mean over users and `DEPTHS`.

        Args:
            weights: of each expert for each user, shape (U, experts).
        """
        scores = torch.bmm(self.scores, weights[:, :, None]).squeeze(2)
        depth = min(max(DEPTHS), scores.shape[1])
        hits = torch.gather(self.right, 1, torch.topk(scores, depth, dim=1).indices)
        discount = 1 / torch.log2(torch.arange(2, depth + 2))
        gains, ideal = (hits * discount).cumsum(1), discount.cumsum(0)
        held = self.right.sum(1).long().clamp_min(1)
        each = []
        for k in (min(k, depth) for k in DEPTHS):
            each.append(gains[:, k - 1] / ideal[held.clamp_max(k) - 1])
        return torch.stack(each).mean()


def history_lengths(fit: Pairs, users: int) -> Tensor:
    """x: log(1 + items in the history), standardised over the users who have any; float32, shape (users,)."""
    length = np.bincount(fit.user_index, minlength=users)
    logs = np.log1p(length)
    known = logs[length > 0]
    deviation = known.std() if len(known) else 0.0
    centred = (logs - (known.mean() if len(known) else 0.0)) / (deviation or 1.0)
    return torch.from_numpy(np.clip(centred, -3.0, 3.0).astype(np.float32))


def weights(gate: Gate, length: Tensor) -> Tensor:
    """Each expert's weight for each user: rows sum to 1; shape (users, experts)."""
    a, b = torch.tensor(list(gate.values()), dtype=torch.float32).T
    return torch.softmax(a + length[:, None] * b, dim=1)


def quality(metrics: Metrics) -> float:
    """What experts and gate are selected by, of the metrics of one of them: see `Ballot.quality`."""
    return float(sum(metrics[f"ndcg@{k}"] for k in DEPTHS)) / len(DEPTHS)


def fit_gate(data: TrainingData, experts: Mapping[str, Scorer], seed: int) -> Gate:
    """Fit the gate on the selection split; experts that add next to nothing are left out of it.

    Args:
        data: what the experts were fitted to, with a selection split.
        experts: by name, fitted.
        seed: which users judge, where there are more than `JUDGES`, and how they are split.
    """
    ballot, random = cast(data, experts, seed), np.random.default_rng(seed)
    length = history_lengths(data.fit, data.nodes.users)[torch.from_numpy(ballot.user_index)]
    judges = len(ballot.user_index)
    halves = [half for _ in range(SPLITS) for half in np.array_split(random.permutation(judges), min(2, judges))]
    parameters = torch.stack([ascend(ballot.of(half), length[torch.from_numpy(half)]) for half in halves]).mean(0)
    share = torch.softmax(parameters[0] + length[:, None] * parameters[1], dim=1).mean(0)
    a, b = (parameters[0] - parameters[0].max()).tolist(), parameters[1].tolist()
    kept = [place for place in range(len(experts)) if share[place] >= LEAST]
    names = list(experts)
    return {names[place]: (round(a[place], 4), round(b[place], 4)) for place in kept}


def ascend(ballot: Ballot, length: Tensor) -> Tensor:
    """The a and b of each expert that a walk uphill ends at, the largest a being 0; shape (2, experts)."""
    count = ballot.scores.shape[2]
    alone = torch.stack([ballot.quality(row.expand(len(length), -1)) for row in torch.eye(count)])
    parameters = torch.zeros(2, count)
    parameters[0] = 2 * torch.log(alone.clamp_min(1e-6) / alone.max().clamp_min(1e-6)).clamp_min(DROPPED / 2)

    def value(of: Tensor) -> float:
        return float(ballot.quality(torch.softmax(of[0] + length[:, None] * of[1], dim=1)))

    best = value(parameters)
    for step in STEPS:
        for expert in range(count):
            for moved in _moves(parameters, expert, step):
                if (reached := value(moved)) > best + GAIN:
                    best, parameters = reached, moved
    parameters[0] -= parameters[0].max()
    return parameters


def worth(data: TrainingData, expert: Scorer, beside: Scorer | None, seed: int) -> float:
    """What an expert is worth to a mixture that has another: the quality of the best of some weightings of both."""
    if beside is None:
        ballot, blends = cast(data, {"expert": expert}, seed), [torch.ones(1, 1)]
    else:
        ballot = cast(data, {"beside": beside, "expert": expert}, seed)
        blends = [torch.tensor([[1 - share, share]]) for share in BLENDS]
    return max(float(ballot.quality(weights.expand(len(ballot.user_index), -1))) for weights in blends)


def _moves(parameters: Tensor, expert: int, step: float) -> list[Tensor]:
    """Neighbours of a gate that differ in one expert: more or less of it, none of it, more of it for long histories."""
    a = float(parameters[0, expert])
    found = []
    for row, changed in ((0, a + step), (0, a - step), (0, DROPPED), (1, step / 5), (1, -step / 5)):
        moved = parameters.clone()
        moved[row, expert] = changed if row == 0 else moved[row, expert] + changed
        found.append(moved)
    return found


def cast(data: TrainingData, experts: Mapping[str, Scorer], seed: int) -> Ballot:
    """Let each expert name its best candidates for some users, and let all of them judge these and the right ones."""
    assert data.selection is not None  # noqa: S101
    users = np.unique(data.selection.user_index)
    if len(users) > JUDGES:
        users = np.sort(np.random.default_rng(seed).choice(users, JUDGES, replace=False))
    shape = data.nodes.users, data.nodes.items
    seen, held = linear.binary(data.fit, *shape), linear.binary(data.selection, *shape)
    parts = []
    for start in range(0, len(users), CHUNK):
        some = users[start : start + CHUNK]
        parts.append(_chunk(some, experts, seen[some].toarray() > 0, held[some].toarray()))
    width = max(scores.shape[1] for scores, _ in parts)
    scores = torch.cat([_widen(each, width, NEVER) for each, _ in parts])
    right = torch.cat([_widen(each, width, 0.0) for _, each in parts])
    return Ballot(users, scores, right)


def _chunk(users: Array, experts: Mapping[str, Scorer], seen: Array, held: Array) -> tuple[Tensor, Tensor]:
    """Scores (U, C, experts) and right ones (U, C) of some users; `seen` and `held` are of shape (U, items)."""
    known, right = torch.from_numpy(seen), torch.from_numpy(held)
    index = torch.from_numpy(users)
    scored = []
    chosen = right > 0
    for scorer in experts.values():
        device = next(iter(scorer.tensors().values())).device
        scores = standardise(scorer.scores(index.to(device))).cpu()
        best = torch.topk(scores.masked_fill(known, -torch.inf), min(CANDIDATES, scores.shape[1]), dim=1).indices
        chosen.scatter_(1, best, value=True)
        scored.append(scores)
    chosen &= ~known
    width = int(chosen.sum(1).max())
    present, item = torch.topk(chosen.to(torch.uint8), width, dim=1)
    stacked = torch.stack([torch.gather(scores, 1, item) for scores in scored], dim=2)
    return stacked.masked_fill_(present[:, :, None] == 0, NEVER), torch.gather(right, 1, item) * present


def _widen(tensor: Tensor, width: int, filler: float) -> Tensor:
    missing = width - tensor.shape[1]
    if not missing:
        return tensor
    return torch.cat([tensor, tensor.new_full((len(tensor), missing, *tensor.shape[2:]), filler)], dim=1)
