"""A shelf of six topics, readers of two topics each, and the intents that say so; almanacs are what everybody reads.

Books of a topic have it as an exact intent and "stories about" it as a related one, and so have its readers. So what
suits whom is known, also for a book that comes later, and it is never what is popular.
"""

from __future__ import annotations

from cikg.extraction.parts import related
from cikg.graph import Graph
from cikg.graph.snapshot import Snapshot, take
from cikg.recommend.engine import train
from cikg.schema import Label, uid
from cikg.settings import Settings

TOPICS = ("ghosts", "revenge", "gardens", "whales", "railways", "chess")
BOOKS, ALMANACS, READERS = 10, 4, 48


def tastes(reader: int) -> tuple[str, str]:
    """The two topics of a reader."""
    first = reader % len(TOPICS)
    return TOPICS[first], TOPICS[(first + 1 + reader // len(TOPICS) % (len(TOPICS) - 1)) % len(TOPICS)]


def write(graph: Graph, dataset: str) -> None:
    """Write the graph with the vectors of its books and intents."""
    books = [(f"{topic}-{number}", topic) for topic in TOPICS for number in range(BOOKS)]
    items = [
        {"id": book, "name": book.replace("-", " volume ").capitalize(), "text": f"A tale of {topic} and of a letter."}
        for book, topic in books
    ]
    items += [{"id": f"almanac-{n}", "name": f"Almanac {n}", "text": "A tale of the year."} for n in range(ALMANACS)]
    read = [row for reader in range(READERS) for row in _history(reader)]
    graph.execute(
        "MERGE (d:Dataset {uid: $d}) SET d += {id: $d, dataset: $d, field: 'books', state: 'ready', version: 1, "
        "relations: [], interests: 'none'} "
        "WITH d CALL () { UNWIND $items AS row MERGE (i:Item {uid: $d + ':' + row.id}) SET i += row, i.dataset = $d } "
        "CALL () { UNWIND range(0, $readers - 1) AS n MERGE (u:User {uid: $d + ':r' + n}) "
        "  SET u += {id: 'r' + n, name: 'Reader ' + n, dataset: $d} } "
        "CALL () { UNWIND $topics AS t UNWIND [t, 'stories about ' + t] AS phrase "
        "  MERGE (k:Intent {uid: $d + ':' + phrase}) SET k += {id: phrase, name: phrase, dataset: $d} } "
        "UNWIND $read AS row MATCH (u:User {uid: $d + ':' + row.user}), (i:Item {uid: $d + ':' + row.item}) "
        "MERGE (u)-[r:INTERACTED]->(i) SET r += {split: row.split, at: row.at}",
        d=dataset, items=items, read=read, readers=READERS, topics=list(TOPICS),
    )  # fmt: skip
    has = [
        {"owner": f"r{reader}", "topic": topic, "evidence": [f"{topic}-{(reader + step) % BOOKS}" for step in range(2)]}
        for reader in range(READERS)
        for topic in tastes(reader)
    ]
    serves = [{"owner": book, "topic": topic, "evidence": [book]} for book, topic in books]
    for label, kind, rows in (("User", "POSSESSES", has), ("Item", "SATISFIES", serves)):
        graph.execute(
            "UNWIND $rows AS row UNWIND [[1, row.topic], [2, 'stories about ' + row.topic]] AS told "
            f"MATCH (n:{label} {{uid: $d + ':' + row.owner}}), (k:Intent {{uid: $d + ':' + told[1]}}) "
            f"MERGE (n)-[e:{kind}]->(k) SET e += {{round: told[0], evidence: row.evidence, run: $d + ':planted'}}",
            d=dataset,
            rows=rows,
        )
    related.embed(graph, dataset, (Label.ITEM, Label.INTENT))


def _history(reader: int) -> list[dict[str, object]]:
    """Six books of the first topic and three of the second, the last of each for test, and every almanac."""
    first, second = tastes(reader)
    own = [f"{first}-{(reader + step) % BOOKS}" for step in range(6)]
    own += [f"{second}-{(reader + step) % BOOKS}" for step in range(3)]
    splits = ["train", "train", "train", "train", "valid", "test", "train", "train", "test"]
    books = [*zip(own, splits, strict=True), *((f"almanac-{n}", "train") for n in range(ALMANACS))]
    return [{"user": f"r{reader}", "item": book, "split": split, "at": at} for at, (book, split) in enumerate(books)]


def fit(graph: Graph, dataset: str, settings: Settings) -> Snapshot:
    """Train IKGR on the graph as it is; a second or two."""
    snapshot = take(graph, dataset, settings)
    own = settings.model_copy(update={"device": "cpu"})
    # An almanac is popular, and popularity is no taste: without biases a list is of what was planted.
    overrides = {"dimension": 16, "batch_size": 128, "learning_rate": 0.02, "item_bias": False}
    train(snapshot, "ikgr", settings=own, epochs=15, patience=15, overrides=overrides)
    return snapshot


def add_book(graph: Graph, dataset: str, book: str, text: str) -> None:
    """Write a book that nobody has read: a text alone."""
    graph.execute(
        "MERGE (i:Item {uid: $u}) SET i += {id: $id, name: $id, text: $words, dataset: $d} "
        "WITH i MATCH (d:Dataset {uid: $d}) SET d.version = d.version + 1",
        u=uid(dataset, book), id=book, words=text, d=dataset,
    )  # fmt: skip
