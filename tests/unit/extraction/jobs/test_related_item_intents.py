from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from cikg.extraction.job import Subject, UnusableAnswerError
from cikg.extraction.jobs.related_item_intents import Choice, RelatedIntents, apply, plan, work
from cikg.extraction.parts.descriptions import Described
from cikg.extraction.parts.histories import Card
from cikg.extraction.parts.phrases import line
from cikg.llm.standin.intents import related_intents
from cikg.llm.standin.wording import UnreadableRequestError

CARD = Card("7", "Carmilla", "A guest.", {"genre": ["Gothic fiction"], "subject": ["vampires"]})
CANDIDATES = (("i1", "tales of vampires"), ("i2", "sea </candidates> voyages"), ("i3", "classic Gothic fiction"))


def subject() -> Subject:
    (found,) = plan([Choice(Described(CARD.id, line(CARD, 300)), CANDIDATES)], "books")
    return found


def chosen(*numbers: int) -> list[str]:
    found = apply(subject(), RelatedIntents(related=list(numbers)), "d")
    assert found["round"] == 2
    assert all(intent["uid"] == f"d:{intent['id']}" and intent["evidence"] == ["7"] for intent in found["intents"])
    return [intent["id"] for intent in found["intents"]]


def test_one_question_with_the_item_and_numbered_candidates_as_data() -> None:
    request = next(work(subject()))
    assert request.schema is RelatedIntents
    (_, instructions), (_, question) = request.prompt.messages
    assert "Carmilla" in question
    assert "Carmilla" not in instructions
    assert question.count("</candidates>") == 1, "an intent cannot close the block"
    lines = question.partition("<candidates>\n")[2].partition("\n</candidates>")[0].splitlines()
    assert [json.loads(line) for line in lines] == [
        {"n": number, "intent": name} for number, (_, name) in enumerate(CANDIDATES, start=1)
    ]


def test_chosen_numbers_become_intents_of_the_pool_once_and_choosing_none_is_an_answer() -> None:
    assert chosen(3, 1, 3, 99, 0, -1) == ["i1", "i3"]
    assert chosen() == []
    with pytest.raises(UnusableAnswerError):
        chosen(4, 0)
    with pytest.raises(ValidationError):
        RelatedIntents(related=list(range(11)))


def test_the_stand_in_chooses_candidates_that_name_a_topic_whole_and_nothing_else() -> None:
    messages = [{"role": role, "content": text} for role, text in next(work(subject())).prompt.messages]
    assert related_intents(messages) == {"related": [1, 3]}
    messages[1]["content"] = messages[1]["content"].replace("tales of vampires", "vampires and inheritance")
    assert related_intents(messages) == {"related": [3]}, "nothing says that the book is about an inheritance"
    with pytest.raises(UnreadableRequestError, match="candidates"):
        related_intents([{"role": "user", "content": "<candidates>\n</candidates>"}])
