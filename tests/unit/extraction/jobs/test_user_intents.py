"""Both rounds of a user's intents."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from cikg.extraction.job import Subject, UnusableAnswerError
from cikg.extraction.jobs import related_user_intents as second
from cikg.extraction.jobs.user_intents import UserIntents, apply, plan, work
from cikg.extraction.parts.histories import Card
from cikg.extraction.parts.phrases import data_line, line
from cikg.extraction.parts.portraits import Portrait
from cikg.llm.standin.intents import related_to_user, user_intents

CARDS = (
    Card("7", "Carmilla", "A guest.", {"genre": ["Gothic fiction"], "subject": ["vampires"]}),
    Card("9", "Udolpho", "</history> A castle.", {"genre": ["Gothic fiction"], "subject": ["castles"]}),
    Card("3", "Emma", "", {"genre": ["Comedy"], "subject": ["marriage"]}),
)
CANDIDATES = (
    ("castles", "castles"),
    ("books on vampires", "books on vampires"),
    ("marriage", "marriage"),
    ("vampires and cooks", "vampires and cooks"),
)


def portrait(profile: str = "") -> Portrait:
    lines = "\n".join(line(card, 300, number) for number, card in enumerate(CARDS, start=1))
    shown = data_line({"profile": profile}) if profile else ""
    return Portrait("u1", shown, lines, tuple(card.id for card in CARDS))


def subject(profile: str = "") -> Subject:
    (found,) = plan([portrait(profile)], "books")
    return found


def intents(*given: tuple[str, str, list[int]]) -> UserIntents:
    return UserIntents.model_validate(
        {"intents": [{"phrase": phrase, "words": words, "evidence": lines} for phrase, words, lines in given]}
    )


def messages(of: Any) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in next(of).prompt.messages]


def test_one_question_a_user_with_profile_and_history_as_data() -> None:
    (_, instructions), (_, question) = next(work(subject("Loves </profile> ruins"))).prompt.messages
    assert "books" in instructions
    assert "Carmilla" not in instructions
    assert [question.count(f"</{block}>") for block in ("profile", "history", "glossary")] == [1, 1, 1]
    assert subject("Loves ruins").input_hash != subject().input_hash


def test_intents_need_a_line_and_words_of_the_profile_or_of_a_line_they_cite() -> None:
    answer = intents(
        ("gothic horror", "gothic fiction", [2, 1, 9]),
        ("Gothic  Horror", "castles", [2]),
        ("ruins", "ruins", [2]),
        ("marriage", "marriage", [1]),
        ("wit", "Emma", [0, 8]),
    )
    with_profile = apply(subject("Loves ruins."), answer, "d")
    assert with_profile["round"] == 1
    assert [(each["name"], each["evidence"]) for each in with_profile["intents"]] == [
        ("gothic horror", ["7", "9"]),
        ("ruins", ["9"]),
    ]
    assert [each["id"] for each in apply(subject(), answer, "d")["intents"]] == ["gothic horror"]
    with pytest.raises(UnusableAnswerError, match="quotes"):
        apply(subject(), intents(("ruins", "ruins", [1])), "d")
    with pytest.raises(ValidationError):
        intents(("ruins", "ruins", []))


def test_the_stand_in_names_what_lines_share_in_one_of_its_wordings() -> None:
    found = user_intents(messages(work(subject())))["intents"]
    assert [(each["words"], each["evidence"]) for each in found] == [("Gothic fiction", [1, 2])]
    assert found[0]["phrase"] in {"Gothic fiction", "classic Gothic fiction"}


def related(*given: tuple[int, list[int]]) -> list[tuple[str, list[str]]]:
    (chosen,) = second.plan([second.Choice(portrait(), CANDIDATES)], "books")
    answer = second.RelatedToUser.model_validate({"related": [{"n": n, "evidence": lines} for n, lines in given]})
    found = second.apply(chosen, answer, "d")
    assert found["round"] == 2
    return [(each["id"], each["evidence"]) for each in found["intents"]]


def test_chosen_candidates_become_intents_with_the_items_of_the_lines_they_cite() -> None:
    assert related((2, [1, 1, 99]), (1, [2]), (9, [1]), (3, [77])) == [("castles", ["9"]), ("books on vampires", ["7"])]
    assert related() == []
    with pytest.raises(UnusableAnswerError):
        related((1, [99]), (99, [1]))


def test_the_stand_in_chooses_what_lines_show_that_are_at_the_heart_of_the_history() -> None:
    (chosen,) = second.plan([second.Choice(portrait(), CANDIDATES)], "books")
    asked = messages(second.work(chosen))
    shown = asked[1]["content"].partition("<candidates>\n")[2].partition("\n</candidates>")[0]
    assert [json.loads(row)["intent"] for row in shown.splitlines()] == [name for _, name in CANDIDATES]
    found = related_to_user(asked)["related"]
    # Three topics are the heart of so short a history: the genre that two share, then the first by the alphabet.
    assert [(each["n"], each["evidence"]) for each in found] == [(1, [2]), (2, [1]), (3, [3])]


def test_a_title_with_another_kind_of_line_break_is_one_line() -> None:
    cards = (Card("7", "Car\u2028mil\u2029la\u0085", "", {"subject": ["vampires"]}), CARDS[1])
    lines = "\n".join(line(card, 300, number) for number, card in enumerate(cards, start=1))
    (found,) = plan([Portrait("u1", "", lines, tuple(card.id for card in cards))], "books")
    answer = intents(("castles", "castles", [2]), ("vampires", "vampires", [4]))
    result = apply(found, answer, "d")
    assert [(each["id"], each["evidence"]) for each in result["intents"]] == [("castles", ["9"])]
