"""`cikg extend`: what came after a training, in the trained model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cikg.cli._completion import completing, trained
from cikg.cli._output import json_option, messages, print_facts, print_json, working
from cikg.cli.train import register, snapshot_of
from cikg.graph import connect
from cikg.recommend import runs
from cikg.settings import load_settings


@click.command("extend")
@click.argument("run", shell_complete=completing(trained))
@click.option(
    "--snapshot",
    "snapshot_path",
    type=click.Path(path_type=Path),
    help="Extend to this snapshot folder; needs no database.  [default: the dataset as it is now]",
)
@json_option
def command(*, run: str, snapshot_path: Path | None, as_json: bool) -> None:
    """Add to RUN, an ikgr model, the users and items that came after its training, without retraining.

    Run `cikg extract ikgr` first, to find the intents of what is new. The result is a new run, to publish, search
    and recommend with.
    """
    settings = load_settings()
    directory = runs.directory(settings, run)
    dataset = str(runs.read_json(directory / runs.MANIFEST)["dataset"])
    snapshot = snapshot_of(settings, dataset, snapshot_path, quiet=as_json)
    with working(f"Extending {directory.name}", quiet=as_json):
        from cikg.recommend.newcomers.extending import extend  # noqa: PLC0415 - torch takes seconds to import

        extended = extend(settings, directory, snapshot)
    if snapshot_path is None:
        with connect(settings) as graph:
            register(graph, extended)
    new = extended.manifest["new"]
    facts: dict[str, Any] = {
        "run": extended.run_id,
        "extends": directory.name,
        "new users": new["users"],
        "new items": new["items"],
        "already there": extended.reused,
        "seconds": extended.manifest["timings"]["total"],
    }
    if as_json:
        print_json(facts)
        return
    print_facts(f"{dataset}: {directory.name} extended", facts)
    messages.print(f"Next: cikg publish {extended.run_id}", style="dim")
