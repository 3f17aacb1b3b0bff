"""Metrics by ranx, in a process of its own where its loops are interpreted: compiling them takes longer than they run.

Numba reads whether to compile when it is first imported, which another test may have done in this process.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

Lists = dict[str, dict[str, float]]
Judgements = dict[str, dict[str, int]]


def interpret() -> None:
    """What such a process begins with."""
    os.environ["NUMBA_DISABLE_JIT"] = "1"


def measure(
    truth: Judgements, lists: Lists, names: Sequence[str]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Means by metric, and each user's value by metric."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ranx's own
        from ranx import Qrels, Run, evaluate  # noqa: PLC0415

        run = Run(lists)
        means = evaluate(Qrels(truth), run, list(names))
    return dict(means), {name: dict(run.scores[name]) for name in names}
