"""Books and readers that come after a training: both rounds find their intents, and the model knows them by those."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from cikg.cli import main
from cikg.extraction import ledger
from cikg.extraction.job import job
from cikg.extraction.runner import Runner
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.recommend import runs
from cikg.recommend.newcomers import newcomer
from cikg.recommend.newcomers.search import search
from cikg.settings import Settings
from tests import planted_tastes
from tests.planted_tastes import TOPICS, tastes

Cikg = Callable[..., str]


@pytest.fixture
def cikg(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cikg:
    """The command-line tool over the tests' servers: what it prints."""
    monkeypatch.setattr("cikg.cli.extend.load_settings", lambda: settings)
    monkeypatch.setattr("cikg.cli.publish.load_settings", lambda: settings)

    def call(*arguments: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return said.err if ended.value.code else said.out

    return call


@pytest.fixture
def shelf(graph: Graph, dataset: str) -> Iterator[str]:
    planted_tastes.write(graph, dataset)
    yield dataset
    graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=dataset)


def ranks(model: newcomer.Model, book: str) -> np.ndarray:
    """Where a book stands in each reader's list, of what they have not read."""
    snapshot = model.snapshot

    scores = model.scorer.scores(torch.arange(len(snapshot.users.ids))).numpy().copy()
    scores[snapshot.interactions.user_index, snapshot.interactions.item_index] = -np.inf
    place = snapshot.items.index[book]
    return (scores > scores[:, [place]]).sum(1) + 1


def test_a_book_that_comes_later_finds_its_readers(graph: Graph, settings: Settings, shelf: str, cikg: Cikg) -> None:
    first = planted_tastes.fit(graph, shelf, settings)
    before = newcomer.trained(settings, shelf)
    assert "nothing is new" in cikg("extend", before.run)
    for topic in TOPICS:
        planted_tastes.add_book(graph, shelf, f"novelty-{topic}", f"All about {topic}.")
    asked = settings.model_copy(update={"openai_model": "stand-in", "openai_api_key": None})
    with Runner(graph, asked) as runner:
        for name in ("item_intents", "related_item_intents"):
            plan = ledger.plan(graph, job(name), shelf, "stand-in")
            runner.work_all(plan.run.uid, ledger.start(graph, plan))
    graph.execute(
        "MATCH (d:Dataset {uid: $d}), (k:Intent {uid: $d + ':chess'}) SET d.version = d.version + 1 "
        "CREATE (u:User {uid: $d + ':late', id: 'late', dataset: $d})"
        "-[:POSSESSES {round: 1, evidence: [], run: $d + ':planted'}]->(k)",
        d=shelf,
    )
    told = json.loads(cikg("extend", before.run, "--json"))
    assert (told["new users"], told["new items"], told["already there"]) == (1, len(TOPICS), False)
    assert json.loads(cikg("extend", before.run, "--json"))["already there"]
    after = newcomer.trained(settings, shelf)
    assert after.run == told["run"] != before.run
    readers = {f"r{reader}": tastes(reader) for reader in range(planted_tastes.READERS)}
    for topic in TOPICS:
        book = f"novelty-{topic}"
        place = dict(zip(after.snapshot.users.ids, ranks(after, book), strict=True))
        theirs = [place[reader] for reader, own in readers.items() if topic in own]
        others = [place[reader] for reader, own in readers.items() if topic not in own]
        # Of seventy books sixty are unread: at random a book is at 30, and by popularity, unread, at the end.
        assert np.median(theirs) <= 5, (topic, sorted(theirs))
        assert np.mean(np.array(theirs) <= 15) >= 0.75, (topic, sorted(theirs))
        assert np.median(others) > 3 * np.median(theirs), (topic, sorted(others))
    unchanged(before, after)
    late = newcomer.by_intents(after, ["chess"]).items
    assert [each.item for each in late][:8] == listed(after, "late")[:8]
    hits = search(graph, after, "chess ghosts", "r0", k=4).items
    assert "novelty-ghosts" in [hit.item for hit in hits]
    assert any(intent.id == "ghosts" for hit in hits for intent in hit.intents)
    by_text = search(graph, after, "chess ghosts", "r0", k=4, weight=0).items
    assert [hit.rank for hit in by_text] == [hit.found for hit in by_text]
    assert not any(hit.intents for hit in by_text), "no intent moved what is in the order of the full text"
    assert "served" in cikg("publish", after.run, "--k", "5")
    found = graph.execute(
        "MATCH (:User {uid: $u})-[:RECOMMENDED]->(i:Item) RETURN collect(i.id) AS ids", u=f"{shelf}:late"
    )
    assert set(found[0]["ids"]) == set(listed(after, "late")[:5])
    assert first.hash != take(graph, shelf, settings).hash
    assert runs.read_json(settings.runs / after.run / runs.MANIFEST)["extends"] == before.run


def listed(model: newcomer.Model, user: str) -> list[str]:
    """A user's list as the model's scores give it."""

    scores = model.scorer.scores(torch.tensor([model.snapshot.users.index[user]]))[0]
    return [model.snapshot.items.ids[place] for place in torch.argsort(scores, descending=True, stable=True).tolist()]


def unchanged(before: newcomer.Model, after: newcomer.Model) -> None:
    """Who and what was known has the scores that it had."""

    users = torch.tensor([after.snapshot.users.index[each] for each in before.snapshot.users.ids])
    items = torch.tensor([after.snapshot.items.index[each] for each in before.snapshot.items.ids])
    torch.testing.assert_close(
        after.scorer.scores(users)[:, items], before.scorer.scores(torch.arange(len(users))), atol=1e-5, rtol=0
    )
