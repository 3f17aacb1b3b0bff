"""The overview of many datasets, and of such that another program made."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cikg.graph import Graph
from cikg.settings import Settings
from tests import dashboard, planted
from web.parts import listing


@pytest.fixture
def client(app: Flask, own: Settings) -> FlaskClient:
    return dashboard.operator(app, own)


def test_datasets_are_filtered_and_come_a_page_at_a_time(
    client: FlaskClient, app: Flask, graph: Graph, dataset: str
) -> None:
    planted.write(graph, dataset)
    found = client.get(f"/index.json?q={dataset.upper()}").json["datasets"]
    assert (found["total"], [row["id"] for row in found["rows"]]) == (1, [dataset])
    assert found["rows"][0]["users"] == 41
    page = client.get("/?q=absent%20everywhere").text
    assert "No dataset name contains this." in page
    assert "There is no dataset yet" not in page
    with app.test_request_context("/?q=b&page=2"):
        chosen = listing.choose(["ab", "a", "B1", "b2"], 2, lambda names: [{"id": name} for name in names])
    assert (chosen.total, chosen.pages, chosen.rows) == (3, 2, ({"id": "b2"},))


def test_datasets_that_somebody_else_made_break_no_page(client: FlaskClient, graph: Graph, dataset: str) -> None:
    planted.write(graph, dataset)
    foreign = f"{dataset}-foreign"
    graph.execute("CREATE (:Dataset {uid: $d}) CREATE (:Dataset {field: $d})", d=foreign)
    try:
        for address in ("/", f"/d/{dataset}", f"/d/{foreign}", f"/d/{foreign}/items", f"/?q={foreign}"):
            assert client.get(address).status_code == 200, address
        assert f'href="/d/{foreign}"' in client.get(f"/d/{dataset}").text, "it goes by its key"
        unknown = client.get(f"/d/{dataset}x")
        assert (unknown.status_code, f"Did you mean &#39;{dataset}&#39;?" in unknown.text) == (404, True)
    finally:
        graph.execute("MATCH (d:Dataset) WHERE d.uid = $d OR d.field = $d DELETE d", d=foreign)
