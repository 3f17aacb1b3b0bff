"""Training, comparing and tuning from a snapshot's folder, without a database."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from cikg.cli import compare, evaluate, train, tune
from cikg.errors import CikgError
from cikg.graph.snapshot import Snapshot
from cikg.progress import FILE
from cikg.recommend import engine, method
from cikg.recommend.engine import Trained
from tests.unit.recommend.planted import two_tastes

COMMANDS = {module.command.name: module.command for module in (compare, evaluate, train, tune)}
Run = Callable[..., Result]

TINY = ("--set", "dimension=4", "--set", "translation=false", "--epochs", "2")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a home of its own, where no database answers."""
    monkeypatch.setenv("CIKG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CIKG_NEO4J_URI", "bolt://127.0.0.1:9")
    monkeypatch.setenv("CIKG_NEO4J_PASSWORD", "none")
    monkeypatch.setenv("COLUMNS", "200")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def call(name: str, *arguments: object) -> Result:
        return CliRunner().invoke(COMMANDS[name], [str(each) for each in arguments])

    yield call
    torch.set_num_threads(threads)


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Readers of two tastes, where `--dataset planted` looks for its snapshots."""
    return two_tastes(tmp_path / "home" / "snapshots" / "planted")


def data(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, (result.output, result.exception)
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_training_says_which_experts_it_did_without_and_why(run: Run, snapshot: Snapshot) -> None:
    shown = run(
        "train", "mixture", "--snapshot", snapshot.path, "--set", "dimension=4", "--set", "most_epochs=2"
    ).output
    manifest = json.loads(next(snapshot.path.parents[2].glob("runs/mixture-*/manifest.json")).read_text())
    assert any(note.startswith("without the expert") for note in manifest["notes"])
    for note in manifest["notes"]:
        assert f"Note: {note}" in " ".join(shown.split())


def test_seeds_are_trained_evaluated_and_compared_as_one(run: Run, snapshot: Snapshot, tmp_path: Path) -> None:
    here = ("--snapshot", snapshot.path)
    trained = data(run("train", "cikgrec", *here, *TINY, "--seeds", 3, "--seed", 4, "--json"))
    assert [each["seed"] for each in trained["runs"]] == [4, 5, 6]
    values = [each["valid"]["ndcg@50"] for each in trained["runs"]]
    assert trained["valid"]["ndcg@50"]["mean"] == pytest.approx(sum(values) / 3)
    assert trained["valid"]["ndcg@50"]["sd"] > 0
    again = run("train", "cikgrec", *here, *TINY, "--seeds", 3, "--seed", 4)
    assert "cikgrec on planted, valid, honest protocol, refitted" in again.output
    assert "±" in again.output
    names = [each["run"] for each in trained["runs"]]
    evaluated = data(run("evaluate", *names, "--json"))
    assert [each["run"] for each in evaluated["runs"]] == names
    assert "mean ± sd" in run("evaluate", *names).output
    popular = data(run("train", "popularity", *here, "--json"))["run"]
    assert "honest protocol, refitted on train and valid" in " ".join(run("evaluate", popular).output.split())

    picture = tmp_path / "groups.svg"
    arguments = (popular, "cikgrec-", "--groups", "users", "--svg", picture, "--metric", "ndcg@10", "--metric", "mrr@5")
    report = data(run("compare", *arguments, "--json"))
    assert [entry["name"] for entry in report["entries"]] == ["popularity", "cikgrec"]
    assert report["entries"][1]["seeds"] == [4, 5, 6]
    assert report["entries"][1]["metrics"]["ndcg@10"] == pytest.approx(evaluated["test"]["ndcg@10"])
    gap = report["entries"][1]["differences"]["ndcg@10"]
    assert gap["low"] <= gap["mean"] <= gap["high"]
    assert report["entries"][0]["differences"] is None
    assert sum(group["users"] for group in report["groups"]) == report["users"] == 60
    assert "honest protocol" in ET.parse(picture).getroot()[0].text
    rows = list(csv.DictReader(io.StringIO(run("compare", *arguments, "--csv").stdout)))
    assert [(row["entry"], row["metric"]) for row in rows] == [
        (name, metric) for name in ("popularity", "cikgrec") for metric in ("ndcg@10", "mrr@5")
    ]
    assert float(rows[2]["low"]) == gap["low"]
    table = run("compare", *arguments).output
    for words in ("planted, test, honest protocol: 60 users", "Against popularity", f"{gap['mean']:+.4f}", "±"):
        assert words in table


def test_tuned_settings_are_trained_with(run: Run, snapshot: Snapshot) -> None:
    here, searched = ("--snapshot", snapshot.path), method.find("cikgrec").search
    fixed = [f"--set={name}={method.find('cikgrec').config.model_fields[name].default}" for name in list(searched)[2:]]
    tuned = data(run("tune", "cikgrec", *here, *TINY, *fixed, "--trials", 3, "--json"))
    assert len(tuned["trials"]) == 3
    best = max(trial["value"] for trial in tuned["trials"])
    assert tuned["best"]["value"] == best
    trained = data(run("train", "cikgrec", *here, "--tuned", "--epochs", 2, "--json"))
    for name in searched:
        assert str(trained["config"][name]).lower() == str(tuned["best"]["settings"][name]).lower()
    assert trained["config"]["dimension"] == 4
    assert trained["valid"]["ndcg@50"] == pytest.approx(best)
    other = data(run("train", "cikgrec", *here, "--tuned", "--set", "dimension=3", "--epochs", 1, "--json"))
    assert other["config"]["dimension"] == 3
    shown = run("tune", "cikgrec", *here, *TINY, *fixed, "--trials", 3).output
    assert "3 trials, 0 pruned, 0 failed" in shown
    assert "Next: cikg train cikgrec --dataset planted --tuned" in shown


def test_measuring_tells_how_far_it_is(
    run: Run, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ("--snapshot", snapshot.path)
    trained = data(run("train", "popularity", *here, "--json"))["run"]
    monkeypatch.setenv(FILE, str(tmp_path / "progress"))
    data(run("evaluate", trained, *here, "--json"))
    assert (tmp_path / "progress").read_text() == "measuring: 60 of 60", "each of the users"


def test_one_form_at_a_time(run: Run) -> None:
    refused = run("compare", "a", "b", "--csv", "--json")
    assert isinstance(refused.exception, CikgError) and "exclude each other" in str(refused.exception)


def test_hyperparameters_are_listed_as_they_are_set(run: Run) -> None:
    every = data(run("train", "--list", "--json"))["methods"]
    only = data(run("train", "lightgcn", "--list", "--json"))["methods"]
    assert [each["name"] for each in only] == ["lightgcn"] and only[0] in every
    assert only[0]["settings"]["learning_rate"]["searched"] and only[0]["help"].startswith("LightGCN")
    shown = " ".join(run("train", "lightgcn", "--list").stdout.split())
    for row in (
        "layers 3 1 to 4 Layers of",
        "weight_decay 1e-05 1e-06 to",
        "batch_size – Interactions per",
        "margin 0.5 Margin",
    ):
        assert row in shown, shown
    assert "lightgcn" not in run("train", "popularity", "--list").output
    assert "popularity" in (listed := run("train", "--list").stdout) and "The baseline that every method" in listed


def test_a_training_that_tunes_first_is_the_tuning_and_then_the_training(run: Run, snapshot: Snapshot) -> None:
    here = ("--snapshot", snapshot.path)
    both = data(run("train", "ease", *here, "--tune", 3, "--json"))
    tuned = data(run("tune", "ease", *here, "--trials", 3, "--json"))
    assert len(tuned["trials"]) == 3, "its trials are kept, and none is tried again"
    assert {name: both["config"][name] for name in tuned["best"]["settings"]} == tuned["best"]["settings"]
    assert data(run("train", "ease", *here, "--tuned", "--json"))["run"] == both["run"]
    more = run("train", "ease", *here, "--tune", 5).output
    assert "Tuned in 5 trials" in more


def test_ctrl_c_shows_what_was_found_and_keeps_it(
    run: Run, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("cikgrec", "--snapshot", snapshot.path, *TINY)
    begun: list[int] = []

    def interrupted(*given: object, **options: object) -> Trained:
        begun.append(1)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return engine.train(*given, **options)

    monkeypatch.setattr("cikg.recommend.tuning.train", interrupted)
    stopped = run("tune", *arguments, "--trials", 9)
    assert stopped.exit_code != 0
    assert "2 trials, 0 pruned, 0 failed" in stopped.output
    monkeypatch.setattr("cikg.recommend.tuning.train", engine.train)
    assert len(data(run("tune", *arguments, "--trials", 3, "--json"))["trials"]) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("compare", "popularity", "--metric", "gini@5"), "there is no metric 'gini@5'"),
        (("compare", "popularity", "--svg", "x.svg"), "--svg draws groups"),
        (("compare", "popularity"), "has not been measured on test"),
        (("compare", "ease"), "there is no finished run named 'ease'"),
        (("train", "popularity", "--snapshot", "HERE", "--metric", "ndcg@7"), "there is no metric 'ndcg@7'"),
        (("train", "popularity", "--snapshot", "HERE", "--metric", "ndcg@5+luck"), "there is no metric 'luck'"),
        (("train", "cikgrec", "--snapshot", "HERE", "--tuned"), "cikg tune cikgrec --dataset planted"),
        (("tune", "popularity", "--snapshot", "HERE"), "popularity has no hyperparameters to search"),
        (("tune", "ease", "--snapshot", "HERE", "--set", "lambda=3"), "ease has no hyperparameter 'lambda'"),
    ],
)
def test_a_mistake_is_one_sentence(run: Run, snapshot: Snapshot, arguments: tuple[str, ...], sentence: str) -> None:
    run("train", "popularity", "--snapshot", snapshot.path)
    result = run(*(snapshot.path if each == "HERE" else each for each in arguments))
    assert isinstance(result.exception, CikgError), result.output
    assert sentence in str(result.exception)
