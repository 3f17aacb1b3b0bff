"""Embedding a dataset: what is written, what a second run leaves alone, what changes, and what goes away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from cikg.errors import AuthenticationError, NotFoundError, ServiceError, SettingsError, UnreachableError
from cikg.extraction.steps.embedding import drop, embed, embedder, texts
from cikg.graph import Graph, vectors
from cikg.graph.schema_files import available
from cikg.graph.schema_state import inspect
from cikg.llm.embeddings import BATCH, OpenAIEmbedder
from cikg.schema import Label, uid
from cikg.settings import Settings
from cikg.text.embedders import Lexical, Vectors
from tests.integration.extraction.conftest import StandIn

INTENTS = ["gothic horror", "tales of gothic horror", "sea voyages", "whaling ships", "locked rooms"]


class Counting:
    """An embedder of letters' frequencies that counts what it is asked, and fails at a text if told to."""

    model = "letters"
    dimension = 26
    fitted = False

    def __init__(self, fail_at: str | None = None) -> None:
        self.asked: list[str] = []
        self.fail_at = fail_at

    def embed(self, texts: Sequence[str]) -> Vectors:
        if self.fail_at is not None and any(self.fail_at in text for text in texts):
            raise KeyboardInterrupt
        self.asked += texts
        counts = np.array([[1 + text.count(chr(97 + n)) for n in range(26)] for text in texts], dtype=np.float32)
        found: Vectors = counts / np.linalg.norm(counts, axis=1, keepdims=True)
        return found


@pytest.fixture
def shelf(graph: Graph, planted: Callable[..., dict[str, str]], dataset: str) -> Iterator[str]:
    """48 books about four topics, five intents of which none is merged, an interest and a profile."""
    planted(4)
    for number, name in enumerate(INTENTS):
        graph.execute(
            "CREATE (:Intent {uid: $d + ':' + $i, id: $i, name: $name, dataset: $d})",
            d=dataset,
            i=str(number),
            name=name,
        )
    graph.execute("CREATE (:Interest {uid: $d + ':h', id: 'h', name: 'Horror', dataset: $d})", d=dataset)
    graph.execute("CREATE (:Profile {uid: $d + ':p', id: 'p', text: 'Reads of the sea.', dataset: $d})", d=dataset)
    yield dataset
    for label in vectors.EMBEDDED:
        graph.execute("DROP INDEX $name IF EXISTS", name=vectors.index_name(label, "letters_26"))
        graph.execute("DROP INDEX $name IF EXISTS", name=vectors.index_name(label, "stand_in_256"))


def stored(graph: Graph, dataset: str, label: str, slug: str) -> dict[str, list[float] | None]:
    rows = graph.execute(
        f"MATCH (n:{label} {{dataset: $d}}) RETURN n.id AS id, n.embedding_{slug} AS vector", d=dataset
    )
    return {row["id"]: row["vector"] for row in rows}


def dataset_node(graph: Graph, dataset: str) -> dict[str, Any]:
    return dict(graph.many("find_dataset", dataset=dataset)[0]["dataset"])


def test_a_text_is_the_name_the_text_and_the_facts_in_words(graph: Graph, shelf: str) -> None:
    (page,) = texts(graph, shelf, Label.ITEM, "letters_26")
    assert len(page) == 48
    assert page[0].text == "Volume 0-0. A book. subject: gothic horror"
    assert [text.text for page in texts(graph, shelf, Label.PROFILE, "x_1") for text in page] == ["Reads of the sea"]


def test_all_kinds_get_vectors_once_and_only_what_changed_again(graph: Graph, shelf: str) -> None:
    model, before = Counting(), dataset_node(graph, shelf)
    done = embed(graph, shelf, model)
    assert done.nodes == {"Item": 48, "Entity": 4, "Intent": 5, "Interest": 1, "Profile": 1} == done.written
    assert len(model.asked) == 59
    after = dataset_node(graph, shelf)
    assert after["embeddings"] == sorted(f"{label}/letters_26" for label in done.nodes)
    assert after["version"] > before["version"]
    found = stored(graph, shelf, "Intent", "letters_26")
    np.testing.assert_array_equal(np.float32(found["2"]), Counting().embed([INTENTS[2]])[0])
    (run,) = graph.execute(
        "MATCH (r:Run {uid: $uid}) RETURN r.kind AS kind, r.state AS state, r.total AS n", uid=done.run
    )
    assert run == {"kind": "embed", "state": "done", "n": 59}
    again = embed(graph, shelf, model)
    assert (again.run, sum(again.written.values()), len(model.asked)) == (None, 0, 59)
    assert dataset_node(graph, shelf)["version"] == after["version"], "nothing is written where nothing changed"
    graph.execute("MATCH (n:Intent {uid: $uid}) SET n.name = 'calm seas'", uid=uid(shelf, "2"))
    changed = embed(graph, shelf, model, [Label.INTENT])
    assert changed.written == {"Intent": 1} and model.asked[59:] == ["calm seas"]
    assert changed.run not in (None, done.run)


def test_an_interrupted_run_goes_on_and_is_not_listed_before_it_is_whole(graph: Graph, shelf: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed(graph, shelf, Counting(fail_at="Horror"))
    assert "embeddings" not in dataset_node(graph, shelf)
    assert any(stored(graph, shelf, "Item", "letters_26").values())
    model = Counting()
    assert sum(embed(graph, shelf, model).written.values()) == 2
    assert sorted(model.asked) == ["Horror", "Reads of the sea"]
    assert len(dataset_node(graph, shelf)["embeddings"]) == 5


def test_a_fitted_model_has_one_space_and_makes_it_anew(graph: Graph, shelf: str) -> None:
    done = embed(graph, shelf, Lexical(), [Label.INTENT])
    assert done.written == {"Intent": 5}
    first = stored(graph, shelf, "Intent", "lexical_64")
    pairs = vectors.near_duplicates(graph, shelf, threshold=0.9)
    assert [(pair.intent, pair.other) for pair in pairs] == [(uid(shelf, "0"), uid(shelf, "1"))]
    assert embed(graph, shelf, Lexical(), [Label.INTENT]).run is None
    both = embed(graph, shelf, Lexical(), [Label.INTEREST])
    assert both.written == {"Intent": 5, "Interest": 1}, "another label changes the space of all"
    assert stored(graph, shelf, "Intent", "lexical_64") != first
    horror = stored(graph, shelf, "Interest", "lexical_64")["h"]
    assert horror is not None
    near = vectors.nearest(graph, shelf, Label.INTENT, "lexical_64", horror, k=2)
    assert {one.id for one in near} == {"0", "1"}, "labels of one space can be compared"
    graph.execute("MATCH (n:Intent {uid: $uid}) SET n.merged_into = $into", uid=uid(shelf, "1"), into=uid(shelf, "0"))
    assert embed(graph, shelf, Lexical(), [Label.INTENT]).written == {"Intent": 4, "Interest": 1}
    assert vectors.near_duplicates(graph, shelf, threshold=0.9) == []


class Broken(Lexical):
    """Lexical that is interrupted."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        raise KeyboardInterrupt


def test_a_space_that_is_being_replaced_is_not_listed(graph: Graph, shelf: str) -> None:
    embed(graph, shelf, Lexical(), [Label.INTENT])
    graph.execute("MATCH (n:Intent {uid: $uid}) SET n.name = 'calm seas'", uid=uid(shelf, "2"))
    with pytest.raises(KeyboardInterrupt):
        embed(graph, shelf, Broken(), [Label.INTENT])
    assert dataset_node(graph, shelf)["embeddings"] == []
    assert embed(graph, shelf, Lexical(), [Label.INTENT]).written == {"Intent": 5}
    assert dataset_node(graph, shelf)["embeddings"] == ["Intent/lexical_64"]


def test_dropping_one_leaves_the_others_and_other_datasets(
    graph: Graph, shelf: str, planted: Callable[..., dict[str, str]]
) -> None:
    planted(1, f"{shelf}-b")
    embed(graph, f"{shelf}-b", Counting(), [Label.ITEM])
    embed(graph, shelf, Counting(), [Label.ITEM, Label.INTENT])
    embed(graph, shelf, Lexical(), [Label.INTENT])
    assert drop(graph, shelf, "letters_26") == {"Item": 48, "Intent": 5}
    assert not any(stored(graph, shelf, "Intent", "letters_26").values())
    assert all(stored(graph, shelf, "Intent", "lexical_64").values())
    assert all(stored(graph, f"{shelf}-b", "Item", "letters_26").values())
    shown = inspect(graph, available()).shown
    assert "item_letters_26" in shown, "another dataset uses it"
    assert "intent_letters_26" not in shown
    drop(graph, f"{shelf}-b", "letters_26")
    drop(graph, shelf, "lexical_64")
    shown = inspect(graph, available())
    assert "item_letters_26" not in shown.shown and "intent_lexical_64" in shown.shown and shown.drift == []
    with pytest.raises(NotFoundError, match="no embedding 'lexical_64'"):
        drop(graph, shelf, "lexical_64")


def test_a_server_is_asked_in_batches_and_again_where_it_fails(
    graph: Graph,
    shelf: str,
    standin: Callable[..., StandIn],
    job_settings: Callable[..., Settings],
) -> None:
    server = standin(fault="rate-limit:0*1")
    with embedder(job_settings(server), "openai:stand-in") as model:
        assert (model.model, model.dimension, server.calls) == ("stand-in", 256, 2)
        done = embed(graph, shelf, model, [Label.ITEM, Label.INTENT])
        assert done.embedding == "stand_in_256"
        assert server.calls == 2 + 2 * 2, "a request for a page, and each once more"
        many = [f"text {number}" for number in range(2 * BATCH + 1)]
        found = model.embed(many)
        np.testing.assert_allclose(found[[0, BATCH, -1]], model.embed([many[0], many[BATCH], many[-1]]), atol=1e-6)
        assert embed(graph, shelf, model, [Label.ITEM, Label.INTENT]).run is None
    near = vectors.near_duplicates(graph, shelf, threshold=0.5, slug="stand_in_256")
    assert (near[0].intent, near[0].other) == (uid(shelf, "0"), uid(shelf, "1"))


@pytest.mark.parametrize(
    ("told", "spelling", "error", "message"),
    [
        ({"locked": True}, "openai:stand-in", AuthenticationError, "refuses the key. Set OPENAI_API_KEY"),
        ({}, "openai:unknown", NotFoundError, "has no model 'unknown'. Set CIKG_EMBEDDER"),
        ({"fault": "server-error"}, "openai:stand-in", ServiceError, "failed: The server had an error"),
        ({"fault": "hang"}, "openai:stand-in", ServiceError, "did not answer in time. Raise CIKG_LLM_TIMEOUT"),
        ({}, "openai", SettingsError, "'openai' is no embedder. Set CIKG_EMBEDDER to `lexical`"),
        ({}, "lexical:1", SettingsError, "is no embedder"),
        ({}, "lexical:9999", SettingsError, "is no embedder"),
    ],
)
def test_what_cannot_be_used_is_said(
    *,
    standin: Callable[..., StandIn],
    job_settings: Callable[..., Settings],
    told: dict[str, Any],
    spelling: str,
    error: type[Exception],
    message: str,
) -> None:
    timeout = 0.5 if "hang" in told.values() else 10.0
    settings = job_settings(standin(**told), llm_retries=0, llm_timeout=timeout)
    with pytest.raises(error) as raised, embedder(settings, spelling):
        pass
    assert message in str(raised.value)


def test_the_embedding_server_may_be_another_one(job_settings: Callable[..., Settings], standin: Any) -> None:
    settings = job_settings("http://127.0.0.1:9/v1", embedding_base_url=standin().url, embedder="openai:stand-in")
    with embedder(settings) as model:
        assert model.dimension == 256
    with pytest.raises(UnreachableError, match="correct CIKG_EMBEDDING_BASE_URL"):
        OpenAIEmbedder(job_settings("http://127.0.0.1:9/v1", llm_retries=0), "stand-in")
    with pytest.raises(UnreachableError, match="no server for embeddings"):
        OpenAIEmbedder(settings.model_copy(update={"openai_base_url": None, "embedding_base_url": None}), "stand-in")


def test_texts_are_searched_in_one_dataset(graph: Graph, shelf: str) -> None:
    graph.execute(
        "CREATE (:Profile {uid: $d + '-b:p', id: 'p', text: 'Reads of the sea.', dataset: $d + '-b'})", d=shelf
    )
    graph.execute("CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()")
    rows = graph.many("search_texts", dataset=shelf, query="sea*", limit=10)
    assert {(row["label"], row["id"]) for row in rows} == {("Profile", "p"), ("Intent", "2"), ("Entity", "topic1")}
    graph.execute("MATCH (n:Profile {uid: $d + '-b:p'}) DELETE n", d=shelf)
