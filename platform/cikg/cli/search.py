"""`cikg search`: items by full text, in a user's order."""

from __future__ import annotations

from dataclasses import asdict

import click

from cikg.cli._output import dataset_option, json_option, print_json, print_table
from cikg.graph import connect
from cikg.settings import load_settings


@click.command("search")
@click.argument("query")
@click.option("--user", metavar="ID", required=True, help="The user to rank for.")
@dataset_option
@click.option("--k", default=10, show_default=True, type=click.IntRange(1, 100), help="Number of items.")
@click.option(
    "--weight",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Weight of the model; 0 ranks by full text alone.",
)
@json_option
def command(*, query: str, user: str, dataset: str, k: int, weight: float, as_json: bool) -> None:
    """Find items whose name or text contains a word of QUERY, ranked for a user by the most recent ikgr model.

    Each line shows the item's rank by full text alone and which of the user's intents it satisfies.
    """
    from cikg.recommend.newcomers import newcomer  # noqa: PLC0415 - lets `cikg --help` load fast
    from cikg.recommend.newcomers.search import search  # noqa: PLC0415

    settings = load_settings()
    model = newcomer.trained(settings, dataset)
    with connect(settings) as graph:
        found = search(graph, model, query, user, k=k, weight=weight)
    if as_json:
        print_json(asdict(found))
        return
    rows = [
        [hit.rank, hit.found, hit.name, hit.item, ", ".join(intent.name for intent in hit.intents)]
        for hit in found.items
    ]
    print_table(
        f"“{query}” for {user} · {found.run}", ["rank", "by text", "name", "item", "because of"], rows, fold=True
    )
