"""Drawing of neighbours, and the nodes found by it: numpy alone, a hop of one edge type at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Frontier:
    """The nodes of one kind that the last hop found.

    Attributes:
        first: the local index of the first; the others follow it.
        nodes: indices in the graph; int64, shape (n,).
        trees: the seed in whose neighbourhood each is, shape (n,); None where all seeds share one.
    """

    first: int
    nodes: Array
    trees: Array | None


@dataclass(frozen=True)
class Edges:
    """Edges of one type by target; memory-mapped files serve as well as arrays.

    Attributes:
        offsets: the edges that lead to target t are those from `offsets[t]` to `offsets[t + 1]`; shape (targets + 1,).
        sources: where each comes from; shape (edges,).
        times: when it came about, ascending for each target; shape (edges,). None where edges have no times.
        numbers: what else it is called; shape (edges,). None where its place is its number.
    """

    offsets: Array
    sources: Array
    times: Array | None = None
    numbers: Array | None = None

    def draw(
        self, frontier: Frontier, count: int, replace: bool, until: Array | None, random: np.random.Generator
    ) -> tuple[Array, Array]:
        """Draw edges that lead to the nodes of a frontier, uniformly and independently for each.

        Args:
            frontier: the nodes.
            count: how many edges a node; -1 for all.
            replace: draw with replacement.
            until: by tree, the latest time that an edge may have; None for any.
            random: where draws come from.

        Returns:
            For each edge drawn, its target's place in the frontier, and its own place. Shape of each: (drawn,).
        """
        if count == 0 or not len(frontier.nodes):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        begin, end = np.asarray(self.offsets[frontier.nodes]), np.asarray(self.offsets[frontier.nodes + 1])
        if until is not None and self.times is not None:
            end = _not_later(self.times, begin, end, until[frontier.trees])
        degrees = end - begin
        if replace and count > 0:
            many, few = np.flatnonzero(degrees), np.empty(0, np.int64)
            picked = random.integers(degrees[many, None], size=(len(many), count))
        else:
            chooses = degrees > count if count > 0 else np.zeros(len(degrees), dtype=bool)
            many, few = np.flatnonzero(chooses), np.flatnonzero(~chooses)
            picked = _distinct(degrees[many], max(count, 0), random)
        owner = np.concatenate([np.repeat(few, degrees[few]), np.repeat(many, picked.shape[1])])
        within = np.concatenate([_ranges(degrees[few]), picked.ravel()])
        return owner, begin[owner] + within


def _not_later(times: Array, begin: Array, end: Array, until: Array) -> Array:
    """Where the edges of each node end that are not later than its time: bisection, all nodes at once."""
    low, high = begin.copy(), end.copy()
    while len(still := np.flatnonzero(low < high)):
        middle = (low[still] + high[still]) // 2
        early = times[middle] <= until[still]
        low[still[early]] = middle[early] + 1
        high[still[~early]] = middle[~early]
    return low


def _distinct(sizes: Array, count: int, random: np.random.Generator) -> Array:
    """For each size, a uniform choice of `count` distinct numbers below it; shape (sizes, count).

    Floyd's algorithm (Bentley and Floyd, CACM 30(9), 1987) for all rows at once: at each step a number below a bound
    that grows by one; where it was chosen before, the bound itself.
    """
    chosen = np.empty((len(sizes), count), np.int64)
    for step in range(count if len(sizes) else 0):
        bound = sizes - count + step
        number = random.integers(bound + 1)
        taken = (chosen[:, :step] == number[:, None]).any(axis=1)
        chosen[:, step] = np.where(taken, bound, number)
    return chosen


def _ranges(lengths: Array) -> Array:
    """0 … length − 1 for each length, one after another."""
    starts = np.cumsum(lengths) - lengths
    numbers: Array = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
    return numbers


class Found:
    """The nodes of one kind found so far, numbered in the order in which they were found.

    Where trees are told apart, a node counts once in each.

    Args:
        size: how many nodes of this kind the graph has.
        seeds: where sampling starts; int64, shape (n,). They keep their order and their repetitions.
        trees: whose neighbourhood each seed begins; None where all share one.

    Attributes:
        nodes: index in the graph of each; shape (found,).
        trees: whose neighbourhood it is in, shape (found,); None where all share one.
        hops: how many each hop found, the seeds first.
    """

    def __init__(self, size: int, seeds: Array, trees: Array | None) -> None:
        self.nodes, self.trees = seeds, trees
        self.hops: list[int] = []
        self._size, self._closed = size, 0
        self._keys, self._numbers = np.unique(self._key(seeds, trees), return_index=True)

    def frontier(self) -> Frontier:
        """Close a hop: the nodes found since the last one was closed."""
        first, self._closed = self._closed, len(self.nodes)
        self.hops.append(self._closed - first)
        return Frontier(first, self.nodes[first:], None if self.trees is None else self.trees[first:])

    def number(self, nodes: Array, trees: Array | None) -> Array:
        """The number of each node in its tree; those not found before get the next ones. Shape: (n,)."""
        keys, inverse = np.unique(self._key(nodes, trees), return_inverse=True)
        place = np.searchsorted(self._keys, keys)
        known = np.zeros(len(keys), dtype=bool)
        inside = place < len(self._keys)
        known[inside] = self._keys[place[inside]] == keys[inside]
        numbers = np.empty(len(keys), np.int64)
        numbers[known] = self._numbers[place[known]]
        new = keys[~known]
        numbers[~known] = np.arange(len(self.nodes), len(self.nodes) + len(new))
        self._keys = np.insert(self._keys, place[~known], new)
        self._numbers = np.insert(self._numbers, place[~known], numbers[~known])
        self.nodes = np.concatenate([self.nodes, new % self._size])
        if self.trees is not None:
            self.trees = np.concatenate([self.trees, new // self._size])
        return numbers[inverse]

    def _key(self, nodes: Array, trees: Array | None) -> Array:
        return nodes if trees is None else trees * self._size + nodes
