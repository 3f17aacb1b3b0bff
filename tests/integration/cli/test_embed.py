"""`cikg embed`: what it writes, lists, refuses and drops."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from cikg.graph import Graph

Cikg = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shelf(graph: Graph, dataset: str) -> Iterator[str]:
    """Three intents, one of them twice in other words, and a profile without a text."""
    graph.execute("CREATE (:Dataset {uid: $d, id: $d, dataset: $d})", d=dataset)
    graph.execute(
        "UNWIND [['0', 'sea voyages'], ['1', 'stories of a sea voyage'], ['2', 'locked rooms']] AS row "
        "CREATE (:Intent {uid: $d + ':' + row[0], id: row[0], name: row[1], dataset: $d})",
        d=dataset,
    )
    graph.execute("CREATE (:Profile {uid: $d + ':p', id: 'p', dataset: $d})", d=dataset)
    yield dataset
    for label in ("Intent", "Profile", "Run", "Dataset"):
        graph.execute(f"MATCH (n:{label} {{dataset: $d}}) DETACH DELETE n", d=dataset)


def test_embeds_lists_finds_and_drops(here: Cikg, shelf: str) -> None:
    done = here("embed", "intents", "profiles", "--dataset", shelf, "--json")
    made = json.loads(done.stdout)
    assert (done.returncode, made["embedding"], made["dimension"]) == (0, "lexical_64", 64)
    assert (made["nodes"], made["written"]) == ({"Intent": 3, "Profile": 0}, {"Intent": 3, "Profile": 0})
    assert made["without_text"] == {"Intent": 0, "Profile": 1}
    shown = json.loads(here("embed", "--list", "--dataset", shelf, "--json").stdout)
    row = {"label": "Intent", "embedding": "lexical_64", "dimension": 64, "embedded": 3, "nodes": 3}
    assert shown == {"dataset": shelf, "embeddings": [row]}
    asked = (
        "query",
        "near_duplicate_intents",
        "-p",
        "threshold=0.9",
        "-p",
        "neighbours=5",
        "--dataset",
        shelf,
        "--json",
    )
    (pair,) = json.loads(here(*asked).stdout)["rows"]
    assert (pair["intent"], pair["other"]) == ("0", "1")
    assert "Intent" in here("embed", "--dataset", shelf).stdout, "without kinds, all of them"
    done = here("embed", "--drop", "lexical_64", "--dataset", shelf)
    assert (done.returncode, "lexical_64 removed" in done.stdout) == (0, True)
    assert json.loads(here("embed", "--list", "--dataset", shelf, "--json").stdout)["embeddings"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["intents", "--drop", "lexical_64"], "--drop removes an embedding from all kinds of nodes"),
        (["--drop", "lexical"], "is not the name of an embedding"),
        (["--drop", "lexical_32"], "has no embedding"),
        (["--embedder", "magic"], "'magic' is no embedder"),
        (["users"], "'users' is not one of 'items', 'entities', 'intents', 'interests', 'profiles'"),
        (["--dataset", "nowhere"], "there is no dataset 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(here: Cikg, shelf: str, arguments: list[str], message: str) -> None:
    done = here("embed", "--dataset", shelf, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split())
