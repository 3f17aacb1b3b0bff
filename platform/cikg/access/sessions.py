"""Sessions of the dashboard, and the one-time links that begin them, kept as hashes in `<home>/login.json`.

Whoever can run `cikg login` on this home may log in, as the operator: the file is readable by its owner alone. A link
works once and for a quarter of an hour. What is stored is the SHA-256 of 32 random bytes, so reading the file logs
nobody in. An account's session begins with its password instead.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cikg.errors import SettingsError, UnreachableError
from cikg.files import write_file
from cikg.settings import Settings

LOGIN_FILE = "login.json"
LINK_SECONDS = 15 * 60
SESSION_SECONDS = 12 * 60 * 60

_Kept = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Session:
    """An open session.

    Attributes:
        account: whose it is; None for the operator's, who came by a link.
        since: when it began, in seconds since 1970.
    """

    account: str | None
    since: float


def one_time_link(settings: Settings) -> str:
    """Make a link that logs one person in once.

    Raises:
        UnreachableError: the dashboard's port is not known, so it does not run.
    """
    address = settings.web_address
    if address is None:
        raise UnreachableError(
            "the dashboard is not running",
            cure="Start it with `cikg up`, or set CIKG_WEB_PORT to the port it listens on",
        )
    return f"{address}/login/{one_time_token(settings)}"


def one_time_token(settings: Settings) -> str:
    """Make a token that `redeem` takes once."""
    return _remember(settings, "links", LINK_SECONDS)


def redeem(settings: Settings, token: str) -> str | None:
    """Use a token up and begin a session; return the session's secret, or None if the token is used, old or wrong."""
    if _digest(token) not in _read(settings.home / LOGIN_FILE)["links"]:  # strangers must not make us lock and write
        return None
    with _kept(settings) as kept:
        if kept["links"].pop(_digest(token), {}).get("until", 0) <= time.time():
            return None
    return begin_session(settings, None)


def begin_session(settings: Settings, account: str | None) -> str:
    """Begin a session of an account, or (None) of the operator; return its secret."""
    return _remember(settings, "sessions", SESSION_SECONDS, account=account)


def open_session(settings: Settings, secret: str) -> Session | None:
    """The session with this secret; None if it is unknown, ended or expired."""
    found = _read(settings.home / LOGIN_FILE)["sessions"].get(_digest(secret))
    if found is None or found["until"] <= time.time():
        return None
    return Session(found["account"], found["since"])


def end_session(settings: Settings, secret: str) -> None:
    """Forget a session, wherever its cookie may be."""
    with _kept(settings) as kept:
        kept["sessions"].pop(_digest(secret), None)


def _remember(settings: Settings, kind: str, seconds: float, **facts: Any) -> str:
    secret, now = secrets.token_urlsafe(32), time.time()
    with _kept(settings) as kept:
        kept[kind][_digest(secret)] = {"since": now, "until": now + seconds, **facts}
    return secret


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(path: Path) -> _Kept:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    try:
        stored = json.loads(text) if text else {}
        return {kind: _usable(stored.get(kind, {})) for kind in ("links", "sessions")}
    except (ValueError, AttributeError, TypeError, KeyError) as error:
        raise SettingsError(f"{path} is damaged", cure="Remove it; everyone then logs in anew") from error


def _usable(entries: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: {**entry, "until": float(entry["until"])} for key, entry in entries.items()}


@contextmanager
def _kept(settings: Settings) -> Iterator[_Kept]:
    """The file's content, to be changed: locked against other processes, replaced as a whole, without what expired."""
    path = settings.home / LOGIN_FILE
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise SettingsError(
            f"{settings.home} cannot be written: {error.strerror}", cure="Set CIKG_HOME to a directory of yours"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = _read(path)
        yield kept
        now = time.time()
        alive = {
            kind: {key: entry for key, entry in entries.items() if entry["until"] > now}
            for kind, entries in kept.items()
        }
        write_file(path, json.dumps(alive).encode())
    finally:
        os.close(lock)
