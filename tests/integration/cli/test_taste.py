"""What a trained IKGR serves: a newcomer's sentence, and a reader's search."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict

import pytest

from cikg.datasets.formats import demo
from cikg.datasets.loader import load
from cikg.errors import InputError, NotFoundError
from cikg.extraction import ledger
from cikg.extraction.job import job
from cikg.extraction.parts import related
from cikg.extraction.runner import Runner
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.recommend.engine import train
from cikg.recommend.newcomers import newcomer
from cikg.recommend.newcomers.search import search
from cikg.schema import Label, SplitCode
from cikg.settings import Settings

Cikg = Callable[..., subprocess.CompletedProcess[str]]


def mean_reciprocal_rank(graph: Graph, model: newcomer.Model, weight: float) -> float:
    """Of a reader's last test item, searched for by the longest word of its text that at least eight texts have."""
    words = {book.id: set(re.findall(r"[a-z]{4,}", book.text.lower())) for book in demo.catalogue()}
    texts = Counter(word for several in words.values() for word in several)
    reads = model.snapshot.interactions
    held = reads.split == SplitCode.TEST
    last = dict(zip(reads.user_index[held], reads.item_index[held], strict=True))
    found = []
    for user, place in sorted(last.items())[::13]:
        item = model.snapshot.items.ids[int(place)]
        known = [word for word in words[item] if texts[word] >= 8]
        if known:
            query = max(known, key=lambda word: (len(word), word))
            hits = search(graph, model, query, model.snapshot.users.ids[int(user)], k=100, weight=weight)
            found.append(next((1 / hit.rank for hit in hits.items if hit.item == item), 0.0))
    assert len(found) >= 30
    return sum(found) / len(found)


def test_sentences_and_searches_bring_what_is_to_the_readers_taste(
    graph: Graph, settings: Settings, dataset: str, here: Cikg
) -> None:
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
        by_text, by_reader = (mean_reciprocal_rank(graph, model, weight) for weight in (0.0, 1.0))
        assert by_reader >= 1.2 * by_text
        assert any(hit.intents for hit in search(graph, model, "ghost AND (", "reader-0001").items)
        with pytest.raises(NotFoundError, match="does not know the user"):
            search(graph, model, "ghost", "nobody")
        with pytest.raises(InputError, match="has no words"):
            search(graph, model, "?!", "reader-0001")
        words = "I love Gothic fiction most of all"
        suggested, hits_of_text = newcomer.suggest(asked, model, words, 3), search(graph, model, "ghost", "reader-0001")
        for command, expected in (
            (("taste", words, "--k", 3), suggested),
            (("search", "ghost", "--user", "reader-0001"), hits_of_text),
        ):
            options = ("--dataset", dataset)
            told = json.loads(here(*command, *options, "--json").stdout)
            assert told["items"] == json.loads(json.dumps(asdict(expected)))["items"]
            shown = here(*command, *options, COLUMNS="400")
            assert shown.returncode == 0
            assert [each.name for each in expected.items if each.name not in shown.stdout] == []
    finally:
        graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=dataset)
