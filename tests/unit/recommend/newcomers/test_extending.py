"""What a trained model makes of those who came later."""

from __future__ import annotations

import pytest

from cikg.recommend import runs
from cikg.recommend.engine import train
from cikg.recommend.newcomers.extending import extend
from cikg.recommend.parts.intent_scoring import IntentScorer
from cikg.settings import Settings
from tests.unit.recommend.methods.test_ikgr import USERS, with_intents


@pytest.mark.parametrize(("knowledge", "expected"), [("exact", {1, 3}), ("intents", {1, 3, 5})])
def test_a_newcomer_has_the_intents_of_the_rounds_that_the_model_knows(
    knowledge: str, expected: set[int], offline: Settings
) -> None:
    """Intents 4 and 5 are of the second round."""
    folder = offline.snapshots / "planted"
    before, after = with_intents(folder, users=USERS - 1), with_intents(folder)
    trained = train(before, "ikgr", settings=offline, overrides={"dimension": 8, "knowledge": knowledge}, epochs=1)
    scorer = runs.load(extend(offline, trained.path, after).path).scorer
    assert isinstance(scorer, IntentScorer)
    assert set(scorer.user_intents[-1].tolist()) - {-1} == expected
