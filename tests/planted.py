"""A small graph whose answers are known: readers of two kinds, each kind with an interest and books of its own.

Readers 0 … 19 love gardens, 20 … 39 the sea. Everyone read the almanac. A reader of a kind read all books of that kind
but one, so that the missing book is the right recommendation, and their kind's interest the right explanation. Reader
`quirk "/<b>` is a gardener with an id that needs every escape there is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cikg.graph import Graph
from cikg.graph.snapshot import Snapshot
from cikg.schema import uid

KINDS = {"garden": "gardens", "sea": "the sea"}
BOOKS = 6
READERS = 20
QUIRK = 'quirk "/<b>.json'
SCRIPT = "<script>alert(1)</script>"


def readers() -> dict[str, str]:
    """Reader id -> kind."""
    kinds = {str(index): "garden" if index < READERS else "sea" for index in range(2 * READERS)}
    return kinds | {QUIRK: "garden"}


def missing(reader: str) -> str:
    """The book of a reader's kind that they have not read."""
    kind = readers()[reader]
    return f"{kind}-{sum(reader.encode()) % BOOKS}"


def write(graph: Graph, dataset: str) -> None:
    """Write the planted graph."""
    books = [f"{kind}-{index}" for kind in KINDS for index in range(BOOKS)]
    _write_readers(graph, dataset)
    _write_books(graph, dataset, [*books, "almanac"])
    _write_interests(graph, dataset)
    read = [(reader, book) for reader, kind in readers().items() for book in books if book.startswith(kind)]
    read = [(reader, book) for reader, book in read if book != missing(reader)]
    _write_reading(graph, dataset, [*read, *((reader, "almanac") for reader in readers())])
    _write_inferred(graph, dataset)


def _write_readers(graph: Graph, dataset: str) -> None:
    """The dataset's own node, and its readers."""
    graph.execute(
        """
        MERGE (d:Dataset {uid: $dataset}) SET d += {id: $dataset, dataset: $dataset, field: 'books', state: 'ready',
          source: 'planted', interests: 'extracted', version: 1, relations: ['AUTHOR'], relation_names: ['author'],
          format: 'planted', fingerprint: 'planted', split: 'given', valid_share: 0.125, split_seed: 0}
        WITH 1 AS done UNWIND $users AS row
        MERGE (u:User {uid: $dataset + ':' + row.id}) SET u += row, u.dataset = $dataset
        """,
        dataset=dataset,
        users=[{"id": reader, "name": SCRIPT if reader == QUIRK else f"Reader {reader}"} for reader in readers()],
    )


def _write_books(graph: Graph, dataset: str, books: list[str]) -> None:
    """Books, and an author of all those of a kind."""
    graph.execute(
        """
        UNWIND $items AS row
        MERGE (i:Item {uid: $dataset + ':' + row.id}) SET i += row, i.dataset = $dataset
        MERGE (e:Entity {uid: $dataset + ':author of ' + row.kind})
          SET e.id = 'author of ' + row.kind, e.name = 'Author of ' + row.kind, e.dataset = $dataset
        MERGE (i)-[:AUTHOR {relation: 'author'}]->(e)
        """,
        dataset=dataset,
        items=[
            {"id": book, "name": book.replace("-", " book "), "kind": book.split("-")[0], "text": f"About {book}."}
            for book in books
        ],
    )


def _write_interests(graph: Graph, dataset: str) -> None:
    """An interest of each kind, with one intent in it."""
    graph.execute(
        """
        UNWIND $kinds AS row
        MERGE (t:Interest {uid: $dataset + ':' + row.id})
          SET t += row, t.dataset = $dataset, t.source = 'extracted', t.run = $dataset + ':cluster'
        MERGE (n:Intent {uid: $dataset + ':' + row.name})
          SET n.id = row.name, n.name = row.name, n.dataset = $dataset
        MERGE (n)-[:MEMBER_OF {run: $dataset + ':cluster'}]->(t)
        """,
        dataset=dataset,
        kinds=[{"id": kind, "name": name} for kind, name in KINDS.items()],
    )


def _write_reading(graph: Graph, dataset: str, read: list[tuple[str, str]]) -> None:
    """Who read what; the last book of a kind is for validation."""
    graph.execute(
        """
        UNWIND $read AS row
        MATCH (u:User {uid: $dataset + ':' + row[0]}), (i:Item {uid: $dataset + ':' + row[1]})
        MERGE (u)-[r:INTERACTED]->(i) SET r.split = CASE WHEN row[1] ENDS WITH '5' THEN 'valid' ELSE 'train' END
        """,
        dataset=dataset,
        read=[list(pair) for pair in read],
    )


def _write_inferred(graph: Graph, dataset: str) -> None:
    """What a language model would infer: each reader has the interest and intent of their kind, shown by one book."""
    graph.execute(
        """
        UNWIND $held AS row
        MATCH (u:User {uid: $dataset + ':' + row[0]}), (t:Interest {uid: $dataset + ':' + row[1]}),
              (n:Intent {uid: $dataset + ':' + row[2]})
        MERGE (u)-[h:HAS_INTEREST]->(t) SET h.evidence = [row[3]], h.run = 'cluster'
        MERGE (u)-[p:POSSESSES]->(n) SET p.evidence = [row[3]], p.completion = $dataset + ':answer', p.round = 1
        """,
        dataset=dataset,
        held=[
            [reader, kind, KINDS[kind], f"{kind}-{(sum(reader.encode()) + 1) % BOOKS}"]
            for reader, kind in readers().items()
        ],
    )


def write_runs(graph: Graph, dataset: str, state: str = "done") -> None:
    """Write an extraction run with one subject of each fate, and an answer of the LLM."""
    graph.execute(
        """
        MERGE (c:Completion {uid: $dataset + ':answer'}) SET c += {id: 'answer', dataset: $dataset,
          asked: 'History of <b>one</b> reader',
          prompt: 'user_interests', prompt_version: 1, model: 'stand-in', status: 'valid',
          text: '{"interests": []} <script>alert(2)</script>',
          prompt_tokens: 10, completion_tokens: 5, latency: 0.25, created_at: datetime()}
        MERGE (r:Run {uid: $run}) SET r += {id: 'extraction', dataset: $dataset, kind: 'extract',
          name: 'user_interests', state: $state, total: 3, parameters: '{"model": "stand-in"}',
          created_at: datetime(), started_at: datetime()}
        WITH r UNWIND [['0', 'done', null], ['1', 'failed', 'the LLM timed out'], ['2', 'quarantined', 'no JSON']]
          AS row
        MERGE (s:Subject {uid: $run + '/' + row[0]}) SET s += {id: row[0], dataset: $dataset, run: $run, kind: 'User',
          state: row[1], error: row[2], attempts: 1, calls: 1, prompt_tokens: 10, completion_tokens: 5, cost: 0.0,
          completion: $dataset + ':answer', updated_at: datetime()}
        """,
        dataset=dataset,
        run=uid(dataset, "extraction"),
        state=state,
    )


def write_training(graph: Graph, dataset: str, run: str, method: str, ndcg: float) -> None:
    """Write a finished training run."""
    graph.execute(
        """
        MERGE (r:Run {uid: $uid}) SET r += {id: $run, dataset: $dataset, kind: 'train', name: $method, state: 'done',
          created_at: datetime(), started_at: datetime(), finished_at: datetime(), valid: $valid,
          evaluation: $evaluation, manifest: $manifest, curve: $curve}
        """,
        uid=uid(dataset, run),
        dataset=dataset,
        run=run,
        method=method,
        valid=f'{{"ndcg@10": {ndcg / 2}}}',
        evaluation=f'{{"valid": {{"ndcg@10": {ndcg / 2}}}, "test": {{"ndcg@10": {ndcg}, "recall@50": 0.5}}}}',
        manifest='{"config": {"penalty": 100.0}, "seed": 0, "notes": ["without facts: there are none"]}',
        curve='{"epochs": [{"phase": "select", "epoch": 1, "loss": {"recommend": 2.0}, "ndcg@50": 0.1}, '
        '{"phase": "select", "epoch": 2, "loss": {"recommend": 1.0}, "ndcg@50": 0.2}, '
        '{"phase": "refit", "epoch": 1, "loss": {"recommend": 0.9}}]}',
    )


@dataclass
class Neighbours:
    """A real recommender in a few lines: items that are read together with those that the user read.

    Attributes:
        snapshot: what it was made from.
        run_id: its name.
        fail_after: chunks of users after which it breaks down, to interrupt a publication.
    """

    snapshot: Snapshot
    run_id: str = "neighbours-1"
    fail_after: int | None = None
    manifest: dict[str, Any] = field(default_factory=lambda: {"method": "neighbours"})

    @property
    def snapshot_hash(self) -> str:
        return self.snapshot.hash

    def shares(
        self, user_index: np.ndarray[Any, Any], item_index: np.ndarray[Any, Any]
    ) -> tuple[list[str], np.ndarray[Any, Any]]:
        return [], np.empty((*item_index.shape, 0))

    def scores(self, user_index: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if self.fail_after is not None:
            if self.fail_after == 0:
                raise KeyboardInterrupt
            self.fail_after -= 1
        table = self.snapshot.interactions
        matrix = np.zeros((len(self.snapshot.users.ids), len(self.snapshot.items.ids)))
        known = np.asarray(table.split) != 2
        matrix[np.asarray(table.user_index)[known], np.asarray(table.item_index)[known]] = 1
        return matrix[user_index] @ (matrix.T @ matrix)


class Halves(Neighbours):
    """The same scores, as the sum of two experts."""

    def shares(
        self, user_index: np.ndarray[Any, Any], item_index: np.ndarray[Any, Any]
    ) -> tuple[list[str], np.ndarray[Any, Any]]:
        scores = np.take_along_axis(self.scores(user_index), item_index, axis=1)
        return ["less", "more"], np.stack([scores - 1.5, np.full(scores.shape, 1.5)], axis=2)
