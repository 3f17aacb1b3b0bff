"""Every command that takes a dataset says so where there is none of that name, instead of showing nothing of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from cikg.cli._main import _root
from cikg.graph import Graph
from tests import planted

Cikg = Callable[..., subprocess.CompletedProcess[str]]
NEEDED = {
    "answers import": ("FILE", "--about", "user"),
    "corrections add": ("x", "--user", "x"),
    "corrections undo": ("x", "--user", "x"),
    "extract": ("user_interests",),
    "intents merge": ("a", "b"),
    "intents review": ("--accept-from", "1"),
    "intents unmerge": ("a",),
    "jobs cancel": ("x",),
    "jobs pause": ("x",),
    "jobs purge": ("--prompt", "glossary"),
    "jobs quarantine": ("x",),
    "jobs resume": ("x",),
    "jobs retry": ("x",),
    "jobs show": ("x",),
    "jobs trace": ("x",),
    "publish": ("x",),
    "query": ("intents_by_holders",),
    "recommend": ("x",),
    "report stages": ("x", "y"),
    "search": ("x", "--user", "x"),
    "snapshot diff": ("a",),
    "taste": ("x",),
    "train": ("popularity",),
    "tune": ("popularity",),
    "dataset drop": ("--yes",),
    "dataset export": ("FOLDER",),
}
"""What commands need besides the name of a dataset."""
MAKE_ONE = {"import"}


def _taking_a_dataset(group: click.Group, path: str = "") -> Iterator[tuple[str, bool]]:
    """All commands that take a dataset, and whether it is an option of theirs."""
    with click.Context(group) as context:
        for name in group.list_commands(context):
            each, words = group.get_command(context, name), f"{path} {name}".strip()
            if isinstance(each, click.Group):
                yield from _taking_a_dataset(each, words)
            elif each is not None and words not in MAKE_ONE:
                for parameter in each.params:
                    if parameter.name == "dataset":
                        yield words, isinstance(parameter, click.Option)


@pytest.mark.parametrize(("command", "by_option"), sorted(_taking_a_dataset(_root)))
def test_a_dataset_that_is_not_there_is_told(
    *, here: Cikg, graph: Graph, dataset: str, tmp_path: Path, command: str, by_option: bool
) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text('{"id": "1", "profile": "likes gardens"}\n')
    paths = {"FILE": str(file), "FOLDER": str(tmp_path / "new")}
    needed = [paths.get(word, word) for word in NEEDED.get(command, ())]
    given = [*command.split(), *(["--dataset", dataset] if by_option else [dataset]), *needed]
    shown, told = here(*given), here(*given, "--json")
    assert (shown.returncode, told.returncode) == (2, 2), shown
    assert shown.stdout == ""
    error = json.loads(told.stdout)
    assert error["error"] == "NotFoundError"
    assert error["message"] in shown.stderr
    assert error["cure"] and error["cure"] in shown.stderr


@pytest.mark.parametrize(
    "command", ["snapshot list", "snapshot gc", "jobs list", "intents list", "jobs purge", "runs list"]
)
def test_nothing_of_a_dataset_that_is_there_is_no_error(here: Cikg, graph: Graph, dataset: str, command: str) -> None:
    planted.write(graph, dataset)
    assert here(*command.split(), "--dataset", dataset, *NEEDED.get(command, ())).returncode == 0


def test_a_queued_command_names_a_dataset_that_is_there_unless_it_imports_it(here: Cikg, dataset: str) -> None:
    refused = here("jobs", "queue", "train", "popularity", "--dataset", dataset)
    assert (refused.returncode, f"there is no dataset {dataset!r}" in refused.stderr) == (2, True)
    queued = here("jobs", "queue", "import", "demo", f"--dataset={dataset}")
    assert queued.returncode == 0, queued.stderr
    following = queued.stderr.partition("Next: cikg ")[2].split()
    assert "import demo" in here(*following).stdout
    assert json.loads(here("jobs", "list", "--dataset", dataset, "--json").stdout)["commands"][0]["state"] == "planned"
    here("jobs", "cancel", "import", "--dataset", dataset)


def test_tokens_of_an_account_that_is_not_there_are_told(here: Cikg, dataset: str) -> None:
    told = here("token", "list", "--user", dataset)
    assert (told.returncode, f"there is no account {dataset!r}" in told.stderr) == (2, True)
