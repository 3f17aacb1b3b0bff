"""`cikg intents`: which intents mean the same, and merging them or taking it back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from cikg.cli._output import dataset_option, json_option, messages, print_json, print_table
from cikg.errors import InputError
from cikg.extraction.steps import merging
from cikg.extraction.steps.merging import Method, Pair, Verdict
from cikg.graph import Graph, connect
from cikg.settings import load_settings


def _connect() -> Graph:
    return connect(load_settings())


def _actor_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--actor", metavar="NAME", help="Who made the decision.  [default: your account's name]")(
        function
    )


@click.group("intents")
def command() -> None:
    """Merge intents that mean the same, and undo it.

    `propose` finds such pairs, `review` asks about each, `list` shows them. Merging loses nothing: `unmerge` gives
    an intent back exactly the edges that came from it.
    """


@command.command(short_help="Find intents that may mean the same.")
@click.option(
    "--method",
    type=click.Choice([str(method) for method in Method if method is not Method.LLM]),
    default=str(Method.EXACT),
    show_default=True,
    help="exact: equal except for case, spaces and punctuation. vector: similar vectors from `cikg embed`.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.9,
    show_default=True,
    help="Minimum cosine similarity of two vectors.",
)
@click.option("--embedding", metavar="NAME", help="Embedding to compare.  [default: the only one]")
@_actor_option
@dataset_option
@json_option
def propose(
    *, method: str, threshold: float, embedding: str | None, actor: str | None, dataset: str, as_json: bool
) -> None:
    """Find intents that may mean the same, and queue them for review."""
    if embedding is not None and method != Method.VECTOR:
        raise InputError(f"the method {method} compares no vectors", cure="Give --embedding only with --method vector")
    with _connect() as graph:
        found = merging.propose(graph, dataset, Method(method), threshold=threshold, embedding=embedding, actor=actor)
        waiting = len(merging.pairs(graph, dataset, Verdict.PROPOSED))
    if as_json:
        print_json({"dataset": dataset, "proposed": found, "waiting": waiting})
        return
    messages.print(f"{found:,} new pairs; {waiting:,} wait for review.")
    if waiting:
        messages.print(f"`cikg intents review --dataset {dataset}` asks about each.")


@command.command("list", short_help="Show the pairs, and who decided on them.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([str(state) for state in Verdict]),
    help="Only these states; can be repeated.  [default: all]",
)
@dataset_option
@json_option
def list_pairs(*, states: tuple[str, ...], dataset: str, as_json: bool) -> None:
    """Show the pairs of intents that were proposed, merged, rejected or unmerged, and who decided."""
    with _connect() as graph:
        found = merging.pairs(graph, dataset, *(map(Verdict, states) if states else Verdict))
    if as_json:
        print_json({"dataset": dataset, "pairs": [asdict(pair) for pair in found]})
        return
    rows = [[pair.name, pair.into_name, pair.score, pair.method, pair.state, _last(pair)] for pair in found]
    columns = ["this", "and", "score", "method", "state", "last"]
    empty = f"There are no such pairs. `cikg intents propose --dataset {dataset}` looks for intents that mean the same."
    print_table(f"{dataset}: intents that may mean the same", columns, rows, empty=empty)


def _last(pair: Pair) -> str:
    """When something was last decided about a pair, and by whom."""
    when, _, what = pair.history[-1].partition(" ")
    return f"{when[:10]} {what.partition(' by ')[2].partition(' (')[0]}"


@command.command(short_help="Review the proposals one by one.")
@click.option(
    "--accept-from",
    type=click.FloatRange(0, 1),
    metavar="SCORE",
    help="Merge all proposals with at least this score without asking.",
)
@click.option(
    "--method",
    type=click.Choice([str(method) for method in Method]),
    help="Only proposals by this method; llm: from `cikg extract preference_alignment`.  [default: all]",
)
@_actor_option
@dataset_option
@json_option
def review(*, accept_from: float | None, method: str | None, actor: str | None, dataset: str, as_json: bool) -> None:
    """Review the proposals one by one: merge, keep apart, or skip for now."""
    if accept_from is None and (as_json or not sys.stdin.isatty()):
        raise InputError("there is no terminal to ask in", cure="Give --accept-from SCORE, or run this in a terminal")
    counts = dict.fromkeys(("merged", "rejected", "skipped"), 0)
    with _connect() as graph:
        for pair in merging.pairs(graph, dataset, Verdict.PROPOSED):
            if method is not None and pair.method != method:
                continue
            decision = _ask(pair) if accept_from is None else _by_score(pair, accept_from)
            if decision == "quit":
                break
            counts[_carry_out(graph, dataset, pair, decision, actor)] += 1
    if as_json:
        print_json({"dataset": dataset} | counts)
        return
    messages.print(", ".join(f"{count:,} {what}" for what, count in counts.items()) + ".")


def _by_score(pair: Pair, least: float) -> str:
    return "merge" if pair.score is not None and pair.score >= least else "skip"


def _ask(pair: Pair) -> str:
    click.echo(f"\nMerge {pair.name!r} ({pair.edges:,} edges) into {pair.into_name!r} ({pair.into_edges:,} edges)?")
    click.echo(f"proposed by {pair.method}, score {pair.score:.3f}" if pair.score is not None else "proposed by hand")
    answers = {"m": "merge", "k": "keep", "s": "skip", "q": "quit"}
    answer = click.prompt("(m)erge, (k)eep apart, (s)kip, (q)uit", type=click.Choice(list(answers)), show_choices=False)
    return answers[answer]


def _carry_out(graph: Graph, dataset: str, pair: Pair, decision: str, actor: str | None) -> str:
    """Do what was decided; returns what to count. A pair that an earlier decision made pointless is skipped."""
    if decision == "merge":
        return "merged" if merging.accept_pair(graph, dataset, pair, actor=actor) else "skipped"
    if decision == "skip" or any(
        row["merged_into"] for row in graph.many("intent_for_merging", dataset=dataset, ids=[pair.intent, pair.into])
    ):
        return "skipped"
    merging.reject(graph, dataset, pair.intent, pair.into, actor=actor)
    return "rejected"


@command.command()
@click.argument("intent")
@click.argument("into")
@_actor_option
@dataset_option
@json_option
def merge(*, intent: str, into: str, actor: str | None, dataset: str, as_json: bool) -> None:
    """Merge INTENT into INTO, which stays; both by id."""
    with _connect() as graph:
        moved = merging.merge(graph, dataset, intent, into, actor=actor)
    if as_json:
        print_json({"dataset": dataset} | asdict(moved))
        return
    messages.print(f"Moved {moved.edges:,} edges from {moved.intent!r} to {moved.into!r}.")


@command.command()
@click.argument("intent")
@_actor_option
@dataset_option
@json_option
def unmerge(*, intent: str, actor: str | None, dataset: str, as_json: bool) -> None:
    """Restore the edges that INTENT had before it was merged."""
    with _connect() as graph:
        moved = merging.unmerge(graph, dataset, intent, actor=actor)
    if as_json:
        print_json({"dataset": dataset} | asdict(moved))
        return
    messages.print(f"Moved {moved.edges:,} edges back from {moved.into!r} to {moved.intent!r}.")
