"""Plain tables: what a mapping makes of them, in every dialect, and one clear sentence for each mistake in it."""

from __future__ import annotations

import gzip
import math
import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from cikg.datasets.formats.table import read
from cikg.datasets.mapping.model import SECTIONS, Mapping, load_mapping, render
from cikg.datasets.reading.source import Source
from cikg.datasets.records import Entity, Fact, HasInterest, Interaction, Interest, Item, Record, User
from cikg.datasets.tables import collect
from cikg.errors import InputError
from cikg.schema import Split

RATINGS = "userId,movieId,rating,timestamp\nann,10,4.5,1112486027\nann,11,,\nben,10,3,1112484676\n"
MOVIES = 'movieId,title,genres\n10,"Toy, ""Story""",Animation|Comedy\n11,Jumanji,(none)\n'
MAPPING = """
field = "movies"

[interactions]
file = "ratings.csv"
user = "userId"
item = "movieId"
rating = "rating"
time = "timestamp"

[items]
file = "movies.csv"
null = ["", "(none)"]
id = "movieId"
name = "title"
facts = { genre = { column = "genres", separator = "|" } }
"""
EXPECTED: list[Record] = [
    Item("10", 'Toy, "Story"'),
    Entity("genre:Animation", "Animation"),
    Fact("10", "genre", "genre:Animation"),
    Entity("genre:Comedy", "Comedy"),
    Fact("10", "genre", "genre:Comedy"),
    Item("11", "Jumanji"),
    User("ann"),
    Interaction("ann", "10", rating=4.5, at=1112486027),
    Interaction("ann", "11"),
    User("ben"),
    Interaction("ben", "10", rating=3.0, at=1112484676),
]


def folder(path: Path, mapping: str = MAPPING, **files: str | bytes) -> Path:
    """Write a mapping and its files (`ratings_csv="…"`); returns the mapping."""
    given = {"ratings_csv": RATINGS, "movies_csv": MOVIES, **files}
    for name, content in given.items():
        data = content if isinstance(content, bytes) else content.encode()
        (path / name.replace("_", ".")).write_bytes(data)
    (path / "mapping.toml").write_text(mapping, encoding="utf-8")
    return path / "mapping.toml"


def records(mapping: Path) -> list[Record]:
    return list(read(Source(mapping)))


def interactions(path: Path, csv: str | bytes, keys: str = "", user: str = "u", item: str = "i") -> list[Interaction]:
    """The interactions of one file."""
    text = f'[interactions]\nfile = "ratings.csv"\nuser = "{user}"\nitem = "{item}"\n{keys}\n'
    source = Source(folder(path, text, ratings_csv=csv))
    return [record for record in read(source) if isinstance(record, Interaction)]


def test_two_files(tmp_path: Path) -> None:
    source = Source(folder(tmp_path))
    assert list(read(source)) == EXPECTED
    assert (source.rows, source.rejections, source.field) == (5, 0, "movies")


def test_a_mapping_with_a_byte_order_mark(tmp_path: Path) -> None:
    mapping = folder(tmp_path)
    mapping.write_text(MAPPING, encoding="utf-8-sig")
    assert records(mapping) == EXPECTED


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gz", "zst"])
def test_packed_files(tmp_path: Path, pack: Any) -> None:
    ending = {gzip.compress: "gz", zstandard.compress: "zst"}[pack]
    mapping = folder(tmp_path, MAPPING.replace("ratings.csv", f"ratings.csv.{ending}"))
    (tmp_path / f"ratings.csv.{ending}").write_bytes(pack(RATINGS.encode()))
    assert records(mapping) == EXPECTED


@pytest.mark.parametrize("delimiter", ["\t", ";", "|", "::"])
def test_the_delimiter_is_found_out(tmp_path: Path, delimiter: str) -> None:
    mapping = folder(tmp_path, ratings_csv=RATINGS.replace(",", delimiter))
    assert records(mapping) == EXPECTED


def test_parquet_in_any_types(tmp_path: Path) -> None:
    mapping = folder(tmp_path, MAPPING.replace(".csv", ".parquet").replace(', separator = "|"', ""))
    pl.DataFrame(
        {
            "more": [1, 2, 3],
            "timestamp": [datetime(2005, 4, 2, 23, 53, 47), None, datetime(2005, 4, 2, 23, 31, 16)],
            "userId": ["ann", "ann", "ben"],
            "rating": [4.5, None, 3.0],
            "movieId": [10.0, 11.0, 10.0],
        }
    ).write_parquet(tmp_path / "ratings.parquet")
    pl.DataFrame(
        {"movieId": [10, 11], "title": ['Toy, "Story"', "Jumanji"], "genres": [["Animation", "Comedy"], []]}
    ).write_parquet(tmp_path / "movies.parquet")
    assert records(mapping) == EXPECTED


def test_parquet_of_a_name_with_brackets(tmp_path: Path) -> None:
    (tmp_path / "part [1]").mkdir()
    mapping = folder(tmp_path / "part [1]", '[interactions]\nfile = "r[0].parquet"\nuser = "u"\nitem = "i"\n')
    pl.DataFrame({"u": ["a"], "i": ["x"]}).write_parquet(mapping.parent / "r[0].parquet")
    assert records(mapping)[-1] == Interaction("a", "x")


def test_what_is_not_a_number_in_parquet_is_missing(tmp_path: Path) -> None:
    text = '[interactions]\nfile = "r.parquet"\nuser = "u"\nitem = "i"\nrating = "r"\n[items]\nfile = "i.parquet"\n'
    mapping = folder(tmp_path, text + 'id = "i"\nfacts = { year = "year" }\n')
    rows = {"u": [1.0, math.nan, 2.0], "i": [7, 7, 8], "r": [math.nan, 5.0, 4.5]}
    pl.DataFrame(rows).write_parquet(tmp_path / "r.parquet")
    pl.DataFrame({"i": [7, 8], "year": [1994.0, math.nan]}).write_parquet(tmp_path / "i.parquet")
    source = Source(mapping)
    assert list(read(source)) == [
        Item("7", "7"), Entity("year:1994", "1994"), Fact("7", "year", "year:1994"), Item("8", "8"),
        User("1"), Interaction("1", "7"), User("2"), Interaction("2", "8", rating=4.5),
    ]  # fmt: skip
    assert [(one.line, one.reason) for one in source.rejected] == [(2, "the user is missing")]


def test_decimals_of_parquet_are_numbers(tmp_path: Path) -> None:
    mapping = folder(tmp_path, '[interactions]\nfile = "r.parquet"\nuser = "u"\nitem = "i"\nrating = "r"\n')
    frame = pl.DataFrame({"u": ["7.00"], "i": ["12"], "r": ["4.50"]})
    frame.cast({"u": pl.Decimal(38, 2), "i": pl.Decimal(38, 0), "r": pl.Decimal(5, 2)}).write_parquet(
        tmp_path / "r.parquet"
    )
    assert records(mapping)[-1] == Interaction("7", "12", rating=4.5)


def test_parquet_is_read_in_batches_and_rejects_by_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cikg.datasets.reading.tabular.BATCH", 2)
    mapping = folder(tmp_path, '[interactions]\nfile = "r.parquet"\nuser = "u"\nitem = "i"\nrating = "r"\n')
    frame = pl.DataFrame({"u": ["a", "b", None, "d", "e"], "i": [1] * 5, "r": ["1", "2", "3", "many", "5"]})
    frame.write_parquet(tmp_path / "r.parquet")
    source = Source(mapping)
    found = [record.user for record in read(source) if isinstance(record, Interaction)]
    assert found == ["a", "b", "e"]
    assert [(one.line, one.reason) for one in source.rejected] == [
        (3, "the user is missing"),
        (4, "expected a number as rating, found 'many'"),
    ]


def test_columns_by_number_mean_no_header(tmp_path: Path) -> None:
    text = '[interactions]\nfile = "ratings.csv"\nuser = 1\nitem = 2\nrating = 3\ntime = 4\n'
    source = Source(folder(tmp_path, text, ratings_csv="196\t242\t3\t881250949\n186\t302\t3\t891717742\n"))
    assert list(read(source)) == [
        User("196"), Item("242", "242"), Interaction("196", "242", rating=3, at=881250949),
        User("186"), Item("302", "302"), Interaction("186", "302", rating=3, at=891717742),
    ]  # fmt: skip
    assert source.rows == 2


@pytest.mark.parametrize(
    ("encoding", "title"),
    [("utf-8", "Amélie 書"), ("utf-8-sig", "Amélie"), ("cp1252", "Amélie – 8½"), ("latin-1", "é\x81")],
)
def test_the_encoding_is_found_out(tmp_path: Path, encoding: str, title: str) -> None:
    mapping = folder(tmp_path, movies_csv=f"movieId,title,genres\n10,{title},\n11,x,\n".encode(encoding))
    assert Item("10", title) in records(mapping)


def test_quotes_that_are_only_characters(tmp_path: Path) -> None:
    mapping = MAPPING.replace('null = ["", "(none)"]', 'quote = ""\ndelimiter = "\\t"')
    written = folder(tmp_path, mapping, movies_csv='movieId\ttitle\tgenres\n10\t"Great" Cats\t\n11\t"\t\n')
    assert {Item("10", '"Great" Cats'), Item("11", '"')} < set(records(written))


NOON = int(datetime(2020, 3, 4, 12, tzinfo=UTC).timestamp())


@pytest.fixture
def tokyo() -> Iterator[None]:
    """The process is in another time zone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("written", "key", "seconds"),
    [
        ("1583323200", "", NOON),
        ("1583323200.9", "", NOON),
        ("-5", 'time_format = "seconds"', -5),
        ("1583323200000", "", NOON),
        ("1583323200500", 'time_format = "milliseconds"', NOON),
        ("5000", 'time_format = "milliseconds"', 5),
        ("2020-03-04T12:00:00Z", "", NOON),
        ("2020-03-04 12:00:00", "", NOON),
        ("2020-03-04T14:00:00+02:00", 'time_format = "iso"', NOON),
        ("2020-03-04", "", NOON - 43_200),
        ("20200304", 'time_format = "%Y%m%d"', NOON - 43_200),
        ("04.03.2020 12:00", 'time_format = "%d.%m.%Y %H:%M"', NOON),
        ("Wed Mar 04 14:00:00 +0200 2020", 'time_format = "%a %b %d %H:%M:%S %z %Y"', NOON),
        ("", "", None),
    ],
)
def test_times_are_in_utc_wherever_they_are_read(
    *, tmp_path: Path, tokyo: None, written: str, key: str, seconds: int | None
) -> None:
    assert [one.at for one in interactions(tmp_path, f"u,i,t\na,1,{written}\n", f'time = "t"\n{key}')] == [seconds]


@pytest.mark.parametrize(
    ("kept", "key", "seconds"),
    [
        (pl.Series([20200304]), "", NOON - 43_200),
        (pl.Series([20200304.0]), "", NOON - 43_200),
        (pl.Series([20200304]), 'time_format = "%Y%m%d"', NOON - 43_200),
        (pl.Series([20200304]), 'time_format = "seconds"', 20200304),
        (pl.Series(["1583323200"]).cast(pl.Decimal(38, 0)), "", NOON),
        (pl.Series([1583323200000]), "", NOON),
        (pl.Series([1583323200.9]), "", NOON),
        (pl.Series([math.nan]), "", None),
    ],
)
def test_a_number_of_parquet_is_the_time_that_it_would_be_in_a_csv(
    tmp_path: Path, kept: pl.Series, key: str, seconds: int | None
) -> None:
    text = f'[interactions]\nfile = "r.parquet"\nuser = "u"\nitem = "i"\ntime = "t"\n{key}\n'
    mapping = folder(tmp_path, text)
    pl.DataFrame({"u": ["a"], "i": ["x"], "t": kept}).write_parquet(tmp_path / "r.parquet")
    assert records(mapping)[-1] == Interaction("a", "x", at=seconds)


def test_a_date_of_parquet_is_its_midnight(tmp_path: Path) -> None:
    mapping = folder(tmp_path, '[interactions]\nfile = "r.parquet"\nuser = "u"\nitem = "i"\ntime = "t"\n')
    pl.DataFrame({"u": ["a"], "i": ["x"], "t": [date(2020, 3, 4)]}).write_parquet(tmp_path / "r.parquet")
    assert records(mapping)[-1] == Interaction("a", "x", at=NOON - 43_200)


def test_rows_that_cannot_be_used_are_rejected_with_their_line(tmp_path: Path) -> None:
    rows = ["u,i,r,t,s", "a,1,5,1,train", "a,,5,1,train", "a,2,many,1,train", "a,3,nan,1,train", "a,4,5,soon,train",
            "a,5,5,1,later", "a,6,5", "b,7,5,1,val"]  # fmt: skip
    text = '[interactions]\nfile = "ratings.csv"\nuser = "u"\nitem = "i"\nrating = "r"\ntime = "t"\nsplit = "s"\n'
    source = Source(folder(tmp_path, text, ratings_csv="\n".join(rows)))
    found = [record for record in read(source) if isinstance(record, Interaction)]
    assert [(one.item, one.split) for one in found] == [("1", Split.TRAIN), ("7", Split.VALID)]
    assert [(one.line, one.reason) for one in source.rejected] == [
        (3, "the item is missing"),
        (4, "expected a number as rating, found 'many'"),
        (5, "expected a number as rating, found 'nan'"),
        (6, "expected a time as seconds or ISO 8601, found 'soon'"),
        (7, "expected train, valid or test, found 'later'"),
        (8, "expected 5 columns, found 3"),
    ]


def test_a_file_for_each_split(tmp_path: Path) -> None:
    parts = [
        f'[[interactions]]\nfile = "{name}.csv"\nuser = "u"\nitem = "i"\nsplit_is = "{name}"\n'
        for name in ("train", "test")
    ]
    mapping = folder(tmp_path, "\n".join(parts), train_csv="u,i\na,1\n", test_csv="u,i\na,2\n")
    found = [record for record in records(mapping) if isinstance(record, Interaction)]
    assert [(one.item, one.split) for one in found] == [("1", Split.TRAIN), ("2", Split.TEST)]


def test_one_file_that_says_everything(tmp_path: Path) -> None:
    """A log names its items and users in every row: the first one counts."""
    text = (
        '[interactions]\nfile = "ratings.csv"\nuser = "u"\nitem = "i"\n'
        '[items]\nfile = "ratings.csv"\nid = "i"\nname = "title"\nfacts = { brand = "brand" }\n'
        '[users]\nfile = "ratings.csv"\nid = "u"\nname = "who"\n'
    )
    log = "u,who,i,title,brand\na,Ann,1,Tea,Acme\na,Ann,2,Cup,Acme\nb,Ben,1,Tea (new),Acme\n"
    source = Source(folder(tmp_path, text, ratings_csv=log))
    tables = collect(read(source), source)
    assert source.rejections == 0
    assert tables.users == [User("a", "Ann"), User("b", "Ben")]
    assert tables.items == [Item("1", "Tea"), Item("2", "Cup")]
    assert tables.entities == [Entity("brand:Acme", "Acme")]
    assert (len(tables.interactions.split), tables.counts()["facts"]) == (3, 2)


def test_what_is_not_in_its_table_is_rejected_and_what_has_none_is_made(tmp_path: Path) -> None:
    text = MAPPING + (
        '[users]\nfile = "users.csv"\nid = "id"\nname = "name"\n'
        '[interests]\nfile = "likes.csv"\nuser = "user"\ninterest = "what"\nname = "name"\n'
        '[entities]\nfile = "people.csv"\nkind = "person"\nid = "id"\nname = "name"\n'
        '[[facts]]\nfile = "cast.csv"\nhead = "movie"\nrelation_is = "actor"\ntail = "person"\ntail_kind = "person"\n'
        '[[facts]]\nfile = "links.csv"\nhead = "a"\nrelation = "how"\ntail = "b"\n'
    )
    mapping = folder(
        tmp_path,
        text,
        users_csv="id,name\nann,Ann\n",
        likes_csv="user,what,name\nann,n,Night\nben,n,Night\n",
        people_csv="id,name\n10,Tom\n",
        cast_csv="movie,person\n10,10\n11,99\n12,10\n",
        links_csv="a,how,b\n10,sequel,11\n10,place,Oz\n",
    )
    source = Source(mapping)
    tables = collect(read(source), source)
    assert tables.users == [User("ann", "Ann")]
    assert {entity.id: entity.name for entity in tables.entities if not entity.id.startswith("genre")} == {
        "person:10": "Tom", "Oz": "Oz", "12": "12"
    }  # fmt: skip
    assert tables.interests == [Interest("n", "Night")] and tables.counts()["interest_edges"] == 1
    assert {relation: len(pairs.source_index) for relation, pairs in tables.facts.items()} == {
        "actor": 2, "genre": 2, "place": 1, "sequel": 1
    }  # fmt: skip
    assert [(one.file.name, one.line, one.reason) for one in source.rejected] == [
        ("ratings.csv", 4, "an interaction names a user 'ben' that the dataset does not have"),
        ("cast.csv", 3, "a fact names an entity 'person:99' that the dataset does not have"),
        ("likes.csv", 3, "an interest edge names a user 'ben' that the dataset does not have"),
    ]


def test_interests_make_users(tmp_path: Path) -> None:
    text = '[interactions]\nfile = "ratings.csv"\nuser = "userId"\nitem = "movieId"\n[interests]\nfile = "likes.csv"\n'
    mapping = folder(tmp_path, text + "user = 1\ninterest = 2\n", likes_csv="cleo,7\nann,7\n")
    assert records(mapping)[-4:] == [User("cleo"), Interest("7"), HasInterest("cleo", "7"), HasInterest("ann", "7")]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("userId", "userid2"), "interactions.user: {}/ratings.csv has no column 'userid2'; its columns are userId, "
         "movieId, rating, timestamp. Did you mean 'userId'?"),
        (('"userId"', "9"), "interactions.user: {}/ratings.csv has only 4 columns, and no column 9"),
        (('"userId"', "0"), "interactions.user: expected the name of a column, or its number from 1, found 0"),
        (('"userId"', "true"), "interactions.user: expected the name of a column, or its number from 1, found true"),
        (("user =", "usr ="), "the key interactions.usr is unknown. Did you mean 'user'?"),
        (('user = "userId"\n', ""), "the key interactions.user is missing"),
        (("[interactions]", "[interaction]"), "the key interaction is unknown. Did you mean 'interactions'?"),
        (("ratings.csv", "rating.csv"), "interactions.file: there is no file {}/rating.csv. Did you mean "
         "'ratings.csv'?"),
        (("column =", "colunm ="), "the key items.facts.genre.colunm is unknown. Did you mean 'column'?"),
        (('"genres"', '"genre"'), "items.facts.genre: {}/movies.csv has no column 'genre'; its columns are movieId, "
         "title, genres. Did you mean 'genres'?"),
        (("time =", 'time_format = "secs"\ntime ='), "interactions.time_format: expected seconds, milliseconds, iso, "
         'or a format such as %d.%m.%Y, found "secs"'),
        (("time =", 'split = "a"\nsplit_is = "test"\ntime ='), "interactions: expected the key 'split' (a column) or "
         "'split_is' (for the whole file), found both"),
        (("time =", 'split_is = "best"\ntime ='), 'interactions.split_is: expected train, valid or test, found "best"'),
        (("time =", 'encoding = "utf-9"\ntime ='), 'interactions.encoding: expected an encoding such as utf-8'),
        (("time =", 'encoding = "utf-16"\ntime ='), 'interactions.encoding: expected an encoding such as utf-8'),
        (("time =", 'header = "yes"\ntime ='), 'interactions.header: expected a valid boolean, found "yes"'),
        (("[items]", "[facts]\nfile = 'movies.csv'\nhead = 1\ntail = 2\n[items]"), "facts: expected the key 'relation' "
         "(a column) or 'relation_is' (for all), found neither"),
        (("[interactions]", "[interactions"), "it is not a mapping in TOML: "),
        (('field = "movies"', 'items = 3\nfield = "movies"'), "it is not a mapping in TOML: "),
        (('field = "movies"', 'users = 3\nfield = "movies"'), "users: expected a section with keys, found 3"),
    ],
    ids=lambda value: value[1][:30] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_each_mistake_in_a_mapping_is_one_sentence(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert change[0] in MAPPING
    mapping = folder(tmp_path, MAPPING.replace(*change, 1))
    with pytest.raises(InputError) as error:
        records(mapping)
    assert str(error.value).startswith(f"{mapping}: {said.format(tmp_path)}")
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"ratings_csv": ""}, "ratings.csv: the file is empty"),
        ({"ratings_csv": "a,a\n1,2\n"}, "has 2 columns named 'a'. Give its number from 1"),
        ({"ratings_csv": RATINGS.encode("utf-16")}, "ratings.csv: it is UTF-16 text. Save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, files: dict[str, str | bytes], said: str) -> None:
    mapping = folder(tmp_path, MAPPING.replace("userId", "a"), **files)
    with pytest.raises(InputError) as error:
        records(mapping)
    assert said in str(error.value)


def test_parquet_that_is_none_or_packed_again(tmp_path: Path) -> None:
    mapping = folder(tmp_path, MAPPING.replace("ratings.csv", "r.parquet"))
    (tmp_path / "r.parquet").write_text("no")
    with pytest.raises(InputError, match=r"r\.parquet: it cannot be read as Parquet"):
        records(mapping)
    mapping = folder(tmp_path, MAPPING.replace("ratings.csv", "r.parquet.gz"))
    (tmp_path / "r.parquet.gz").write_text("no")
    with pytest.raises(InputError, match=r"cannot be read from \.gz. Unpack it first"):
        records(mapping)


def test_the_data_itself_is_no_mapping(tmp_path: Path) -> None:
    folder(tmp_path)
    with pytest.raises(InputError, match=r"`cikg import wizard \S+ratings\.csv` writes a mapping for it"):
        records(tmp_path / "ratings.csv")
    with pytest.raises(InputError, match="it cannot be read: No such file"):
        records(tmp_path / "none.toml")


TABLES = Path(__file__).parents[4] / "docs" / "tables.md"


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", TABLES.read_text(encoding="utf-8"), re.DOTALL))
def test_the_documented_mappings_are_mappings(tmp_path: Path, example: str) -> None:
    (tmp_path / "m.toml").write_text(example, encoding="utf-8")
    assert load_mapping(tmp_path / "m.toml").interactions


def test_every_key_is_documented() -> None:
    text = TABLES.read_text(encoding="utf-8")
    for section, part in SECTIONS.items():
        assert f"`[{section}]`" in text
        assert all(f"`{key}`" in text for key in part.model_fields), section


def test_a_mapping_is_written_as_it_is_read(tmp_path: Path) -> None:
    odd = {
        "field": 'say "hi"\\',
        "interactions": [
            {"file": "a\tb.csv", "delimiter": "\t", "user": 'us"er', "item": 2, "null": ["", "\\N"]},
            {"file": "ü.csv", "user": "\x7f", "item": "i", "split_is": "test"},
        ],
        "items": [{"file": "f", "id": 1, "facts": {"a b": {"column": "c", "separator": "|"}, "d": 3, "ü": "x"}}],
    }
    mapping = Mapping.model_validate(odd)
    (tmp_path / "m.toml").write_text(render(mapping), encoding="utf-8")
    assert load_mapping(tmp_path / "m.toml") == mapping
