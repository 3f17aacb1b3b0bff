"""Addresses that ask for more than a page can answer: its links repeat what was asked."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cikg.graph import Graph
from cikg.settings import Settings
from tests import planted
from tests.dashboard import operator


@pytest.fixture
def client(app: Flask, own: Settings, graph: Graph, dataset: str) -> FlaskClient:
    planted.write(graph, dataset)
    return operator(app, own)


def test_a_question_has_few_pieces(client: FlaskClient, dataset: str) -> None:
    pieces = "&".join(f"without=item:{number}" for number in range(51))
    refused = client.get(f"/d/{dataset}/users/0?{pieces}")
    assert refused.status_code == 400
    assert "at most 50" in refused.text
    assert "item%3A50" not in refused.text.partition("<main")[2], "its links would be long"
    assert client.get(f"/d/{dataset}/users/0?without=item:1").status_code == 200


def test_an_address_has_an_end(client: FlaskClient, dataset: str) -> None:
    for path in (f"/d/{dataset}/users/0", f"/d/{dataset}/explore", "/"):
        refused = client.get(f"{path}?to={'x' * 8_000}")
        assert refused.status_code == 414
        assert "too long" in refused.text


def test_what_explore_repeats_is_short(client: FlaskClient, dataset: str) -> None:
    hidden = "&".join(f"hide=T{number}" for number in range(200))
    for asked in (hidden, "hide=" + "x" * 4_000):
        view = client.get(f"/d/{dataset}/explore.json?at=User:0&{asked}").json["view"]
        assert sum(map(len, view["hidden"])) <= 20 * 100
    assert client.get(f"/d/{dataset}/explore.json?at=User:{'x' * 501}").json["view"]["open"] == []
