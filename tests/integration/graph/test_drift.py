"""A database that is not what its files make of it is refused, and mended where nothing can be lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cikg.errors import DriftError
from cikg.graph import Graph, connect
from cikg.graph.migrations import Changes, migrate, refuse
from cikg.graph.schema_files import Migration, available
from cikg.graph.schema_state import definitions, inspect
from cikg.graph.vectors import ensure_index
from cikg.schema import Label
from cikg.settings import Settings

REPAIR = "`cikg schema migrate --repair` recreates it"


@pytest.fixture(autouse=True)
def mended(graph: Graph) -> Iterator[None]:
    """Whatever a test broke is whole again after it."""
    yield
    for name in ("drift_own", "drift_profile", "drift_text", "drift_one", "drift_two", "profile_drift_8"):
        graph.execute(f"DROP INDEX {name} IF EXISTS")
    graph.execute("DROP CONSTRAINT drift_name IF EXISTS")
    graph.execute("MATCH (n:Drifting) DETACH DELETE n")
    graph.execute("MATCH (n:Migration) WHERE n.uid > $newest DELETE n", newest=available()[-1].version)
    migrate(graph, repair=True)


def drift(graph: Graph) -> list[str]:
    return [f"{one.message}. {one.cure}" for one in inspect(graph, available()).drift]


def refusal(graph: Graph) -> str:
    with pytest.raises(DriftError) as raised:
        migrate(graph)
    return str(raised.value)


def test_the_files_are_understood_and_are_what_the_server_shows(graph: Graph) -> None:
    state = inspect(graph, available())
    known = definitions(available())
    made = sum(len(migration.statements) for migration in available())
    assert len(known) == made, "every statement of cypher/schema is read"
    assert {name for name, shown in state.shown.items() if shown.origin == "schema"} == set(known)
    assert all(state.shown[name].definition.same(definition) for name, definition in known.items())
    assert known["intent_lexical_64"].options["vector.dimensions"] == "64"
    assert state.drift == []
    assert {(file["state"], bool(file["applied_at"])) for file in state.files} == {("applied", True)}


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        ("DROP INDEX profile_dataset", "the index profile_dataset on Profile(dataset) is missing"),
        ("DROP CONSTRAINT profile_uid", "the constraint profile_uid on Profile(uid) is missing"),
        ("DROP INDEX texts", "the index texts on Entity|Intent|Interest|Item|Profile(name, text) is missing"),
        (
            "DROP INDEX intent_lexical_64",
            "the index intent_lexical_64 on Intent(embedding_lexical_64, dataset) is missing",
        ),
    ],
)
def test_what_was_dropped_is_refused_and_made_again(graph: Graph, drop: str, message: str) -> None:
    graph.execute(drop)
    assert refusal(graph) == f"{message}. {REPAIR}"
    assert migrate(graph, repair=True) == Changes([], [drop.split()[2]])
    assert drift(graph) == []
    assert migrate(graph, repair=True) == Changes([], [])


def test_another_definition_under_the_name_is_replaced(graph: Graph) -> None:
    graph.execute("DROP INDEX profile_dataset")
    graph.execute("CREATE INDEX profile_dataset FOR (n:Profile) ON (n.kind)")
    expected = (
        "profile_dataset is a range index on Profile(kind) and should be a range index on Profile(dataset). " + REPAIR
    )
    assert refusal(graph) == expected
    assert migrate(graph, repair=True).repaired == ["profile_dataset"]
    assert drift(graph) == []


def test_a_vector_index_of_another_dimension_is_replaced(graph: Graph) -> None:
    graph.execute("DROP INDEX intent_lexical_64")
    graph.execute(
        "CYPHER 25 CREATE VECTOR INDEX intent_lexical_64 FOR (n:Intent) ON n.embedding_lexical_64 WITH [n.dataset] "
        "OPTIONS {indexConfig: {`vector.dimensions`: 32, `vector.similarity_function`: 'cosine', "
        "`vector.quantization.type`: 'NONE'}}"
    )
    assert refusal(graph).endswith(f"on Intent(embedding_lexical_64, dataset) with vector.dimensions 64. {REPAIR}")
    assert migrate(graph, repair=True).repaired == ["intent_lexical_64"]
    assert drift(graph) == []


def test_the_same_under_another_name_is_left_to_a_person(graph: Graph) -> None:
    """`IF NOT EXISTS` would silently make nothing, and the name would be missing ever after."""
    graph.execute("DROP INDEX profile_dataset")
    graph.execute("CREATE INDEX drift_own FOR (n:Profile) ON (n.dataset)")
    assert drift(graph) == [
        "the index profile_dataset on Profile(dataset) exists under the name drift_own. "
        f"Drop that with DROP INDEX drift_own; then {REPAIR}"
    ]
    with pytest.raises(DriftError):
        migrate(graph, repair=True)


def test_a_constraint_of_ones_own_is_refused_and_an_index_is_not(graph: Graph) -> None:
    graph.execute("CREATE INDEX drift_own FOR (n:Item) ON (n.price)")
    assert drift(graph) == []
    assert inspect(graph, available()).shown["drift_own"].origin == "other"
    graph.execute("CREATE CONSTRAINT drift_name FOR (n:Item) REQUIRE (n.price, n.name) IS UNIQUE")
    assert refusal(graph) == (
        "the constraint drift_name on Item(price, name) is not defined in any file of cypher/schema. "
        "Drop it with DROP CONSTRAINT drift_name"
    )
    with pytest.raises(DriftError, match="drift_name"):
        migrate(graph, repair=True)


def test_an_index_that_failed_is_refused_and_made_again_once_the_cause_is_gone(graph: Graph) -> None:
    """A range index holds no text of 40 kB."""
    graph.execute("DROP INDEX profile_dataset")
    graph.execute("CREATE (:Profile:Drifting {uid: 'drift', dataset: $long})", long="x" * 40_000)
    graph.execute("CREATE INDEX profile_dataset FOR (n:Profile) ON (n.dataset)")
    with pytest.raises(Exception, match=r"failed|FAILED"):
        graph.write("await_indexes", seconds=60)
    found = refusal(graph)
    assert found.startswith("the index profile_dataset on Profile(dataset) has failed: ")
    assert found.endswith(f"Correct the cause; then {REPAIR}")
    with pytest.raises(DriftError, match=r"profile_dataset on Profile\(dataset\) cannot be made: .*Correct the data"):
        migrate(graph, repair=True)
    graph.execute("MATCH (n:Drifting) DETACH DELETE n")
    assert migrate(graph, repair=True).repaired == ["profile_dataset"]
    assert drift(graph) == []


def test_doubled_keys_stand_in_the_way_of_their_constraint(graph: Graph) -> None:
    graph.execute("DROP CONSTRAINT profile_uid")
    graph.execute("UNWIND [1, 2] AS i CREATE (:Profile:Drifting {uid: 'drift'})")
    with pytest.raises(DriftError, match=r"constraint profile_uid on Profile\(uid\) cannot be made: .*'drift'"):
        migrate(graph, repair=True)
    assert len(graph.execute("MATCH (n:Drifting) RETURN n")) == 2, "nothing is lost by trying"


def test_an_embeddings_index_belongs_to_the_schema_while_a_dataset_lists_it(graph: Graph, dataset: str) -> None:
    ensure_index(graph, Label.PROFILE, "drift_8")
    assert inspect(graph, available()).shown["profile_drift_8"].origin == "embedding"
    graph.execute("CREATE (:Dataset:Drifting {uid: $d, id: $d, embeddings: ['Profile/drift_8']})", d=dataset)
    assert drift(graph) == []
    assert inspect(graph, available()).embeddings["Profile/drift_8"] == [dataset]
    graph.execute("DROP INDEX profile_drift_8")
    assert drift(graph) == [f"the index profile_drift_8 on Profile(embedding_drift_8, dataset) is missing. {REPAIR}"]
    assert migrate(graph, repair=True).repaired == ["profile_drift_8"]


def test_every_departure_is_counted_and_the_gravest_is_named(graph: Graph) -> None:
    graph.execute("DROP INDEX profile_dataset")
    graph.execute("DROP INDEX texts")
    assert "profile_dataset on Profile(dataset) is missing (and 1 more: `cikg schema status`)" in refusal(graph)
    graph.execute("CREATE (:Migration {uid: '9000', id: '9000', name: 'future', checksum: '0'})")
    state = inspect(graph, available())
    assert [(file["version"], file["state"]) for file in state.files][-1] == ("9000", "unknown")
    with pytest.raises(DriftError, match=r"schema version 9000, which .*\(and 2 more"):
        refuse(state)


def test_several_migrators_at_once_make_one_schema(graph: Graph, settings: Settings) -> None:
    statements = (
        "CREATE INDEX drift_one IF NOT EXISTS FOR (n:Drifting) ON (n.one)",
        "CREATE CONSTRAINT drift_name IF NOT EXISTS FOR (n:Drifting) REQUIRE n.name IS UNIQUE",
        "CREATE FULLTEXT INDEX drift_text IF NOT EXISTS FOR (n:Drifting) ON EACH [n.text]",
        "CREATE INDEX drift_two IF NOT EXISTS FOR (n:Drifting) ON (n.one, n.two)",
    )
    version = f"{len(available()) + 1:04d}"
    planned = [*available(), Migration(version, "drift", "1" * 64, statements)]
    graph.execute("DROP INDEX profile_dataset")
    begin = threading.Barrier(6)

    def work(_number: int) -> Changes:
        with connect(settings) as own:
            begin.wait()
            return migrate(own, planned, repair=True)

    with ThreadPoolExecutor(6) as pool:
        changes = list(pool.map(work, range(6)))
    assert any(change.applied == [version] for change in changes)
    state = inspect(graph, planned)
    assert state.drift == []
    assert {"drift_one", "drift_two", "drift_text", "drift_name", "profile_dataset"} <= state.shown.keys()
    assert migrate(graph, planned) == Changes([], [])
