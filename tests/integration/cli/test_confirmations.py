"""What cannot be brought back is not deleted without a question, or --yes where nobody can answer one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from cikg.access import accounts
from cikg.access.accounts import Role
from cikg.graph import Graph

Cikg = Callable[..., subprocess.CompletedProcess[str]]


def refused(here: Cikg, *arguments: str) -> bool:
    """Whether a command asks first, and does nothing where nobody answers."""
    shown, told = here(*arguments), here(*arguments, "--json")
    assert (shown.returncode, told.returncode) == (2, 2)
    return "Give --yes" in shown.stderr and "Give --yes" in json.loads(told.stdout)["cure"]


def test_an_account(here: Cikg, graph: Graph, dataset: str) -> None:
    accounts.add(graph, dataset, Role.VIEWER, None, "tests")
    assert refused(here, "user", "remove", dataset)
    assert accounts.shown(graph, dataset).name == dataset
    assert here("user", "remove", dataset, "--yes").returncode == 0
    missing = here("user", "remove", dataset, "--yes")
    assert (missing.returncode, "there is no account" in missing.stderr) == (2, True)


def test_answers_of_a_model(here: Cikg, graph: Graph, dataset: str) -> None:
    graph.execute(
        "CREATE (:Dataset {uid: $d, id: $d, dataset: $d}) WITH 1 AS made UNWIND range(1, 3) AS number "
        "CREATE (:Completion {uid: $d + ':' + number, dataset: $d, prompt: 'glossary', model: 'm'})",
        d=dataset,
    )
    purge = ("jobs", "purge", "--prompt", "glossary", "--dataset", dataset)
    assert refused(here, *purge)
    assert json.loads(here(*purge, "--dry-run", "--json").stdout)["completions"] == 3
    assert json.loads(here(*purge, "--yes", "--json").stdout) == {"dataset": dataset, "completions": 3, "purged": True}
    nothing = here(*purge)
    assert (nothing.returncode, "nothing is deleted" in nothing.stderr) == (0, True), "nothing to ask about"
