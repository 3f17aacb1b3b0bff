"""What can be trained and measured from a page, and what a worker is at.

A method is known by its file, so that no torch is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cikg.access import audit
from cikg.graph import Graph
from cikg.recommend import methods
from cikg.settings import Settings
from web.forms import whole
from web.parts import queued, runs
from web.parts.queued import Followed

FIRST = "mixture"
MOST_SEEDS = 10
MOST_TRIALS = 1_000
LAST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Wanted:
    """A training that is asked for.

    Attributes:
        method: its method.
        seed: of everything random; with several seeds, the first.
        seeds: how many to train with, one run each.
        trials: configurations to try first, to train with the best; 0 for the method's own settings.
    """

    method: str
    seed: int = 0
    seeds: int = 1
    trials: int = 0


@dataclass(frozen=True)
class Trainings(Followed):
    """What can be trained, and what is.

    Attributes:
        methods: each in a sentence, by its name; the flagship first.
        searched: those with settings that can be tried first.
        again: the run that the last training found there already, from the same data, settings and seed; else None.
    """

    methods: dict[str, str]
    searched: tuple[str, ...]
    again: str | None


def load(graph: Graph, dataset: str) -> Trainings:
    """What can be trained on a dataset, and how far its trainings are."""
    told = queued.said(graph, dataset, "train ")
    again = told.get("run") if told.get("reused") else None
    about = methods.summaries()
    under_way, searched = queued.under_way(graph, dataset, "train "), tuple(sorted(methods.searched()))
    return Trainings(under_way, {FIRST: about[FIRST]} | about, searched, again)


def asked(form: Mapping[str, str]) -> Wanted:
    """What a form asks for; what is left empty has its default.

    Raises:
        InputError: a number is none, or out of range.
    """
    seed = whole(form.get("seed") or "0", "seed", 0, LAST_SEED)
    seeds = whole(form.get("seeds") or "1", "number of seeds", 1, MOST_SEEDS)
    trials = whole(form.get("trials") or "0", "number of trials", 0, MOST_TRIALS)
    return Wanted(form.get("method", FIRST), seed, seeds, trials)


def begin(graph: Graph, settings: Settings, dataset: str, wanted: Wanted) -> str:
    """Have a worker train a method on the dataset as it is now; the id of its run among the commands.

    Raises:
        NotFoundError: there is no such method.
        InputError: settings are to be tried, and the method has none to try.
        UnreachableError: Redis does not answer.
    """
    methods.check(wanted.method)
    if wanted.trials and wanted.method not in methods.searched():
        raise methods.nothing_to_search(wanted.method)
    numbers = {"seed": wanted.seed or None, "seeds": wanted.seeds if wanted.seeds > 1 else None}
    words = ["train", wanted.method, "--dataset", dataset]
    return queued.once(graph, settings, dataset, words, **numbers, tune=wanted.trials or None)


def evaluate(graph: Graph, settings: Settings, dataset: str, run: str) -> str:
    """Have a worker open the test split for a training; the id of its run among the commands.

    Raises:
        NotFoundError: there is no such training run of this dataset.
        UnreachableError: Redis does not answer.
    """
    runs.training(graph, dataset, run)
    return queued.once(graph, settings, dataset, ["evaluate", run])


def act(graph: Graph, settings: Settings, dataset: str, form: Mapping[str, str], actor: str) -> None:
    """Train what a form asks for, from a page.

    Raises:
        InputError: a number of the form is none or out of range, or the method has no settings to try.
        NotFoundError: there is no such method.
        UnreachableError: Redis does not answer.
    """
    wanted = asked(form)
    begin(graph, settings, dataset, wanted)
    audit.record(graph, actor, "models.train", dataset, vars(wanted))
