"""Names, ids and texts that attack whoever looks at them, in every place that shows what people, files or models wrote.

In the planted graph every such text is made to leave its element, its attribute and the JSON that scripts read. Then a
few pages of every kind that links lead to are read as a browser would read them.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from markupsafe import escape
from pydantic import SecretStr
from typing_extensions import override
from werkzeug.exceptions import HTTPException

from cikg.access import audit, tokens
from cikg.access.accounts import Scope
from cikg.datasets.prepared.intake import Intakes
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.schema import Label
from cikg.serving import corrections
from cikg.serving.corrections import Claim
from cikg.serving.counterfactual import Served
from cikg.serving.publish import publish
from cikg.serving.ranking import known_items
from cikg.settings import Settings
from tests import planted
from tests.dashboard import operator

DATASET = "test-hostile-names"
EVIL = """'"></script><img src=x onerror=alert(1)><a href="javascript:alert(2)">{{ 7777 * 7 }}"""
SHORT = "'\"><img src=x onerror=alert(3)>"
ADDRESSES = ("href", "src", "action", "formaction", "hx-get", "hx-post")
EACH = 2
"""Pages of one kind that are read."""


def poison(graph: Graph) -> None:
    """Put the attack before every text of the dataset that is not ours, ids and evidence included."""
    graph.execute(
        """
        MATCH (n:User|Item|Entity|Intent|Interest|Profile {dataset: $d})
        SET n.uid = $d + ':' + $evil + n.id, n.id = $evil + n.id, n.name = $evil + n.name, n.text = $evil + n.text
        WITH DISTINCT 1 AS done
        MATCH ({dataset: $d})-[e]->()
        SET e.relation = $evil + e.relation, e.evidence = [id IN e.evidence | $evil + id]
        WITH DISTINCT 1 AS done
        MATCH (c:Completion {dataset: $d})
        SET c.asked = $evil + c.asked, c.text = $evil + c.text, c.model = $evil, c.error = $evil
        WITH DISTINCT 1 AS done
        MATCH (s:Subject {dataset: $d}) SET s.id = $evil + s.id, s.error = $evil
        WITH DISTINCT 1 AS done
        MATCH (r:Run {dataset: $d}) SET r.error = $evil, r.progress = $evil, r.manifest = $manifest, r.said = $said
        WITH DISTINCT 1 AS done
        MATCH (d:Dataset {uid: $d}) SET d.source = $evil, d.field = $short, d.relation_names = [$evil]
        """,
        d=DATASET,
        evil=EVIL,
        short=SHORT,
        manifest=json.dumps({"config": {EVIL: EVIL}, "seed": 0, "notes": [EVIL]}),
        said=json.dumps({EVIL: EVIL, "message": EVIL, "cure": EVIL}),
    )


def write_more(graph: Graph) -> None:
    """What the planted graph lacks: a profile, a pair of intents, a pruned edge, a command that failed."""
    graph.execute(
        """
        MATCH (u:User {uid: $d + ':0'}), (a:Intent {uid: $d + ':gardens'}), (b:Intent {uid: $d + ':the sea'}),
              (i:Item {uid: $d + ':garden-1'})
        CREATE (:Profile {uid: $d + ':p', id: 'p', dataset: $d, text: 'about'})-[:DESCRIBES {round: 1}]->(u),
               (a)-[:SAME_AS {state: 'proposed', method: 'exact', score: 0.95, history: ['x']}]->(b),
               (i)-[:SATISFIES {round: 1, evidence: [], run: $d + ':extraction', completion: $d + ':answer'}]->(a),
               (:Run {uid: $d + ':c', id: 'c', dataset: $d, kind: 'command', name: 'train ease', state: 'failed',
                      parameters: '{"arguments": ["train", "ease"]}', created_at: datetime()})
        """,
        d=DATASET,
    )


@pytest.fixture(scope="module")
def own(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    own = {"secret_key": SecretStr("hostile-test-key-0123456789"), "console": True}
    return settings.model_copy(update={**own, "home": tmp_path_factory.mktemp("home")})


@pytest.fixture(scope="module")
def attacked(app: Flask, own: Settings, graph: Graph) -> Iterator[Flask]:
    """The dashboard over a dataset that holds nothing but attacks, and what people wrote themselves."""
    graph.execute("MATCH (n {dataset: $d}) DETACH DELETE n", d=DATASET)
    planted.write(graph, DATASET)
    planted.write_runs(graph, DATASET, "running")
    planted.write_training(graph, DATASET, "neighbours-1", "neighbours", 0.4)
    write_more(graph)
    poison(graph)
    snapshot = take(graph, DATASET, own)
    recommender = planted.Neighbours(snapshot)
    publish(graph, snapshot, recommender, k=5)
    model = graph.one("served_model", dataset=DATASET)["model"]
    app.extensions["cikg.served"].models[model] = Served(snapshot, recommender, known_items(snapshot))
    claim = Claim(DATASET, Label.USER, f"{EVIL}1", "intent", f"{EVIL}gardens")
    corrections.correct(graph, claim, by=SHORT, reason=EVIL)
    audit.record(graph, SHORT, SHORT, EVIL, {SHORT: EVIL})
    tokens.create(graph, None, SHORT, [Scope.READ], actor=SHORT)
    kept = {"purpose": EVIL, "cypher": EVIL, "parameters": json.dumps({"x": EVIL}), "author": SHORT}
    graph.write("keep_query", query="hostile", **kept)
    with Intakes(own).receive(SHORT) as intake:
        table = f"user,item,{SHORT}\n" + "".join(f'"{SHORT}{n}","{SHORT}{n % 7}",{n % 5}\n' for n in range(60))
        intake.put(f"{SHORT}.csv".replace("/", ""), io.BytesIO(table.encode()))
    yield app
    graph.write("remove_query", query="hostile")


class Page(HTMLParser):
    """Reads a page, and notes what would be run."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[tuple[str, str, str | None]] = []
        self.links: dict[str, None] = {}  # in the order of the page, so that each run reads the same pages
        self.data: list[str] = []
        self._in_data = False

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in_data = tag == "script" and given.get("type") == "application/json"
        for name, value in attrs:
            leads = re.sub(r"\s", "", value or "").lower() if name in ADDRESSES else ""
            runs = name.startswith(("on", "hx-on", "data-hx-on", "style"))
            if runs or leads == "x" or leads.startswith("javascript:"):
                self.wrong.append((tag, name, value))
        if tag == "script" and not (self._in_data or given.get("nonce")):
            self.wrong.append((tag, "nonce", None))
        leads_to = given.get("href" if tag == "a" else "hx-get") or ""
        if leads_to.startswith(("/d/", "/import/", "?")):
            self.links[leads_to] = None

    @override
    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data.append(data)

    @override
    def handle_endtag(self, tag: str) -> None:
        self._in_data = False


REFLECTED = [
    f"/d/{DATASET}/search?q={{evil}}",
    f"/d/{DATASET}/users?q={{evil}}&page={{evil}}",
    f"/d/{DATASET}/users/{{id}}0?without=intent:{{evil}}gardens&with=item:{{evil}}&add={{evil}}",
    f"/d/{DATASET}/users/{{id}}1",
    f"/d/{DATASET}/users/{{id}}absent",
    f"/d/{DATASET}/explore?at=User:{{evil}}0&to={{evil}}&hide={{evil}}&most={{evil}}",
    f"/d/{DATASET}/cypher?kept=hostile",
    f"/d/{DATASET}/cypher?question={{evil}}",
    f"/d/{DATASET}/compare?run={{evil}}&run=2&split={{evil}}",
    f"/d/{DATASET}/jobs-start?job={{evil}}",
    f"/d/{DATASET}/merges?state={{evil}}",
    f"/d/{DATASET}/jobs/c",
    "/d/{id}",
    "/{evil}",
    "/import/{id}",
]


def test_nothing_that_a_page_shows_is_run(attacked: Flask, own: Settings) -> None:
    client: FlaskClient = operator(attacked, own)
    rules = attacked.url_map.bind("localhost")
    open_, read, showing = ["/", f"/d/{DATASET}", "/settings", "/import"], Counter[str](), set[str]()
    spelled = {"evil": quote(EVIL, safe=""), "id": "".join(f"~{byte:02X}" for byte in EVIL.encode())}
    open_ += [address.format(**spelled) for address in REFLECTED]
    begun = frozenset(open_)
    seen = set(open_)
    while open_:
        address = open_.pop()
        parts = urlsplit(address)
        try:
            endpoint, _ = rules.match(parts.path, "GET")
        except HTTPException:  # no page has it, and it is read all the same
            endpoint = "none"
        if address not in begun:
            kind = f"{endpoint} as JSON" if parts.path.endswith(".json") else endpoint
            if read[kind] >= EACH:
                continue
            read[kind] += 1
        answer = client.get(address)
        assert answer.status_code < 500, address
        if answer.mimetype != "text/html":
            continue
        page = Page()
        page.feed(answer.text)
        assert page.wrong == [], address
        assert "54439" not in answer.text, f"{address} took a name for a template"
        for text in page.data:
            json.loads(text)
        if escape(EVIL) in answer.text or escape(SHORT) in answer.text:
            showing.add(endpoint)
        for link in page.links:
            where = parts.path + link if link.startswith("?") else link
            if where not in seen and "logout" not in where:
                seen.add(where)
                open_.append(where)
    # The overview of all datasets is read, too; whether this one stands on it depends on how many others there are.
    assert showing >= {
        "overview.dataset", "users.index", "users.user", "items.index", "items.item",
        "interests.index", "interests.interest", "intents.index", "intents.intent", "intents.merges",
        "entities.index", "entities.entity", "explore.index", "search.index", "jobs.run", "jobs.completion",
        "models.model", "console.index", "settings.index", "imports.index", "imports.show",
    }  # fmt: skip


def test_what_is_sent_in_forms_comes_back_as_text(attacked: Flask, own: Settings) -> None:
    client, login = operator(attacked, own), attacked.test_client()

    def post(who: FlaskClient, address: str, form: str, **fields: Any) -> str:
        token = re.findall(r'name="csrf_token" value="([^"]+)"', who.get(form).text)[0]
        return who.post(address, data={"csrf_token": token, **fields}).text

    console = f"/d/{DATASET}/cypher"
    found = "MATCH (n {dataset: $dataset}) RETURN n, $x AS x LIMIT 20"
    asked = {"cypher": found, "parameters": json.dumps({"x": EVIL})}
    pages = [
        post(login, "/login", "/login", name=SHORT, password="x", to=f"/{EVIL}"),
        post(client, console, console, **asked),
        post(client, console, console, cypher=EVIL, parameters=EVIL, name=EVIL, purpose=EVIL, action="keep"),
        post(client, "/settings/accounts", "/settings", name=EVIL, role=EVIL),
        post(client, "/settings/accounts", "/settings", name=EVIL, role="viewer"),
        post(client, "/import/begin", "/import", path=EVIL, format=EVIL),
        post(client, f"/d/{DATASET}/models", f"/d/{DATASET}/models", method=EVIL),
        post(client, f"/d/{DATASET}/models", f"/d/{DATASET}/models", seed=EVIL),
        post(client, f"/d/{DATASET}/merges", f"/d/{DATASET}/merges", intent=EVIL, into=EVIL, verdict="merged"),
    ]
    for number, text in enumerate(pages):
        page = Page()
        page.feed(text)
        assert page.wrong == [], number
        assert "img src=x" in text, f"page {number} does not show what was sent"
        for data in page.data:
            json.loads(data)
