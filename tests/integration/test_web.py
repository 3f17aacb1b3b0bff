from __future__ import annotations

import re
import time
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

import web
from cikg.access import accounts, tokens
from cikg.access.sessions import one_time_token
from cikg.extraction import commands
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.serving.counterfactual import Served
from cikg.serving.publish import publish
from cikg.serving.ranking import known_items
from cikg.settings import Settings
from tests import planted
from tests.dashboard import form_token
from tests.relay import Relay
from web import store

DATASET = "test-web-pages"
QUIRK = "quirk~20~22~2F~3Cb~3E~2Ejson"


@pytest.fixture(scope="module")
def web_settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "secret_key": SecretStr("integration-test-key-0123456789"),
            "web_port": 8000,
            "openai_api_key": SecretStr("canary-key"),
        }
    )


@pytest.fixture(scope="module")
def app(graph: Graph, web_settings: Settings) -> Iterator[Flask]:
    planted.write(graph, DATASET)
    planted.write_runs(graph, DATASET, "running")
    planted.write_training(graph, DATASET, "neighbours-1", "neighbours", 0.4)
    planted.write_training(graph, DATASET, "popularity-1", "popularity", 0.1)
    snapshot = take(graph, DATASET, web_settings)
    recommender = planted.Neighbours(snapshot)
    publish(graph, snapshot, recommender, k=5)
    app = web.create_app(web_settings)
    model = graph.one("served_model", dataset=DATASET)["model"]
    app.extensions["cikg.served"].models[model] = Served(snapshot, recommender, known_items(snapshot))
    yield app
    store.close(app)


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def client(app: Flask, web_settings: Settings) -> FlaskClient:
    client = app.test_client()
    assert client.get(f"/login/{one_time_token(web_settings)}").status_code == 302
    return client


PAGES = {
    "/": "Overview",
    "/health": "Neo4j",
    f"/d/{DATASET}": "41",
    f"/d/{DATASET}/users": "Reader 1",
    f"/d/{DATASET}/users/0": "gardens",
    f"/d/{DATASET}/users/{QUIRK}": "&lt;script&gt;alert(1)&lt;/script&gt;",
    f"/d/{DATASET}/items": "garden book 1",
    f"/d/{DATASET}/items/garden-1": "About garden-1.",
    f"/d/{DATASET}/interests": "the sea",
    f"/d/{DATASET}/interests/sea": "sea book 2",
    f"/d/{DATASET}/entities": "Author of sea",
    f"/d/{DATASET}/entities/author~20of~20sea": "sea book 3",
    f"/d/{DATASET}/jobs": "user interests",
    f"/d/{DATASET}/jobs/extraction": "the LLM timed out",
    f"/d/{DATASET}/jobs/extraction?state=quarantined": "no JSON",
    f"/d/{DATASET}/completions/answer": "&lt;script&gt;alert(2)",
    f"/d/{DATASET}/models": "neighbours",
    f"/d/{DATASET}/models/neighbours-1": "+300 %",
    f"/d/{DATASET}/search?q=garden+bo": "garden book 4",
    f"/d/{DATASET}/search?q=sea-3": "sea book 3",
}


def test_a_model_says_first_what_its_training_did_without(client: FlaskClient) -> None:
    page = client.get(f"/d/{DATASET}/models/neighbours-1").text
    assert "share of held-out items in the list" in page
    assert page.index("Note: without facts: there are none.") < page.index("Metrics")


@pytest.mark.parametrize("address", PAGES)
def test_every_page_shows_what_it_should(client: FlaskClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    assert PAGES[address] in answer.text
    assert "<script>alert" not in answer.text
    assert re.search(r"<h1>[^<]", answer.text)
    path, _, query = address.partition("?")
    data = client.get((path.rstrip("/") or "/index") + ".json" + (f"?{query}" if query else ""))
    assert data.status_code == 200
    assert data.is_json
    accepted = client.get(address, headers={"Accept": "application/json"})
    assert accepted.is_json
    assert accepted.json.keys() == data.json.keys()


def test_links_lead_to_pages(client: FlaskClient) -> None:
    """Every link of every page is followed once."""
    links = set()
    for address in PAGES:
        links |= set(re.findall(r'href="(/d/test-web-pages[^"#]*)"', client.get(address).text.replace("&amp;", "&")))
    assert f"/d/{DATASET}/users/{QUIRK}" in links
    assert len(links) > 80
    for link in sorted(links):
        assert client.get(link).status_code == 200, link


@pytest.mark.parametrize("address", [address for address in PAGES if address != "/" and "?" not in address])
def test_a_slash_too_many_leads_to_the_page(client: FlaskClient, address: str) -> None:
    answer = client.get(f"{address}/?q=a%20b")
    assert (answer.status_code, answer.location) == (308, f"{address}?q=a%20b")


@pytest.mark.parametrize("address", ["/%2Fevil.example/", "/nowhere/", "/api/v1/datasets/", f"/d/{DATASET}//"])
def test_no_slash_leads_where_there_is_no_page(client: FlaskClient, address: str) -> None:
    assert client.get(address).status_code == 404
    assert client.post(f"/d/{DATASET}/models/").status_code in (400, 404, 405), "what is sent is not led elsewhere"


def test_a_user_page_says_why(client: FlaskClient) -> None:
    page = client.get(f"/d/{DATASET}/users/0.json").json
    first = page["recommendations"][0]
    assert first["item"] == planted.missing("0")
    assert first["interest"]["id"] == "garden"
    assert {item["id"] for item in page["interests"][0]["evidence"]} == {f"garden-{(sum(b'0') + 1) % planted.BOOKS}"}
    assert page["interests"][0]["phrases"] == ["gardens"]
    assert page["intents"][0]["completion"] == "answer"
    assert page["interactions"] == 6
    text = client.get(f"/d/{DATASET}/users/0").text
    assert f"{first['interest']['support']} of 21 who share" in text


def test_the_overview_tells_how_a_recommendation_came_about(client: FlaskClient, graph: Graph, dataset: str) -> None:
    story = client.get(f"/d/{DATASET}.json").json["story"]
    kind = planted.readers()[story["user"]]
    assert story["item"]["item"] == planted.missing(story["user"])
    assert story["item"]["interest"]["id"] == kind
    assert [each["id"] for each in story["evidence"]] == [f"{kind}-{(sum(story['user'].encode()) + 1) % planted.BOOKS}"]
    assert (story["phrases"], story["holders"]) == ([planted.KINDS[kind]], 21 if kind == "garden" else 20)
    page = client.get(f"/d/{DATASET}").text
    assert "How a recommendation comes about" in page
    assert f"so it is recommended, in place {story['item']['rank']}" in page
    planted.write(graph, dataset)
    assert client.get(f"/d/{dataset}.json").json["story"] is None, "nothing is served"


def test_the_neighbourhood_is_small_and_says_what_it_left_out(client: FlaskClient) -> None:
    around = client.get(f"/d/{DATASET}/items/almanac.json").json["neighbourhood"]
    readers = next(group for group in around["groups"] if group["type"] == "INTERACTED")
    assert readers["total"] == 41
    assert len(around["nodes"]) <= 60
    assert around["left_out"] == sum(group["total"] - len(group["shown"]) for group in around["groups"]) > 0
    keys = {node["key"] for node in around["nodes"]}
    assert all(edge["source"] in keys and edge["target"] in keys for edge in around["edges"])
    assert around["nodes"][0]["id"] == "almanac"


def test_lists_are_filtered_and_paged(client: FlaskClient) -> None:
    found = client.get(f"/d/{DATASET}/users.json?q=SCRIPT").json["listing"]
    assert [row["id"] for row in found["rows"]] == [planted.QUIRK]
    assert client.get(f"/d/{DATASET}/users.json?q=nobody").json["listing"]["total"] == 0
    beyond = client.get(f"/d/{DATASET}/users.json?page=99999999999999999999").json["listing"]
    assert (beyond["total"], beyond["rows"]) == (41, [])
    for kind in ("users", "items", "entities", "intents", "interests"):
        page = client.get(f"/d/{DATASET}/{kind}?page=99").text
        assert "on this page." in page and "has no entities" not in page and "No " not in page.split("<main")[1], kind


def test_search_orders_an_exact_id_first(client: FlaskClient) -> None:
    hits = client.get(f"/d/{DATASET}/search.json?q=garden").json["hits"]
    assert (hits[0]["label"], hits[0]["id"]) == ("Interest", "garden")
    names = client.get(f"/d/{DATASET}/search.json?q=garden+book").json["hits"]
    assert {hit["id"] for hit in names} == {f"garden-{index}" for index in range(planted.BOOKS)}
    for odd in ('"', "AND", "a\\", "*", "[[", "x:y", "(", "\ud7ff", "{$q}"):
        assert client.get(f"/d/{DATASET}/search.json?q={quote(odd)}").status_code == 200, odd


def test_jobs_refresh_only_while_one_runs(client: FlaskClient, graph: Graph) -> None:
    page = client.get(f"/d/{DATASET}/jobs").text
    assert 'hx-trigger="every 2s"' in page
    assert "all 3" in page
    planted.write_runs(graph, DATASET, "done")
    try:
        assert "every 2s" not in client.get(f"/d/{DATASET}/jobs").text
    finally:
        planted.write_runs(graph, DATASET, "running")


def test_an_answer_stands_beside_its_prompt(client: FlaskClient) -> None:
    page = client.get(f"/d/{DATASET}/completions/answer.json").json
    assert page["asked"] == "History of <b>one</b> reader"
    assert page["instructions"]
    assert page["facts"]["model"] == "stand-in"
    assert "History of &lt;b&gt;one" in client.get(f"/d/{DATASET}/completions/answer").text


def test_one_model_is_served(client: FlaskClient) -> None:
    models = client.get(f"/d/{DATASET}/models.json").json["models"]
    assert {model["method"]: model["served"] for model in models} == {"neighbours": True, "popularity": False}


def test_a_command_shows_what_it_was_and_what_it_printed(client: FlaskClient, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)
    graph.execute(
        "CREATE (run:Run {uid: $d + ':c', id: 'c', dataset: $d}) SET run += $own, run.created_at = datetime()",
        d=dataset,
        own={
            "kind": "command",
            "name": "train ease",
            "state": "done",
            "said": '{"run": "ease-1", "users": {"all": 4100}}',
        }
        | {"parameters": '{"arguments": ["train", "ease"]}'},
    )
    page = client.get(f"/d/{dataset}/jobs/c").text
    assert "<code>cikg train ease</code>" in page
    assert "<dt>users, all</dt><dd>4,100</dd>" in page
    assert "Subjects" not in page
    graph.execute("MATCH (run:Run {uid: $d + ':c'}) SET run.said = 'no <JSON>'", d=dataset)
    assert '<pre tabindex="0">no &lt;JSON&gt;</pre>' in client.get(f"/d/{dataset}/jobs/c").text


def test_a_failed_run_says_why_in_the_list(client: FlaskClient, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)
    planted.write_training(graph, dataset, "ease-1", "ease", 0.3)
    graph.execute("MATCH (r:Run {uid: $r}) SET r += $own", r=f"{dataset}:ease-1", own={"error": "Start `cikg up`"})
    assert "EASE: a linear" in client.get(f"/d/{dataset}/jobs").text
    graph.execute("MATCH (r:Run {uid: $r}) SET r.state = 'failed'", r=f"{dataset}:ease-1")
    page = client.get(f"/d/{dataset}/jobs").text
    assert "Start <code>cikg up</code>" in page
    assert "EASE: a linear" not in page


def test_a_command_that_failed_says_what_to_do_and_is_tried_again(
    client: FlaskClient, graph: Graph, web_settings: Settings, dataset: str
) -> None:
    planted.write(graph, dataset)
    given = ["cluster", "--dataset", dataset, "--clusters", "3"]
    _, _, run = commands.enqueue(graph, web_settings, given).partition(":")
    said = '{"error": "InputError", "message": "it is too small", "cure": "Run `cikg doctor`"}'
    failed = {"state": "failed", "error": "it is too small", "said": said}
    graph.execute("MATCH (run:Run {uid: $run}) SET run += $own", run=f"{dataset}:{run}", own=failed)
    address = f"/d/{dataset}/jobs/{run}"
    page = client.get(address).text
    assert page.count("it is too small") == 1
    assert "<p>Run <code>cikg doctor</code></p>" in page
    assert "InputError" not in page
    answer = client.post(f"{address}/again", data={"csrf_token": form_token(page)})
    assert (answer.status_code, answer.location == address) == (303, False)
    assert client.get(f"{answer.location}.json").json["parameters"]["arguments"] == given
    twice = client.post(f"{answer.location}/again", data={"csrf_token": form_token(client.get(answer.location).text)})
    assert (twice.status_code, "is planned" in twice.text) == (409, True)


def test_a_plan_is_there_before_its_costs_are_known(client: FlaskClient) -> None:
    path = f"/d/{DATASET}/jobs-start"
    begun = client.get(f"{path}?job=user_interests&limit=7").text
    (looking,) = re.findall(r'hx-get="([^"]+)" hx-trigger="load"', begun)
    assert "of 7" not in begun
    shown = client.get(looking.replace("&amp;", "&")).text
    assert "7 of 7" in shown
    assert 'hx-trigger="load"' not in shown
    whole = client.get(f"{path}.json?job=user_interests&limit=7").json
    assert whole["total"] == 7, "data come whole"
    assert [choice["name"] for choice in whole["choices"][:2]] == ["user_interests", "glossary"], (
        "as pipelines take them"
    )
    assert client.get(f"{path}?job=absent").status_code == 404
    assert client.get(f"{path}?job=user_interests&limit=-3&look=1").status_code == 200


def test_the_next_step_follows_what_there_is(client: FlaskClient, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)

    def step(**properties: object) -> dict[str, str]:
        graph.execute("MATCH (d:Dataset {uid: $d}) SET d += $own", d=dataset, own=properties)
        found: dict[str, str] = client.get(f"/d/{dataset}.json").json["step"]
        return found

    assert step()["command"] == f"cikg train mixture --dataset {dataset}"
    page = client.get(f"/d/{dataset}").text
    assert page.count('<li class="done">') == 3, "imported, inferred, grouped"
    assert 'aria-current="step">Train a model<' in page
    assert "not complete" in step(state="importing")["text"]
    graph.execute(
        "CREATE (run:Run {uid: $d + ':i', id: 'i', dataset: $d}) "
        "SET run.kind = 'import', run.state = 'running', run.created_at = datetime()",
        d=dataset,
    )
    under_way = step()
    assert ("still running" in under_way["text"], under_way["command"], under_way["label"]) == (True, "", "Follow it")
    assert f'href="/d/{dataset}/jobs">Follow it</a>' in client.get(f"/d/{dataset}").text


def test_health_is_told_for_each_component(client: FlaskClient) -> None:
    components = {row["name"]: row["ok"] for row in client.get("/health.json").json["components"]}
    assert set(components) == {"Neo4j", "Redis", "Workers", "LLM"}
    assert components["Neo4j"]
    assert components["Redis"]


def test_the_page_of_components_waits_for_none_of_them(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.health._asked", None)  # nobody is asked
    page = client.get("/health").text
    addresses = re.findall(r'<li hx-get="([^"]+)"', page)
    assert addresses == [f"/health?ask={name}" for name in ("Neo4j", "Redis", "Workers", "LLM")]
    monkeypatch.undo()
    (line,) = re.findall(r"<li>(.*?)</li>", client.get("/health?ask=Redis").text)
    assert "Redis" in line
    assert "answers in" in line
    everything = re.search(r'href="(\?ask=[^"]+)"', page)
    assert everything is not None
    assert client.get("/health" + everything[1].replace("&amp;", "&")).text.count("<li>") == 4


def test_what_is_not_there_is_left_out_or_named(client: FlaskClient, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)
    planted.write_runs(graph, dataset)

    def facts(**properties: object) -> dict[str, str]:
        graph.execute("MATCH (d:Dataset {uid: $d}) SET d += $own", d=dataset, own=properties)
        return dict(client.get(f"/d/{dataset}.json").json["facts"])

    assert facts()["source"] == "planted"
    assert facts(source="", format="demo")["source"] == "built in: demo"
    assert "source" not in facts(format=None)
    given = '{"prompts": [{"digest": "0123456789abcdef", "name": "user_interests", "version": 2}]}'
    graph.execute("MATCH (r:Run {uid: $r}) SET r.parameters = $given", r=f"{dataset}:extraction", given=given)
    page = client.get(f"/d/{dataset}/jobs/extraction").text
    assert "user interests <small>version 2 <code>01234567</code></small>" in page, "the name comes first"


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/d/absent", 404, "there is no dataset"),
        (f"/d/{DATASET}/users/absent", 404, "has no user"),
        (f"/d/{DATASET}/models/extraction", 404, "has no model"),
        (f"/d/{DATASET}/users/~FF", 404, "no such page"),
        ("/nowhere", 404, "check the address, or start from the overview."),
        ("/api/v1/nowhere", 404, "check the path: /api/v1/docs lists them all"),
    ],
)
def test_errors_say_cause_and_cure(client: FlaskClient, address: str, status: int, said: str) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert said in answer.text.lower()
    data = client.get(address, headers={"Accept": "application/json"}).json
    assert set(data) >= {"status", "cure"}
    assert data["cure"]


def test_a_dead_neo4j_is_a_503_that_names_the_setting(web_settings: Settings) -> None:
    dead = web_settings.model_copy(update={"neo4j_uri": "bolt://127.0.0.1:9"})
    app = web.create_app(dead)
    client = app.test_client()
    client.get(f"/login/{one_time_token(dead)}")
    for address in ("/", f"/d/{DATASET}/users/1"):
        answer = client.get(address)
        assert answer.status_code == 503
        assert "CIKG_NEO4J_URI" in answer.text
    assert client.get("/healthz").json == {"status": "ok"}
    down = {row["name"]: row for row in client.get("/health.json").json["components"]}["Neo4j"]
    assert not down["ok"]
    assert "CIKG_NEO4J_URI" in down["detail"]


def test_a_neo4j_that_dies_and_returns_is_told_soon(web_settings: Settings, app: Flask) -> None:
    neo4j = urlsplit(str(web_settings.neo4j_uri))
    with Relay((str(neo4j.hostname), neo4j.port or 7687)) as relay:
        behind = web.create_app(web_settings.model_copy(update={"neo4j_uri": f"bolt://127.0.0.1:{relay.port}"}))
        client = behind.test_client()
        client.get(f"/login/{one_time_token(web_settings)}")
        assert client.get(f"/d/{DATASET}").status_code == 200
        relay.cut()
        began = time.monotonic()
        assert client.get(f"/d/{DATASET}").status_code == 503
        assert time.monotonic() - began < 15
        relay.mend()
        assert client.get(f"/d/{DATASET}").status_code == 200
        store.close(behind)


def test_an_unforeseen_failure_is_a_500_without_details(
    client: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("canary-detail")

    monkeypatch.setitem(app.view_functions, "overview.index", broken)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "canary" not in answer.text
    assert "cikg status" in answer.text
    assert "default-src" in answer.headers["Content-Security-Policy"]


def test_lists_that_are_cut_say_of_how_many(
    client: FlaskClient, graph: Graph, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted.write(graph, dataset)
    graph.execute(
        """
        MATCH (garden:Interest {uid: $dataset + ':garden'}) UNWIND ['soil', 'seeds'] AS name
        CREATE (:Intent {uid: $dataset + ':' + name, id: name, name: name, dataset: $dataset})-[:MEMBER_OF]->(garden)
        WITH DISTINCT garden
        CREATE (roses:Interest {uid: $dataset + ':roses', id: 'roses', name: 'roses', dataset: $dataset})
        WITH roses UNWIND range(0, 4) AS reader MATCH (user:User {uid: $dataset + ':' + reader})
        CREATE (user)-[:HAS_INTEREST]->(roses)
        """,
        dataset=dataset,
    )
    monkeypatch.setattr("web.pages.interests.SHOWN", 2)
    monkeypatch.setattr("web.pages.items.SHOWN_INTERESTS", 1)
    interest = client.get(f"/d/{dataset}/interests/garden").text
    assert re.search(r'Phrases <span class="total">2 of 3<', interest)
    assert re.search(r'choose <span class="total">2 of 6<', interest)
    item = client.get(f"/d/{dataset}/items/garden-1").text
    assert re.search(r'lead to it <span class="total">1 of 2<', item)


def test_beyond_a_hundred_runs_the_newest_are_shown_and_popularity_is_found(
    client: FlaskClient, graph: Graph, dataset: str
) -> None:
    planted.write(graph, dataset)
    planted.write_training(graph, dataset, "popularity-1", "popularity", 0.1)
    planted.write_training(graph, dataset, "ease-0", "ease", 0.4)
    graph.execute(
        """
        MATCH (first:Run {uid: $dataset + ':ease-0'}) UNWIND range(1, 100) AS index
        CREATE (run:Run) SET run = first {.*, uid: first.uid + index, id: first.id + index,
          created_at: first.created_at + duration({seconds: index})}
        """,
        dataset=dataset,
    )
    for area in ("models", "jobs"):
        assert re.search(r'uns <span class="total">the newest 100<', client.get(f"/d/{dataset}/{area}").text), area
    figure = client.get(f"/d/{dataset}/models/ease-0100.json").json["metrics"]["rows"]["ndcg"][0]
    assert figure == {"value": 0.4, "baseline": 0.1, "gain": pytest.approx(3.0)}


def test_no_page_leads_to_data_that_is_not_there(client: FlaskClient) -> None:
    def leads(page: str) -> list[str]:
        return re.findall(r'href="([^"]+)">This page as JSON', page)

    assert leads(client.get(f"/d/{DATASET}/users?page=2").text) == [f"/d/{DATASET}/users.json?page=2"]
    assert leads(client.get("/api/v1/docs").text) == []
    fields = {"csrf_token": form_token(client.get("/import").text), "path": "/etc/passwd"}
    refused = client.post("/import/begin", data=fields)
    assert (refused.status_code, leads(refused.text)) == (400, [])


def test_a_token_is_told_which_dataset_is_not_there(app: Flask, graph: Graph, dataset: str) -> None:
    accounts.add(graph, dataset, accounts.Role.EDITOR, None, "tests")
    reader, writer = (
        {"Authorization": f"Bearer {tokens.create(graph, dataset, scope.value, [scope], actor='tests')[1]}"}
        for scope in (accounts.Scope.READ, accounts.Scope.WRITE)
    )
    client = app.test_client()
    assert client.get(f"/d/{DATASET}/users.json", headers=reader).json["listing"]["total"] == 41
    answer = client.get(f"/d/{DATASET[:-1]}/users.json", headers=reader)
    assert (answer.status_code, DATASET in answer.json["cure"]) == (404, True)
    assert client.get(f"/d/{DATASET[:-1]}/users.json", headers=writer).status_code == 403, "names are for readers"
    far = {"REMOTE_ADDR": "192.0.2.1"}
    statuses = [client.get("/metrics", headers=who, environ_overrides=far).status_code for who in (reader, writer, {})]
    assert statuses == [200, 403, 401]


def test_nothing_is_shown_without_a_session(stranger: FlaskClient) -> None:
    for address in (*PAGES, "/nowhere.json"):
        answer = stranger.get(address)
        assert answer.status_code == (404 if "nowhere" in address else 401), address
        assert "Reader" not in answer.text
    assert "cikg login" in stranger.get("/").text
    assert stranger.get("/healthz").status_code == 200
