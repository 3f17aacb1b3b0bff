"""`cikg embed`: what it writes, lists, refuses and drops."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from cikg.cli import main
from cikg.graph import Graph

Cikg = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cikg(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process, which has scikit-learn imported; its exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


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


def test_embeds_lists_finds_and_drops(cikg: Cikg, shelf: str) -> None:
    code, output, _ = cikg("embed", "intents", "profiles", "--dataset", shelf, "--json")
    made = json.loads(output)
    assert (code, made["embedding"], made["dimension"]) == (0, "lexical_64", 64)
    assert (made["nodes"], made["written"]) == ({"Intent": 3, "Profile": 0}, {"Intent": 3, "Profile": 0})
    assert made["without_text"] == {"Intent": 0, "Profile": 1}
    shown = json.loads(cikg("embed", "--list", "--dataset", shelf, "--json")[1])
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
    (pair,) = json.loads(cikg(*asked)[1])["rows"]
    assert (pair["intent"], pair["other"]) == ("0", "1")
    assert "Intent" in cikg("embed", "--dataset", shelf)[1], "without kinds, all of them"
    code, output, _ = cikg("embed", "--drop", "lexical_64", "--dataset", shelf)
    assert (code, "lexical_64 is gone" in output) == (0, True)
    assert json.loads(cikg("embed", "--list", "--dataset", shelf, "--json")[1])["embeddings"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["intents", "--drop", "lexical_64"], "--drop takes an embedding off all kinds of nodes"),
        (["--drop", "lexical"], "names no embedding"),
        (["--drop", "lexical_32"], "has no embedding"),
        (["--embedder", "magic"], "'magic' is no embedder"),
        (["users"], "'users' is not one of 'items', 'entities', 'intents', 'interests', 'profiles'"),
        (["--dataset", "nowhere"], "there is no dataset 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(cikg: Cikg, shelf: str, arguments: list[str], message: str) -> None:
    code, output, errors = cikg("embed", "--dataset", shelf, *arguments)
    assert (code, output) == (2, "")
    assert message in " ".join(errors.split())
