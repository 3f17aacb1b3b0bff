"""`cikg taste`: recommendations for a user known only by a sentence."""

from __future__ import annotations

from dataclasses import asdict

import click

from cikg.cli._output import dataset_option, json_option, print_facts, print_json, print_table
from cikg.settings import load_settings


@click.command("taste")
@click.argument("sentence")
@dataset_option
@click.option("--k", default=10, show_default=True, type=click.IntRange(1, 1000), help="Number of items.")
@json_option
def command(sentence: str, dataset: str, k: int, as_json: bool) -> None:
    """Recommend items to a newcomer who says in a SENTENCE what they like.

    The LLM extracts intents from the sentence and picks related ones from the pool; the most recent ikgr model
    scores all items by them. Nothing is retrained and nothing is stored.
    """
    from cikg.recommend.newcomers import newcomer  # noqa: PLC0415 - lets `cikg --help` load fast

    settings = load_settings()
    found = newcomer.suggest(settings, newcomer.trained(settings, dataset), sentence, k)
    if as_json or found.taste is None:
        print_json(asdict(found))
        return
    taste = found.taste
    facts = {
        "exact": ", ".join(each.name for each in taste.exact) or None,
        "related": ", ".join(each.name for each in taste.related) or None,
        "unknown": ", ".join(taste.unknown) or None,
    }
    print_facts("What the sentence says", facts)
    rows = [
        [each.rank, each.name, each.item, ", ".join(intent.name for intent in each.intents)] for each in found.items
    ]
    print_table(f"For “{sentence}” · {found.run}", ["rank", "name", "item", "because of"], rows, fold=True)
