"""What a prepared import would make of files: the format that fits, the guesses, and what is wrong in a sentence."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from cikg.datasets.prepared.intake import Intake, Intakes
from cikg.datasets.prepared.proposal import Proposal, Reader, propose
from cikg.datasets.reading import source
from cikg.settings import Settings

Look = Callable[..., Proposal]
ROWS = [(f"u{n % 9}", f"i{n % 7}", n % 5 + 1, 1_400_000_000 + n) for n in range(63)]
FILMS = "movieId,title,genres\n" + "".join(
    f'i{n},"Film {n}, The",{"Drama|War" if n % 2 else "War"}\n' for n in range(7)
)


def table(delimiter: str = ",", header: str = "userId,movieId,rating,timestamp") -> str:
    rows = "".join(delimiter.join(map(str, row)) + "\n" for row in ROWS)
    return (header.replace(",", delimiter) + "\n" if header else "") + rows


@pytest.fixture
def intakes(tmp_path: Path) -> Intakes:
    return Intakes(Settings(home=tmp_path))


@pytest.fixture
def look(intakes: Intakes) -> Look:
    def send(files: dict[str, bytes], **wanted: object) -> Proposal:
        with intakes.receive("ann") as made:
            for name, content in files.items():
                made.put(name, io.BytesIO(content))
        made.change(**wanted)
        return propose(Reader(intakes, made))

    return send


VARIANTS = {
    "commas": table().encode(),
    "semicolons": table(";").encode(),
    "tabs": table("\t").encode(),
    "byte-order mark": b"\xef\xbb\xbf" + table(";").encode(),
    "latin-1": table(";", "Käufer_userId;Stück_movieId;rating;timestamp").encode("latin-1"),
    "other names": table(",", "customer,sku,stars,when").encode(),
    "no header": table("\t", "").encode(),
    "Windows": table(";").replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_columns_are_found_however_they_are_written(look: Look, variant: str) -> None:
    found = look({"ratings.csv": VARIANTS[variant]}, format="table")
    assert found.problem is None and found.preview is not None and found.mapping is not None
    assert found.preview.rejected == 0
    assert found.preview.found["users"] == 9 and found.preview.found["interactions"] == 63
    assert found.preview.rows[0]["user"] == "u0" and found.preview.rows[0]["time"].startswith("2014-05-13")
    assert found.dataset == "ratings"


def test_an_answer_changes_what_becomes_of_it(look: Look) -> None:
    files = {"ratings.csv": table(";").encode(), "movies.csv": FILMS.encode()}
    found = look(files, answers={"ratings.csv: rating": "-", "movies.csv: facts": "-", "ratings.csv: nothing": "x"})
    assert found.preview is not None and found.format == "table"
    assert found.preview.rows[0]["rating"] == "" and found.preview.found["facts"] == 0
    asked = {question.key: question for question in found.questions}
    assert asked["ratings.csv: rating"].guess == "-"
    assert asked["ratings.csv: user"].columns == ("userId", "movieId", "rating", "timestamp")
    assert "movies.csv: facts.genres" not in asked


def test_an_answer_that_cannot_be_is_told_and_the_guess_counts(look: Look) -> None:
    found = look({"ratings.csv": table().encode()}, format="table", answers={"ratings.csv: rating": "ratting"})
    (question,) = (each for each in found.questions if each.key == "ratings.csv: rating")
    assert (question.guess, question.problem) == ("rating", "there is no column 'ratting'; did you mean 'rating'?")
    encoded = look({"ratings.csv": table().encode()}, format="table", answers={"ratings.csv: encoding": "klingon"})
    assert "found 'klingon'" in str([each.problem for each in encoded.questions])


def test_what_cannot_be_guessed_is_asked_for(look: Look) -> None:
    files = {"a.csv": b"x,y\n" + b"".join(b"%d.5,%d.25\n" % (n, n) for n in range(50))}
    found = look(files, format="table")
    assert found.problem is not None and "user: the answer cannot be guessed" in found.problem[0]
    settled = look(files, format="table", answers={"a.csv: user": "x", "a.csv: item": "y"})
    assert settled.problem is None
    same = look(files, format="table", answers={"a.csv: user": "x", "a.csv: item": "x"})
    assert same.problem is not None and "cannot be the same column" in same.problem[0]
    assert [each.guess for each in same.questions][-2:] == ["x", "x"], "and it can be corrected"


PROBLEMS = {
    "empty": (b"", "a.csv: the file is empty"),
    "a header alone": (b"user,item\n", None),
    "binary": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.csv: it is not text: it contains zero bytes"),
    "UTF-16": ("user,item\nann,emma\n".encode("utf-16"), "a.csv: it is UTF-16 text"),
    "one column": (b"user\nann\nben\n", "a.csv has only one column"),
    "no line ends": (b"x" * 3_000, "a.csv:1: the line is longer than 2,000 bytes"),
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_what_is_no_table_is_told_in_a_sentence(look: Look, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LONGEST_LINE", 2_000)
    content, said = PROBLEMS[kind]
    found = look({"a.csv": content})
    assert found.problem is not None and found.preview is None
    assert said is None or found.problem[0].startswith(said)
    assert "/uploads/" not in str(found.problem), "files have the names that they were sent under"


def test_rows_that_look_wrong_are_shown(look: Look) -> None:
    bad = table() + "u1,i1,five,1400000000\n,i2,3,1400000000\nu1,i1\n"
    found = look({"ratings.csv": bad.encode()}, format="table")
    assert found.preview is not None
    assert [(one.line, one.reason, one.row) for one in found.preview.wrong] == [
        (65, "expected a number as rating, found 'five'", "u1,i1,five,1400000000"),
        (66, "the user is missing", ",i2,3,1400000000"),
        (67, "expected 4 columns, found 2", "u1,i1"),
    ]


def test_of_several_formats_the_one_that_names_the_files(look: Look) -> None:
    numbered = {"train.txt": b"0 0 1\n1 1 2\n", "test.txt": b"0 2\n1 0\n"}
    maps = dict.fromkeys(("user_map.txt", "item_map.txt"), b"org_id remap_id\na 0\nb 1\nc 2\n")
    assert (look(numbered).format, look(numbered | maps).format) == ("cikgrec", "colakg")


def test_a_preview_in_which_no_row_can_be_used_shows_them_all(look: Look) -> None:
    found = look({"ratings.csv": table().encode()}, format="table", answers={"ratings.csv: rating": "userId"})
    assert found.problem is None and found.preview is not None
    assert (found.preview.read, found.preview.rejected, found.preview.found["interactions"]) == (63, 63, 0)


def test_a_published_format_is_found_out(look: Look) -> None:
    movielens = {"ml/ratings.csv": table().encode(), "ml/movies.csv": FILMS.encode()}
    found = look(movielens)
    assert (found.format, found.fits, found.dataset) == ("movielens", ["movielens"], "ml")
    assert found.preview is not None and found.preview.rows[0]["name"] == "Film 0, The" and not found.questions
    as_table = look(movielens, format="table")
    assert as_table.format == "table" and as_table.fits == ["movielens"] and as_table.questions
    semicolons = look({"ratings.csv": table(";").encode(), "movies.csv": FILMS.encode()})
    assert semicolons.format == "table", "its columns are those of MovieLens, its layout is not"


def test_a_wrong_folder_says_what_was_expected_and_found(look: Look) -> None:
    found = look({"ratings.csv": table().encode()}, format="yelp")
    assert found.problem is not None
    assert found.problem[0] == "what was sent holds ratings.csv"
    assert "yelp_academic_dataset_business.json" in str(found.problem[1])


def test_a_mapping_that_was_sent_counts(look: Look) -> None:
    mapping = 'field = "films"\n[interactions]\nfile = "ratings.csv"\nuser = "movieId"\nitem = "userId"\n'
    found = look({"ratings.csv": table().encode(), "mine.toml": mapping.encode()})
    assert found.format == "table" and found.preview is not None and not found.questions
    assert (found.preview.rows[0]["user"], found.preview.rows[0]["item"]) == ("i0", "u0")
    wrong = look({"ratings.csv": table().encode(), "mine.toml": mapping.replace("userId", "user_id").encode()})
    assert wrong.problem is not None and wrong.problem[1] == "Did you mean 'userId'?"


def test_nothing_was_sent(intakes: Intakes) -> None:
    made: Intake = intakes.create("ann")
    assert propose(Reader(intakes, made)).problem == ("nothing was sent yet", "Choose files, or a folder of files")


def test_the_demo_needs_no_files(intakes: Intakes) -> None:
    found = propose(Reader(intakes, intakes.create("ann", format="demo")))
    assert (found.problem, found.format, found.dataset) == (None, "demo", "demo")
