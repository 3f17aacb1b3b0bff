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


@given(st.text())
def test_a_type_is_always_safe_and_never_one_of_ours(relation: str) -> None:
    try:
        made = relationship_type(relation)
    except InputError:
        assert not re.search(r"[A-Za-z0-9]", relation.strip().rstrip("/#").split("/")[-1].split("#")[-1])
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
