"""Leaves out unwanted parts of a dataset: low ratings, and users and items with few interactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from cikg.datasets.records import Entity, Interest, Item, User
from cikg.datasets.tables import Indices, Interactions, Pairs, Tables, relation_types
from cikg.errors import InputError

Mask = npt.NDArray[np.bool_]
Node = TypeVar("Node", User, Item, Entity, Interest)


@dataclass(frozen=True)
class Filters:
    """What to keep.

    Attributes:
        min_rating: interactions of a lower rating are left out; those without one stay. None keeps all.
        core: users and items with fewer interactions are left out, until each that is left has as many (the k-core).
            None keeps all.
    """

    min_rating: float | None = None
    core: int | None = None

    def apply(self, tables: Tables) -> tuple[Tables, dict[str, int]]:
        """The dataset without what is not wanted, and how much that was, by kind.

        Raises:
            InputError: no interaction is left, or ratings were asked for and there are none.
        """
        found, left_out = tables, {}
        if self.min_rating is not None:
            found = _rated(found, self.min_rating)
            left_out["interactions_below_min_rating"] = _count(tables) - _count(found)
        if self.core is not None:
            rated, found = found, _core(found, self.core)
            before, after = rated.counts(), found.counts()
            kinds = ("interactions", "users", "items", "entities", "interests", "facts", "interest_edges")
            left_out |= {f"{kind}_outside_core": before[kind] - after[kind] for kind in kinds}
        return found, left_out


def _count(tables: Tables) -> int:
    return len(tables.interactions.split)


def _rated(tables: Tables, minimum: float) -> Tables:
    rating = tables.interactions.rating
    if np.isnan(rating).all():
        raise InputError("no interaction has a rating", cure="Leave out the minimum rating")
    keep = ~(rating < minimum)
    if not keep.any():
        raise InputError(f"no interaction is rated {minimum:g} or higher", cure="Choose a lower minimum rating")
    return replace(tables, interactions=_chosen(tables.interactions, keep))


def _core(tables: Tables, least: int) -> Tables:
    """The k-core: take away who has fewer than `least` interactions, and look again, until nobody has."""
    table = tables.interactions
    keep = np.ones(len(table.split), dtype=bool)
    while True:
        users = np.bincount(table.user_index[keep], minlength=len(tables.users)) >= least
        items = np.bincount(table.item_index[keep], minlength=len(tables.items)) >= least
        still = keep & users[table.user_index] & items[table.item_index]
        if (still == keep).all():
            break
        keep = still
    if not keep.any():
        raise InputError(
            f"no interaction is left when every user and item must have {least} of them", cure="Choose a smaller core"
        )
    return _restricted(replace(tables, interactions=_chosen(table, keep)), users, items)


def _restricted(tables: Tables, users: Mask, items: Mask) -> Tables:
    """Keep some users and items, and what else of the dataset does not hang on the others alone."""
    everything = np.concatenate([items, np.ones(len(tables.entities), dtype=bool)])
    facts = {name: _within(pairs, (everything, everything)) for name, pairs in tables.facts.items()}
    entities = _still_named(tables.facts, facts, len(everything))[len(items) :]
    has_interest = _within(tables.has_interest, (users, np.ones(len(tables.interests), dtype=bool)))
    interests = _still_named({"": tables.has_interest}, {"": has_interest}, len(tables.interests), heads=False)
    things = np.concatenate([items, entities])
    facts = {name: _renumbered(pairs, (things, things)) for name, pairs in facts.items() if len(pairs.source_index)}
    table = tables.interactions
    return replace(
        tables,
        users=_some(tables.users, users),
        items=_some(tables.items, items),
        entities=_some(tables.entities, entities),
        interests=_some(tables.interests, interests),
        interactions=replace(
            table,
            user_index=_places(users)[table.user_index],
            item_index=_places(items)[table.item_index],
        ),
        facts=facts,
        types=relation_types(facts),
        has_interest=_renumbered(has_interest, (users, interests)),
    )


def _chosen(table: Interactions, keep: Mask) -> Interactions:
    return Interactions(**{name: column[keep] for name, column in vars(table).items()})


def _within(pairs: Pairs, ends: tuple[Mask, Mask]) -> Pairs:
    """The pairs of which both ends are chosen."""
    keep = ends[0][pairs.source_index] & ends[1][pairs.target_index]
    return Pairs(pairs.source_index[keep], pairs.target_index[keep])


def _renumbered(pairs: Pairs, ends: tuple[Mask, Mask]) -> Pairs:
    return Pairs(_places(ends[0])[pairs.source_index], _places(ends[1])[pairs.target_index])


def _still_named(before: dict[str, Pairs], after: dict[str, Pairs], count: int, *, heads: bool = True) -> Mask:
    """Which nodes lost not all of their edges; those that never had one stay."""

    def named(edges: dict[str, Pairs]) -> Mask:
        found = np.zeros(count, dtype=bool)
        for pairs in edges.values():
            found[pairs.target_index] = True
            if heads:
                found[pairs.source_index] = True
        return found

    return named(after) | ~named(before)


def _places(keep: Mask) -> Indices:
    """For each row the number that it gets among those kept."""
    places: npt.NDArray[Any] = np.cumsum(keep) - 1
    return places.astype(np.int32)


def _some(nodes: Sequence[Node], keep: Mask) -> list[Node]:
    return [nodes[index] for index in np.flatnonzero(keep).tolist()]
