"""The graph in a notebook: objects to follow, questions to ask, tables to look at.

    from cikg import notebook

    graph = notebook.connect("demo")
    reader = graph.get(notebook.User, "17")
    reader.intents.table()
    graph.ask("bridge_to_item", user="17", item="emma")
    graph.cypher("MATCH (i:Intent {dataset: $dataset}) RETURN i.name AS intent LIMIT 10")

The objects are models of py2neo, which comes with the extra `notebook`. py2neo is no longer developed, and opens
transactions for writing unless told otherwise. Here it only reads: every transaction is opened for reading, so that the
server refuses a write. (Saving an object would delete the edges that the object does not show.) Nor is it safe to carry
over a fork: the child gets an error, and has to connect again.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import polars as pl

from cikg.errors import ConflictError, NotFoundError
from cikg.graph import connect as connect_platform
from cikg.graph.database import plain
from cikg.graph.questions import arguments, check_existence, readable, signature
from cikg.graph.statements import named
from cikg.schema import Relationship, dataset_name, uid
from cikg.settings import Settings, load_settings

try:
    import py2neo
    from py2neo import ogm
except ModuleNotFoundError as error:
    raise ImportError(
        "py2neo is not installed. In the checkout, run `.venv/bin/pip install --editable '.[notebook]'`"
    ) from error

ROWS = 1_000
"""Rows of an answer unless a limit is given."""

__all__ = ["Entity", "Intent", "Interest", "Item", "Notebook", "Profile", "Run", "User", "connect"]


class Others(ogm.RelatedObjects):  # type: ignore[misc] # py2neo carries no types
    """What an object is related to, each object once, read when it is first looked at.

    Like all of the platform's reads it leaves out edges that were pruned and intents that were merged into others. Two
    edges to the same object count as one: that of the lower round, with the evidence of both.
    """

    def __init__(self, subject: _Thing, relationship: Relationship, other: type[_Thing], *, outgoing: bool) -> None:
        super().__init__(subject, subject.__node__, 1 if outgoing else -1, str(relationship), other)
        self._outgoing = outgoing

    def __db_pull__(self, transaction: Any) -> None:
        ends = (self.node, None) if self._outgoing else (None, self.node)
        found: dict[Any, dict[str, Any]] = {}
        pairs = _edges(transaction.graph, ends, self.relationship_type)
        for other, edge in sorted(pairs, key=lambda pair: (pair[1].get("round") or 0, pair[0]["id"])):
            if other["merged_into"] is not None:
                continue
            kept = found.setdefault(other, edge)
            if edge.get("evidence"):
                kept["evidence"] = list(dict.fromkeys([*(kept.get("evidence") or []), *edge["evidence"]]))
        self._related_objects[:] = [(self.related_class.wrap(other), edge) for other, edge in found.items()]

    def table(self) -> pl.DataFrame:
        """Ids and names of the objects and the properties of the edges that lead to them, a row each."""
        return _table([{"id": other.id, "name": other.name, **edge} for other, edge in self._related_objects])


class _Related:
    """An attribute that holds `Others`."""

    def __init__(self, relationship: Relationship, other: str, *, outgoing: bool = True) -> None:
        self._relationship, self._other, self._outgoing = relationship, other, outgoing

    def __set_name__(self, owner: type[_Thing], name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, instance: _Thing, owner: type[_Thing] | None = None) -> Others:
        if self._name not in instance.__dict__:
            other: type[_Thing] = globals()[self._other]
            instance.__dict__[self._name] = Others(instance, self._relationship, other, outgoing=self._outgoing)
        related: Others = instance.__dict__[self._name]
        return related


class _Thing(ogm.Model):  # type: ignore[misc] # py2neo carries no types
    """A node."""

    __primarykey__ = "uid"
    uid = ogm.Property()
    id = ogm.Property()
    name = ogm.Property()
    dataset = ogm.Property()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id!r}{f': {self.name}' if self.name else ''}>"

    def facts(self) -> pl.DataFrame:
        """What is known of an item or entity: relation, and id and name of what it relates to."""
        pairs = _edges(self.__node__.graph, (self.__node__, None), None)
        rows = [{"relation": edge.get("relation"), "id": other["id"], "name": other["name"]} for other, edge in pairs]
        return _table([row for row in rows if row["relation"] is not None], ("relation", "id", "name"))


class User(_Thing):
    """A user. `history` has all splits: the column `split` of its table says which."""

    history = _Related(Relationship.INTERACTED, "Item")
    intents = _Related(Relationship.POSSESSES, "Intent")
    interests = _Related(Relationship.HAS_INTEREST, "Interest")
    profiles = _Related(Relationship.DESCRIBES, "Profile", outgoing=False)


class Item(_Thing):
    """An item."""

    text = ogm.Property()
    readers = _Related(Relationship.INTERACTED, "User", outgoing=False)
    intents = _Related(Relationship.SATISFIES, "Intent")
    profiles = _Related(Relationship.DESCRIBES, "Profile", outgoing=False)


class Entity(_Thing):
    """Something that facts are about, such as an author."""


class Intent(_Thing):
    """A phrase for what a user wants. `merged_into` is the uid of the intent that speaks for it now."""

    merged_into = ogm.Property()
    holders = _Related(Relationship.POSSESSES, "User", outgoing=False)
    items = _Related(Relationship.SATISFIES, "Item", outgoing=False)
    interests = _Related(Relationship.MEMBER_OF, "Interest")


class Interest(_Thing):
    """A group of intents that mean the same."""

    source = ogm.Property()
    intents = _Related(Relationship.MEMBER_OF, "Intent", outgoing=False)
    holders = _Related(Relationship.HAS_INTEREST, "User", outgoing=False)


class Profile(_Thing):
    """A text about a user or an item."""

    text = ogm.Property()


class Run(_Thing):
    """A job or a training. `ask("written_by_run", run=run.id)` shows what it wrote."""

    kind = ogm.Property()
    state = ogm.Property()
    parameters = ogm.Property()
    created_at = ogm.Property()


class Notebook(ogm.Repository):  # type: ignore[misc] # py2neo carries no types
    """One dataset of the graph, to be read.

    Attributes:
        dataset: its name.
        graph: py2neo's graph, which reads only.
    """

    def __init__(self, dataset: str, settings: Settings) -> None:
        self.dataset = dataset_name(dataset)
        self._platform = connect_platform(settings)  # says in a sentence what is wrong with address or password
        password = settings.neo4j_password.get_secret_value() if settings.neo4j_password else ""
        self.graph = _ReadingGraph(
            settings.neo4j_uri, name=settings.neo4j_database, auth=(settings.neo4j_user, password)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Notebook of {self.dataset!r}>"

    def close(self) -> None:
        """Close all connections."""
        self._platform.close()
        self.graph.service.connector.close()

    def get(self, model: type[_Thing], identifier: str) -> Any:
        """The object of a kind with the dataset's own id.

        Raises:
            NotFoundError: there is none.
        """
        found = super().get(model, uid(self.dataset, identifier))
        if found is None:
            raise NotFoundError(f"the dataset {self.dataset!r} has no {model.__name__} {identifier!r}")
        return found

    def match(self, model: type[_Thing], primary_value: str | None = None) -> Any:
        """All objects of a kind, to be narrowed in py2neo's manner: `match(Item).where(name="Emma").limit(3)`.

        Write all conditions in one `where`: py2neo gives the values of a second one to the first.
        """
        return super().match(model, primary_value).where(f"_.dataset = '{self.dataset}'")

    def questions(self) -> pl.DataFrame:
        """What `ask` answers: the questions with their parameters, those in brackets having a value unless given."""
        rows = [
            {"question": signature(each), "section": each.section, "answers": each.purpose}
            for each in readable()
            if each.section
        ]
        return _table(rows)

    def ask(self, question: str, limit: int | None = None, **parameters: Any) -> pl.DataFrame:
        """The answer to a question of the library. Without a limit, warns where there are more rows than `ROWS`.

        Raises:
            NotFoundError: there is no such question, or what it is about does not exist.
            InputError: a parameter is missing or wrong.
        """
        statement = named(question)
        given = {name: str(value) for name, value in parameters.items()}
        values = arguments(statement, given, self.dataset, (limit or ROWS) + 1)  # one more says whether there are more
        check_existence(self._platform, statement, values)
        return self._answer(statement.text, values, limit)

    def cypher(self, text: str, limit: int | None = None, **parameters: Any) -> pl.DataFrame:
        """The answer to a Cypher statement, where `$dataset` stands for the dataset. Warns as `ask` does.

        Raises:
            InputError: the server does not accept the statement, or it writes.
        """
        return self._answer(text, {"dataset": self.dataset, **parameters}, limit)

    def _answer(self, text: str, parameters: Mapping[str, Any], limit: int | None) -> pl.DataFrame:
        answer = self._platform.look(text, parameters, limit or ROWS)
        if answer.truncated and limit is None:
            warnings.warn(f"only the first {ROWS:,} rows; give a limit to get more", stacklevel=3)
        return _table([dict(zip(answer.columns, row, strict=True)) for row in answer.rows], answer.columns)


def connect(dataset: str, settings: Settings | None = None) -> Notebook:
    """Open a dataset of the configured Neo4j.

    Args:
        dataset: its name.
        settings: where Neo4j answers; without them, those of `cikg.toml`, the environment or `cikg up`.

    Raises:
        UnreachableError: nothing answers there.
        AuthenticationError: it refuses the password.
        InputError: no dataset can have this name.
        NotFoundError: there is no such dataset.
    """
    opened = Notebook(dataset, settings or load_settings())
    if opened.graph.nodes.match("Dataset", uid=dataset).first() is None:
        opened.close()
        raise NotFoundError(f"there is no dataset {dataset!r}", cure="`cikg dataset list` shows them all")
    return opened


class _ReadingGraph(py2neo.Graph):  # type: ignore[misc] # py2neo carries no types
    """A graph whose every transaction is one for reading, in the process that made it."""

    def __init__(self, *options: Any, **settings: Any) -> None:
        super().__init__(*options, **settings)
        self._process = os.getpid()

    def auto(self, readonly: bool = True) -> Any:
        self._check()
        return super().auto(readonly=True)

    def begin(self, readonly: bool = True) -> Any:
        self._check()
        return super().begin(readonly=True)

    def _check(self) -> None:
        if os.getpid() != self._process:
            raise ConflictError("this connection was made before a fork", cure="Connect again in this process")


def _edges(graph: Any, ends: tuple[Any, Any], relationship: str | None) -> list[tuple[Any, dict[str, Any]]]:
    """The edges between two ends, of which one is open, that were not pruned: nodes at that end, and properties."""
    edges = [edge for edge in graph.match(ends, relationship) if edge["pruned_by"] is None]
    others = [edge.start_node if ends[0] is None else edge.end_node for edge in edges]
    if others:
        graph.pull(py2neo.Subgraph(others))  # in one go; py2neo would ask for each as it is looked at
    return [(other, plain(dict(edge))) for other, edge in zip(others, edges, strict=True)]


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Rows as a table; a column for every key of any of them, in the order in which they first come."""
    names = columns if columns is not None else list(dict.fromkeys(key for row in rows for key in row))
    return pl.DataFrame({name: pl.Series(name, [row.get(name) for row in rows], strict=False) for name in names})
