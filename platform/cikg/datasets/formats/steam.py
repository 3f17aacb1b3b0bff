"""The Steam datasets of UC San Diego: lines that Python printed, of games, of users' libraries, or of reviews.

================================  =====================================================================================
`australian_users_items.json`     a user's games a line. Users by `user_id`; the rating is the hours played
`steam_reviews.json`,             a review a line. Users by `username`, the rating is the hours played where they are
`steam_new.json`                  given, and the date
`steam_games.json`                what is known of the games: name, and as facts `genre`, `tag`, `spec`, `developer`,
                                  `publisher` and `year` of release
================================  =====================================================================================

The path is the file of libraries or of reviews, or a folder with one of them; `steam_games.json` beside it is read too.
Hours do not measure liking: an owned game that was never started has 0. User names may hold anything; invisible
characters and blanks at the ends are left out of them. `australian_user_reviews.json` and bundles are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cikg.datasets.reading import loose
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import Entities, bare_name, date_seconds, identifier, plain, unfamiliar, words
from cikg.datasets.records import Format, Interaction, Item, Record, User

EXPECTED = (
    "australian_users_items.json, steam_reviews.json or steam_new.json, or a folder with one of them and optionally "
    "steam_games.json"
)
GAMES = "steam_games.json"
FACTS = {"genres": "genre", "tags": "tag", "specs": "spec", "developer": "developer", "publisher": "publisher"}
MINUTES = 60

_Played = tuple[str, str, str, float | None, int | None]
"""User, game, the game's name if it is given, hours, and time."""


def read(source: Source) -> Iterator[Record]:
    """Yield games and what is known of them, then users and further games where they are first named, and interactions.

    Raises:
        InputError: the path holds neither libraries nor reviews, or both.
    """
    file, reader = _chosen(source)
    games: set[str] = set()
    if described := Source(file.parent).optional(GAMES):
        yield from _games(source, described, games)
    users: set[str] = set()
    for user, game, name, hours, at in reader(source, file):
        if user not in users:
            users.add(user)
            yield User(user)
        if game not in games:
            games.add(game)
            yield Item(game, plain(name) or game)
        yield Interaction(user, game, rating=hours, at=at)


def _chosen(source: Source) -> tuple[Path, Callable[[Source, Path], Iterator[_Played]]]:
    """The file to read and its reader.

    Raises:
        InputError: there is none, or more than one.
    """
    readers = {"australian_users_items": _libraries, "steam_reviews": _reviews, "steam_new": _reviews}
    files = sorted(source.path.iterdir()) if source.path.is_dir() else [source.path]
    found = {name: file for file in files if file.is_file() and (name := _stem(file)) in readers}
    if not found:
        raise unfamiliar(source.path, EXPECTED)
    if len(found) > 1:
        source.wrong(
            f"the folder has several files to choose from: {', '.join(sorted(found))}",
            cure="Give the path of one of them",
        )
    name, file = found.popitem()
    return file, readers[name]


def _stem(file: Path) -> str:
    return bare_name(file).removesuffix(".json")


def _games(source: Source, file: Path, games: set[str]) -> Iterator[Record]:
    """Games and facts. In the published file two have no id, and one is described twice; the first counts."""
    entities = Entities()
    for row in loose.objects(source, file):
        game = row.get("id")
        if not isinstance(game, str):
            source.reject("expected a game with an id")
            continue
        if game in games:
            continue
        games.add(game)
        name = row.get("app_name") or row.get("title")
        yield Item(game, plain(name) or game if isinstance(name, str) else game)
        for key, relation in FACTS.items():
            yield from entities.facts(game, relation, map(plain, _texts(row.get(key))))
        released = row.get("release_date")
        if isinstance(released, str) and released[:4].isdecimal():
            yield from entities.facts(game, "year", [released[:4]])


def _texts(value: Any) -> list[str]:
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]


def _libraries(source: Source, file: Path) -> Iterator[_Played]:
    for row in loose.objects(source, file):
        try:
            user = identifier(row["user_id"])
            played = [
                (
                    user,
                    identifier(game["item_id"]),
                    str(game["item_name"]),
                    float(game["playtime_forever"]) / MINUTES,
                    None,
                )
                for game in row["items"]
            ]
        except (KeyError, TypeError, ValueError):
            source.reject("expected user_id, and items with item_id, item_name and playtime_forever")
            continue
        yield from played


def _reviews(source: Source, file: Path) -> Iterator[_Played]:
    for row in loose.objects(source, file):
        try:
            user, game, hours = words(identifier(row["username"])), identifier(row["product_id"]), row.get("hours")
            rating, at = None if hours is None else float(hours), date_seconds(row["date"])
        except (KeyError, TypeError, ValueError):
            source.reject("expected username, product_id and date, and a number of hours")
            continue
        yield user, game, "", rating, at


FORMAT = Format(
    name="steam",
    help="The Steam dumps of UC San Diego: australian_users_items.json, steam_reviews.json or steam_new.json, with "
    "steam_games.json beside it.",
    read=read,
    field="games",
)
