"""Vectors for a dataset's nodes: what there is to say of each, embedded where it changed, written in batches.

Each vector remembers a digest of what it was made from, so that a second run embeds only what changed and one that was
interrupted goes on. An embedder that is fitted to all texts together (`lexical`) has one space for all labels that it
embedded in a dataset, and makes all of it anew when one text changes; meanwhile the dataset does not list it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from cikg.digests import digest
from cikg.errors import NotFoundError, SettingsError
from cikg.extraction.parts.histories import cards, dataset_row
from cikg.graph import Graph, vectors
from cikg.graph.schema_files import available
from cikg.graph.schema_state import definitions
from cikg.graph.vectors import EMBEDDED, written_for
from cikg.progress import Progress, silent
from cikg.schema import Label, uid
from cikg.settings import Settings
from cikg.text.embedders import Embedder, Vectors

PAGE = 1_000
"""Nodes read, embedded and written at a time."""
LONGEST_TEXT = 8_000
"""Characters of a node's text that are embedded: models read no more than a few thousand words."""
JOB_NAME = "embed"
_DROP_BATCH = 10_000


@dataclass(frozen=True)
class Embedded:
    """What a run made.

    Attributes:
        run: the uid of its run, or None where nothing had changed.
        embedding: the slug of the embedding.
        dimension: numbers a vector.
        nodes: nodes with a vector now, by label.
        written: vectors written now, by label.
        without_text: nodes that have no text to embed, by label.
    """

    run: str | None
    embedding: str
    dimension: int
    nodes: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    without_text: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Text:
    """A node, what there is to embed of it, and the digest of what its vector was made from."""

    uid: str
    text: str
    embedded: str | None


@contextmanager
def embedder(settings: Settings, spelling: str | None = None) -> Iterator[Embedder]:
    """The embedder that the settings, or a person, name.

    Args:
        settings: name it, and where a server is.
        spelling: `lexical`, `lexical:DIMENSION`, `sentence-transformers:NAME` or `openai:MODEL`, instead.

    Raises:
        SettingsError: it is none of these.
        CikgError: the model is not here, or its server does not answer.
    """
    # Each of them takes seconds to import.
    from cikg.llm.embeddings import OpenAIEmbedder  # noqa: PLC0415
    from cikg.text.embedders import Lexical, SentenceTransformers  # noqa: PLC0415

    kind, _, name = (spelling or settings.embedder).partition(":")
    if kind == "lexical" and (not name or (name.isdecimal() and 2 <= int(name) <= vectors.LONGEST)):
        yield Lexical(int(name or 64))
    elif kind == "sentence-transformers" and name:
        yield SentenceTransformers(name, None if settings.device == "auto" else settings.device)
    elif kind == "openai" and name:
        model = OpenAIEmbedder(settings, name)
        try:
            yield model
        finally:
            model.close()
    else:
        raise SettingsError(
            f"{spelling or settings.embedder!r} is no embedder",
            cure="Set CIKG_EMBEDDER to `lexical`, `lexical:128`, `sentence-transformers:NAME` or `openai:MODEL`",
        )


def embed(
    graph: Graph,
    dataset: str,
    model: Embedder,
    labels: Iterable[Label] = EMBEDDED,
    progress: Progress = silent,
) -> Embedded:
    """Give nodes vectors, where they have none of this model or their texts changed, and list the embedding.

    Args:
        graph: the graph.
        dataset: the dataset's name.
        model: makes the vectors.
        labels: of which nodes. A fitted model makes anew those that it embedded before as well.
        progress: opens progress bars.

    Raises:
        NotFoundError: there is no such dataset.
    """
    dataset_row(graph, dataset)
    embedding = vectors.slug(model.model, model.dimension)
    listed = {label for label, known in vectors.embeddings(graph, dataset).items() if embedding in known}
    chosen = [label for label in EMBEDDED if label in {*labels, *(listed if model.fitted else ())}]
    result = Embedded(None, embedding, model.dimension)
    work = _Work(graph, dataset, model, embedding, result, progress)
    inputs = work.together(chosen, listed) if model.fitted else work.apart(chosen)
    filled = [label for label in chosen if result.nodes[label]]
    if {*filled} - listed or any(result.written.values()):
        for label in filled:
            vectors.ensure_index(graph, label, embedding)
        _list(graph, dataset, embedding, added=filled)
        return Embedded(**{**vars(result), "run": _record(graph, dataset, result, inputs)})
    return result


@dataclass
class _Work:
    """One run over a dataset."""

    graph: Graph
    dataset: str
    model: Embedder
    embedding: str
    result: Embedded
    progress: Progress

    def apart(self, labels: Sequence[Label]) -> str:
        """Embed each text for itself; a digest of all inputs."""
        whole = hashlib.sha256()
        for label in labels:
            with self._counting(label) as advance:
                for page in texts(self.graph, self.dataset, label, self.embedding):
                    inputs = [digest([self.model.model, text.text])[:16] for text in page]
                    rows = [(text, made) for text, made in zip(page, inputs, strict=True) if text.text]
                    whole.update("".join(f"{text.uid}{made}" for text, made in rows).encode())
                    due = [(text, made) for text, made in rows if text.embedded != made]
                    if due:
                        found = self.model.embed([text.text for text, _ in due])
                        self._write(label, [(text.uid, made) for text, made in due], found)
                    self._count(label, page)
                    advance(len(page))
        return whole.hexdigest()

    def together(self, labels: Sequence[Label], listed: set[Label]) -> str:
        """Embed all texts with a model that is fitted to them; a digest of them all."""
        pages = [(label, page) for label in labels for page in texts(self.graph, self.dataset, label, self.embedding)]
        found = [(label, text) for label, page in pages for text in page if text.text]
        for label in labels:
            self.result.nodes[label] = self.result.written[label] = self.result.without_text[label] = 0
        for label, page in pages:
            self._count(label, page)
        whole = digest([self.model.model, *([text.uid, text.text] for _, text in found)])
        made = whole[:16]
        if all(text.embedded == made for _, text in found):
            return whole
        _list(self.graph, self.dataset, self.embedding, removed=sorted(listed))
        space = self.model.embed([text.text for _, text in found])
        with self.progress("nodes", len(found)) as advance:
            for label in labels:
                rows = [row for row, (of, text) in enumerate(found) if of == label and text.embedded != made]
                for start in range(0, len(rows), PAGE):
                    part = rows[start : start + PAGE]
                    self._write(label, [(found[row][1].uid, made) for row in part], space[part])
                    advance(len(part))
        return whole

    def _counting(self, label: Label) -> AbstractContextManager[Callable[[int], None]]:
        self.result.nodes[label] = self.result.written[label] = self.result.without_text[label] = 0
        (row,) = self.graph.run(written_for("count_texts", label, self.embedding), dataset=self.dataset)
        return self.progress(f"{label} nodes", row["nodes"])

    def _count(self, label: Label, page: Sequence[Text]) -> None:
        with_text = sum(bool(text.text) for text in page)
        self.result.nodes[label] += with_text
        self.result.without_text[label] += len(page) - with_text

    def _write(self, label: Label, nodes: Sequence[tuple[str, str]], found: Vectors) -> None:
        if not self.result.written[label]:
            vectors.ensure_index(self.graph, label, self.embedding)
        rows = [
            {"uid": node, "input": made, "vector": vector.tolist()}
            for (node, made), vector in zip(nodes, found, strict=True)
        ]
        statement = written_for("write_vectors", label, self.embedding)
        self.graph.run(statement, dataset=self.dataset, rows=rows)
        self.result.written[label] += len(rows)


def texts(graph: Graph, dataset: str, label: Label, embedding: str) -> Iterator[list[Text]]:
    """What there is to embed of a dataset's nodes of one label, in pages in the order of their keys.

    A text is the name, the text and, of items, the facts in words. Intents that were merged into others have none.
    """
    relations = dataset_row(graph, dataset)["relations"]
    statement, after = written_for("node_texts", label, embedding), ""
    while rows := graph.run(statement, dataset=dataset, after=after, limit=PAGE):
        after = rows[-1]["uid"]
        said = _facts(graph, dataset, rows, relations) if label == Label.ITEM and relations else {}
        yield [Text(row["uid"], _in_words(row, said.get(row["uid"], [])), row["embedded"]) for row in rows]


def _facts(
    graph: Graph, dataset: str, rows: Sequence[dict[str, Any]], relations: Sequence[str]
) -> dict[str, list[str]]:
    """What is known about items in words, by uid: `genre: satire, comedy`."""
    ids = [row["uid"].removeprefix(f"{dataset}:") for row in rows]
    return {
        uid(dataset, item): [
            f"{relation}: {', '.join(name for name in names if name)}" for relation, names in card.facts.items()
        ]
        for item, card in cards(graph, dataset, ids, relations)
    }


def _in_words(row: dict[str, Any], facts: Sequence[str]) -> str:
    parts = [" ".join(part.split()).rstrip(".") for part in (row["name"], row["text"], *facts) if part]
    return ". ".join(part for part in parts if part)[:LONGEST_TEXT]


def drop(graph: Graph, dataset: str, embedding: str) -> dict[str, int]:
    """Take an embedding off a dataset's nodes, and its indexes away where no other dataset uses them.

    Returns:
        Nodes that lost a vector, by label.

    Raises:
        NotFoundError: there is no such dataset, or none of its nodes has such a vector.
    """
    vectors.dimension(embedding)
    listed = [label for label, known in vectors.embeddings(graph, dataset).items() if embedding in known]
    _list(graph, dataset, embedding, removed=listed)
    cleared: dict[str, int] = {}
    for label in EMBEDDED:
        statement = written_for("clear_vectors", label, embedding)
        while count := graph.run(statement, dataset=dataset, limit=_DROP_BATCH)[0]["cleared"]:
            cleared[label] = cleared.get(label, 0) + count
    if not cleared and not listed:
        known = sorted({one for several in vectors.embeddings(graph, dataset).values() for one in several})
        raise NotFoundError(
            f"{dataset!r} has no embedding {embedding!r}", cure=f"It has {', '.join(known)}" if known else None
        )
    used = {row["embedding"] for row in graph.many("all_embeddings")}
    schema = definitions(available())
    for label in EMBEDDED:
        name = vectors.index_name(label, embedding)
        if f"{label}/{embedding}" not in used and name not in schema:
            graph.write("drop_index", name=name)
    return cleared


def _list(
    graph: Graph, dataset: str, embedding: str, *, added: Sequence[Label] = (), removed: Sequence[Label] = ()
) -> None:
    entries = {"added": [f"{label}/{embedding}" for label in added]}
    entries["removed"] = [f"{label}/{embedding}" for label in removed]
    graph.write("list_embeddings", dataset=dataset, **entries)


def _record(graph: Graph, dataset: str, result: Embedded, inputs: str) -> str:
    """Note the run, named by what it embedded with what."""
    parameters = {"embedding": result.embedding, "labels": sorted(result.nodes), "input": inputs}
    identifier = f"{JOB_NAME}-{digest(parameters)[:16]}"
    node: dict[str, Any] = {"dataset": dataset, "id": identifier, "kind": JOB_NAME, "name": result.embedding}
    node |= {"total": sum(result.nodes.values()), "parameters": json.dumps(parameters, sort_keys=True)}
    graph.write("record_run", run=uid(dataset, identifier), properties=node)
    return uid(dataset, identifier)
