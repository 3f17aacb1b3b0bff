"""Loss functions. Each returns a scalar: a mean over its pairs, so that batches of any size weigh alike."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Activation = Literal["tanh", "atan", "relu"]

CACHED, ON_GPU = 2**20, 2**26
"""Scores held at once by `log_partition`: as many as a processor's cache takes, or as keep a GPU busy."""


class _LogPartition(torch.autograd.Function):
    """Σᵣ wᵣ·ln Σₖ exp(qᵣ·cₖ), some rows at a time.

    The weights are known beforehand, so a block's gradients are made while its scores are still in the cache: the
    matrix of all scores, its exponentials and its gradient never exist. On one core that is nine times as fast.
    """

    @staticmethod
    def forward(context: Any, queries: Tensor, candidates: Tensor, weights: Tensor) -> Tensor:
        block = max(16, (ON_GPU if queries.is_cuda else CACHED) // max(len(candidates), 1))
        to_queries, to_candidates = torch.empty_like(queries), torch.zeros_like(candidates)
        total = queries.new_zeros(())
        for start in range(0, len(queries), block):
            rows, weight = queries[start : start + block], weights[start : start + block, None]
            scores = rows @ candidates.T
            largest = scores.amax(1, keepdim=True)
            scores.sub_(largest).exp_()
            sums = scores.sum(1, keepdim=True)
            total += (weight * (sums.log() + largest)).sum()
            scores.mul_(weight / sums)
            torch.mm(scores, candidates, out=to_queries[start : start + block])
            to_candidates.addmm_(scores.T, rows)
        context.save_for_backward(to_queries, to_candidates)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        to_queries, to_candidates = context.saved_tensors
        return to_queries * gradients[0], to_candidates * gradients[0], None


def log_partition(queries: Tensor, candidates: Tensor, weights: Tensor) -> Tensor:
    """Σᵣ wᵣ·ln Σₖ exp(qᵣ·cₖ), a scalar, without the m × k matrix of scores; in float32 whatever is autocast.

    Args:
        queries: q, shape (m, d).
        candidates: c, shape (k, d).
        weights: w, shape (m,), without a gradient.
    """
    with torch.autocast(queries.device.type, enabled=False):
        total: Tensor = _LogPartition.apply(queries.float(), candidates.float(), weights.float())
    return total


def bpr(positive: Tensor, negative: Tensor) -> Tensor:
    """Bayesian personalised ranking (Rendle et al., UAI 2009): −ln σ(positive − negative).

    Args:
        positive: scores of what was chosen, shape (n,).
        negative: scores of what was not, shape (n,).
    """
    return F.softplus(negative - positive).mean()


def margin(positive: Tensor, negative: Tensor, width: float) -> Tensor:
    """max(0, width + negative − positive): what was chosen leads by a margin (Weston et al., IJCAI 2011).

    Args:
        positive: shape (n,).
        negative: shape (n,).
        width: of the margin.
    """
    return F.relu(width + negative - positive).mean()


def softmax(queries: Tensor, candidates: Tensor, row: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Cross entropy of the right candidate among all candidates, under cosine similarity.

    Args:
        queries: shape (m, d).
        candidates: shape (k, d).
        row: the query of each pair, int64, shape (n,); a query's partition sum is computed once for all its pairs.
        target: the right candidate of each pair, int64, shape (n,).
        temperature: τ > 0; the smaller, the more the hardest candidates count.
    """
    queries, candidates = F.normalize(queries, dim=1) / temperature, F.normalize(candidates, dim=1)
    right = (F.embedding(row, queries) * F.embedding(target, candidates)).sum(1)
    weights = torch.bincount(row, minlength=len(queries)) / len(row)
    return log_partition(queries, candidates, weights) - right.mean()


def info_nce(anchors: Tensor, others: Tensor, own: Tensor, temperature: float) -> Tensor:
    """InfoNCE: a node's embedding in one view tells its own in another view from those of other nodes.

    Args:
        anchors: the first view, shape (k, d).
        others: the second, shape (k, d), the same nodes in the same order.
        own: the nodes that are anchors, int64, shape (n,); one that occurs twice counts twice.
        temperature: τ > 0.
    """
    nodes, row = torch.unique(own, return_inverse=True)
    return softmax(F.embedding(nodes, anchors), others, row, own, temperature)


def sampled_softmax(positive: Tensor, negative: Tensor, temperature: float) -> Tensor:
    """Cross entropy of the right candidate among itself and some drawn evenly (Wu et al., TOIS 2024).

    Args:
        positive: cosines of what was chosen, shape (n,).
        negative: cosines of what was drawn, shape (n, k).
        temperature: τ > 0.
    """
    scores = torch.cat([positive[:, None], negative], dim=1) / temperature
    return (torch.logsumexp(scores, dim=1) - scores[:, 0]).mean()


def bilateral_softmax(
    queries: Tensor, candidates: Tensor, row: Tensor, target: Tensor, *, temperature: float, positive_temperature: float
) -> Tensor:
    """BSL (Wu et al., ICDE 2024): −τ₁·ln E₊[exp(f/τ₁)] + τ₂·ln Σ exp(f/τ₂), a query, divided by τ₂.

    The expectation over a query's right candidates lets those count less that look like noise. A query weighs as much
    as it has pairs, as in `softmax`, which is the limit of a large τ₁.

    Args:
        queries: shape (m, d); each has a pair.
        candidates: shape (k, d).
        row: the query of each pair, int64, shape (n,).
        target: the right candidate of each pair, int64, shape (n,).
        temperature: τ₂ > 0.
        positive_temperature: τ₁ > 0.
    """
    queries, candidates = F.normalize(queries, dim=1), F.normalize(candidates, dim=1)
    cosines = (F.embedding(row, queries) * F.embedding(target, candidates)).sum(1)
    count = torch.bincount(row, minlength=len(queries))
    # A cosine is at most 1, so nothing overflows, and 2/τ₁ lies far within a float's exponent for any sensible τ₁.
    sums = torch.zeros_like(count, dtype=cosines.dtype).index_add(0, row, ((cosines - 1) / positive_temperature).exp())
    mean = 1 + positive_temperature * (sums / count.clamp_min(1)).clamp_min(torch.finfo(sums.dtype).tiny).log()
    weights = count / len(row)
    return log_partition(queries / temperature, candidates, weights) - (weights * mean).sum() / temperature


def pairwise_softmax(positive: Tensor, negative: Tensor, temperature: float, activation: Activation) -> Tensor:
    """PSL (Yang et al., NeurIPS 2024): ln Σⱼ σ(dⱼ)^(1/τ) with a slower σ than softmax's exponential.

    d is half the difference of the cosines; σ is 1 + tanh d, 1 + atan d or max(0, 1 + d).

    Args:
        positive: cosines of what was chosen, shape (n,).
        negative: cosines of what was drawn, shape (n, k).
        temperature: τ > 0.
        activation: σ.
    """
    difference = (negative - positive[:, None]) / 2
    slower = {"tanh": torch.tanh, "atan": torch.atan, "relu": lambda d: F.relu(1 + d) - 1}[activation](difference)
    return torch.logsumexp((1 + slower).clamp_min(1e-6).log() / temperature, dim=1).mean()


def direct_au(queries: Tensor, candidates: Tensor, uniformity: float) -> Tensor:
    """DirectAU (Wang et al., KDD 2022): pairs lie together, and each kind spreads over the sphere.

    Args:
        queries: of each pair, shape (n, d).
        candidates: of each pair, shape (n, d).
        uniformity: γ, the weight of spreading.
    """
    queries, candidates = F.normalize(queries, dim=1), F.normalize(candidates, dim=1)
    alignment = (queries - candidates).square().sum(1).mean()
    return alignment + uniformity * (_uniformity(queries) + _uniformity(candidates)) / 2


def _uniformity(unit: Tensor) -> Tensor:
    """The logarithm of the mean of exp(−2‖x − y‖²) over pairs of different rows of unit length."""
    count = len(unit)
    together = (4 * (unit @ unit.T) - 4).exp().sum() - count
    return (together / max(count * (count - 1), 1)).clamp_min(torch.finfo(unit.dtype).tiny).log()


def cosine_contrast(positive: Tensor, negative: Tensor, width: float, weight: float) -> Tensor:
    """SimpleX's loss (Mao et al., CIKM 2021): 1 − positive + weight · mean of max(0, negative − width).

    Args:
        positive: cosines of what was chosen, shape (n,).
        negative: cosines of what was drawn, shape (n, k).
        width: cosines below it are far enough.
        weight: of the negatives.
    """
    return (1 - positive).mean() + weight * F.relu(negative - width).mean()


def scaled_cosine(reconstructed: Tensor, original: Tensor, power: float) -> Tensor:
    """(1 − cosine)^power (GraphMAE, KDD 2022; CIKGRec, eq. 7).

    Args:
        reconstructed: shape (n, d).
        original: shape (n, d).
        power: η ≥ 1; the larger, the less the easy rows count.
    """
    return (1 - F.cosine_similarity(reconstructed, original, dim=1)).clamp_min(0).pow(power).mean()


def squared_length(*embeddings: Tensor) -> Tensor:
    """Half the squared L2 norm of each row, summed over the arguments (each (n, d)), averaged over rows."""
    return torch.stack([each.square().sum(1).mean() for each in embeddings]).sum() / 2
