"""What linear methods share: the matrix of interactions, similarities of items, and room for square matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from cikg.errors import InputError
from cikg.memory import available_memory
from cikg.recommend.data.views import Array, Pairs, TrainingData
from cikg.recommend.devices import free_memory
from cikg.text import lexical

SQUARES = 4
"""Dense items × items matrices that exist at once: the Gram matrix, its factor and the inverse, and the best so far."""


def binary(pairs: Pairs, rows: int, columns: int) -> sparse.csr_array:
    """1 where there is a pair; float32, shape (rows, columns)."""
    ones = np.ones(len(pairs), dtype=np.float32)
    return sparse.csr_array((ones, pairs.item_index, pairs.offsets(rows)), shape=(rows, columns))


def interactions(data: TrainingData) -> sparse.csr_array:
    """X: 1 where a user chose an item; float32, shape (users, items)."""
    return binary(data.fit, data.nodes.users, data.nodes.items)


def rows(pairs: Pairs, users: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Offsets and columns of a 0/1 matrix, as `ItemWeightScorer` takes them; int32."""
    offsets = torch.from_numpy(pairs.offsets(users)).to(device, torch.int32)
    return offsets, torch.from_numpy(pairs.item_index).to(device, torch.int32)


def has_text(data: TrainingData) -> bool:
    """Whether any item is described in words or by the vector of a profile."""
    return data.item_profile.shape[1] > 0 or any(data.item_text)


def lack_of_room(items: int, device: torch.device) -> str | None:
    """What dense items × items matrices need and the memory that is free now has not, in words; None if they fit.

    They are made in the machine's memory, whichever device they are for.
    """
    needed, free = SQUARES * items * items * 4, min(available_memory(), free_memory(device))
    if needed <= free:
        return None
    said, left = (f"{size / 2**30:.0f} GiB" for size in (needed, free))
    return f"matrices of {items:,} × {items:,} items need {said}, but only {left} are free"


def demand_room(items: int, method: str, device: torch.device) -> None:
    """Refuse what would not fit, before anything is computed.

    Raises:
        InputError: the matrices of `method` need more memory than is free.
    """
    if (lack := lack_of_room(items, device)) is not None:
        raise InputError(
            f"{method} does not fit in memory: {lack}",
            cure="Import with a higher --core, or train lightgcn, which needs no such matrix",
        )


def fact_similarity(data: TrainingData) -> sparse.csr_array:
    """Cosine between items as bags of the things they share a fact with, weighted by inverse document frequency.

    Returns:
        S, shape (items, items), symmetric, its diagonal 1 where an item has any fact and 0 elsewhere.
    """
    head, tail = data.head_index, data.tail_index
    item, thing = np.concatenate([head, tail]), np.concatenate([tail, head])
    chosen = item < data.nodes.items
    shape = (data.nodes.items, data.nodes.things)
    bags = sparse.coo_array((np.ones(chosen.sum(), dtype=np.float32), (item[chosen], thing[chosen])), shape).tocsr()
    bags.data[:] = 1.0
    frequency = np.maximum(bags.sum(axis=0), 1.0)
    unit = _unit(bags @ sparse.diags_array(np.log(data.nodes.items / frequency).astype(np.float32)))
    return sparse.csr_array(unit @ unit.T)


def text_similarity(data: TrainingData) -> Array:
    """Cosine between items' profiles where these were embedded, else between their texts as TF-IDF vectors.

    Returns:
        S, float32, shape (items, items); rows of items without text are 0.
    """
    if data.item_profile.shape[1]:
        vectors = np.nan_to_num(data.item_profile)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(length, 1e-9)
        return np.asarray(vectors @ vectors.T, dtype=np.float32)
    described = np.array([bool(text.strip()) for text in data.item_text])
    similarity = np.zeros((data.nodes.items, data.nodes.items), dtype=np.float32)
    if described.any():
        words = lexical.embed([lexical.normalise(text) for text in data.item_text if text.strip()])
        similarity[np.ix_(described, described)] = (words @ words.T).toarray()
    return similarity


def scaled(matrix: Any, left: Array, right: Array) -> sparse.csr_array:
    """diag(left) · matrix · diag(right), in float32."""
    found = sparse.diags_array(left) @ matrix @ sparse.diags_array(right)
    return sparse.csr_array(found.astype(np.float32))


def inverse_power(degree: Array, power: float) -> Array:
    """degree^-power, and 0 where the degree is 0; float64."""
    degree = np.asarray(degree, dtype=np.float64)
    return np.where(degree > 0, np.maximum(degree, 1e-12) ** -power, 0.0)


def _unit(matrix: sparse.csr_array) -> sparse.csr_array:
    length = np.sqrt(np.asarray(matrix.power(2).sum(axis=1)))
    return sparse.csr_array(scaled(matrix, inverse_power(length, 1.0), np.ones(matrix.shape[1])))


def keep_largest(weights: Array, count: int) -> None:
    """Set to 0, in place, all but the `count` largest entries of each row; of equal ones at the border all stay."""
    if count < weights.shape[1]:
        weights[weights < -np.partition(-weights, count - 1, axis=1)[:, count - 1, None]] = 0.0
