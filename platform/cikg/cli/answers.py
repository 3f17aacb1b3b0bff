"""`cikg answers`: import what a language model said outside the platform."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from cikg.cli._output import dataset_option, json_option, print_facts, print_json, print_table, progress_bar
from cikg.datasets.answers import interests, profiles
from cikg.datasets.answers.importing import AnswersReport
from cikg.datasets.report import MAX_REJECTED
from cikg.errors import InputError
from cikg.graph import connect
from cikg.settings import load_settings


@click.group("answers")
def command() -> None:
    """Import answers that a language model gave elsewhere about users or items."""


@command.command("import", short_help="Import answers as profiles, or as interests.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--about", type=click.Choice(list(profiles.ABOUT)), required=True, help="What each answer is about.")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["profiles", "interests"]),
    default="profiles",
    show_default=True,
    help="What the answers are: texts, or the interests that users have.",
)
@dataset_option
@click.option("--model", default="unknown", show_default=True, metavar="NAME", help="The model that answered.")
@click.option(
    "--numbers",
    type=click.Path(path_type=Path),
    metavar="LIST",
    help="A list of `org_id remap_id`, where FILE names users or items by number.  [default: FILE has the dataset's "
    "own ids; for llm_response_user.json and llm_response_item.json of a colakg dataset, and for "
    "user_interest_clustered.txt of a cikgrec dataset, the list beside them]",
)
@click.option(
    "--max-rejected",
    type=click.FloatRange(0, 1),
    default=MAX_REJECTED,
    show_default=True,
    metavar="SHARE",
    help="Largest share of unusable answers to skip; above it, nothing is written.",
)
@json_option
def import_(
    *,
    file: Path,
    about: str,
    kind: str,
    dataset: str,
    model: str,
    numbers: Path | None,
    max_rejected: float,
    as_json: bool,
) -> None:
    """Import the answers in FILE, each as the profile of a user or an item, or as interests that users have.

    FILE is JSON (an object of texts by id), JSON Lines (objects with `id` and `text`), CSV or Parquet (columns `id` and
    `text`). A previously imported profile is replaced if its answer differs; the others stay as they are, so
    repeating an import changes nothing.

    With `--as interests`, the file holds lists of interests instead of texts (`interests` in JSON Lines); a table
    has one row per interest, in the column `interest`; a `.txt` file has one user and one interest per line. All
    previously imported interests are replaced.
    """
    if kind == "interests" and about != "user":
        raise InputError("only users have interests", cure="Import them with --about user")
    settings = load_settings()
    with connect(settings) as graph:
        load = partial(profiles.load, about=about) if kind == "profiles" else interests.load
        report = load(
            graph,
            file,
            dataset,
            model=model,
            numbers=numbers,
            max_rejected=max_rejected,
            home=settings.home,
            progress=partial(progress_bar, quiet=as_json),
        )
    if as_json:
        print_json(report.as_dict())
    else:
        _show(report, kind)


def _show(report: AnswersReport, kind: str) -> None:
    """The report as a person reads it."""
    facts = {
        "answers read": report.rows,
        "answers rejected": report.rejected,
        "ids": f"the numbers in {report.numbers}" if report.numbers else "the dataset's own",
        f"{kind} written": report.written,
        f"{kind} already there": report.standing,
        "run": report.run,
        "seconds": report.seconds,
    }
    print_facts(f"{report.dataset}: {'imported' if report.written else 'unchanged'}", facts)
    if report.reasons:
        reasons = [
            [found.reason if found.rows > 1 else found.example, found.rows, f"{Path(found.file).name}:{found.line}"]
            for found in report.reasons
        ]
        print_table("Rejected answers", ["reason", "answers", "first in"], reasons)
        click.echo(f"All of them are in {report.rejected_file}")
    click.echo(report.remark)
