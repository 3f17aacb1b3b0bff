"""Training and clustering from their pages, as browsers without JavaScript ask for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from cikg.access import audit
from cikg.embedded import supervisor
from cikg.extraction import commands
from cikg.graph import Graph
from cikg.schema import uid
from cikg.settings import Settings
from tests import dashboard, planted, trained

Press = Callable[..., TestResponse]
KEY = SecretStr("training-test-key-0123456789")


@pytest.fixture(scope="module")
def own(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with runs of its own."""
    return settings.model_copy(update={"secret_key": KEY, "home": tmp_path_factory.mktemp("home")})


@pytest.fixture
def client(app: Flask, own: Settings) -> FlaskClient:
    return dashboard.operator(app, own)


@pytest.fixture
def press(client: FlaskClient, graph: Graph, dataset: str) -> Press:
    """Send the form of a page of a planted dataset: `press("models", method="ease")`."""
    planted.write(graph, dataset)

    def send(name: str, **fields: str) -> TestResponse:
        value = dashboard.form_token(client.get(f"/d/{dataset}/models").text)
        return client.post(f"/d/{dataset}/{name}", data={"csrf_token": value, **fields})

    return send


@pytest.fixture
def work(
    press: Press, graph: Graph, own: Settings, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Carry out the command that was queued last for the planted dataset, as a worker does."""
    trained.write(graph, own, dataset)
    for name, value in supervisor.environment(own).items():
        monkeypatch.setenv(name, value)

    def carry_out() -> None:
        newest = graph.many("recent_commands", dataset=dataset, name="", argument="", limit=1)[0]
        commands.carry_out(graph, own, uid(dataset, newest["id"]))

    return carry_out


def queued(graph: Graph, dataset: str) -> list[list[str]]:
    """What was queued for workers, as a person would type it; the newest first."""
    rows = graph.many("recent_commands", dataset=dataset, name="", argument="", limit=10)
    return [json.loads(row["parameters"])["arguments"] for row in rows]


def test_a_worker_trains_what_the_page_asks_for(
    client: FlaskClient, press: Press, work: Callable[[], None], graph: Graph, dataset: str
) -> None:
    address = f"/d/{dataset}/models"
    form = client.get(address).text
    assert form.index('value="mixture"') < form.index('value="cikgrec"'), "the flagship first"
    assert "Popularity: recommends what most users chose." in form
    answer = press("models", method="popularity", seed="0", seeds="1")
    assert (answer.status_code, answer.location) == (303, address), answer.text
    command = ["train", "popularity", "--dataset", dataset]
    assert queued(graph, dataset) == [command]
    assert "Training popularity waits for a worker" in client.get(address).text
    press("models", method="popularity", seed="0", seeds="1")
    assert queued(graph, dataset) == [command], "sent twice, queued once"
    work()
    shown = client.get(f"{address}.json").json
    assert [model["method"] for model in shown["models"]] == ["popularity"], shown
    assert (shown["trainings"]["commands"], shown["trainings"]["again"]) == ([], None)
    (entry, _) = [each for each in audit.read(graph, 100) if each.target == dataset]
    assert (entry.action, entry.detail) == (
        "models.train",
        {"method": "popularity", "seed": 0, "seeds": 1, "trials": 0},
    )


def test_the_test_split_is_opened_from_the_page_of_a_run(
    client: FlaskClient, press: Press, graph: Graph, dataset: str
) -> None:
    planted.write_training(graph, dataset, "ease-1", "ease", 0.3)
    graph.execute("MATCH (r:Run {uid: $r}) REMOVE r.evaluation", r=f"{dataset}:ease-1")
    address = f"/d/{dataset}/models/ease-1"
    assert "the test split has not been opened yet" in client.get(address).text
    assert press("models/ease-1/evaluate").location == address
    assert queued(graph, dataset) == [["evaluate", "ease-1"]]
    page = client.get(address).text
    assert "Measuring on test waits for a worker" in page
    assert "<button>Measure on test</button>" not in page
    assert press("models/absent/evaluate").status_code == 404
    planted.write_training(graph, dataset, "ease-1", "ease", 0.3)
    assert client.get(f"{address}.json").json["split"] == "test"


def test_what_was_trained_before_and_what_fails_are_told(
    client: FlaskClient, press: Press, graph: Graph, dataset: str
) -> None:
    press("models", method="ease", seed="7", seeds="3", trials="20")
    command = ["train", "ease", "--dataset", dataset, "--seed", "7", "--seeds", "3", "--tune", "20"]
    assert queued(graph, dataset) == [command]

    def becomes(**properties: object) -> str:
        graph.execute("MATCH (r:Run {dataset: $d, kind: 'command'}) SET r += $own", d=dataset, own=properties)
        return client.get(f"/d/{dataset}/models").text

    assert "none is running" not in becomes()
    assert "none is running: <code>cikg status</code> shows which" in becomes(
        created_at=datetime.now(UTC) - timedelta(minutes=1)
    )
    assert "Training ease, seed 7: select 1/4 …" in becomes(state="running", progress="ease, seed 7: select 1/4")
    assert "Training ease failed: it has no items" in becomes(state="failed", error="it has no items")
    told = becomes(state="done", said=json.dumps({"run": "ease-1", "reused": True}))
    assert "was trained already" in told
    assert f'/d/{dataset}/models/ease-1"' in told
    assert "was trained already" not in becomes(said="the end of something long")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"method": "luck"}, (404, "There is no method named")),
        ({"method": "ease", "seeds": "11"}, (400, "cannot be the number of seeds")),
        ({"method": "ease", "seed": "-1"}, (400, "cannot be the seed")),
        ({"method": "ease", "trials": "few"}, (400, "cannot be the number of trials")),
        ({"method": "mixture", "trials": "5"}, (400, "Mixture has no hyperparameters to search")),
        ({"method": "ease", "csrf_token": "wrong"}, (400, "reload the page and try again")),
    ],
    ids=["method", "seeds", "seed", "trials", "untuned", "token"],
)
def test_what_cannot_be_trained_is_refused_in_a_sentence(
    press: Press, graph: Graph, dataset: str, fields: dict[str, str], said: tuple[int, str]
) -> None:
    answer = press("models", **fields)
    status, sentence = said
    assert (answer.status_code, sentence in answer.text) == (status, True), answer.text
    assert queued(graph, dataset) == []


def test_a_worker_clusters_what_the_page_asks_for(
    client: FlaskClient, press: Press, work: Callable[[], None], graph: Graph, dataset: str
) -> None:
    address = f"/d/{dataset}/interests"
    before = client.get(f"{address}.json").json["clustering"]
    assert press("interests").location == address
    assert queued(graph, dataset) == [["cluster", "--dataset", dataset]]
    page = client.get(address).text
    assert "Clustering waits for a worker" in page
    assert "<button" not in page.split('id="clustering"')[1].split("</div>")[0], "not while one goes on"
    work()
    after = client.get(f"{address}.json").json["clustering"]
    assert (after["phrases"], after["commands"]) == (before["phrases"], [])
    assert "Cluster again" in client.get(address).text
    runs = [run["kind"] for run in client.get(f"/d/{dataset}/jobs.json").json["runs"]]
    assert "cluster" in runs, "the interests are those of a clustering"


def test_a_worker_looks_for_intents_that_may_mean_the_same(
    client: FlaskClient, press: Press, work: Callable[[], None], graph: Graph, dataset: str
) -> None:
    spelled = {"uid": f"{dataset}:The Sea!", "id": "The Sea!", "name": "The Sea!", "dataset": dataset}
    graph.execute("CREATE (n:Intent) SET n = $spelled", spelled=spelled)
    address = f"/d/{dataset}/merges"
    assert "No pairs are proposed" in client.get(address).text
    assert press("merges/propose").location == address
    command = ["intents", "propose", "--dataset", dataset, "--actor", "operator"]
    assert queued(graph, dataset) == [command]
    assert "Looking for pairs waits for a worker" in client.get(address).text
    work()
    shown = client.get(f"{address}.json").json
    assert [(pair["intent"], pair["into"]) for pair in shown["pairs"]] == [("The Sea!", "the sea")]
    assert "by operator" in shown["pairs"][0]["history"][0]
    assert (shown["looking"]["commands"], shown["looking"]["found"]) == ([], 1)
    assert "The last search found 1 new pair." in client.get(address).text
    press("merges/accept", threshold="0.95")
    assert queued(graph, dataset)[0] == ["intents", "review", *command[2:], "--accept-from", "0.95"]
    assert "Merging waits for a worker" in client.get(address).text
    work()
    (pair,) = client.get(f"{address}.json?state=merged").json["pairs"]
    assert (pair["intent"], "merged by operator" in pair["history"][-1]) == ("The Sea!", True)


def test_vectors_are_made_and_looked_by(client: FlaskClient, press: Press, graph: Graph, dataset: str) -> None:
    address = f"/d/{dataset}/merges"
    assert press("merges/propose", by="lexical_64").status_code == 404, "there are none yet"
    assert "Compute vectors" in client.get(address).text
    press("merges/embed")
    assert queued(graph, dataset) == [["embed", "--dataset", dataset]]
    assert "Computing vectors waits for a worker" in client.get(address).text
    made = "MATCH (d:Dataset {uid: $d}) SET d.embeddings = ['Intent/lexical_64'] WITH d "
    graph.execute(made + "MATCH (r:Run {dataset: $d, kind: 'command'}) SET r.state = 'done'", d=dataset)
    page = client.get(address).text
    assert ('value="lexical_64"' in page, "Update vectors" in page) == (True, True)
    press("merges/propose", by="lexical_64", threshold="0.8")
    (newest, _) = queued(graph, dataset)
    assert newest[6:] == ["--method", "vector", "--threshold", "0.8", "--embedding", "lexical_64"]
    logged = {each.action: each.detail for each in audit.read(graph, 100) if each.target == dataset}
    assert logged == {"intents.embed": {}, "intents.propose": {"embedding": "lexical_64", "threshold": 0.8}}


@pytest.mark.parametrize(
    ("action", "threshold", "status"),
    [("propose", "2", 400), ("propose", "nan", 400), ("accept", "much", 400), ("accept", "", 400), ("luck", "1", 404)],
)
def test_what_cannot_be_looked_for_is_refused_in_a_sentence(
    press: Press, dataset: str, action: str, threshold: str, status: int
) -> None:
    answer = press(f"merges/{action}", threshold=threshold)
    sentence = "cannot be the minimum similarity" if status == 400 else "no action"
    assert (answer.status_code, sentence in answer.text) == (status, True), answer.text


def test_readers_are_shown_neither_form(app: Flask, own: Settings, graph: Graph, dataset: str, press: Press) -> None:
    assert press("interests").status_code == 303, "the dataset is there, and editors may"
    viewer = dashboard.viewer(app, own, graph, dataset)
    for name, path in {"models": "", "interests": "", "merges": "/propose"}.items():
        page = viewer.get(f"/d/{dataset}/{name}")
        assert (page.status_code, f'action="/d/{dataset}/{name}{path}"' in page.text) == (200, False)
