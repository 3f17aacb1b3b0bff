"""The page Import and its operations of the API, as browsers without JavaScript and programs use them."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse, encode_multipart

from cikg.access import audit, tokens
from cikg.access.accounts import Scope
from cikg.datasets.drop import drop
from cikg.datasets.loader import load
from cikg.datasets.prepared.carrying_out import CancelledError, carry_out
from cikg.datasets.prepared.intake import Intakes
from cikg.errors import CikgError, ConflictError, InputError
from cikg.graph import Graph
from cikg.settings import Settings
from tests import dashboard
from tests.integration.graph.state import state

KEY = SecretStr("import-test-key-0123456789")
ROWS = [(f"u{n % 9}", f"i{n % 7}", n % 5 + 1, 1_400_000_000 + n) for n in range(63)]
RATINGS = "customer;sku;stars;when\n" + "".join(";".join(map(str, row)) + "\n" for row in ROWS)
FILMS = "sku,name,genres\n" + "".join(f"i{n},Film {n},{'Drama|War' if n % 2 else 'War'}\n" for n in range(7))


@pytest.fixture(scope="module")
def own(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a folder to import from, small uploads, and messages that no worker reads."""
    folder = tmp_path_factory.mktemp("data")
    assert settings.redis_url is not None
    redis = settings.redis_url.get_secret_value().rpartition("/")[0]
    return settings.model_copy(
        update={
            "home": tmp_path_factory.mktemp("home"),
            "secret_key": KEY,
            "import_folders": str(folder),
            "upload_megabytes": 1,
            "redis_url": SecretStr(f"{redis}/11"),
            "api_rate_limit": "1000000 per minute",
        }
    )


@dataclass
class Browser:
    """A session of the dashboard, without JavaScript."""

    client: FlaskClient

    def token(self) -> str:
        return dashboard.form_token(self.client.get("/import").text)

    def upload(self, *files: tuple[str, bytes], **fields: Any) -> TestResponse:
        data: MultiDict[str, Any] = MultiDict({"csrf_token": self.token(), **fields})
        for name, content in files:
            data.add("files", FileStorage(io.BytesIO(content), filename=name))
        boundary, body = encode_multipart(data)  # in memory: the client leaves its temporary files open
        return self.client.post("/import", data=body, content_type=f'multipart/form-data; boundary="{boundary}"')

    def sent(self, *files: tuple[str, bytes], **fields: Any) -> str:
        """The address of the import that an upload makes."""
        answer = self.upload(*files, **fields)
        assert answer.status_code == 303, answer.text
        return answer.location

    def submit(self, address: str, action: str, **fields: Any) -> TestResponse:
        """Press a button of a page with what its form shows, but for these fields."""
        page = self.client.get(f"{address}?look=1").text
        shown = dict(re.findall(r'<input[^>]*name="([^"]+)" value="([^"]*)"', page))
        shown.pop("add", None)  # a box that nobody has ticked
        for name, inner in re.findall(r'<select[^>]*name="([^"]+)">(.*?)</select>', page, re.DOTALL):
            options = re.findall(r"<option(?: value=\"([^\"]*)\")?( selected)?>([^<]*)", inner)
            chosen = next((option for option in options if option[1]), options[0])
            shown[name] = chosen[0] or (chosen[2] if 'value=""' not in inner else "")
        return self.client.post(f"{address}/{action}", data={**shown, **fields})


@pytest.fixture
def browser(app: Flask, own: Settings) -> Browser:
    return Browser(dashboard.operator(app, own))


@pytest.fixture
def name(graph: Graph, dataset: str) -> Iterator[str]:
    yield dataset
    drop(graph, dataset)


def digest(graph: Graph, dataset: str) -> list[str]:
    """What an import makes: all of a dataset but the runs of commands that workers were given."""
    return [row for row in state(graph, dataset) if '"kind": "command"' not in row]


def key(address: str) -> str:
    return address.rpartition("/")[2]


def said(answer: TestResponse) -> str:
    """What is told in the frames for what went wrong, or as an error page."""
    found = re.findall(r'<div class="(?:failure|error)"[^>]*>(.*?)</div>', answer.text, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", " ".join(found)).split()).replace("&#39;", "'")


def test_from_files_over_a_changed_mapping_to_a_report(
    browser: Browser, own: Settings, graph: Graph, name: str, tmp_path: Path
) -> None:
    bad = RATINGS + "u1;i1;five;1400000000\n"
    address = browser.sent(("ratings.csv", bad.encode()), ("films.csv", FILMS.encode()))
    begun = browser.client.get(address).text
    assert "Detecting the format" in begun and f'hx-get="{address}?look=1"' in begun, "the page waits for no file"
    page = browser.client.get(f"{address}.json").json
    assert page["preview"]["found"] == {"users": 9, "items": 7, "entities": 2, "interactions": 63, "facts": 10}
    assert [(row["line"], row["row"]) for row in page["preview"]["wrong"]] == [(65, "u1;i1;five;1400000000")]
    none = {"answer:ratings.csv: rating": "-", "answer:ratings.csv: time": "-"}
    changed = browser.submit(address, "preview", **none)
    assert changed.status_code == 303
    page = browser.client.get(f"{address}.json").json
    assert page["preview"]["rows"][0]["rating"] == "" and page["preview"]["rejected"] == 0
    browser.submit(address, "preview", **{"answer:ratings.csv: rating": "stars"})
    started = browser.submit(address, "start", dataset=name, max_rejected="5", split="leave-one-out")
    assert started.status_code == 303, said(started)
    assert "It waits for a worker" in browser.client.get(address).text
    report = carry_out(own, key(address))
    assert (report.rejected, report.counts["test"], report.split["split"]) == (1, 9, "leave-one-out")
    done = browser.client.get(address).text
    assert f"Open {name}" in done and "ratings.csv:65" in done
    rows = browser.client.get(f"{address}/rejected.csv", buffered=True)
    assert rows.mimetype == "text/csv" and "ratings.csv,65," in rows.text and "/uploads/" not in rows.text
    kept = f"/d/{name}/imports/{report.run.partition(':')[2]}"
    assert kept in browser.client.get(f"/d/{name}/jobs/{report.run.partition(':')[2]}").text
    assert "ratings.csv:65" in browser.client.get(kept).text
    assert browser.client.get(f"{kept}/rejected.csv", buffered=True).text == rows.text
    assert browser.client.get(f"/d/{name}/imports/nothing").status_code == 404
    properties = graph.one("find_dataset", dataset=name)["dataset"]
    assert (properties["source"], properties["field"]) == ("films.csv, ratings.csv", "products")
    assert not (own.uploads / key(address) / "files").exists(), "what was sent is removed once it is in the graph"
    actions = [row["action"] for row in graph.execute(
        "MATCH (e:Audit {target: $t}) RETURN e.action AS action", t=name)]  # fmt: skip
    assert actions == ["imports.start"]


def test_the_same_again_says_so_and_another_is_refused(
    browser: Browser, own: Settings, graph: Graph, name: str
) -> None:
    def again(content: str) -> str:
        address = browser.sent(("ratings.csv", content.encode()), format="table")
        assert browser.submit(address, "start", dataset=name).status_code == 303
        return address

    carry_out(own, key(again(RATINGS)))
    before = digest(graph, name)
    same = again(RATINGS)
    assert carry_out(own, key(same)).unchanged
    assert "already held exactly this" in browser.client.get(same).text
    other = again(RATINGS + "u1;i1;1;1500000000\n")
    with pytest.raises(ConflictError, match="already holds something else"):
        carry_out(own, key(other))
    page = browser.client.get(other)
    assert "already holds something else, from ratings.csv. Choose another name" in said(page)
    films = browser.sent(("films.csv", FILMS.encode()))
    refused = browser.submit(films, "start", dataset=name, format="demo")
    assert (refused.status_code, digest(graph, name)) == (409, before)
    assert "in the format table" in said(refused)
    with pytest.raises(ConflictError, match="failed"):
        carry_out(own, key(other))


def test_what_is_new_is_added(browser: Browser, own: Settings, graph: Graph, name: str) -> None:
    address = browser.sent(("ratings.csv", RATINGS.encode()), format="table")
    early = browser.submit(address, "start", dataset=name, add="true")
    assert early.status_code == 404 and "to add to" in said(early)
    browser.submit(address, "start", dataset=name)
    carry_out(own, key(address))
    before = graph.one("dataset_counts", dataset=name)
    more = browser.sent(("ratings.csv", (RATINGS + "u1;new;1;1500000000\n").encode()), format="table")
    refused = browser.submit(more, "start", dataset=name, add="true", core="2")
    assert refused.status_code == 400 and "neither split nor cut to its core" in said(refused)
    assert 'value="true" aria-describedby="adding" checked' in refused.text, "what was ticked stays so"
    assert browser.submit(more, "start", dataset=name, add="true").status_code == 303
    assert carry_out(own, key(more)).counts["interactions"] == 1
    after = graph.one("dataset_counts", dataset=name)
    assert (after["items"], after["interactions"]) == (before["items"] + 1, before["interactions"] + 1)


def test_too_many_rows_that_cannot_be_used(browser: Browser, own: Settings, graph: Graph, dataset: str) -> None:
    address = browser.sent(("ratings.csv", (RATINGS + "u1;i1;five;1\n" * 7).encode()), format="table")
    browser.submit(address, "start", dataset=dataset)
    with pytest.raises(InputError):
        carry_out(own, key(address))
    page = browser.client.get(address)
    assert "7 of 70 rows (10 %) cannot be used, and 1 % may be left out. The first is ratings.csv:65" in said(page)
    assert "--max-rejected" not in page.text and page.text.count("expected a number as rating") >= 7
    assert browser.client.get(f"{address}/rejected.csv", buffered=True).text.count("\n") == 8
    assert graph.many("find_dataset", dataset=dataset) == []
    assert browser.submit(address, "start", dataset=dataset, max_rejected="20").status_code == 303
    assert carry_out(own, key(address)).rejected == 7
    drop(graph, dataset)


def test_cancelled_before_and_while_it_runs(
    browser: Browser, own: Settings, graph: Graph, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = browser.sent(("ratings.csv", RATINGS.encode()), format="table")
    browser.submit(address, "start", dataset=name)
    assert browser.submit(address, "cancel").status_code == 303
    with pytest.raises(CikgError):
        carry_out(own, key(address))
    assert browser.client.get(f"{address}.json").json["found"]["stage"] == "cancelled"
    assert browser.submit(address, "start", dataset=name).status_code == 303
    monkeypatch.setattr("cikg.datasets.batches.NODE_BATCH", 3)
    monkeypatch.setattr("cikg.datasets.prepared.carrying_out._TOLD_SECONDS", 0.0)
    written, seen = Graph.write_together, []

    def cancelled(self: Graph, writes: Any) -> Any:
        if writes[0][0] == "import_items":
            seen.append(browser.client.get(address).text)
            Intakes(own).open(key(address)).stop()
        return written(self, writes)

    with monkeypatch.context() as patch, pytest.raises(CancelledError):
        patch.setattr(Graph, "write_together", cancelled)
        carry_out(own, key(address))
    assert re.search(r"importing: \d of 79 rows", seen[0]) and '<progress max="79"' in seen[0]
    assert graph.one("find_dataset", dataset=name)["dataset"]["state"] == "importing"
    page = browser.client.get(address).text
    assert "Start it again" in page
    assert browser.submit(address, "start", dataset=name).status_code == 303
    assert not carry_out(own, key(address)).unchanged
    calm = f"{name}-calm"
    (own.home / "ratings.csv").write_text(RATINGS)
    (own.home / "ratings.toml").write_text(
        'field = "products"\n[interactions]\nfile = "ratings.csv"\nheader = true\n'
        "user = 1\nitem = 2\nrating = 3\ntime = 4\n"
    )
    load(graph, "table", own.home / "ratings.toml", calm, source="ratings.csv")
    assert digest(graph, name) == digest(graph, calm)
    drop(graph, calm)


def test_a_worker_that_cannot_see_what_was_sent_is_noticed(
    browser: Browser, own: Settings, graph: Graph, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = browser.sent(("ratings.csv", RATINGS.encode()), format="table")
    assert browser.submit(address, "start", dataset=dataset).status_code == 303
    monkeypatch.setattr("web.parts.imports.LATE_SECONDS", -1)
    assert "None has taken it yet" in browser.client.get(address).text
    graph.execute(
        "MATCH (r:Run {dataset: $d, kind: 'command'}) SET r.state = 'failed', r.error = 'there is no import'", d=dataset
    )
    page = browser.client.get(address)
    assert "there is no import. Workers need the same CIKG_HOME" in said(page) and "Start it again" in page.text
    assert browser.submit(address, "start", dataset=dataset).status_code == 303
    graph.execute("MATCH (r:Run {dataset: $d}) DETACH DELETE r", d=dataset)


REFUSED: dict[str, tuple[tuple[str, bytes], int, str]] = {
    "zip slip": (("a.zip", b"../out.csv"), 400, "cannot be the name of a file of this import"),
    "zip bomb": (("a.zip", b"bomb"), 413, "is larger than the 1 MB that may be sent"),
    "no zip": (("a.zip", b"no zip"), 400, "cannot be read as a zip archive"),
    "too large": (("a.csv", b"0" * 1_500_000), 413, "larger than the 1 MB that may be sent"),
    "far too large": (("a.csv", b"0" * 2_500_000), 413, "This request is too large"),
    "another's folder": (("../../a.csv", b"1"), 400, "cannot be the name of a file of this import"),
    "nothing": (("", b""), 400, "no file was chosen"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_uploads_that_are_refused_leave_nothing(browser: Browser, own: Settings, kind: str) -> None:
    (sent, content), status, sentence = REFUSED[kind]
    if sent == "a.zip" and content != b"no zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.csv" if content == b"bomb" else content.decode(), b"0" * 5_000_000)
        content = packed.getvalue()
    before = set(own.uploads.glob("*/**/*"))
    answer = browser.upload((sent, content))
    assert (answer.status_code, sentence in said(answer)) == (status, True), said(answer)
    assert set(own.uploads.glob("*/**/*")) == before


def test_paths_of_the_server(browser: Browser, own: Settings, tmp_path: Path) -> None:
    folder = Path(own.import_folders)
    (folder / "ratings.csv").write_text(RATINGS)
    (tmp_path / "secret.csv").write_text(RATINGS)
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")

    def begin(path: object) -> TestResponse:
        return browser.client.post("/import/begin", data={"csrf_token": browser.token(), "path": str(path)})

    for outside in (tmp_path / "secret.csv", folder / "link.csv", folder / ".." / "x", "/etc/passwd"):
        answer = begin(outside)
        assert (answer.status_code, "not below a folder" in said(answer)) == (400, True)
        assert f'name="path" value="{outside}"' in answer.text, "it can be corrected"
    (folder / "link.csv").unlink()
    inside = begin(folder / "ratings.csv")
    assert inside.status_code == 303
    assert browser.client.get(f"{inside.location}.json").json["preview"]["found"]["interactions"] == 63


def test_a_start_that_is_refused_keeps_what_was_typed(browser: Browser, name: str) -> None:
    address = browser.sent(("ratings.csv", RATINGS.encode()))
    wrong = {"dataset": name, "split": "leave-one-out", "test_share": "30", "core": "2"}
    refused = browser.submit(address, "start", **wrong)
    assert refused.status_code == 400, said(refused)
    shown = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]* value="([^"]*)"', refused.text))
    assert [shown[field] for field in ("dataset", "test_share", "core")] == [name, "30.0", "2"]
    assert "<option selected>leave-one-out" in refused.text
    assert '<details class="options" open>' in refused.text
    unread = browser.submit(address, "start", **{**wrong, "test_share": "many"})
    assert (unread.status_code, f'value="{name}"' in unread.text) == (400, True)


def test_what_is_prepared_and_removed_is_logged(browser: Browser, own: Settings, graph: Graph) -> None:
    (Path(own.import_folders) / "named.csv").write_text(RATINGS)
    fields = {"csrf_token": browser.token(), "path": str(Path(own.import_folders) / "named.csv")}
    named = key(browser.client.post("/import/begin", data=fields).location)
    sent = key(browser.sent(("ratings.csv", RATINGS.encode())))
    assert browser.submit(f"/import/{named}", "remove").status_code == 303
    entries = [
        (entry.actor, entry.action, entry.target) for entry in audit.read(graph, 50) if entry.target in (named, sent)
    ]
    assert entries == [
        ("operator", "imports.remove", named),
        ("operator", "imports.create", sent),
        ("operator", "imports.create", named),
    ]


def test_only_editors_may_and_only_with_the_pages_token(
    app: Flask, own: Settings, graph: Graph, dataset: str, browser: Browser
) -> None:
    viewer = dashboard.viewer(app, own, graph, dataset)
    address = browser.sent(("ratings.csv", RATINGS.encode()))
    before = len(list(own.uploads.iterdir()))
    assert viewer.get("/").status_code == 200 and 'href="/import"' not in viewer.get("/").text
    asked = [viewer.get("/import"), viewer.get(address), viewer.get(f"{address}/rejected.csv")]
    asked.append(viewer.post("/import", data={"files": (io.BytesIO(b"1"), "a.csv")}))
    assert [answer.status_code for answer in asked] == [403] * 4
    token = tokens.create(graph, dataset, "t", [Scope.READ], actor="tests")[1]
    for method, path in (("GET", "/imports"), ("POST", "/imports"), ("PUT", f"/imports/{key(address)}/files/a.csv")):
        answer = viewer.open(f"/api/v1{path}", method=method, headers={"Authorization": f"Bearer {token}"}, json={})
        assert answer.status_code == 403
    data = {"csrf_token": "wrong", "files": (io.BytesIO(b"1"), "a.csv")}
    forged = browser.client.post("/import", data=data, content_type="multipart/form-data")
    assert (forged.status_code, len(list(own.uploads.iterdir()))) == (400, before)
    assert app.test_client().get("/import").status_code == 401


def test_over_the_api(app: Flask, own: Settings, graph: Graph, name: str) -> None:
    bearer = tokens.create(graph, None, "t", [Scope.READ, Scope.WRITE], actor="tests")[1]
    client = app.test_client()

    def call(method: str, path: str, status: int, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {bearer}", **options.pop("headers", {})}
        answer = client.open(f"/api/v1{path}", method=method, headers=headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json if status != 204 else None

    assert "movielens" in [each["name"] for each in call("GET", "/formats", 200)["items"]]
    twice = {"headers": {"Idempotency-Key": name}, "json": {}}
    made = call("POST", "/imports", 201, **twice)
    assert call("POST", "/imports", 201, **twice)["id"] == made["id"]
    at = f"/imports/{made['id']}"
    assert call("POST", f"{at}/preview", 200, json={})["problem"] == "nothing was sent yet"
    raw = {"data": RATINGS.encode(), "content_type": "application/octet-stream"}
    sent = call("PUT", f"{at}/files/ratings.csv", 200, **raw)
    assert sent["files"] == [{"name": "ratings.csv", "bytes": len(RATINGS)}]
    call("PUT", f"{at}/files/..~2Fx.csv", 400, **raw)
    big = call("PUT", f"{at}/files/big.csv", 413, data=b"0" * 1_100_000, content_type="application/octet-stream")
    assert big["code"] == "request_entity_too_large" and "larger than" in big["detail"]
    proposal = call("POST", f"{at}/preview", 200, json={})
    assert proposal["preview"]["found"]["interactions"] == 63 and proposal["dataset"] == "ratings"
    mapping = proposal["mapping"]
    assert mapping["interactions"][0]["user"] == "customer"
    del mapping["interactions"][0]["rating"]
    foreign = {"interactions": {"file": "/etc/passwd", "user": 1, "item": 2}}
    assert "is not a file of this import" in call("POST", f"{at}/preview", 200, json={"mapping": foreign})["problem"]
    call("POST", f"{at}/start", 400, json={"mapping": foreign, "dataset": name})
    call("POST", f"{at}/start", 422, json={"dataset": name, "choices": {"core": 0}})
    started = call("POST", f"{at}/start", 202, json={"mapping": mapping, "dataset": name, "choices": {"core": 2}})
    assert (started["stage"], started["format"]) == ("queued", "table")
    call("POST", f"{at}/start", 409, json={"dataset": name})
    carry_out(own, made["id"])
    done = call("GET", at, 200)
    assert (done["stage"], done["report"]["counts"]["interactions"]) == ("done", 63)
    assert call("GET", f"{at}/rejected", 200)["items"] == []
    assert at.rpartition("/")[2] in [each["id"] for each in call("GET", "/imports", 200)["items"]]
    call("POST", f"{at}/cancel", 409)
    call("DELETE", at, 204)
    call("GET", at, 404)
    edges = graph.execute("MATCH (:User {dataset: $d})-[e:INTERACTED]->() RETURN count(e.rating) AS rated", d=name)
    assert edges == [{"rated": 0}], "the mapping that was sent has no rating"
