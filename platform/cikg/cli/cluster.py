"""`cikg cluster`: group the phrases that the LLM found into interests."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from cikg.cli._output import dataset_option, json_option, messages, print_facts, print_json, print_table
from cikg.graph import connect
from cikg.settings import load_settings


@click.command("cluster")
@dataset_option
@json_option
@click.option("--clusters", type=click.IntRange(min=1), help="Number of interests.  [default: chosen from the phrases]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the clustering.")
def command(*, dataset: str, as_json: bool, clusters: int | None, seed: int) -> None:
    """Group phrases of similar meaning into interests, and link the users who have them.

    Replaces the interests of the previous clustering. The same phrases, number and seed give the same interests.
    """
    from cikg.extraction.steps.interests import cluster_intents  # noqa: PLC0415 - scikit-learn takes a second to import

    began = time.monotonic()
    with connect(load_settings()) as graph, messages.status("Clustering"):
        made = cluster_intents(graph, dataset, clusters=clusters, seed=seed)
    result = {**asdict(made), "seconds": round(time.monotonic() - began, 2)}
    if as_json:
        print_json(result)
        return
    largest = result.pop("largest")
    print_facts(f"interests of {dataset}", result)
    print_table("Held by the most users", ["interest", "users"], largest)
