from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from cikg.text.clustering import cluster
from cikg.text.lexical import normalise

TOPICS = {
    "gothic horror": ["haunted castles", "old abbeys", "dark secrets"],
    "detective mysteries": ["clever sleuths", "locked rooms", "london fog"],
    "sea voyages": ["whaling ships", "desert islands", "mutiny"],
    "scientific romances": ["time machines", "strange inventions", "other planets"],
    "russian realism": ["provincial life", "conscience", "debts"],
    "fairy tales": ["talking animals", "wicked stepmothers", "wishes"],
    "war chronicles": ["great battles", "generals", "retreats"],
    "courtship comedies": ["country houses", "marriage plots", "gossip"],
}
WORDINGS = ("{0}", "tales of {0}", "{0} with {1}", "classic {0}", "{1} in {0}", "stories about {0} and {1}")


def planted() -> dict[str, str]:
    """Phrase -> topic."""
    return {
        wording.format(topic, aside): topic
        for topic, asides in TOPICS.items()
        for wording in WORDINGS
        for aside in asides
    }


@pytest.mark.parametrize("clusters", [len(TOPICS), None])
def test_planted_topics_are_found_again(clusters: int | None) -> None:
    truth = planted()
    found = cluster(dict.fromkeys(truth, 3), clusters=clusters)
    label = {phrase: number for number, each in enumerate(found) for phrase in each.members}
    assert set(label) == set(truth)
    phrases = sorted(truth)
    score = adjusted_rand_score([truth[phrase] for phrase in phrases], [label[phrase] for phrase in phrases])
    assert score >= (0.9 if clusters else 0.6)


def test_an_interest_is_called_by_its_most_typical_phrase() -> None:
    names = {each.name.casefold() for each in cluster(dict.fromkeys(planted(), 3), clusters=len(TOPICS))}
    assert names == set(TOPICS)


def test_phrases_that_say_the_same_are_one_interest_even_if_more_are_wanted() -> None:
    found = cluster({"Gothic horror": 5, "tales of gothic horror": 1, "sea voyages": 1}, clusters=3)
    assert [(each.name, each.members) for each in found] == [
        ("Gothic horror", ("Gothic horror", "tales of gothic horror")),
        ("Sea voyages", ("sea voyages",)),
    ]


def test_the_order_of_phrases_does_not_matter_and_the_seed_alone_decides() -> None:
    phrases = sorted(planted())
    shuffled = phrases.copy()
    random.Random(1).shuffle(shuffled)
    assert cluster(dict.fromkeys(phrases, 1), seed=3) == cluster(dict.fromkeys(shuffled, 1), seed=3)


@settings(max_examples=30, deadline=None)
@example({" ": 1}, None)
@given(
    st.dictionaries(st.text("abc -'Ü☃", min_size=1, max_size=12), st.integers(1, 9), max_size=25),
    st.none() | st.integers(1, 30),
)
def test_every_phrase_is_in_exactly_one_cluster(holders: dict[str, int], clusters: int | None) -> None:
    found = cluster(holders, clusters=clusters)
    members = [phrase for each in found for phrase in each.members]
    assert sorted(members) == sorted(holders)
    assert clusters is None or len(found) <= clusters
    assert len({each.name.casefold() for each in found}) == len(found)


@pytest.mark.parametrize(
    ("phrase", "form"),
    [
        ("Tales of Gothic Horror", "gothic horror"),
        ("stories about detectives", "detective"),
        ("love stories", "love story"),
        ("the", "the"),
        ("—", "—"),
        ("Victorian ghosts, and comedies", "comedy ghost victorian"),
    ],
)
def test_normal_forms(phrase: str, form: str) -> None:
    assert normalise(phrase) == form
