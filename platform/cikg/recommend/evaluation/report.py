"""Runs side by side: all that `cikg compare` prints and the dashboard shows, as plain values.

Drawing users anew takes a second for thousands of them. So what was found can be kept beside the first run, under a
digest of everything that it depends on; asking again reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from cikg.errors import InputError, SnapshotError
from cikg.files import write_file
from cikg.recommend import runs
from cikg.recommend.evaluation import comparison, groups, places
from cikg.recommend.evaluation.comparison import CONFIDENCE, RESAMPLES, Comparison, Entry, Interval, Split, compare
from cikg.recommend.evaluation.groups import By, Group, by_sparsity
from cikg.settings import Settings

SHOWN = ("recall@20", "ndcg@20", "recall@50", "ndcg@50", "recall@100", "ndcg@100")
"""The metrics that a table has room for."""
GROUPS_METRIC = "ndcg@50"
AXES: dict[By, str] = {
    "users": "Interactions of a user, from many to few",
    "items": "Interactions of an item, from many to few",
}
KEPT = "compared"
"""The folder, in that of a run, of what was found when other runs were compared with it."""
_MADE_BY = (comparison, groups, places)


@dataclass(frozen=True)
class Question:
    """What to compare, and how.

    Attributes:
        paths: directories of finished runs.
        split: on which.
        metrics: which, as `ndcg@50`.
        by: also divide users, or items, by how much is known of them.
        by_metric: the metric of these groups.
        across_snapshots: see `comparison.compare`.
        seed: of the intervals.
    """

    paths: tuple[Path, ...]
    split: Split = "test"
    metrics: tuple[str, ...] = SHOWN
    by: By | None = None
    by_metric: str = GROUPS_METRIC
    across_snapshots: bool = False
    seed: int = 0


def answer(settings: Settings, question: Question) -> dict[str, Any]:
    """Compare runs.

    Raises:
        InputError: they cannot be compared, or there is no such metric; says why.
        NotFoundError: groups are wanted and the snapshot is no longer kept.
        SnapshotError: a run is damaged.
    """
    for metric in (*question.metrics, question.by_metric):
        places.parse_metric(metric)
    found = compare(question.paths, question.split, across_snapshots=question.across_snapshots)
    divided: list[Group] = []
    if question.by is not None:
        snapshot = runs.snapshot(settings, found.entries[0].manifests[0])
        divided = by_sparsity(found, snapshot, question.by, question.by_metric, seed=question.seed)
    return _described(found, question, divided)


def kept(settings: Settings, question: Question) -> dict[str, Any]:
    """What `answer` gives, from beside the first run where it was asked before.

    Raises:
        InputError: as `answer`, like the next two.
        NotFoundError: see there.
        SnapshotError: see there.
    """
    path = _place(question)
    if path is not None and path.is_file():
        try:
            return runs.read_json(path)
        except SnapshotError:
            path.unlink(missing_ok=True)
    text = json.dumps(answer(settings, question))
    if path is not None:
        path.parent.mkdir(exist_ok=True, mode=0o700)
        write_file(path, text.encode())
    return json.loads(text)  # type: ignore[no-any-return] # as the next one who asks gets it


def is_kept(question: Question) -> bool:
    """Whether `kept` has its answer already."""
    path = _place(question)
    return path is not None and path.is_file()


def _place(question: Question) -> Path | None:
    """Where the answer to a question is kept; None where a file is missing, which `compare` explains."""
    names = (runs.MANIFEST, runs.PLACES.format(split=question.split))
    made_by = [Path(str(module.__file__)) for module in _MADE_BY]
    files = [path / name for path in question.paths for name in names] + [*made_by, Path(__file__)]
    if not question.paths or not all(file.is_file() for file in files):
        return None
    asked = asdict(question) | {"paths": [path.name for path in question.paths]}
    known = json.dumps([asked, [runs.digest(file) for file in files]], sort_keys=True)
    return question.paths[0] / KEPT / f"{hashlib.sha256(known.encode()).hexdigest()[:24]}.json"


def _described(found: Comparison, question: Question, divided: Sequence[Group]) -> dict[str, Any]:
    first = found.entries[0].manifests[0]
    differences = [None, *found.differences(question.metrics, question.seed)]
    return {
        **{key: first[key] for key in ("dataset", "snapshot", "protocol")},
        "snapshots": found.snapshots,
        "split": found.split,
        "users": len(found.users),
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "entries": [
            _entry(entry, question.metrics, gaps) for entry, gaps in zip(found.entries, differences, strict=True)
        ],
        "settings": found.differing_settings(),
        "groups": [asdict(group) | {"interactions": group.label} for group in divided],
        "groups_metric": question.by_metric,
        "warnings": sorted(
            {warning for entry in found.entries for each in entry.manifests for warning in each["warnings"]}
        ),
    }


def _entry(entry: Entry, metrics: Sequence[str], gaps: dict[str, Interval] | None) -> dict[str, Any]:
    figures = [
        dict(zip(metrics, each, strict=True))
        for each in zip(*(entry.figures(metric).tolist() for metric in metrics), strict=True)
    ]
    manifests = entry.manifests
    return {
        "name": entry.name,
        "method": manifests[0]["method"],
        "config": manifests[0]["config"],
        "refit": manifests[0]["refit"],
        "runs": [manifest["run"] for manifest in manifests],
        "seeds": [manifest["seed"] for manifest in manifests],
        "seconds": mean(manifest["timings"]["total"] for manifest in manifests),
        "peak_memory_mb": max(manifest["peak_memory_mb"] for manifest in manifests),
        "device": manifests[0]["device"],
        "metrics": over_runs(figures),
        "each": figures,
        "differences": gaps and {metric: asdict(gap) | {"verdict": gap.verdict} for metric, gap in gaps.items()},
    }


def over_runs(measured: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    """Mean and standard deviation (with n - 1) of each metric over runs; no deviation of a single one."""
    return {
        name: {"mean": mean(values), "sd": stdev(values) if len(values) > 1 else None}
        for name in measured[0]
        for values in [[each[name] for each in measured]]
    }


def drawing(report: Mapping[str, Any], by: By) -> str:
    """A picture of a report's groups, as SVG.

    Raises:
        InputError: it has none.
    """
    from cikg.recommend.evaluation.charts import bars  # noqa: PLC0415 - it is of use to few

    if not report["groups"]:
        raise InputError("there are no groups to draw", cure="Compare by groups of users or items")
    divided = [
        Group(
            **{key: group[key] for key in ("least", "most", "size", "users")},
            figures=tuple(Interval(**figure) for figure in group["figures"]),
            differences=tuple(Interval(**gap) for gap in group["differences"]),
        )
        for group in report["groups"]
    ]
    metric = report["groups_metric"]
    title = f"{metric} on {report['dataset']}, {report['split']} ({report['protocol']} protocol)"
    return bars(title, [entry["name"] for entry in report["entries"]], divided, metric=metric, axis=AXES[by])
