"""`cikg snapshot`: a dataset's graph as files that training reads; which are there, what changed, which may go."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import click

from cikg.cli._output import (
    dataset_option,
    json_option,
    messages,
    note,
    print_facts,
    print_json,
    print_table,
    progress_bar,
)
from cikg.errors import UnreachableError
from cikg.graph import connect
from cikg.graph.difference import EXAMPLES, Change, Difference, diff
from cikg.graph.kept import DIGITS, Kept, collect, find, kept
from cikg.graph.snapshot import TABLES, Snapshot, open_snapshot, take
from cikg.memory import peak_memory
from cikg.settings import Settings, load_settings


class _TakeByDefault(click.Group):
    """`cikg snapshot --dataset NAME` is `cikg snapshot take --dataset NAME`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["take", *args]
        return super().parse_args(ctx, args)


@click.group("snapshot", cls=_TakeByDefault)
def command() -> None:
    """Export a dataset's graph for training, and manage the exports.

    Without a subcommand, a snapshot is taken: `cikg snapshot --dataset NAME`.
    """


@command.command("take")
@dataset_option
@json_option
def take_one(dataset: str, as_json: bool) -> None:
    """Export the dataset's graph for training.

    An unchanged dataset is not exported again; the same graph always gives the same hash. The export is one
    consistent state of the graph, even while jobs are writing.
    """
    started = time.perf_counter()
    settings = load_settings()
    with connect(settings) as graph:
        snapshot = take(graph, dataset, settings, partial(progress_bar, quiet=as_json))
    seconds = round(time.perf_counter() - started, 3)
    if as_json:
        facts = {"dataset": dataset, "hash": snapshot.hash, "path": str(snapshot.path), "reused": snapshot.reused}
        print_json(facts | {"counts": snapshot.counts, "seconds": seconds, "peak_memory": peak_memory()})
        return
    measured = {"seconds": seconds, "peak memory, MiB": peak_memory() // 2**20}
    print_facts(
        f"{dataset}: snapshot {snapshot.hash[:DIGITS]}",
        _counts(snapshot) | {"path": str(snapshot.path), "already there": snapshot.reused} | measured,
    )


@command.command("list", short_help="Show all snapshots of a dataset.")
@dataset_option
@json_option
def list_all(dataset: str, as_json: bool) -> None:
    """List the dataset's snapshots, newest first, and what was made from them."""
    found = _kept(load_settings(), dataset)
    if as_json:
        print_json({"dataset": dataset, "snapshots": [_described(each) for each in found]})
        return
    rows = [
        [
            each.path.name,
            f"{each.taken:%Y-%m-%d %H:%M}",
            each.size,
            sum(each.snapshot.counts[table] for table in TABLES) if each.snapshot else None,
            "latest" if each.latest else "",
            each.problem or ", ".join(each.used_by),
        ]
        for each in found
    ]
    columns = ["hash", "taken (UTC)", "bytes", "edges", "", "used by"]
    empty = f"There are no snapshots of {dataset}. `cikg snapshot --dataset {dataset}` takes one, and so does training."
    print_table(f"{dataset}: snapshots", columns, rows, empty=empty)


@command.command(short_help="Show what a snapshot holds.")
@click.argument("hash", required=False)
@dataset_option
@click.option("--verify", is_flag=True, help="Compare every file with its SHA-256.")
@json_option
def show(*, hash: str | None, dataset: str, verify: bool, as_json: bool) -> None:  # noqa: A002 - the word a person types
    """Show what a snapshot holds: HASH, a prefix of a hash, or a folder (default: the latest)."""
    snapshot = find(load_settings(), dataset, hash)
    if verify:
        open_snapshot(snapshot.path, verify=True)
    if as_json:
        facts = {key: value for key, value in snapshot.manifest.items() if key != "files"}
        print_json(facts | {"path": str(snapshot.path), "bytes": snapshot.size, "verified": verify})
        return
    embeddings = [f"{kind}/{name}" for kind, names in snapshot.embeddings.items() for name in names]
    facts = {
        "path": str(snapshot.path),
        "items are": snapshot.manifest["field"],
        "relations": len(snapshot.relations),
        "embeddings": ", ".join(embeddings) or "none",
        "bytes": snapshot.size,
        "every file verified": verify,
    }
    print_facts(f"{snapshot.dataset}: snapshot {snapshot.hash[:DIGITS]}", facts | _counts(snapshot))


@command.command("diff", short_help="Show what changed between two snapshots.")
@click.argument("before")
@click.argument("after", required=False)
@dataset_option
@click.option(
    "--examples", type=click.IntRange(0), default=EXAMPLES, show_default=True, help="Number of examples of each change."
)
@json_option
def show_difference(*, before: str, after: str | None, dataset: str, examples: int, as_json: bool) -> None:
    """Show what changed between the snapshots BEFORE and AFTER (default: the latest)."""
    settings = load_settings()
    snapshots = find(settings, dataset, before), find(settings, dataset, after)
    found = diff(*snapshots, examples)
    if as_json:
        print_json({"before": snapshots[0].hash, "after": snapshots[1].hash} | found.as_dict())
        return
    title = f"{snapshots[0].hash[:DIGITS]} → {snapshots[1].hash[:DIGITS]}"
    if not found:
        messages.print(f"{title}: no difference")
        return
    _print_difference(title, found)


@command.command()
@dataset_option
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@json_option
def gc(*, dataset: str, dry_run: bool, as_json: bool) -> None:
    """Remove snapshots that are no longer needed.

    The latest one stays, and every one that a run or a published model was made from.
    """
    settings = load_settings()
    with connect(settings) as graph:
        found = collect(settings, dataset, graph, dry_run=dry_run)
    if as_json:
        facts = {"removed": found.removed, "kept": found.kept, "bytes_freed": found.freed}
        print_json({"dataset": dataset, "dry_run": dry_run} | facts)
        return
    print_facts(
        f"{dataset}: snapshots",
        {
            "would be removed" if dry_run else "removed": ", ".join(found.removed) or "none",
            "kept": found.kept,
            "bytes to be freed" if dry_run else "bytes freed": found.freed,
        },
    )


def _counts(snapshot: Snapshot) -> dict[str, int]:
    return {kind.replace("_", " "): count for kind, count in snapshot.counts.items() if count}


def _kept(settings: Settings, dataset: str) -> list[Kept]:
    """All snapshots; without a database, with the runs on disk alone."""
    try:
        with connect(settings, retry_seconds=1) as graph:
            return kept(settings, dataset, graph)
    except UnreachableError:
        note("Neo4j does not answer, so only runs on disk are known")
        return kept(settings, dataset, None)


def _described(each: Kept) -> dict[str, Any]:
    return {
        "hash": each.snapshot.hash if each.snapshot else None,
        "path": str(each.path),
        "taken": each.taken.isoformat(timespec="seconds"),
        "bytes": each.size,
        "counts": each.snapshot.counts if each.snapshot else None,
        "latest": each.latest,
        "used_by": each.used_by,
        "problem": each.problem,
    }


def _print_difference(title: str, found: Difference) -> None:
    changes = {"nodes": found.nodes, "edges": found.edges, "facts": found.relations, "vectors": found.embeddings}
    rows = [
        [group, kind.replace("_", " ") if group != "facts" else kind, change.added, change.removed, change.changed]
        for group, kinds in changes.items()
        for kind, change in kinds.items()
    ]
    print_table(title, ["", "kind", "added", "removed", "changed"], rows)
    for group in ("nodes", "edges"):
        for kind, change in changes[group].items():
            _print_examples(kind.replace("_", " "), change)


def _print_examples(kind: str, change: Change) -> None:
    for what in ("added", "removed", "changed"):
        examples = getattr(change, f"{what}_examples")
        if examples:
            more = getattr(change, what) - len(examples)
            rows = [[example] for example in examples] + ([[f"… and {more:,} more"]] if more else [])
            print_table(f"{kind}, {what}", ["name"], rows)
