"""Logging in: the form that stands in the place of any page, and where it leads."""

from __future__ import annotations

import html
import re

import pytest
from flask import Flask

import web
from cikg.access import accounts
from cikg.access.accounts import Passwords, Role
from cikg.access.sessions import one_time_token
from cikg.graph import Graph
from cikg.settings import Settings
from tests import planted
from web import store
from web.pages.session import within

PASSWORD = "correct horse battery"


@pytest.fixture
def account(graph: Graph, own: Settings, dataset: str) -> str:
    """Somebody who may read, and a dataset of the same name."""
    planted.write(graph, dataset)
    accounts.add(graph, dataset, Role.VIEWER, Passwords(own).hash(PASSWORD), "tests")
    return dataset


def fields(text: str) -> dict[str, str]:
    """What the form of a page holds already."""
    found = re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', text.partition("<main")[2])
    return {name: html.unescape(value) for name, value in found}


def test_whoever_opens_a_page_gets_there_by_logging_in(app: Flask, account: str) -> None:
    client, wanted = app.test_client(), f"/d/{account}/users?q=Reader%201&page=1"
    asked = client.get(wanted)
    assert asked.status_code == 401
    form = fields(asked.text)
    assert form["to"] == wanted
    wrong = client.post("/login", data=form | {"name": account, "password": "wrong password"})
    assert (wrong.status_code, "Wrong name or password" in wrong.text) == (401, True)
    right = client.post("/login", data=fields(wrong.text) | {"password": PASSWORD})
    assert (right.status_code, right.location) == (302, wanted)
    assert "Reader 1" in client.get(right.location).text


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "/a\nb", "x", ""]
)
def test_nobody_is_led_elsewhere(app: Flask, to: str) -> None:
    with app.test_request_context():
        assert within(to) == "/"
        assert within("/d/a~2Fb?q=x&page=2") == "/d/a~2Fb?q=x&page=2"


def test_a_link_that_was_used_says_so_and_offers_the_form(app: Flask, own: Settings) -> None:
    path = f"/login/{one_time_token(own)}"
    assert app.test_client().get(path).location == "/"
    again = app.test_client().get(path)
    assert again.status_code == 401
    assert "a link works once" in again.text
    assert 'name="password"' in again.text
    assert "cikg login" in again.text


def test_data_are_refused_as_data(app: Flask) -> None:
    answer = app.test_client().get("/index.json")
    assert (answer.status_code, answer.json["message"]) == (401, "You are not logged in")


def test_behind_https_the_session_goes_over_https_alone(own: Settings) -> None:
    app = web.create_app(own.model_copy(update={"web_https": True}))
    answer = app.test_client().get(f"/login/{one_time_token(own)}", base_url="https://127.0.0.1")
    store.close(app)
    assert "Secure" in answer.headers["Set-Cookie"]
