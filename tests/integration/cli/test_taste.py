"""A newcomer's sentence, from the command line to the items of their taste."""

from __future__ import annotations

import pytest

from cikg.datasets.formats import demo
from cikg.datasets.loader import load
from cikg.errors import InputError, NotFoundError
from cikg.extraction import ledger, related
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.recommend import newcomer
from cikg.recommend.engine import train
from cikg.schema import Label
from cikg.settings import Settings

pytestmark = pytest.mark.timeout(120)


def test_a_sentence_brings_the_books_of_the_taste_it_names(graph: Graph, settings: Settings, dataset: str) -> None:
    asked = settings.model_copy(update={"openai_model": "stand-in", "openai_api_key": None, "device": "cpu"})
    try:
        load(graph, "demo", None, dataset)
        with pytest.raises(NotFoundError, match="cikg train ikgr"):
            newcomer.trained(asked, dataset)
        with Runner(graph, asked) as runner:
            for name, limit in (("item_intents", None), ("user_intents", 100)):
                plan = ledger.plan(graph, job(name), dataset, "stand-in", limit=limit)
                runner.work_all(plan.run.uid, ledger.start(graph, plan))
        related.embed(graph, dataset, (Label.ITEM, Label.INTENT))
        train(take(graph, dataset, asked), "ikgr", settings=asked, epochs=4)
        model = newcomer.trained(asked, dataset)
        genres = {book.id: book.genres for book in demo.catalogue()}
        hits = []
        for taste in demo.TASTES:
            found = newcomer.suggest(asked, model, f"I love {taste} most of all")
            assert [each.rank for each in found.items] == list(range(1, 11))
            hits.append(sum(taste in genres[each.item] for each in found.items))
        assert sum(hit >= 7 for hit in hits) >= 0.8 * len(hits), hits
        with pytest.raises(InputError, match="other words"):
            newcomer.suggest(asked, model, "zzz qqq")
    finally:
        graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=dataset)
