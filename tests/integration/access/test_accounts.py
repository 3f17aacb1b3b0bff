from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr
from werkzeug.security import check_password_hash

import web
from cikg.access import accounts, audit, tokens
from cikg.access.accounts import Passwords, Role, Scope
from cikg.access.sessions import one_time_token
from cikg.errors import ConflictError, InputError, NotFoundError, SettingsError
from cikg.graph import Graph
from cikg.settings import Settings
from web import store
from web.login import UNKNOWN

PASSWORD = "correct horse battery"
PASSWORDS = Passwords(Settings(secret_key=SecretStr("access-test-key-0123456789")))


@pytest.fixture
def name(dataset: str) -> str:
    return f"{dataset}@example.org"


def kept(graph: Graph, name: str) -> str:
    """Everything that the database holds of an account, its tokens and the log about them."""
    rows = graph.execute(
        "MATCH (n) WHERE n.uid = $name OR n.account = $name OR n.target = $name RETURN n {.*} AS n", name=name
    )
    return json.dumps(rows, default=str)


def test_a_password_is_kept_as_a_slow_hash(graph: Graph, name: str) -> None:
    accounts.add(graph, name, Role.VIEWER, PASSWORDS.hash(PASSWORD), "tests")
    assert PASSWORDS.fits(graph, name, PASSWORD)
    assert not PASSWORDS.fits(graph, name, PASSWORD + " ")
    assert not PASSWORDS.fits(graph, name, "")
    assert not PASSWORDS.fits(graph, "nobody.here", PASSWORD)
    assert PASSWORD not in kept(graph, name)
    assert graph.many("find_account", account=name)[0]["password"].startswith("scrypt:")


def test_an_account_without_password_cannot_log_in(graph: Graph, name: str) -> None:
    accounts.add(graph, name, Role.VIEWER, None, "tests")
    assert not PASSWORDS.fits(graph, name, "")
    assert not PASSWORDS.fits(graph, name, "None")


def test_who_is_not_there_is_refused_as_slowly(graph: Graph, name: str) -> None:
    """The time of an answer does not tell which accounts there are: both compute one hash."""
    accounts.add(graph, name, Role.VIEWER, PASSWORDS.hash(PASSWORD), "tests")

    def seconds(who: str) -> float:
        start = time.perf_counter()
        PASSWORDS.fits(graph, who, "wrong password")
        return time.perf_counter() - start

    seconds("nobody.here")
    assert min(seconds("nobody.here") for _ in range(3)) > 0.2 * min(seconds(name) for _ in range(3))


@pytest.mark.parametrize("wrong", ["", "Ann", "a:b", "a/b", "-a", "a" * 65, "a\n", "x'}) DETACH DELETE n //"])
def test_names_that_would_confuse_are_refused(graph: Graph, wrong: str) -> None:
    with pytest.raises(InputError, match="cannot name an account"):
        accounts.add(graph, wrong, Role.VIEWER, None, "tests")


def test_nobody_is_taken_for_the_operator(graph: Graph) -> None:
    with pytest.raises(InputError, match="whoever runs the platform"):
        accounts.add(graph, "operator", Role.VIEWER, None, "tests")


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_passwords_have_a_length(password: str) -> None:
    with pytest.raises(InputError, match="10 to 256"):
        PASSWORDS.hash(password)


def test_a_hash_is_of_no_use_without_the_key(graph: Graph, name: str) -> None:
    accounts.add(graph, name, Role.VIEWER, PASSWORDS.hash(PASSWORD), "tests")
    assert not check_password_hash(graph.many("find_account", account=name)[0]["password"], PASSWORD)
    assert not Passwords(Settings(secret_key=SecretStr("another-key-0123456789"))).fits(graph, name, PASSWORD)
    with pytest.raises(SettingsError, match="CIKG_SECRET_KEY"):
        Passwords(Settings())


def test_of_many_who_make_one_account_one_does(graph: Graph, name: str) -> None:
    def make(number: int) -> bool:
        try:
            accounts.add(graph, name, Role.VIEWER, None, f"maker {number}")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(make, range(8))) == 1
    assert len([entry for entry in audit.read(graph, 50) if entry.target == name]) == 1


def test_a_token_expires(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = tokens.create(graph, None, "a day", [Scope.READ], actor="tests", days=1)
    assert tokens.verify(graph, text) is not None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_401)
    assert tokens.verify(graph, text) is None


def test_a_token_is_kept_as_a_digest_and_known_by_its_last_use(graph: Graph, name: str) -> None:
    accounts.add(graph, name, Role.EDITOR, None, "tests")
    identifier, text = tokens.create(graph, name, "work", [Scope.QUERY], actor="tests")
    secret = text.split("_", 2)[2]  # which may hold this sign itself
    assert secret not in kept(graph, name)
    (before,) = tokens.listed(graph, 10, account=name)
    assert (before.id, before.used_at) == (identifier, None)
    assert tokens.verify(graph, text) is not None
    (after,) = tokens.listed(graph, 10, account=name)
    assert after.used_at == pytest.approx(time.time(), abs=60)


def test_a_token_has_no_scope_that_its_role_lacks(graph: Graph, name: str) -> None:
    accounts.add(graph, name, Role.VIEWER, None, "tests")
    for scopes in ([Scope.WRITE], [Scope.READ, Scope.ADMIN], []):
        with pytest.raises(InputError, match="at least one of the scopes read"):
            tokens.create(graph, name, "more", scopes, actor="tests")
    with pytest.raises(NotFoundError):
        tokens.create(graph, "nobody.here", "x", [Scope.READ], actor="tests")


def test_logging_in_by_password(graph: Graph, settings: Settings, name: str) -> None:
    app = web.create_app(settings.model_copy(update={"secret_key": SecretStr("access-test-key-0123456789")}))
    accounts.add(graph, name, Role.VIEWER, PASSWORDS.hash(PASSWORD), "tests")
    browser = app.test_client()
    address = name.partition("@")[0]  # of its own: logins are counted by address
    waits: list[str | None] = []

    def log_in(password: str) -> int:
        form = browser.get("/login").text
        value = form.split('name="csrf_token" value="')[1].split('"')[0]
        data = {"csrf_token": value, "name": name, "password": password}
        answer = browser.post("/login", data=data, environ_overrides={"REMOTE_ADDR": address})
        waits.append(answer.headers.get("Retry-After"))
        return answer.status_code

    assert browser.post("/login", data={"name": name, "password": PASSWORD}).status_code == 400
    assert log_in("wrong password") == 401
    assert browser.get("/").status_code == 401
    assert log_in(PASSWORD) == 302
    assert browser.get("/").status_code == 200
    assert browser.get("/api/v1/me").json == {"name": name, "account": name, "scopes": ["read"]}
    assert browser.get("/api/v1/audit").status_code == 403
    accounts.set_password(graph, name, PASSWORDS.hash("another password"), "tests")
    assert browser.get("/").status_code == 401, "a new password ends its sessions"
    assert log_in("another password") == 302
    accounts.remove(graph, name, "tests")
    assert browser.get("/").status_code == 401
    answers = [log_in("wrong password") for _ in range(10)]
    assert answers[-1] == 429
    assert set(answers) == {401, 429}
    assert 0 < int(waits[-1] or 0) <= 60
    logged = [(entry.actor, entry.action) for entry in reversed(audit.read(graph, 200)) if entry.target == address]
    assert logged[:4] == [(name, "login.refused"), (name, "login"), (name, "login"), (UNKNOWN, "login.refused")]
    assert {entry.action for entry in audit.read(graph, 200, actor=name)} == {"login", "login.refused"}
    store.close(app)


def test_links_are_not_guessed_and_looking_at_one_uses_nothing_up(settings: Settings, graph: Graph, name: str) -> None:
    own = settings.model_copy(update={"secret_key": SecretStr("access-test-key-0123456789")})
    app, token = web.create_app(own), one_time_token(own)
    here = {"environ_overrides": {"REMOTE_ADDR": name}}
    assert app.test_client().head(f"/login/{token}", **here).status_code == 200
    assert app.test_client().get(f"/login/{token}", **here).status_code == 302
    assert [entry.action for entry in audit.read(graph, 50, actor="operator") if entry.target == name] == ["login"]
    for _ in range(12):
        assert app.test_client().get(f"/login/{one_time_token(own)}", **here).status_code == 302, "the right are free"
    answers = [app.test_client().get("/login/wrong", **here) for _ in range(12)]
    assert [answer.status_code for answer in answers].count(401) <= 10
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    store.close(app)


def test_the_commands(
    cikg: Callable[..., subprocess.CompletedProcess[str]], environment: dict[str, str], graph: Graph, name: str
) -> None:
    assert cikg("user", "add", name, "--no-password", "--role", "editor").returncode == 0
    again = cikg("user", "add", name, "--no-password", "--json")
    assert (again.returncode, json.loads(again.stdout)["error"]) == (2, "ConflictError")
    made = json.loads(cikg("token", "create", "ci", "--user", name, "--scope", "write", "--json").stdout)
    assert tokens.verify(graph, made["token"]) is not None
    assert cikg("user", "role", name, "viewer").returncode == 0
    listed = {each["name"]: each for each in json.loads(cikg("user", "list", "--json").stdout)["users"]}
    assert (listed[name]["role"], listed[name]["tokens"], listed[name]["has_password"]) == ("viewer", 1, False)
    assert cikg("token", "revoke", made["id"]).returncode == 0
    assert tokens.verify(graph, made["token"]) is None
    assert cikg("user", "remove", name, "--yes").returncode == 0
    assert cikg("user", "remove", name, "--yes").returncode == 2
    shown = cikg("audit", "--json")
    actions = [
        entry["action"] for entry in json.loads(shown.stdout)["entries"] if entry["target"] in (name, made["id"])
    ]
    assert actions == ["account.remove", "token.revoke", "account.role", "token.create", "account.add"]
    assert made["token"] not in shown.stdout
    (wrong,) = [cikg("audit", "--actor", f"{entry['actor']}x") for entry in json.loads(shown.stdout)["entries"][:1]]
    assert (wrong.returncode, "Did you mean 'cli:" in wrong.stderr) == (2, True), wrong.stderr
    wrong = cikg("audit", "--action", "account.ad", "--json")
    assert (wrong.returncode, json.loads(wrong.stdout)["cure"]) == (2, "Did you mean 'account.add'?")
    accounts.add(graph, name, accounts.Role.VIEWER, None, "tests")
    idle = cikg("audit", "--actor", name)
    assert (idle.returncode, "No such change is logged." in idle.stderr) == (0, True), (
        "who has an account may do nothing"
    )


def test_a_password_is_read_from_standard_input(environment: dict[str, str], graph: Graph, name: str) -> None:
    from tests.conftest import CIKG  # noqa: PLC0415

    answer = subprocess.run(
        [*CIKG, "user", "add", name],
        env=environment | {"CIKG_SECRET_KEY": "access-test-key-0123456789"},
        input=PASSWORD + "\n",
        text=True,
        capture_output=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert PASSWORD not in answer.stdout + answer.stderr
    assert PASSWORDS.fits(graph, name, PASSWORD)
