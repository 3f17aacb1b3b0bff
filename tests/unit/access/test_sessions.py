from __future__ import annotations

import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cikg.access import sessions as access
from cikg.errors import SettingsError, UnreachableError
from cikg.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", web_port=8080)


def test_a_token_is_redeemed_once_by_one(settings: Settings) -> None:
    token = access.one_time_token(settings)
    with ThreadPoolExecutor(8) as pool:
        sessions = [found for found in pool.map(lambda _: access.redeem(settings, token), range(8)) if found]
    assert len(sessions) == 1
    assert access.open_session(settings, sessions[0])
    assert access.redeem(settings, token) is None


def test_secrets_are_kept_as_hashes_for_the_owner_alone(settings: Settings) -> None:
    token = access.one_time_token(settings)
    session = access.redeem(settings, access.one_time_token(settings))
    assert session is not None
    path = settings.home / access.LOGIN_FILE
    assert token not in path.read_text()
    assert session not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
    assert not access.open_session(settings, token)
    assert access.redeem(settings, session) is None


def test_links_and_sessions_expire(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    token = access.one_time_token(settings)
    session = access.redeem(settings, access.one_time_token(settings))
    assert session is not None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + access.LINK_SECONDS + 1)
    assert access.redeem(settings, token) is None
    assert access.open_session(settings, session)
    monkeypatch.setattr(time, "time", lambda: now + access.SESSION_SECONDS + 1)
    assert not access.open_session(settings, session)
    access.one_time_token(settings)
    kept = json.loads((settings.home / access.LOGIN_FILE).read_text())
    assert (len(kept["links"]), len(kept["sessions"])) == (1, 0)


def test_a_wrong_link_writes_nothing(settings: Settings) -> None:
    access.one_time_token(settings)
    path = settings.home / access.LOGIN_FILE
    before = path.stat().st_ino  # a file that is written is replaced
    assert access.redeem(settings, "wrong") is None
    assert path.stat().st_ino == before


def test_an_ended_session_is_closed(settings: Settings) -> None:
    session = access.redeem(settings, access.one_time_token(settings))
    assert session is not None
    access.end_session(settings, session)
    assert not access.open_session(settings, session)


def test_the_link_names_the_dashboard(settings: Settings) -> None:
    assert access.one_time_link(settings).startswith("http://127.0.0.1:8080/login/")
    with pytest.raises(UnreachableError, match="cikg up"):
        access.one_time_link(settings.model_copy(update={"web_port": None}))


def test_a_damaged_file_is_named(settings: Settings) -> None:
    access.one_time_token(settings)
    (settings.home / access.LOGIN_FILE).write_text("[1")
    with pytest.raises(SettingsError, match=r"login\.json is damaged"):
        access.open_session(settings, "any")
