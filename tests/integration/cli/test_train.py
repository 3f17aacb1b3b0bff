from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cikg.cli.evaluate import register
from cikg.cli.train import register as register_training
from cikg.datasets.loader import load
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.recommend.engine import train
from cikg.recommend.evaluation.measuring import evaluate
from cikg.schema import uid
from cikg.settings import Settings

Cikg = Callable[..., subprocess.CompletedProcess[str]]

QUICK = ("--set", "dimension=8", "--set", "learning_rate=0.01", "--epochs", "3")


def write_dataset(folder: Path) -> Path:
    """Thirty readers of two tastes in CIKGRec's layout: readers and items of equal parity belong together."""
    folder.mkdir()
    random = np.random.default_rng(0)
    train, test = [], []
    for user in range(30):
        chosen = random.permutation(np.arange(user % 2, 40, 2))[:16]
        train.append(f"{user} {' '.join(map(str, chosen[3:]))}")
        test.append(f"{user} {' '.join(map(str, chosen[:3]))}")
    facts = [f"{item} 0 {40 + item % 2}" for item in range(40)]
    interests = [f"{user} {42 + user % 2}" for user in range(30)]
    for name, lines in (("train", train), ("test", test), ("kg_final", facts), ("user_interest_clustered", interests)):
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def imported(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> str:
    name = f"test-train-{uuid.uuid4().hex[:12]}"  # a graph that is used again knows what became of earlier runs
    load(graph, "cikgrec", write_dataset(tmp_path_factory.mktemp("train") / "data"), name)
    return name


def answer(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    data: dict[str, Any] = json.loads(result.stdout)
    return data


def run_node(graph: Graph, dataset: str, run: str) -> dict[str, Any]:
    ((found),) = graph.execute("MATCH (run:Run {uid: $uid}) RETURN run {.*} AS run", uid=uid(dataset, run))
    node: dict[str, Any] = found["run"]
    return node


def test_train_evaluate_and_both_are_in_the_graph(cikg: Cikg, graph: Graph, imported: str) -> None:
    trained = answer(cikg("train", "cikgrec", "--dataset", imported, *QUICK, "--json"))
    assert {"run", "valid", "timings", "peak_memory_mb", "chosen_epoch"} <= set(trained)
    assert "test" not in trained
    assert trained["valid"]["recall@50"] > 0
    assert trained["config"]["dimension"] == 8
    assert any("have no evidence" in warning for warning in trained["warnings"])
    node = run_node(graph, imported, trained["run"])
    assert (node["kind"], node["state"], node["name"]) == ("train", "done", "cikgrec")
    assert json.loads(node["valid"]) == trained["valid"]
    assert len(json.loads(node["curve"])["epochs"]) == 3 + trained["chosen_epoch"]
    assert "evaluation" not in node, "nothing has opened the test split"

    evaluated = answer(cikg("evaluate", trained["run"], "--json"))
    assert {"recall@50", "ndcg@100"} <= set(evaluated["test"])
    assert evaluated["valid"] == trained["valid"]
    assert json.loads(run_node(graph, imported, trained["run"])["evaluation"])["test"] == evaluated["test"]
    register(graph, {"dataset": imported, "method": "ease"}, {**evaluated, "run": "trained-without-a-database"})
    assert run_node(graph, imported, "trained-without-a-database")["name"] == "ease", "pages list it by its method"

    again = answer(cikg("train", "cikgrec", "--dataset", imported, *QUICK, "--json"))
    assert again["reused"]
    assert again["run"] == trained["run"]


def test_figures_of_earlier_weights_leave_the_graph(
    graph: Graph, imported: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, figures = take(graph, imported, settings), {"evaluation", "evaluated_at"}
    trained = train(snapshot, "popularity", settings=settings)
    register_training(graph, trained)
    register(graph, trained.manifest, evaluate(trained.path, snapshot))
    register_training(graph, train(snapshot, "popularity", settings=settings))
    assert figures <= set(run_node(graph, imported, trained.run_id)), "nothing was trained"
    monkeypatch.setattr("cikg.recommend.engine.code_version", lambda: "1+other")
    register_training(graph, train(snapshot, "popularity", settings=settings))
    assert not figures & set(run_node(graph, imported, trained.run_id))


def test_training_from_a_snapshot_needs_no_database(cikg: Cikg, graph: Graph, imported: str) -> None:
    snapshot = answer(cikg("snapshot", "--dataset", imported, "--json"))
    trained = answer(cikg("train", "popularity", "--snapshot", snapshot["path"], "--no-refit", "--json"))
    assert trained["snapshot"] == snapshot["hash"]
    assert not graph.execute("MATCH (run:Run {uid: $uid}) RETURN run", uid=uid(imported, trained["run"]))


def test_the_methods_are_listed_with_papers_and_settings(cikg: Cikg) -> None:
    methods = {method["name"]: method for method in answer(cikg("train", "--list", "--json"))["methods"]}
    assert {"cikgrec", "ease", "popularity"} <= set(methods)
    assert "AAAI 2025" in methods["cikgrec"]["paper"]
    assert methods["cikgrec"]["settings"]["layers"]["default"] == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train", "cikgrek"), "Did you mean 'cikgrec'?"),
        (("train", "ease", "--set", "lambda=3"), "It has penalty"),
        (("train", "ease", "--set", "penalty"), "has no value"),
        (("train", "ease", "--device", "gpu9"), "no device 'gpu9'"),
        (("train", "ease", "--dataset", "test-nowhere"), "test-nowhere"),
        (("train", "ease", "--snapshot", "/nowhere"), "there is no snapshot /nowhere"),
        (("train",), "Missing argument"),
        (("evaluate", "nothing"), "there is no finished run named 'nothing'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    cikg: Cikg, imported: str, arguments: tuple[str, ...], sentence: str
) -> None:
    dataset = () if "--dataset" in arguments or arguments[0] == "evaluate" else ("--dataset", imported)
    result = cikg(*arguments, *dataset)
    assert result.returncode == 2
    assert sentence in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
