"""What a trained model makes of those who came later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cikg.errors import InputError
from cikg.graph.snapshot import Snapshot
from cikg.recommend import runs
from cikg.recommend.engine import train
from cikg.recommend.evaluation.measuring import evaluate
from cikg.recommend.newcomers.extending import extend
from cikg.recommend.parts.intent_scoring import IntentScorer
from cikg.schema import SplitCode
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


def redrawn(folder: Path, snapshot: Snapshot, learned: SplitCode) -> Snapshot:
    """The same with one interaction of a split moved to test, as a new draw may do."""
    split = np.array(snapshot.interactions.split)
    split[np.flatnonzero(split == learned)[-1]] = SplitCode.TEST
    return with_intents(folder, users=len(snapshot.users.ids), splits=split)


@pytest.mark.parametrize("learned", [SplitCode.TRAIN, SplitCode.VALID])
def test_a_run_is_not_measured_on_what_it_was_trained_on(learned: SplitCode, offline: Settings) -> None:
    folder = offline.snapshots / "planted"
    first, later = with_intents(folder, users=USERS - 1), with_intents(folder)
    trained = train(first, "ikgr", settings=offline, overrides={"dimension": 8}, epochs=1)
    assert evaluate(extend(offline, trained.path, later).path, later)["test"]
    moved = redrawn(folder, first, learned)
    extended = extend(offline, trained.path, moved)
    assert any("not measured" in warning for warning in extended.manifest["warnings"])
    with pytest.raises(InputError, match=r"knows interactions that are in the test split.*Train again"):
        evaluate(extended.path, moved)
    again = extend(offline, extended.path, later)
    with pytest.raises(InputError, match="knows interactions"):
        evaluate(again.path, later)
