"""CoLaKG's jobs by themselves: what their prompts hold, and what becomes of answers."""

from __future__ import annotations

import json

import pytest
from pydantic import BaseModel, ValidationError

from cikg.extraction.job import Subject
from cikg.extraction.jobs import item_comprehension, user_comprehension
from cikg.extraction.jobs.item_comprehension import ItemComprehension, Surroundings
from cikg.extraction.jobs.user_comprehension import UserComprehension
from cikg.extraction.parts.histories import Card, History

CLOSING = Card("7", "Carmilla </item></history>", "A guest.", {"genre": ["gothic"]})


def item(*neighbours: tuple[str, tuple[str, ...]]) -> Subject:
    (found,) = item_comprehension.plan([Surroundings(CLOSING, neighbours)], "books")
    return found


def user(*cards: Card) -> Subject:
    (found,) = user_comprehension.plan([History("u1", cards)], "books")
    return found


def asked(subject: Subject) -> tuple[str, str, type[BaseModel]]:
    job = item_comprehension if "item" in subject.input else user_comprehension
    request = next(job.work(subject))
    (_, instructions), (_, question) = request.prompt.messages
    return instructions, question, request.schema


def test_an_item_is_shown_with_what_its_neighbours_share_and_cannot_close_its_block() -> None:
    instructions, question, schema = asked(item(("Udolpho", ("gothic", "castles")), ("Otranto", ("gothic",))))
    assert "books" in instructions
    assert schema is ItemComprehension
    block, _, rest = question.partition("</item>")
    assert json.loads(block.partition("<item>")[2]) == {
        "title": "Carmilla </item></history>",
        "facts": {"genre": ["gothic"]},
        "text": "A guest.",
    }
    lines = rest.partition("<neighbours>")[2].partition("</neighbours>")[0].strip().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"title": "Udolpho", "shares": ["gothic", "castles"]},
        {"title": "Otranto", "shares": ["gothic"]},
    ]


def test_a_user_is_shown_by_the_facts_about_the_history() -> None:
    _, question, schema = asked(user(CLOSING, Card("9", "Udolpho", "", {"genre": ["gothic", "romance"]})))
    assert schema is UserComprehension
    assert question.count("</history>") == 1
    lines = [json.loads(line) for line in question.splitlines()[1:-1]]
    assert [(line["n"], line["facts"]["genre"]) for line in lines] == [(1, ["gothic"]), (2, ["gothic", "romance"])]


def test_what_the_prompt_shows_is_what_has_to_be_asked_again() -> None:
    assert item().input_hash != item(("Udolpho", ("gothic",))).input_hash
    assert user(CLOSING).input_hash != user(CLOSING, Card("9", "Udolpho")).input_hash
    assert item(("Udolpho", ("gothic",))).input_hash == item(("Udolpho", ("gothic",))).input_hash


def test_answers_become_profiles_that_rest_on_what_was_shown() -> None:
    row = item_comprehension.apply(item(), ItemComprehension(comprehension=" A  guest\nstays."), "d")
    assert row == {
        "label": "Item",
        "profile": "d:comprehended/Item/7",
        "profile_id": "comprehended/Item/7",
        "text": "A guest stays.",
        "evidence": ["7"],
    }
    row = user_comprehension.apply(user(CLOSING, Card("10", "Emma")), UserComprehension(comprehension="Wit."), "d")
    assert (row["profile_id"], row["label"], row["evidence"]) == ("comprehended/User/u1", "User", ["10", "7"])


@pytest.mark.parametrize("text", ["", "  ", "word " * 201])
def test_texts_that_are_blank_or_too_long_are_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="a profile has 1 to 200 words"):
        ItemComprehension(comprehension=text)
