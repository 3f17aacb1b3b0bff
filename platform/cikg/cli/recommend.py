"""`cikg recommend`: what the published model recommends to one user, and why."""

from __future__ import annotations

from dataclasses import asdict

import click

from cikg.cli._output import dataset_option, json_option, messages, print_json, print_table
from cikg.graph import connect
from cikg.serving.recommend import Recommendation, recommend
from cikg.settings import load_settings


@click.command("recommend")
@click.argument("user")
@dataset_option
@click.option("--k", default=10, show_default=True, type=click.IntRange(1, 1000), help="Number of items.")
@json_option
def command(user: str, dataset: str, k: int, as_json: bool) -> None:
    """Show the served recommendations of USER, each with its reason."""
    with connect(load_settings()) as graph:
        found = recommend(graph, dataset, user, k)
    if as_json:
        print_json(asdict(found))
        return
    rows = [[item.rank, item.name, item.item, item.score, _why(item)] for item in found.items]
    print_table(f"{found.name or found.user} · {found.method}", ["rank", "name", "item", "score", "because"], rows)
    if not found.items:
        messages.print("Nothing is published for this user. Who came after the model's snapshot needs a new training.")
    elif len(found.items) < k:
        messages.print(f"This is the whole list; `cikg publish {found.run} --k {k}` makes longer ones.", soft_wrap=True)
    if found.outdated:
        messages.print("Something was corrected after this list was made; `cikg publish` updates it.")


def _why(item: Recommendation) -> tuple[str, ...]:
    """Lines: what the score is made of, where several experts made it, and what in the graph speaks for the item."""
    return tuple(filter(None, (item.makeup, item.because)))
