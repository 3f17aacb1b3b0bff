from __future__ import annotations

import re
import time

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cikg.access import accounts, audit, tokens
from cikg.access.accounts import Passwords, Role, Scope
from cikg.access.sessions import begin_session
from cikg.graph import Graph
from cikg.settings import Settings
from tests import dashboard

PASSWORD = "correct horse battery"


@pytest.fixture
def operator(app: Flask, own: Settings) -> FlaskClient:
    return dashboard.operator(app, own)


@pytest.fixture
def viewer(app: Flask, own: Settings, graph: Graph, dataset: str) -> FlaskClient:
    """Someone with an account of the dataset's name."""
    accounts.add(graph, dataset, Role.VIEWER, Passwords(own).hash(PASSWORD), "tests")
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"] = begin_session(own, dataset)
    return client


def send(client: FlaskClient, path: str, **fields: object) -> TestResponse:
    value = dashboard.form_token(client.get("/settings").text)
    return client.post(f"/settings{path}", data={"csrf_token": value, **fields})


def test_a_token_is_shown_once_and_revoked(viewer: FlaskClient, graph: Graph, dataset: str) -> None:
    page = send(viewer, "/tokens", name="phone", scope=["read", "admin"], days="30").text
    (text,) = re.findall(r"cikg_[0-9a-f]{12}_[\w-]{43}", page)
    who = tokens.verify(graph, text)
    assert who is not None
    assert (who.account, who.scopes) == (dataset, {Scope.READ}), "no more than the viewer may"
    assert text not in viewer.get("/settings").text
    (kept,) = tokens.listed(graph, 10, account=dataset)
    assert kept.expires_at is not None
    assert send(viewer, f"/tokens/{kept.id}/revoke").status_code == 302
    assert tokens.verify(graph, text) is None
    assert "revoked" in viewer.get("/settings").text
    assert send(viewer, "/tokens", name="none").status_code == 400


def test_a_form_that_waited_for_hours_is_still_taken(
    viewer: FlaskClient, graph: Graph, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, now = dashboard.form_token(viewer.get("/settings").text), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 4 * 60 * 60)
    fields = {"csrf_token": value, "name": "phone", "scope": ["read"]}
    assert viewer.post("/settings/tokens", data=fields).status_code == 200
    assert [each.name for each in tokens.listed(graph, 10, account=dataset)] == ["phone"]


def test_of_many_tokens_those_that_work_are_all_shown(
    viewer: FlaskClient, graph: Graph, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.pages.settings.READ_AT_ONCE", 2)
    made = [tokens.create(graph, dataset, f"phone {n}", [Scope.READ], actor="tests")[0] for n in range(5)]
    assert all(identifier in viewer.get("/settings").text for identifier in made)


def test_a_viewer_sees_and_changes_no_one_else(viewer: FlaskClient, graph: Graph, dataset: str) -> None:
    identifier, text = tokens.create(graph, None, f"of the operator {dataset}", [Scope.READ], actor="tests")
    page = viewer.get("/settings").text
    assert identifier not in page
    assert 'id="people"' not in page
    assert 'id="log"' not in page
    assert viewer.get("/settings.json").json["accounts"] is None
    assert send(viewer, f"/tokens/{identifier}/revoke").status_code == 403
    assert tokens.verify(graph, text) is not None
    for path in ("/accounts", f"/accounts/{dataset}/role", f"/accounts/{dataset}/remove"):
        assert send(viewer, path, name="evil", role="admin").status_code == 403
    assert accounts.find(graph, dataset)["role"] == "viewer"


def test_one_changes_ones_own_password_by_the_present_one(
    viewer: FlaskClient, own: Settings, graph: Graph, dataset: str
) -> None:
    passwords = Passwords(own)
    wanted = {"password": "another password", "repeated": "another password"}
    assert send(viewer, "/password", present="wrong password", **wanted).status_code == 400
    mistyped = send(viewer, "/password", present=PASSWORD, password="another password", repeated="another passwort")
    assert (mistyped.status_code, "typed in two ways" in mistyped.text) == (400, True)
    assert passwords.fits(graph, dataset, PASSWORD)
    assert send(viewer, "/password", present=PASSWORD, **wanted).status_code == 302
    assert passwords.fits(graph, dataset, "another password")
    assert viewer.get("/settings").status_code == 401


def test_an_admin_adds_changes_and_removes_people(
    operator: FlaskClient, own: Settings, graph: Graph, dataset: str
) -> None:
    assert send(operator, "/accounts", name=dataset, role="editor", password="").status_code == 302
    assert accounts.find(graph, dataset)["role"] == "editor"
    again = send(operator, "/accounts", name=dataset, role="editor", password="")
    assert (again.status_code, "there is an account" in again.text) == (400, True)
    assert send(operator, "/accounts", name="x", role="owner").status_code == 400
    assert send(operator, f"/accounts/{dataset}/role", role="viewer").status_code == 302
    assert send(operator, f"/accounts/{dataset}/password", password="short").status_code == 400
    assert send(operator, f"/accounts/{dataset}/password", password=PASSWORD).status_code == 302
    assert Passwords(own).fits(graph, dataset, PASSWORD)
    assert send(operator, f"/accounts/{dataset}/own").status_code == 400
    assert send(operator, f"/accounts/{dataset}/remove").status_code == 302
    assert send(operator, f"/accounts/{dataset}/remove").status_code == 404
    done = [entry.action for entry in audit.read(graph, 50) if entry.target == dataset]
    assert done == ["account.remove", "account.password", "account.role", "account.add"]
    page = operator.get("/settings").text
    assert "account.remove" in page
    assert PASSWORD not in page


def test_what_was_refused_is_not_typed_again(operator: FlaskClient, graph: Graph, dataset: str) -> None:
    person = send(operator, "/accounts", name="Ann B", role="editor", password=PASSWORD, repeated=PASSWORD)
    assert person.status_code == 400
    form = person.text.partition('action="/settings/accounts"')[2].partition("</form>")[0]
    assert 'value="Ann B"' in form
    assert "<option selected>editor" in form
    assert PASSWORD not in person.text
    token = send(operator, "/tokens", name="=phone", scope=["write"], days="5000")
    form = token.text.partition('action="/settings/tokens"')[2].partition("</form>")[0]
    assert token.status_code == 400
    assert re.findall(r'value="(=phone|5000)"', form) == ["=phone", "5000"]
    assert re.findall(r'value="(\w+)" checked', form) == ["write"]
    assert 'value="Ann B"' not in token.text
    assert send(operator, "/accounts", name=dataset, role="viewer", password=PASSWORD).status_code == 400
    assert not graph.many("find_account", account=dataset), "a password that was typed once makes no account"


def test_nothing_is_done_for_another_site(operator: FlaskClient, graph: Graph, dataset: str) -> None:
    assert operator.post("/settings/accounts", data={"name": dataset, "role": "admin"}).status_code == 400
    assert not graph.many("find_account", account=dataset)
