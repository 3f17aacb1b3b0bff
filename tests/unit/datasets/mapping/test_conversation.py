"""The wizard: what it makes of files that nobody described, and that every guess can be corrected."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from cikg.datasets.formats.table import read
from cikg.datasets.mapping.conversation import Question, Talk, agree, answer, converse, mapping_path
from cikg.datasets.mapping.inspection import look
from cikg.datasets.mapping.model import Mapping, load_mapping, render
from cikg.datasets.mapping.preview import Preview, Wrong, preview
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.tabular import Dialect
from cikg.datasets.tables import collect
from cikg.errors import InputError

Row = list[object]
GENRES = ("Drama", "Comedy", "War", "Noir", "Musical")


def file(path: Path, rows: list[Row], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    quoted = [[f'"{value}"' if delimiter in str(value) else str(value) for value in row] for row in rows]
    path.write_text("\n".join(delimiter.join(row) for row in quoted) + "\n", encoding=encoding)
    return path


def log(seed: int = 0, count: int = 400) -> Iterator[tuple[int, int, float, int]]:
    """User, item, rating and time of some interactions."""
    generator = random.Random(seed)
    for _ in range(count):
        time = generator.randrange(900_000_000, 1_500_000_000)
        yield generator.randrange(60), generator.randrange(100), generator.randrange(1, 11) / 2, time


def proposed(*files: Path) -> Mapping:
    mapping, _ = agree(converse(files, files[0].parent))
    return mapping


def columns(mapping: Mapping, section: str = "interactions") -> dict[str, str | int]:
    (part,) = getattr(mapping, section)
    found: dict[str, str | int] = part.columns()
    return found


SPELLINGS = [
    ("userId,movieId,rating,timestamp", "movies"),
    ("User-ID,ISBN,Book-Rating,date", "books"),
    ("reviewerID,asin,overall,unixReviewTime", "products"),
    ("steam_user_id,app_id,score,created_at", "games"),
    ("customer,sku,stars,when", "products"),
    ("uid,iid,weight,ts", "items"),
    ("visitor_id,article_id,rating,time", "articles"),
]


@pytest.mark.parametrize(("header", "field"), SPELLINGS)
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_columns_by_their_names_in_any_order(tmp_path: Path, header: str, field: str, order: tuple[int, ...]) -> None:
    names = header.split(",")
    rows: list[Row] = [[row[place] for place in order] for row in log()]
    path = file(tmp_path / "data.csv", [[names[place] for place in order], *rows])
    mapping = proposed(path)
    assert columns(mapping) == dict(zip(("user", "item", "rating", "time"), names, strict=True))
    assert (mapping.field, mapping.interactions[0].time_format) == (field, "seconds")


def test_columns_without_names_by_their_values(tmp_path: Path) -> None:
    path = file(tmp_path / "u.data", [list(row) for row in log()], "\t")
    mapping = proposed(path)
    assert columns(mapping) == {"user": 1, "item": 2, "rating": 3, "time": 4}
    assert (mapping.interactions[0].header, mapping.interactions[0].delimiter) == (False, "\t")
    shuffled = file(tmp_path / "shuffled.csv", [[time, rating, user, item] for user, item, rating, time in log()])
    assert columns(proposed(shuffled)) == {"user": 3, "item": 4, "rating": 2, "time": 1}


def test_names_that_nobody_knows(tmp_path: Path) -> None:
    rows: list[Row] = [[f"k{user}", f"z{item}", rating] for user, item, rating, _ in log()]
    assert columns(proposed(file(tmp_path / "a.csv", [["foo", "bar", "baz"], *rows]))) == {
        "user": "foo", "item": "bar", "rating": "baz"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (",userId,movieId,rating,timestamp,", ["userId", "movieId", "rating", "timestamp"]),
        (",foo,bar,baz,when,", ["foo", "bar", "baz", "when"]),
        (",userId,movieId,value,value,", ["userId", "movieId", 4, 5]),
    ],
)
def test_a_header_in_which_names_are_missing(tmp_path: Path, header: str, found: list[str | int]) -> None:
    """Some programs number the rows in a column without a name, or end every line with a delimiter."""
    rows = [[number, f"k{user}", f"z{item}", *more, ""] for number, (user, item, *more) in enumerate(log())]
    mapping = proposed(file(tmp_path / "a.csv", [[*header.split(",")], *rows]))
    assert mapping.interactions[0].header is True
    assert columns(mapping) == dict(zip(("user", "item", "rating", "time"), found, strict=True))
    assert preview(mapping, tmp_path / "a.toml").rejected == 0


def test_rows_that_are_numbered_hold_no_ids(tmp_path: Path) -> None:
    """Neither where there is nothing but text, nor in a file that describes items or users."""
    rows = [[number, f"k{user}", f"z{item}"] for number, (user, item, *_) in enumerate(log())]
    plays = file(tmp_path / "plays.csv", [["", "who", "what"], *rows])
    assert columns(proposed(plays)) == {"user": "who", "item": "what"}
    titles = file(tmp_path / "t.csv", [["", "key", "title"], *([n, f"z{n}", f"Title {n}"] for n in range(100))])
    mapping = proposed(plays, titles)
    assert columns(mapping, "items") == {"id": "key", "name": "title"}


@pytest.mark.parametrize("first", [["k1", "z1", ""], ["k1", "", "z2"], ["k1", "z1", "2020-01-01"], ["k1", "k1", "x"]])
def test_a_first_row_that_is_data(tmp_path: Path, first: Row) -> None:
    rows: list[Row] = [[f"k{user}", f"z{item}", "2020-01-02"] for user, item, *_ in log()]
    if first[2] in ("x", "z2"):
        rows = [[f"k{user}", f"k{item}", f"z{item}"] for user, item, *_ in log()]
    assert look(file(tmp_path / "a.csv", [first, *rows])).dialect == Dialect(header=False)


TIMES: list[tuple[str, Callable[[int], object]]] = [
    ("milliseconds", lambda time: time * 1000),
    ("iso", lambda time: datetime.fromtimestamp(time, UTC).isoformat()),
    ("iso", lambda time: datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")),
    ("%d.%m.%Y", lambda time: datetime.fromtimestamp(time, UTC).strftime("%d.%m.%Y")),
    ("%m/%d/%Y", lambda time: datetime.fromtimestamp(time, UTC).strftime("%m/%d/%Y")),
    ("%m %d, %Y", lambda time: datetime.fromtimestamp(time, UTC).strftime("%m %d, %Y")),
    ("%d/%m/%Y %H:%M", lambda time: datetime.fromtimestamp(time, UTC).strftime("%d/%m/%Y %H:%M")),
    ("%m/%d/%Y %H:%M", lambda time: datetime.fromtimestamp(time, UTC).strftime("%m/%d/%Y %H:%M")),
]


@pytest.mark.parametrize(("written", "show"), TIMES, ids=[f"{number} {name}" for number, (name, _) in enumerate(TIMES)])
def test_how_times_are_written(tmp_path: Path, written: str, show: Callable[[int], object]) -> None:
    rows: list[Row] = [[user, item, show(time)] for user, item, _, time in log()]
    path = file(tmp_path / "a.csv", [["user", "item", "seen"], *rows])
    mapping = proposed(path)
    assert (columns(mapping)["time"], mapping.interactions[0].time_format) == ("seen", written)
    day = datetime.fromtimestamp(next(log())[3], UTC).strftime("%Y-%m-%d")
    assert preview(mapping, mapping_path(path)).rows[0]["time"].startswith(day)


def films() -> list[Row]:
    generator = random.Random(1)
    return [[item, f"Film {item}, The", "|".join(generator.sample(GENRES, item % 3 + 1))] for item in range(100)]


def test_several_files_find_their_parts(tmp_path: Path) -> None:
    ratings = file(tmp_path / "ratings.csv", [["userId", "movieId", "rating", "timestamp"], *map(list, log())])
    movies = file(tmp_path / "movies.csv", [["movieId", "title", "genres"], *films()], ";", "latin-1")
    people = file(tmp_path / "people.csv", [["userId", "username"], *([user, f"Ann {user}"] for user in range(60))])
    graph = file(tmp_path / "kg.csv", [["head", "relation", "tail"], [1, "sequel", 2], [2, "set in", "Oz"]])
    mapping = proposed(movies, ratings, people, graph)
    assert columns(mapping) == {"user": "userId", "item": "movieId", "rating": "rating", "time": "timestamp"}
    assert columns(mapping, "items") == {"id": "movieId", "name": "title", "facts.genre": "genres"}
    assert columns(mapping, "users") == {"id": "userId", "name": "username"}
    assert columns(mapping, "facts") == {"head": "head", "relation": "relation", "tail": "tail"}
    assert mapping.items[0].facts["genre"].separator == "|"
    path = tmp_path / "movies.toml"
    path.write_text(render(mapping), encoding="utf-8")
    source = Source(path)
    tables = collect(read(source), source)
    assert source.rejections == 0 and load_mapping(path) == mapping
    assert tables.counts()["items"] == 100 and tables.counts()["relations"] == 3
    assert {entity.name for entity in tables.entities} == {*GENRES, "Oz"}
    (first, *_) = preview(mapping, path).rows
    assert first["name"].startswith("Film ") and first["facts"].startswith("genre: ")


def test_whose_ids_a_file_lists_says_what_it_holds(tmp_path: Path) -> None:
    heard: list[Row] = [[f"L{user}", f"pod-{item}", rating, time] for user, item, rating, time in log()]
    listens = file(tmp_path / "listens.csv", [["listener", "podcast_id", "stars", "heard_at"], *heard])
    podcasts = file(
        tmp_path / "podcasts.csv", [["podcast_id", "title"], *([f"pod-{n}", f"Show {n}"] for n in range(100))]
    )
    people = file(tmp_path / "people.csv", [["listener", "name"], *([f"L{n}", f"Ann {n}"] for n in range(60))])
    mapping = proposed(people, listens, podcasts)
    assert columns(mapping, "items") == {"id": "podcast_id", "name": "title"}
    assert columns(mapping, "users") == {"id": "listener", "name": "name"}
    assert mapping.field == "podcasts"


def test_one_log_that_describes_its_items(tmp_path: Path) -> None:
    described = {row[0]: row[1:] for row in films()}
    rows: list[Row] = [[user, item, *described[item], rating, random.Random(time).choice(("Lisbon", "Oslo"))]
                       for user, item, rating, time in log()]  # fmt: skip
    path = file(tmp_path / "log.csv", [["customer", "sku", "product_name", "categories", "stars", "store"], *rows])
    mapping = proposed(path)
    assert columns(mapping) == {"user": "customer", "item": "sku", "rating": "stars"}
    assert columns(mapping, "items") == {"id": "sku", "name": "product_name", "facts.category": "categories"}, (
        "the store differs from row to row: it is about the purchase"
    )
    source = Source(mapping_path(path))
    mapping_path(path).write_text(render(mapping), encoding="utf-8")
    assert collect(read(source), source).counts()["interactions"] > 300 and source.rejections == 0


def test_parquet_with_lists(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "user_id": [str(user) for user, *_ in log()],
            "item_id": [item for _, item, *_ in log()],
            "at": [datetime.fromtimestamp(time, UTC) for *_, time in log()],
            "tags": [["a", "b"] if item % 2 else ["b"] for _, item, *_ in log()],
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    mapping = proposed(tmp_path / "log.parquet")
    assert columns(mapping) == {"user": "user_id", "item": "item_id", "time": "at"}
    assert columns(mapping, "items") == {"id": "item_id", "facts.tag": "tags"}
    found = preview(mapping, tmp_path / "log.toml")
    assert found.rejected == 0 and found.rows[0]["facts"] in ("tag: b", "tag: a, b")


def test_words_for_nothing_and_quotes_that_are_none(tmp_path: Path) -> None:
    rows: list[Row] = [[user, item, "NULL" if item % 3 == 0 else rating] for user, item, rating, _ in log()]
    mapping = proposed(file(tmp_path / "a.csv", [["user", "item", "rating"], *rows]))
    assert mapping.interactions[0].null == ("", "NULL")
    assert preview(mapping, tmp_path / "a.toml").rejected == 0
    rows = [[user, item, '"Great" cats', rating] for user, item, rating, _ in log()]
    mapping = proposed(file(tmp_path / "b.tsv", [["user", "item", "title", "rating"], *rows], "\t"))
    assert mapping.interactions[0].quote == ""
    assert preview(mapping, tmp_path / "b.toml").rows[0]["name"] == '"Great" cats'


def test_splits_by_their_values(tmp_path: Path) -> None:
    rows: list[Row] = [[user, item, "dev" if item % 9 == 0 else "train"] for user, item, *_ in log()]
    assert columns(proposed(file(tmp_path / "a.csv", [["user", "item", "part"], *rows])))["split"] == "part"


def correcting(**answers: str) -> Callable[[Question], str]:
    """Somebody who agrees but for some questions."""

    def reply(question: Question) -> str:
        key = question.key.partition(": ")[2] or question.key
        return answers.get(key, question.guess or "")

    return reply


def test_every_guess_can_be_corrected(tmp_path: Path) -> None:
    rows: list[Row] = [[user, item, time, rating, "x;y"] for user, item, rating, time in log()]
    path = file(tmp_path / "a.csv", [["a", "b", "c", "d", "genres"], *rows])
    reply = correcting(
        user="b", item="1", rating="-", time="c", time_format="milliseconds", name="d", facts="genres", field="films",
        **{"facts.genres": ";"},
    )  # fmt: skip
    mapping, _ = answer(converse([path], tmp_path), reply)
    assert columns(mapping) == {"user": "b", "item": "a", "time": "c"}
    assert (mapping.field, mapping.interactions[0].time_format) == ("films", "milliseconds")
    assert columns(mapping, "items") == {"id": "a", "name": "d", "facts.genre": "genres"}
    assert mapping.items[0].facts["genre"].separator == ";"


def test_how_a_file_is_read_can_be_corrected(tmp_path: Path) -> None:
    path = file(tmp_path / "a.csv", [["u", "i"], ["a", "x"], ["b", "y"], ["c", "x"]])
    reply = {"a.csv": "no", "a.csv: delimiter": ",", "a.csv: encoding": "latin-1", "a.csv: header": "no"}
    mapping, _ = answer(converse([path], tmp_path), lambda question: reply.get(question.key, question.guess or ""))
    (part,) = mapping.interactions
    assert (part.header, part.encoding, part.user, part.item) == (False, "latin-1", 1, 2)
    assert preview(mapping, tmp_path / "a.toml").rows[0]["user"] == "u"


def test_what_a_file_holds_can_be_corrected(tmp_path: Path) -> None:
    ratings = file(tmp_path / "r.csv", [["user", "item"], *([user, item] for user, item, *_ in log())])
    other = file(tmp_path / "notes.csv", [["item", "note"], [1, "a"], [2, "b"]])
    reply = {"notes.csv: holds": "nothing"}
    talk = converse([ratings, other], tmp_path)
    mapping, asked = answer(talk, lambda question: reply.get(question.key, question.guess or ""))
    assert mapping.items == () and "notes.csv: id" not in {question.key for question in asked}
    with pytest.raises(InputError, match="none of the files holds interactions"):
        answer(converse([ratings, other], tmp_path), correcting(holds="nothing"))


def test_an_answer_that_cannot_be_is_asked_again(tmp_path: Path) -> None:
    path = file(tmp_path / "a.csv", [["user", "item", "rating"], *([*row[:3]] for row in log())])
    talk: Talk[Mapping] = converse([path], tmp_path)
    assert next(talk).choices == ("yes", "no")
    assert talk.send("maybe").problem == "expected one of yes, no, found 'maybe'"
    assert talk.send("yes").key == "a.csv: user"
    assert talk.send("usr").problem == "there is no column 'usr'; did you mean 'user'?"
    assert talk.send("-").problem == "there is no column '-' among user, item, rating"
    assert talk.send("user").key == "a.csv: item"
    assert talk.send("item").key == "a.csv: rating"
    assert talk.send("-").key == "a.csv: time"
    assert talk.send("rating").text.startswith("How is the time written?")
    assert "or a format" in str(talk.send("soon").problem)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["user"], ["a"], ["b"]], "has only one column. Interactions need a column of users and one of items"),
        (
            [["user", "rating"], ["a", 1.5], ["b", 2.5], ["a", 1.5]],
            "item: the answer cannot be guessed. The columns are user, rating",
        ),
        ([["user", "item"]], "it has no row that can be read"),
        ([], "the file is empty"),
    ],
)
def test_a_file_with_too_little(tmp_path: Path, rows: list[Row], said: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    with pytest.raises(InputError) as error:
        proposed(path)
    assert said in str(error.value)


def test_the_user_is_not_the_item(tmp_path: Path) -> None:
    path = file(tmp_path / "a.csv", [["user", "item"], ["a", "x"], ["b", "y"]])
    with pytest.raises(InputError, match="cannot be the same column"):
        answer(converse([path], tmp_path), correcting(item="user"))
    with pytest.raises(InputError, match="is not a file"):
        proposed(tmp_path / "none.csv")


def test_a_preview_says_what_would_be_rejected(tmp_path: Path) -> None:
    path = file(tmp_path / "a.csv", [["user", "item", "rating"], ["a", "x", 1], ["b", "y", "?!"], ["c", "y", 2]])
    mapping, _ = answer(converse([path], tmp_path), correcting(rating="rating"))
    assert preview(mapping, tmp_path / "a.toml") == Preview(
        rows=[
            {"user": "a", "item": "x", "name": "", "rating": "1", "time": "", "split": "train", "facts": ""},
            {"user": "c", "item": "y", "name": "", "rating": "2", "time": "", "split": "train", "facts": ""},
        ],
        read=3,
        rejected=1,
        wrong=[Wrong("a.csv", 3, "expected a number as rating, found '?!'", "b,y,?!")],
        found={"users": 2, "items": 2, "entities": 0, "interactions": 2, "facts": 0},
        complete=True,
    )


def test_where_a_mapping_is_written(tmp_path: Path) -> None:
    names = ("ratings.csv", "ratings.csv.gz", "ratings.parquet", "u.data")
    assert [mapping_path(tmp_path / name).name for name in names] == ["ratings.toml"] * 3 + ["u.toml"]
