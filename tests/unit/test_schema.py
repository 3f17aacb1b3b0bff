"""Names of datasets, keys and relationship types, for whatever text a dataset holds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cikg.datasets.tables import relation_types
from cikg.errors import InputError
from cikg.schema import Relationship, dataset_name, relationship_type, uid

NAMES = st.from_regex(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", fullmatch=True)
TYPE = re.compile(r"[A-Z][A-Z0-9_]*")


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("http://dbpedia.org/ontology/literaryGenre", "LITERARY_GENRE"),
        ("http://www.w3.org/2000/01/rdf-schema#seeAlso", "SEE_ALSO"),
        ("book.written_work.author", "BOOK_WRITTEN_WORK_AUTHOR"),
        ("literary genre", "LITERARY_GENRE"),
        ("interacted", "FACT_INTERACTED"),
        ("1st edition", "FACT_1ST_EDITION"),
        ("A`]->() DETACH DELETE n //", "A_DETACH_DELETE_N"),
    ],
)
def test_relation_names_become_types(relation: str, expected: str) -> None:
    assert relationship_type(relation) == expected


def test_names_without_latin_letters_have_types_of_their_own() -> None:
    names = ["类型", "жанр", "год 1", "жанр 1", "http://library/ŝ/жанры"]
    made = [relationship_type(name) for name in names]
    assert len(set(made)) == len(names) and all(re.fullmatch(r"FACT_[0-9A-F]{8}", one) for one in made)
    assert relationship_type(" http://library/类型/ ") == relationship_type("类型") == "FACT_0A0F55D9", "for ever"
    assert relationship_type("2000") == "FACT_2000"


@given(st.text())
def test_a_type_is_always_safe_and_never_one_of_ours(relation: str) -> None:
    try:
        made = relationship_type(relation)
    except InputError:
        local = relation.strip().rstrip("/#").split("/")[-1].split("#")[-1]
        assert not re.search(r"[A-Za-z0-9]", local) and not any(map(str.isalnum, local))
        return
    assert TYPE.fullmatch(made)
    assert made not in Relationship.__members__


@given(st.sets(st.sampled_from(["a/genre", "http://b/genre", "http://c/genre", "genre 2", "Genre", "GENRE_2", "x"])))
def test_two_relations_never_share_a_type(relations: set[str]) -> None:
    types = relation_types(relations)
    assert types.keys() == relations
    assert len(set(types.values())) == len(relations)
    assert all(TYPE.fullmatch(made) for made in types.values())


def test_the_first_of_equal_relations_keeps_the_plain_type() -> None:
    assert relation_types(["http://b/genre", "http://a/genre"]) == {
        "http://a/genre": "GENRE",
        "http://b/genre": "GENRE_2",
    }


@given(NAMES, NAMES, st.text(min_size=1), st.text(min_size=1))
def test_keys_are_unambiguous(first: str, second: str, one: str, other: str) -> None:
    assert dataset_name(first) == first
    assert (uid(first, one) == uid(second, other)) == ((first, one) == (second, other))


@pytest.mark.parametrize("name", ["", "A", "a b", "a:b", "-a", "a.", "../a", "x" * 65, "a\n", "é"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot be the name of a dataset"):
        dataset_name(name)
