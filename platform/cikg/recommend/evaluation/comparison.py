"""Compares finished runs, user by user: what each reaches, and how sure it is that one is better than another.

Runs that differ in nothing but their seed are one entry: its figures are means over seeds, with their standard
deviation. Differences are between users' own figures (means over seeds), to the first entry; their intervals come from
drawing users anew, which says how far a difference would hold for other users of the kind (B. Efron, R. Tibshirani: An
introduction to the bootstrap, 1993, ch. 13).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cikg.errors import InputError
from cikg.recommend import runs
from cikg.recommend.data.nodes import Array
from cikg.recommend.evaluation.places import Places
from cikg.recommend.options import Options

Split = Literal["test", "valid"]
Verdict = Literal["better", "worse", "not proven"]
CONFIDENCE, RESAMPLES = 0.95, 10_000
DRAWN_AT_ONCE = 1 << 21
"""Users drawn at a time: bounds the memory of a bootstrap to some 50 MB, however many users there are."""


@dataclass(frozen=True)
class Entry:
    """Runs of one method with one configuration, over seeds.

    Attributes:
        name: the method, with the settings in which it differs from others of that method that are compared.
        manifests: one per run, by seed.
        places: of the same runs: where their held-out items came.
    """

    name: str
    manifests: tuple[dict[str, Any], ...]
    places: tuple[Places, ...]

    def figures(self, metric: str) -> Array:
        """The metric of each run: shape (runs,)."""
        return np.array([places.per_user(metric).mean() for places in self.places])

    def per_user(self, metric: str, chosen: Array | None = None) -> Array:
        """The metric of each user, the mean over runs: shape (users,).

        Args:
            metric: as `ndcg@50`.
            chosen: held-out items that count, bool, shape (n,); None for all. Users without any are left out.
        """
        every = self.places if chosen is None else [places.only(chosen) for places in self.places]
        mean: Array = np.mean([places.per_user(metric) for places in every], axis=0)
        return mean


@dataclass(frozen=True)
class Interval:
    """A mean over users, and between which ends it lies with a probability of `CONFIDENCE`.

    Attributes:
        mean: as measured.
        low: the lower end.
        high: the upper end.
    """

    mean: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether it leaves out 0: of a difference, that it is one."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> Verdict:
        """What it says of a difference, in words."""
        if not self.sure:
            return "not proven"
        return "better" if self.low > 0 else "worse"


@dataclass(frozen=True)
class Comparison:
    """Entries that were measured on the same held-out items.

    Attributes:
        split: on which.
        entries: the first is the one that others are compared with.
        snapshots: how many different ones the runs were trained on.
    """

    split: Split
    entries: tuple[Entry, ...]
    snapshots: int

    @cached_property
    def users(self) -> Array:
        """The users that figures are means over."""
        return self.entries[0].places[0].users

    def differing_settings(self) -> dict[str, list[Any]]:
        """What entries were set to, or found, where they differ, by name: what all have first; None without it."""
        each = [_settings(entry.manifests[0]) | entry.manifests[0].get("chosen", {}) for entry in self.entries]
        names = dict.fromkeys(name for settings in each for name in settings)
        shared = sorted(names, key=lambda name: not all(name in settings for settings in each))
        found = {name: [settings.get(name) for settings in each] for name in shared}
        return {name: values for name, values in found.items() if any(value != values[0] for value in values)}

    def differences(self, metrics: Sequence[str], seed: int = 0) -> list[dict[str, Interval]]:
        """By metric, for every entry but the first: how much better than the first it is.

        All entries and metrics share the drawn users, so an interval does not depend on what else is compared.
        """
        others = self.entries[1:]
        if not others:
            return []
        first = {metric: self.entries[0].per_user(metric) for metric in metrics}
        each = [entry.per_user(metric) - first[metric] for entry in others for metric in metrics]
        found = intervals(np.stack(each, axis=1), seed)
        starts = range(0, len(found), len(metrics))
        return [dict(zip(metrics, found[start : start + len(metrics)], strict=True)) for start in starts]


def intervals(values: Array, seed: int) -> list[Interval]:
    """The mean of each column with its interval; see `bootstrap`."""
    low, high = bootstrap(values, seed)
    return [Interval(*map(float, row)) for row in zip(values.mean(0), low, high, strict=True)]


def bootstrap(values: Array, seed: int, resamples: int = RESAMPLES) -> tuple[Array, Array]:
    """Percentile intervals of means, by drawing rows anew with replacement.

    Columns are drawn together: how often a row is drawn becomes its weight, and all means of a resample are one
    product.

    Args:
        values: shape (rows, columns).
        seed: of the draws.
        resamples: how many.

    Returns:
        Lower and upper ends for `CONFIDENCE`; shape (columns,) each.
    """
    rows, random = len(values), np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    step = max(1, DRAWN_AT_ONCE // rows)
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = random.integers(0, rows, (count, rows)) + np.arange(count)[:, None] * rows
        weights = np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows)
        means[start : start + count] = weights @ values / rows
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high


def compare(paths: Sequence[Path], split: Split = "test", *, across_snapshots: bool = False) -> Comparison:
    """Put runs side by side.

    Args:
        paths: directories of finished runs; those of one method and configuration become one entry, in the order of
            their first.
        split: `test` needs runs that were evaluated.
        across_snapshots: allow different snapshots of one dataset, if they hold the same interactions in the same
            splits: what was added to a graph is then measured.

    Raises:
        InputError: the runs cannot be compared: says which and why.
        SnapshotError: a run is damaged.
    """
    folders = list(dict.fromkeys(path.resolve() for path in paths))
    manifests = [runs.read_json(folder / runs.MANIFEST) for folder in folders]
    _check(manifests, split, across_snapshots=across_snapshots)
    found = [_places(folder, split) for folder in folders]
    for manifest, (_, digest) in zip(manifests, found, strict=True):
        if digest != found[0][1]:
            raise InputError(
                f"{manifests[0]['run']} and {manifest['run']} were measured on different splits of the interactions",
                cure="Train both on snapshots of the same import",
            )
    groups: dict[str, list[int]] = {}
    for index, manifest in enumerate(manifests):
        groups.setdefault(_kind(manifest), []).append(index)
    names = _names([manifests[members[0]] for members in groups.values()])
    entries = []
    for name, members in zip(names, groups.values(), strict=True):
        ordered = sorted(members, key=lambda index: manifests[index]["seed"])
        entries.append(Entry(name, tuple(manifests[i] for i in ordered), tuple(found[i][0] for i in ordered)))
    return Comparison(split, tuple(entries), len({manifest["snapshot"] for manifest in manifests}))


def _check(manifests: Sequence[Mapping[str, Any]], split: Split, *, across_snapshots: bool) -> None:
    first = manifests[0]
    for manifest in manifests:
        both = f"{first['run']} and {manifest['run']}"
        if manifest["dataset"] != first["dataset"]:
            raise InputError(
                f"{both} are of different datasets, {first['dataset']!r} and {manifest['dataset']!r}",
                cure="Compare runs of one dataset",
            )
        if manifest["snapshot"] != first["snapshot"] and not across_snapshots:
            raise InputError(
                f"{both} were trained on different snapshots, {first['snapshot'][:16]} and {manifest['snapshot'][:16]}",
                cure="Train both on one of them, or add --across-snapshots if only their knowledge differs",
            )
        if manifest["protocol"] != first["protocol"]:
            raise InputError(
                f"{both} follow different protocols, {first['protocol']} and {manifest['protocol']}",
                cure="Compare runs of one protocol; figures selected on test are only comparable with published tables",
            )
        if split == "valid" and manifest["protocol"] == "paper":
            raise InputError(
                f"{manifest['run']} was not selected on valid: it follows the paper protocol", cure="Compare on test"
            )


def _places(path: Path, split: Split) -> tuple[Places, str]:
    file = path / runs.PLACES.format(split=split)
    if not file.is_file():
        cure = f"Measure it with `cikg evaluate {path.name}`" if split == "test" else "Train it again"
        raise InputError(f"{path.name} has not been measured on {split}", cure=cure)
    places, note = Places.load(file)
    return places, note["interactions"]


def _settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """All that was set: hyperparameters, and how it was trained, without the seed."""
    names = {option.name for option in fields(Options)} - {"seed"} | {"snapshot"}
    return {**manifest["config"], **{name: manifest.get(name) for name in sorted(names)}}


def _kind(manifest: Mapping[str, Any]) -> str:
    return json.dumps([manifest["method"], _settings(manifest), manifest["code"]], sort_keys=True)


def _names(manifests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of entries: the method, and where another entry has the same, in what they differ."""
    names = []
    for manifest in manifests:
        own = _settings(manifest) | {"code": manifest["code"].partition("+")[2]}
        same = [other for other in manifests if other["method"] == manifest["method"]]
        settings = [_settings(other) | {"code": other["code"].partition("+")[2]} for other in same]
        different = {name: value for name, value in own.items() if any(each.get(name) != value for each in settings)}
        if "snapshot" in different:
            different["snapshot"] = different["snapshot"][:8]
        parts = [
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in different.items()
        ]
        names.append(" ".join([manifest["method"], *parts]))
    return names
