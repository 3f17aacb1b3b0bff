"""`cikg taste`: recommendations for somebody of whom nothing is known but a sentence."""

from __future__ import annotations

from dataclasses import asdict

import click

from cikg.cli._output import dataset_option, json_option, print_facts, print_json, print_table
from cikg.settings import load_settings


@click.command("taste", short_help="Recommend to a newcomer from a sentence.")
@click.argument("sentence")
@dataset_option
@click.option("--k", default=10, show_default=True, type=click.IntRange(1, 1000), help="How many items.")
@json_option
def command(sentence: str, dataset: str, k: int, as_json: bool) -> None:
    """Recommend items to a newcomer who says in a SENTENCE what they like.

    The LLM reads intents out of the sentence and chooses others from the pool; the ikgr that was trained last scores
    all items by them. Nothing is trained again, and nothing is kept.
    """
    from cikg.recommend import newcomer  # noqa: PLC0415 - torch takes seconds to import

    settings = load_settings()
    found = newcomer.suggest(settings, newcomer.trained(settings, dataset), sentence, k)
    if as_json:
        print_json(asdict(found))
        return
    facts = {name: ", ".join(getattr(found, name)) for name in ("exact", "related", "unknown")}
    print_facts("What the sentence says", {name: value or None for name, value in facts.items()})
    rows = [[each.rank, each.name, each.item, each.score, ", ".join(each.intents)] for each in found.items]
    print_table(f"For “{sentence}” · {found.run}", ["rank", "name", "item", "score", "intents"], rows)
