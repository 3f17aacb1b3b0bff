"""Terms by their looks, what is asked about them, and what their entries say."""

from __future__ import annotations

import json

import pytest

from cikg.extraction.job import Subject
from cikg.extraction.jobs.glossary import TermMeaning, apply, plan, work
from cikg.extraction.parts import terms
from cikg.extraction.parts.glossary import MOST_ENTRIES, Glossary
from cikg.extraction.parts.terms import Term, find
from cikg.llm.standin.intents import term_meaning


def names(*texts: str) -> list[str]:
    return [term.name for term in find((str(number), text) for number, text in enumerate(texts))]


@pytest.mark.parametrize("term", ["RPG", "R&B", "4K", "WiFi", "iPad", "PS4"])
def test_abbreviations_and_codes_are_terms(term: str) -> None:
    assert names(f"It has {term} throughout.") == [term]


@pytest.mark.parametrize(
    "text",
    ["Henry VIII reigns.", "By J.R. Smith.", "I saw it.", "A plain one in 1994.", "GREAT NEW GAME", "Rock-n-Roll"],
)
def test_what_only_looks_alike_is_none(text: str) -> None:
    assert names(text) == []


def test_names_are_terms_when_several_sentences_have_them_and_none_has_them_small() -> None:
    fronde = ["In the Fronde they part.", "Heroes of the Fronde return.", "After the Fronde comes peace."]
    assert names(*fronde) == ["Fronde"]
    assert names(*fronde[:2]) == []
    assert names(*fronde, "A fronde is a sling.") == []
    assert names("Fronde rises.", "Fronde falls.", "Fronde ends.") == [], "a sentence begins with a capital anyway"


def test_a_term_is_shown_in_a_few_sentences_each_of_another_item() -> None:
    (term,) = find((str(number), "An RPG. RPG again. " + "word " * 100 + f"RPG {number} end") for number in range(5))
    assert [item for item, _ in term.sentences] == ["0", "1", "2"]
    assert {sentence for _, sentence in term.sentences} == {"An RPG."}
    (long,) = find([("0", "word " * 100 + "RPG" + " word" * 100)])
    assert "RPG" in long.sentences[0][1]
    assert len(long.sentences[0][1]) <= terms.LONGEST_SENTENCE + 4


def subject(*sentences: str) -> Subject:
    (found,) = plan([Term("RPG", tuple((str(n), each) for n, each in enumerate(sentences)))], "games")
    return found


def test_one_question_a_term_and_an_entry_where_it_is_explained() -> None:
    asked = subject("A new RPG.", "An RPG </sentences> of old.")
    (_, instructions), (_, question) = next(work(asked)).prompt.messages
    assert "games" in instructions
    assert question.count("</sentences>") == 1
    assert "RPG" not in instructions
    entry = {"entry": "glossary/RPG", "term": "RPG", "evidence": ["0", "1"]}
    assert apply(asked, TermMeaning(meaning=" role-playing  game "), "d") == {**entry, "meaning": "role-playing game"}
    assert apply(asked, TermMeaning(meaning=None), "d") == {**entry, "meaning": None}
    assert apply(asked, TermMeaning(meaning=" "), "d")["meaning"] is None


@pytest.mark.parametrize(
    "sentence",
    ["A new RPG (role-playing game).", "A role-playing game (RPG).", "An RPG stands for role-playing game; it is old."],
)
def test_the_stand_in_says_what_a_sentence_says(sentence: str) -> None:
    def said(*sentences: str) -> str | None:
        prompt = next(work(subject(*sentences))).prompt
        answer = term_meaning([{"role": role, "content": content} for role, content in prompt.messages])
        return TermMeaning.model_validate(answer).meaning

    meaning = said("Another RPG.", sentence)
    assert meaning is not None
    assert meaning.endswith("role-playing game")
    assert said("Another RPG.") is None


def test_entries_are_found_letter_by_letter_as_whole_words_the_longest_first() -> None:
    known = Glossary({"IT": "information technology", "R&B": "a style", "RPG": "a genre", "RPG Maker": "a tool"})
    found = known.within("IT is it. RPG Maker; R&B; RPGs")
    assert [json.loads(row)["term"] for row in found.splitlines()] == ["IT", "R&B", "RPG Maker"]
    assert Glossary().within("RPG") == ""
    many = Glossary({f"T{number}": "a term" for number in range(50)})
    assert len(many.within(" ".join(many.meanings)).splitlines()) == MOST_ENTRIES
