"""`cikg embed`: vectors for a dataset's nodes, and indexes over them."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import click

from cikg.cli._output import dataset_option, json_option, print_facts, print_json, print_table, progress_bar
from cikg.errors import InputError
from cikg.graph import Graph, connect, vectors
from cikg.schema import Label
from cikg.settings import load_settings

if TYPE_CHECKING:
    from cikg.extraction.steps.embedding import Embedded

_KINDS = {"items": Label.ITEM, "entities": Label.ENTITY, "intents": Label.INTENT}
_KINDS |= {"interests": Label.INTEREST, "profiles": Label.PROFILE}


@click.command("embed")
@click.argument("kinds", nargs=-1, type=click.Choice(list(_KINDS)), metavar="[KIND]...")
@dataset_option
@json_option
@click.option(
    "--embedder", metavar="NAME", help="lexical, sentence-transformers:NAME or openai:MODEL.  [CIKG_EMBEDDER]"
)
@click.option("--list", "as_list", is_flag=True, help="List the embeddings, then exit.")
@click.option("--drop", metavar="EMBEDDING", help="Remove an embedding, such as lexical_64.")
def command(
    *, kinds: tuple[str, ...], dataset: str, as_json: bool, embedder: str | None, as_list: bool, drop: str | None
) -> None:
    """Embed items, entities, intents, interests and profiles, or only the given KINDs, and index the vectors.

    An embedding is a model and a dimension; each has its own properties and indexes. Only what changed is embedded
    again, and an interrupted run continues. `lexical` compares words; name a model to compare meanings.
    """
    if drop and (kinds or embedder or as_list):
        raise InputError("--drop removes an embedding from all kinds of nodes", cure="Use it only with --dataset")
    from cikg.extraction.steps import embedding  # noqa: PLC0415 - scikit-learn takes a second to import

    settings, began = load_settings(), time.monotonic()
    with connect(settings) as graph:
        if as_list:
            _show_list(graph, dataset, as_json)
        elif drop:
            _show_dropped(embedding.drop(graph, dataset, drop), dataset, drop, as_json)
        else:
            labels = [_KINDS[kind] for kind in kinds] or vectors.EMBEDDED
            with embedding.embedder(settings, embedder) as model:
                made = embedding.embed(graph, dataset, model, labels, partial(progress_bar, quiet=as_json))
            _show(made, dataset, round(time.monotonic() - began, 2), as_json)


def _show(made: Embedded, dataset: str, seconds: float, as_json: bool) -> None:
    facts = {"run": made.run, "embedding": made.embedding, "dimension": made.dimension, "seconds": seconds}
    if as_json:
        counts = {"nodes": made.nodes, "written": made.written, "without_text": made.without_text}
        print_json({"dataset": dataset, **facts, **counts})
        return
    print_facts(f"{dataset}: {made.embedding}", facts)
    rows = [[label, count, made.written[label], made.without_text[label]] for label, count in made.nodes.items()]
    print_table("Vectors", ["nodes", "with a vector", "written now", "without text"], rows)


def _show_list(graph: Graph, dataset: str, as_json: bool) -> None:
    rows = []
    for label, names in vectors.embeddings(graph, dataset).items():
        for name in names:
            (counted,) = graph.run(vectors.written_for("count_texts", label, name), dataset=dataset)
            rows.append([str(label), name, vectors.dimension(name), counted["embedded"], counted["nodes"]])
    columns = ["label", "embedding", "dimension", "embedded", "nodes"]
    if as_json:
        print_json({"dataset": dataset, "embeddings": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        empty = f"{dataset} has no embeddings. `cikg embed --dataset {dataset}` makes one."
        print_table(f"Embeddings of {dataset}", columns, rows, empty=empty)


def _show_dropped(cleared: dict[str, int], dataset: str, name: str, as_json: bool) -> None:
    if as_json:
        print_json({"dataset": dataset, "embedding": name, "cleared": cleared})
    else:
        print_table(f"{dataset}: {name} removed", ["nodes", "vectors"], [list(pair) for pair in cleared.items()])
