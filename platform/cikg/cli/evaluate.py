"""`cikg evaluate`: open the test split for a finished run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from cikg.cli._output import json_option, messages, print_json, print_table
from cikg.errors import NotFoundError, UnreachableError
from cikg.graph import Graph, connect
from cikg.graph.snapshot import Snapshot, open_snapshot
from cikg.schema import uid
from cikg.settings import Settings, load_settings

CUTOFFS = (1, 5, 10, 20, 50, 100)
KINDS = ("recall", "ndcg", "precision", "hit_rate", "mrr", "coverage", "novelty", "gini")


@click.command("evaluate")
@click.argument("run")
@click.option(
    "--snapshot",
    "snapshot_path",
    type=click.Path(path_type=Path),
    help="The snapshot it was trained on.  [default: found by its hash]",
)
@json_option
def command(run: str, snapshot_path: Path | None, as_json: bool) -> None:
    """Rank the catalogue for every user of the test split and measure RUN: its name, a prefix of it, or its path.

    Every user is ranked over all items but those of train and valid.
    """
    from cikg.recommend import runs  # noqa: PLC0415 - torch loads for seconds; help must not
    from cikg.recommend.evaluation import evaluate  # noqa: PLC0415

    settings = load_settings()
    path = runs.directory(settings, run)
    manifest = runs.read_json(path / runs.MANIFEST)
    snapshot = open_snapshot(snapshot_path) if snapshot_path else find_snapshot(settings, manifest)
    result = evaluate(path, snapshot)
    try:
        with connect(settings) as graph:
            register(graph, str(manifest["dataset"]), result)
    except UnreachableError as error:
        messages.print(f"[yellow]Note:[/] the figures are in evaluation.json but not in the graph: {error.message}")
    if as_json:
        print_json(result)
        return
    for warning in result["warnings"]:
        messages.print(f"[yellow]Note:[/] {warning}")
    for split in ("valid", "test"):
        measured = result[split]
        if measured:
            rows = [[kind, *[measured[f"{kind}@{k}"] for k in CUTOFFS]] for kind in KINDS]
            print_table(f"{result['run']}: {split}", ["", *[f"@{k}" for k in CUTOFFS]], rows)


def find_snapshot(settings: Settings, manifest: Mapping[str, Any]) -> Snapshot:
    """The snapshot with the manifest's hash.

    Raises:
        NotFoundError: it is no longer kept.
    """
    path = settings.snapshots / str(manifest["dataset"]) / str(manifest["snapshot"])[:16]
    if not path.is_dir():
        raise NotFoundError(
            f"the snapshot {manifest['snapshot']} that {manifest['run']} was trained on is not in {settings.snapshots}",
            cure="Name its folder with --snapshot, or train again",
        )
    return open_snapshot(path)


def register(graph: Graph, dataset: str, result: Mapping[str, Any]) -> None:
    """Keep the figures in the graph, beside the run."""
    run = str(result["run"])
    evaluation = json.dumps(result, sort_keys=True)
    graph.write("set_evaluation", run=uid(dataset, run), dataset=dataset, id=run, evaluation=evaluation)
