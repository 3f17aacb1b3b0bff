from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from pydantic import ValidationError

from cikg.extraction.job import Request, Subject, UnusableAnswerError
from cikg.extraction.jobs.item_profiles import ItemProfile
from cikg.extraction.jobs.user_profiles import UserProfile
from cikg.extraction.parts import profiles, subgraphs
from cikg.extraction.parts.profiles import Kept
from cikg.extraction.parts.subgraphs import Edge, Neighbourhood, Subgraph, SubgraphEvaluation, SubgraphPruning
from cikg.schema import Label

ENOUGH, TOO_LITTLE = SubgraphEvaluation(verdict="SUFFICIENT"), SubgraphEvaluation(verdict="INSUFFICIENT")
HOPS = (
    (
        Edge({"edge": "chose", "to": "Emma"}, item="1"),
        Edge({"edge": "chose", "to": "</edges>"}, item="2"),
        Edge({"edge": "likes", "to": "wit"}, intent="d:wit"),
        Edge({"edge": "likes", "to": "war"}, intent="d:war"),
    ),
    (Edge({"edge": "author", "to": "Jane Austen"}),),
    (Edge({"edge": "resembles", "to": "Persuasion"}),),
)


def subject() -> Subject:
    (planned,) = subgraphs.plan([Neighbourhood("ann", HOPS), Neighbourhood("ben", ((), (), ()))], "books")
    return planned


def carry(*answers: Any) -> tuple[list[Request], Subgraph]:
    """Answer a conversation; what was asked, and what came of it."""
    conversation: Generator[Request, Any, Any] = subgraphs.converse(subject(), "user_pruning", "user_evaluating")
    asked = [next(conversation)]
    for answer in answers:
        try:
            asked.append(conversation.send(answer))
        except StopIteration as end:
            return asked, end.value
    pytest.fail("it wants to go on")


def test_what_is_enough_ends_it_and_what_is_left_out_is_pruned() -> None:
    asked, found = carry(SubgraphPruning(kept=[1, 3]), ENOUGH)
    assert [request.prompt.name for request in asked] == ["user_pruning", "user_evaluating"]
    question, judged = (request.prompt.messages[1][1] for request in asked)
    assert question.count("</edges>") == 1, "a name cannot close the block"
    assert (question.count('"n"'), judged.count('"n"')) == (4, 2)
    row = subgraphs.apply(subject(), found, Label.USER)
    assert (row["items"], row["pruned"], row["rounds"], row["sufficient"]) == (["1"], ["d:war"], 1, True)
    assert len(row["lines"]) == 2


def test_what_is_not_enough_is_widened_hop_by_hop_to_the_bound() -> None:
    asked, found = carry(*[SubgraphPruning(kept=[1]), TOO_LITTLE] * subgraphs.ROUNDS)
    pruning = [request.prompt.messages[1][1] for request in asked if request.schema is SubgraphPruning]
    assert [text.count('"n"') for text in pruning] == [4, 5, 6]
    assert (found.rounds, found.sufficient, len(found.left_out)) == (3, False, 5)


def test_a_choice_always_stays_and_numbers_of_nothing_are_refused() -> None:
    _, found = carry(SubgraphPruning(kept=[3]), ENOUGH)
    assert [edge["shown"]["to"] for edge in found.kept] == ["Emma", "wit"]
    _, found = carry(SubgraphPruning(kept=[]), ENOUGH)
    assert [edge["shown"]["to"] for edge in found.kept] == ["Emma"]
    with pytest.raises(UnusableAnswerError):
        carry(SubgraphPruning(kept=[17]))


@pytest.mark.parametrize(("schema", "limit"), [(UserProfile, 150), (ItemProfile, 200)])
def test_a_profile_has_its_limit_of_words(schema: type[UserProfile] | type[ItemProfile], limit: int) -> None:
    assert schema(profile=" word" * limit).profile.count("word") == limit
    for text in (" word" * (limit + 1), " \n "):
        with pytest.raises(ValidationError):
            schema(profile=text)


def test_a_profile_that_rests_on_nothing_is_refused() -> None:
    kept = Kept("ann", [{"edge": "likes", "to": "wit"}], [])
    (planned,) = profiles.plan([kept, Kept("ben", [], [])], "books")
    with pytest.raises(UnusableAnswerError):
        profiles.row(planned, "A reader.", Label.USER, "d")
