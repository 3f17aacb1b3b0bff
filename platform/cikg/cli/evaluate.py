"""`cikg evaluate`: open the test split for a finished run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from cikg.cli._completion import completing, trained
from cikg.cli._output import json_option, note, print_json, print_table, progress_bar, working
from cikg.errors import UnreachableError
from cikg.graph import Graph, connect
from cikg.graph.snapshot import open_snapshot
from cikg.recommend import runs
from cikg.recommend.evaluation.report import SHOWN, over_runs
from cikg.schema import uid
from cikg.settings import Settings, load_settings

CUTOFFS = (1, 5, 10, 20, 50, 100)
KINDS = ("recall", "ndcg", "precision", "hit_rate", "mrr", "coverage", "novelty", "gini")


@click.command("evaluate")
@click.argument("chosen", metavar="RUN...", nargs=-1, required=True, shell_complete=completing(trained))
@click.option(
    "--snapshot",
    "snapshot_path",
    type=click.Path(path_type=Path),
    help="The snapshot it was trained on.  [default: found by its hash]",
)
@json_option
def command(chosen: tuple[str, ...], snapshot_path: Path | None, as_json: bool) -> None:
    """Rank the catalogue for every user of the test split and measure each RUN: its name, a prefix of it, or its path.

    Every user is ranked over all items except those in train and valid. Several RUNs are shown with their mean and
    standard deviation; `cikg compare` compares different methods.
    """
    settings = load_settings()
    results = [_evaluate(settings, runs.directory(settings, run), snapshot_path, quiet=as_json) for run in chosen]
    if as_json:
        several = {"runs": results, "test": over_runs([result["test"] for result in results])}
        print_json(several if len(results) > 1 else results[0])
        return
    for warning in sorted({warning for result in results for warning in result["warnings"]}):
        note(warning)
    if len(results) > 1:
        _show_several(results)
        return
    (result,) = results
    refit = ", refitted on train and valid" if result["refit"] else ""
    for split in ("valid", "test"):
        measured = result[split]
        if measured:
            rows = [[kind, *[measured[f"{kind}@{k}"] for k in CUTOFFS]] for kind in KINDS]
            about = f"{result['run']}: {split} ({result['protocol']} protocol{refit if split == 'test' else ''})"
            print_table(about, ["", *[f"@{k}" for k in CUTOFFS]], rows)


def _evaluate(settings: Settings, path: Path, snapshot_path: Path | None, *, quiet: bool) -> dict[str, Any]:
    """Measure one run, and keep the figures beside it and in the graph."""
    manifest = runs.read_json(path / runs.MANIFEST)
    snapshot = open_snapshot(snapshot_path) if snapshot_path else runs.snapshot(settings, manifest)
    with working(f"Opening {path.name}", quiet=quiet):
        from cikg.recommend.evaluation.measuring import evaluate  # noqa: PLC0415 - torch loads for seconds

    result = evaluate(path, snapshot, partial(progress_bar, quiet=quiet))
    try:
        with connect(settings) as graph:
            register(graph, manifest, result)
    except UnreachableError as error:
        note(f"the figures are in evaluation.json but not in the graph: {error.message}")
    return result


def _show_several(results: Sequence[Mapping[str, Any]]) -> None:
    summary = over_runs([result["test"] for result in results])
    rows = [[name, *[result["test"][name] for result in results], with_deviation(summary[name])] for name in SHOWN]
    for about in ("protocol", "refit"):
        rows.append([about, *[result[about] for result in results], ""])
    print_table("test", ["", *[result["run"] for result in results], "mean ± sd"], rows, fold=True)


def with_deviation(found: Mapping[str, float | None]) -> str:
    """A mean and its deviation as people write them."""
    return f"{found['mean']:.4f}" + ("" if found["sd"] is None else f" ± {found['sd']:.4f}")


def register(graph: Graph, manifest: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Keep the figures in the graph, beside the run; the manifest says whose it is."""
    key = {"run": uid(manifest["dataset"], result["run"]), "dataset": manifest["dataset"], "id": result["run"]}
    graph.write("set_evaluation", **key, method=manifest["method"], evaluation=json.dumps(result, sort_keys=True))
