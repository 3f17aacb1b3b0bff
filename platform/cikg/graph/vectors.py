"""Nearest neighbours by vector, each within one dataset, one label and one embedding.

An embedding is called by its slug: the model in words, then the dimension, as in `lexical_64`. Its vectors are the
property `embedding_<slug>` and have one index per label, so that vectors of two models or dimensions never meet. The
dataset lists what is whole: `Dataset.embeddings`, as `Intent/lexical_64`.

Searches are approximate (HNSW): of ten neighbours they find all in most cases; the cosines they give are exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cikg.errors import InputError, NotFoundError
from cikg.graph import datasets
from cikg.graph.database import Graph
from cikg.graph.statements import Statement, named
from cikg.schema import Label

EMBEDDED = (Label.ITEM, Label.ENTITY, Label.INTENT, Label.INTEREST, Label.PROFILE)
"""Labels whose nodes have texts."""
LONGEST = 4_096
"""Numbers a vector that the server's indexes take at most."""
INDEX_SECONDS = 600
"""How long to wait for new indexes to be filled."""
_SLUG = re.compile(r"[a-z0-9_]+_(?P<dimension>[1-9][0-9]{0,3})")
_WRITTEN_FOR = re.compile(r"\bintent_lexical_64\b|\b(embedding|embedded)_lexical_64\b|(?<=:)Intent\b")
_NEIGHBOURS = 10
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A node near to something.

    Attributes:
        uid: its key in the database.
        id: its id in the dataset.
        name: its name, or None.
        cosine: of the two vectors, at most 1.
    """

    uid: str
    id: str
    name: str | None
    cosine: float


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two intents with near vectors.

    Attributes:
        intent: the uid of one, the lesser.
        other: the uid of the other.
        score: their cosine.
    """

    intent: str
    other: str
    score: float


def slug(model: str, dimension: int) -> str:
    """The name of an embedding: `lexical_64` of the model `lexical` with 64 dimensions.

    Raises:
        InputError: no index takes vectors that long.
    """
    if not 0 < dimension <= LONGEST:
        raise InputError(
            f"{model} makes vectors of {dimension:,} numbers; indexes take at most {LONGEST:,}",
            cure="Choose another model",
        )
    words = re.sub(r"[^a-z0-9]+", "_", model.casefold()).strip("_") or "model"
    return f"{words}_{dimension}"


def dimension(embedding: str) -> int:
    """How long an embedding's vectors are.

    Raises:
        InputError: this is no slug.
    """
    found = _SLUG.fullmatch(embedding)
    if found is None:
        raise InputError(
            f"{embedding!r} is not the name of an embedding", cure="Write it as `cikg embed --list` does: lexical_64"
        )
    return int(found["dimension"])


def index_name(label: Label, embedding: str) -> str:
    """The name of the vector index over one label and embedding."""
    return f"{label.lower()}_{embedding}"


def index_options(embedding: str) -> dict[str, Any]:
    """The settings of an embedding's indexes: cosine, and vectors kept whole (the schema's second file says why)."""
    return {
        "vector.dimensions": dimension(embedding),
        "vector.similarity_function": "cosine",
        "vector.quantization.type": "NONE",
    }


def written_for(name: str, label: Label, embedding: str) -> Statement:
    """A statement of embeddings.cypher for another label and embedding than it is written for.

    Raises:
        InputError: `embedding` is no slug.
    """
    dimension(embedding)
    statement = named(name)

    def other(found: re.Match[str]) -> str:
        if found[0] == Label.INTENT:
            return str(label)
        return f"{found[1]}_{embedding}" if found[1] else index_name(label, embedding)

    return replace(statement, text=_WRITTEN_FOR.sub(other, statement.text))


def ensure_index(graph: Graph, label: Label, embedding: str) -> None:
    """Make the index of a label and embedding unless it is there. It is filled as vectors are written."""
    with graph.defining():
        make_index(graph, label, embedding)


def make_index(graph: Graph, label: Label, embedding: str) -> None:
    """`ensure_index` for whoever is `defining` already."""
    statement = written_for("create_vector_index", label, embedding)
    graph.execute(statement.text, options={"indexConfig": index_options(embedding)})
    graph.write("await_indexes", seconds=INDEX_SECONDS)


def embeddings(graph: Graph, dataset: str) -> dict[Label, list[str]]:
    """The slugs of a dataset's embeddings by label.

    Raises:
        NotFoundError: there is no such dataset.
    """
    rows = graph.many("dataset_embeddings", dataset=dataset)
    if not rows:
        raise datasets.unknown(graph, dataset)
    found: dict[Label, list[str]] = {}
    for entry in rows[0]["embeddings"]:
        label, _, embedding = entry.partition("/")
        found.setdefault(Label(label), []).append(embedding)
    return found


def chosen(graph: Graph, dataset: str, label: Label, embedding: str | None) -> str:
    """The slug asked for, or the only one there is.

    Raises:
        NotFoundError: there is no such dataset, or it has no such vectors, or several and none was named.
    """
    known = embeddings(graph, dataset).get(label, [])
    if embedding in known:
        return str(embedding)
    if embedding is None and len(known) == 1:
        return known[0]
    if embedding is None and known:
        raise NotFoundError(
            f"the dataset {dataset!r} has several embeddings of its {label} nodes",
            cure=f"Choose one of {', '.join(known)}",
        )
    what = f"no embedding {embedding!r}" if embedding else "no embedding"
    raise NotFoundError(
        f"the dataset {dataset!r} has {what} of its {label} nodes",
        cure=f"It has {', '.join(known)}" if known else "Make one with `cikg embed`",
    )


def nearest(
    graph: Graph, dataset: str, label: Label, embedding: str, vector: Sequence[float], *, k: int = 10
) -> list[Neighbour]:
    """The k nodes of a dataset nearest to a vector, the nearest first; fewer where there are no more.

    Intents that were merged into others are left out.

    Args:
        graph: the graph.
        dataset: the dataset's name; nodes of other datasets are never found.
        label: of which nodes.
        embedding: the slug of the embedding.
        vector: as long as the embedding's, not zero.
        k: how many, at least 1.

    Raises:
        InputError: the vector's length is not the embedding's, or it is zero.
        NotFoundError: the dataset has no such embedding.
    """
    chosen(graph, dataset, label, embedding)
    if len(vector) != dimension(embedding) or not any(vector):
        raise InputError(
            f"{embedding} compares vectors of {dimension(embedding)} numbers that are not all zero; "
            f"this one has {len(vector)}"
        )
    statement, limit = written_for("nearest_nodes", label, embedding), k
    while True:
        rows = graph.run(statement, dataset=dataset, vector=[float(value) for value in vector], limit=limit)
        standing = [row for row in rows if not row.pop("merged")]
        if len(standing) >= k or len(rows) < limit:
            return [Neighbour(**row) for row in standing[:k]]
        limit *= 2


def near_duplicates(
    graph: Graph,
    dataset: str,
    *,
    threshold: float,
    slug: str | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[NearPair]:
    """Pairs of a dataset's intents whose vectors have at least a cosine, the nearest first.

    An intent whose ten nearest are all that near is asked about more of them, until one is not.

    Args:
        graph: the graph.
        dataset: the dataset's name.
        threshold: the least cosine, above 0 and at most 1.
        slug: of the embedding; the only one there is if None.
        advance: called with numbers of intents done.

    Raises:
        InputError: the threshold is out of range.
        NotFoundError: there is no such dataset, or it has no such vectors.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"the threshold cannot be {threshold}", cure="Give a cosine above 0 and at most 1")
    embedding = chosen(graph, dataset, Label.INTENT, slug)
    rows = graph.run(written_for("embedded_nodes", Label.INTENT, embedding), dataset=dataset)
    statement = written_for("near_nodes", Label.INTENT, embedding)
    found: dict[tuple[str, str], float] = {}
    pending, limit = [row["uid"] for row in rows], _NEIGHBOURS + 1
    while pending:
        again: list[str] = []
        for start in range(0, len(pending), _BATCH):
            uids = pending[start : start + _BATCH]
            # The server's cosines are those of single precision: 1 may come as a little less.
            answers = graph.run(statement, dataset=dataset, uids=uids, threshold=threshold - 1e-6, limit=limit)
            _collect(found, answers)
            unfinished = [row["uid"] for row in answers if row["more"]]
            again += unfinished
            if advance is not None:
                advance(len(uids) - len(unfinished))
        pending, limit = again, 2 * limit
    pairs = [NearPair(*pair, score) for pair, score in found.items()]
    return sorted(pairs, key=lambda pair: (-pair.score, pair.intent, pair.other))


def _collect(found: dict[tuple[str, str], float], answers: list[dict[str, Any]]) -> None:
    """Add pairs, each once, whichever of the two it was found from."""
    for row in answers:
        for other in row["near"]:
            one, two = sorted((row["uid"], other["uid"]))
            found[one, two] = min(1.0, max(found.get((one, two), -1.0), other["cosine"]))
