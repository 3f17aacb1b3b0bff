"""The served model as the web process holds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cikg.recommend import runs
from cikg.recommend.engine import train
from cikg.schema import SplitCode
from cikg.serving.counterfactual import NOTHING, Evidence, counterfactual
from cikg.settings import Settings
from tests.unit.recommend.planted import two_tastes
from web.parts.served import ready


@pytest.mark.parametrize(
    ("method", "refit", "exact"), [("ease", True, True), ("ease", False, False), ("interests", True, False)]
)
def test_a_changed_history_is_scored_exactly_where_the_model_sums_over_all_of_it(
    method: str, refit: bool, exact: bool, tmp_path: Path
) -> None:
    snapshot = two_tastes(tmp_path)
    trained = train(snapshot, method, settings=Settings(home=tmp_path / "home", device="cpu"), refit=refit)
    served = ready(runs.load(trained.path), snapshot)
    read = snapshot.interactions
    (valid,) = np.asarray(read.item_index)[(np.asarray(read.user_index) == 39) & (read.split == SplitCode.VALID)]
    found = counterfactual(served, "39", Evidence(items=[snapshot.items.ids[valid]]), NOTHING, 5)
    assert found.estimated is not exact
    assert all(int(change.item) % 2 for change in found.items), "user 39 reads odd items"
