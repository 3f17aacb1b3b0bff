"""Loss functions. Each returns a scalar: the mean over its first axis."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def bpr(positive: Tensor, negative: Tensor) -> Tensor:
    """Bayesian personalised ranking (Rendle et al., UAI 2009): −ln σ(positive − negative).

    Args:
        positive: scores of what was chosen, shape (n,).
        negative: scores of what was not, shape (n,).
    """
    return F.softplus(negative - positive).mean()


def softmax(queries: Tensor, candidates: Tensor, row: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Cross entropy of the right candidate among all candidates, under cosine similarity.

    With users as queries and items as candidates it is the softmax loss of recommendation; with two views of the same
    nodes it is InfoNCE (CIKGRec, eq. 9).

    Args:
        queries: shape (m, d).
        candidates: shape (k, d).
        row: the query of each pair, int64, shape (n,); a query's partition sum is computed once for all its pairs.
        target: the right candidate of each pair, int64, shape (n,).
        temperature: τ > 0; the smaller, the more the hardest candidates count.
    """
    queries, candidates = F.normalize(queries, dim=1) / temperature, F.normalize(candidates, dim=1)
    partition = torch.logsumexp(queries @ candidates.T, dim=1)
    right = (F.embedding(row, queries) * F.embedding(target, candidates)).sum(1)
    return (F.embedding(row, partition[:, None]).squeeze(1) - right).mean()


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
