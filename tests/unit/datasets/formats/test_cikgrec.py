"""The CIKGRec reader: what it makes of a folder, and where it says a folder is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from cikg.datasets.formats.cikgrec import FORMAT, readable
from cikg.datasets.reading.source import Source
from cikg.datasets.tables import SPLITS, Tables, collect
from cikg.errors import InputError
from tests.unit.datasets.folders import write


def tables(folder: Path) -> Tables:
    return collect(FORMAT.read(Source(folder)))


def interactions(found: Tables) -> set[tuple[str, str, str]]:
    table = found.interactions
    return {
        (found.users[user].id, found.items[item].id, str(SPLITS[split]))
        for user, item, split in zip(table.user_index, table.item_index, table.split, strict=True)
    }


def facts(found: Tables) -> set[tuple[str, str, str]]:
    return {
        (found.things[head].id, found.types[relation], found.things[tail].id)
        for relation, pairs in found.facts.items()
        for head, tail in zip(pairs.source_index, pairs.target_index, strict=True)
    }


def test_a_whole_folder(tmp_path: Path) -> None:
    found = tables(write(tmp_path))
    assert [user.id for user in found.users] == ["u-10", "u-20", "u-30", "u-40"]
    assert {item.id: item.name for item in found.items} == {
        "0002": "Snow: A Tale of Two",
        "0010": "Dragonfly in Amber (novel)",
        "7": "Snow",
        "9": "9",
    }
    assert {entity.id: entity.name for entity in found.entities} == {
        "http://dbpedia.org/resource/Am%C3%A9lie": "Amélie",
        "entity:7": "7",
    }
    assert interactions(found) == {
        *{("u-10", item, "train") for item in ("0002", "0010", "7")},
        *{("u-20", item, "train") for item in ("0010", "7")},
        ("u-40", "0002", "train"),
        ("u-10", "9", "test"),
        ("u-20", "0002", "test"),
    }
    amelie = "http://dbpedia.org/resource/Am%C3%A9lie"
    assert facts(found) == {
        ("0002", "LITERARY_GENRE", amelie),
        ("0010", "LITERARY_GENRE_2", amelie),
        ("7", "BOOK_AUTHOR", "entity:7"),
        ("entity:7", "BOOK_AUTHOR", amelie),
    }
    assert [interest.id for interest in found.interests] == ["6", "8"]
    assert found.duplicates == {"nodes": 0, "interactions": 1, "facts": 1, "interest_edges": 1}


def test_an_item_that_the_list_does_not_name_is_called_by_its_address_or_id(tmp_path: Path) -> None:
    listed = "org_id remap_id entity_name\n0002 0 None\n0010 1 None\n7 2 None of Us\n9 3\n"
    addresses = "0002 0\nhttp://dbpedia.org/resource/Dragonfly_in_Amber 1\n"
    found = tables(write(tmp_path, item_list=listed, entity_list=addresses, kg_final=None))
    assert [item.name for item in found.items] == ["0002", "Dragonfly in Amber", "None of Us", "9"]


def test_only_the_interactions_are_needed(tmp_path: Path) -> None:
    absent = dict.fromkeys(
        ("user_list", "item_list", "entity_list", "relation_list", "kg_final", "user_interest_clustered")
    )
    found = tables(write(tmp_path, **absent))
    assert [user.id for user in found.users] == ["0", "1", "2", "3"]
    assert {item.id: item.name for item in found.items} == {number: number for number in "0123"}
    assert (found.entities, found.facts, found.interests) == ([], {}, [])


def test_a_graph_without_lists_keeps_its_numbers(tmp_path: Path) -> None:
    found = tables(write(tmp_path, item_list=None, entity_list=None, relation_list=None, user_list=None))
    assert {entity.id for entity in found.entities} == {"4", "5"}
    assert ("0", "RELATION_0", "4") in facts(found)


def test_lists_may_lack_a_header_and_have_windows_line_ends(tmp_path: Path) -> None:
    found = tables(write(tmp_path, user_list="﻿10 0\r\n20 1\r\n30 2\r\n40 3\r\n"))
    assert [user.id for user in found.users] == ["10", "20", "30", "40"]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://dbpedia.org/resource/Dragonfly_in_Amber", "Dragonfly in Amber"),
        ("http://dbpedia.org/resource/Face/Off", "Face/Off"),
        ("http://dbpedia.org/resource/100%25_Wolf", "100% Wolf"),
        ("http://www.w3.org/2002/07/owl#Thing", "Thing"),
        ("http://x.org/", "x.org"),
        ("Bad Habits: A 100% Fact_Free Book", "Bad Habits: A 100% Fact_Free Book"),
        ("http://dbpedia.org/class/yago/WikicatNovelsByMichaelConnelly", "Novels by Michael Connelly"),
        ("http://dbpedia.org/class/yago/Wikicat1960sFantasyNovels", "1960s Fantasy Novels"),
        ("http://dbpedia.org/class/yago/SpeechAct107160883", "Speech Act"),
        ("http://dbpedia.org/resource/Category:1951_American_novels", "1951 American novels"),
    ],
)
def test_addresses_become_names(address: str, name: str) -> None:
    assert readable(address) == name


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        ({"train": None}, "train.txt", "is missing"),
        ({"test": None}, "test.txt", "is missing"),
        ({"item_list": "org remap\n1 0\n2 1\n1 2\n4 3\n"}, "item_list.txt:4", "'1' is already in line 2"),
        ({"item_list": "org remap\n1 0\n2 1\n3 1\n"}, "item_list.txt:4", "number 1 is already taken by '2'"),
        ({"user_list": "org remap\nu 0\nu 1\n"}, "user_list.txt:3", "'u' is already in line 2"),
    ],
)
def test_what_makes_a_folder_unusable_is_named_with_its_place(
    tmp_path: Path, change: dict[str, str | None], place: str, reason: str
) -> None:
    with pytest.raises(InputError) as caught:
        tables(write(tmp_path, **change))
    assert f"{tmp_path / place}" in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        ({"train": "0 1\n1 x\n"}, "train.txt:2", "found 'x'"),
        ({"train": "0 1\n1 -2\n"}, "train.txt:2", "not a whole number"),
        ({"train": "0 1\n1 1_0\n"}, "train.txt:2", "not a whole number"),
        ({"train": "0 1\n1 ٣\n"}, "train.txt:2", "not a whole number"),
        ({"train": f"0 1\n1 {'9' * 5000}\n"}, "train.txt:2", "not a whole number"),
        ({"test": "0 3\n1 9\n"}, "test.txt:2", "item 9 is not in item_list.txt"),
        ({"test": "0 3\n9 3\n"}, "test.txt:2", "user 9 is not in user_list.txt"),
        ({"test": "0 3\n1 2\n"}, "test.txt:2", "item 2 of user 1 is also in train.txt"),
        ({"item_list": "org remap\n1 0\n2 1\n3 2\n4 3\n5\n"}, "item_list.txt:6", "expected `org_id remap_id`"),
        ({"user_list": "o r\nu-0 0\nu-1 1\nu-2 2\nu-3 3\nu\x01 4\n"}, "user_list.txt:6", "cannot be the id"),
        ({"entity_list": "org remap\na 4\nb 5\nb b\n"}, "entity_list.txt:4", "expected `org_id remap_id`"),
        ({"kg_final": "0 0 4\n0 4\n"}, "kg_final.txt:2", "three numbers: head, relation, tail, found 2 columns"),
        ({"kg_final": "0 0 4\n0 0 99\n"}, "kg_final.txt:2", "entity 99 is not in entity_list.txt"),
        ({"kg_final": "0 0 4\n0 7 4\n"}, "kg_final.txt:2", "relation 7 is not in relation_list.txt"),
        ({"user_interest_clustered": "0 6\n0 6 1\n"}, "user_interest_clustered.txt:2", "two numbers"),
        ({"user_interest_clustered": "0 6\n9 6\n"}, "user_interest_clustered.txt:2", "user 9 is not in"),
        (
            {"user_interest_clustered": "0 6\n0 5\n"},
            "user_interest_clustered.txt:2",
            "above 5, the largest of an entity",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_and_nothing_else(
    tmp_path: Path, change: dict[str, str | None], place: str, reason: str
) -> None:
    source = Source(write(tmp_path / "bad", **change))
    found = collect(FORMAT.read(source), source)
    (rejected,) = source.rejected
    assert f"{rejected.file}:{rejected.line}" == f"{tmp_path / 'bad' / place}"
    assert reason in rejected.reason and rejected.row

    ((name, content),) = change.items()
    lines = (content or "").splitlines(keepends=True)
    mended = write(tmp_path / "mended", **{name: "".join(lines[: rejected.line - 1] + lines[rejected.line :])})
    assert found.digest() == tables(mended).digest()


def test_of_a_history_only_the_items_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    source = Source(write(tmp_path, train="0 0 77 1 88\n3 0\n", test="0 1 3 2\n1 0\n"))
    found = interactions(collect(FORMAT.read(source), source))
    assert found == {
        *{("u-10", item, "train") for item in ("0002", "0010")},
        ("u-40", "0002", "train"),
        *{("u-10", item, "test") for item in ("9", "7")},
        ("u-20", "0002", "test"),
    }
    assert [(rejected.file.name, rejected.line) for rejected in source.rejected] == [("train.txt", 1), ("test.txt", 1)]


def test_a_fact_without_a_usable_relation_is_rejected_where_it_stands(tmp_path: Path) -> None:
    source = Source(write(tmp_path, relation_list="org remap\n… 0\nauthor 1\ngenre 2\n"))
    assert set(collect(FORMAT.read(source), source).facts) == {"author", "genre"}
    ((place, row),) = [((rejected.file.name, rejected.line), rejected.row) for rejected in source.rejected]
    assert (place, row) == (("kg_final.txt", 1), "0 0 4")


def test_text_in_another_encoding_is_rejected_with_its_line(tmp_path: Path) -> None:
    write(tmp_path)
    names = (tmp_path / "item_list.txt").read_bytes()
    (tmp_path / "item_list.txt").write_bytes(names + b"11 9 caf\xe9\n")
    source = Source(tmp_path)
    assert len(collect(FORMAT.read(source), source).items) == 4
    assert [(rejected.line, rejected.reason) for rejected in source.rejected] == [(7, "the line is not UTF-8 text")]


def test_rows_are_counted(tmp_path: Path) -> None:
    source = Source(write(tmp_path))
    collect(FORMAT.read(source), source)
    assert source.rows == 4 + 2 + 4 + 4 + 6 + 3 + 5 + 4


def test_a_path_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        tables(tmp_path / "nowhere")


def test_interests_are_named_after_what_sets_their_holders_apart(tmp_path: Path) -> None:
    """Everybody chose item 0, so it tells nothing; two holders chose 1, and one of them 2; item 3 is held out."""
    folder = write(
        tmp_path,
        train="0 0 1\n1 0 1 2\n2 0\n3 0\n",
        test="0 3\n1 3\n",
        item_list="0 0 Everywhere\n1 1 First\n2 2 Second\n3 3 Held out\n",
        entity_list=None,
        user_interest_clustered="0 6\n1 6\n3 7\n",
    )
    assert {interest.id: interest.name for interest in tables(folder).interests} == {
        "6": "Around First and Second",
        "7": None,
    }
