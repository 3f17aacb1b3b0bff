"""The root command: finds the others, and turns every error into one clear sentence."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sys
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from cikg import __version__
from cikg.errors import CikgError, InputError, did_you_mean
from cikg.files import FULL

_SECTIONS = {
    "From nothing to recommendations": {
        "demo": "Run the main job on the demo catalogue, and open the dashboard.",
        "import": "Load a dataset into the graph.",
        "extract": "Extract what users like and items offer, by LLM.",
        "train": "Train a method on a dataset.",
        "evaluate": "Measure finished runs on the test split.",
        "publish": "Serve a trained model's recommendations.",
        "recommend": "Show what is recommended to a user, and why.",
    },
    "Ask and compare": {
        "search": "Search items, ranked for a user.",
        "taste": "Recommend to a newcomer from a sentence.",
        "query": "Query the graph: ready-made questions, or your own Cypher.",
        "compare": "Compare runs, with confidence intervals.",
        "report": "Report what each extraction stage is worth.",
    },
    "Read and correct what the LLM found": {
        "jobs": "Follow and steer the runs of LLM jobs.",
        "answers": "Import answers that a language model gave elsewhere.",
        "embed": "Embed the texts in the graph.",
        "cluster": "Cluster the extracted phrases into interests.",
        "intents": "Merge intents that mean the same, and undo it.",
        "corrections": "Record what is wrong about a user or an item, and undo it.",
    },
    "Datasets and models": {
        "dataset": "List, show, drop and export datasets.",
        "snapshot": "Export a dataset's graph for training, and manage exports.",
        "runs": "List and remove trained runs.",
        "tune": "Search for a method's best hyperparameters.",
        "extend": "Add new users and items to a trained ikgr model.",
    },
    "Services and people": {
        "up": "Start the embedded services.",
        "down": "Stop the embedded services; their data is kept.",
        "status": "Show which services run, and where.",
        "doctor": "Check every part, and say how to fix it.",
        "schema": "Show, apply and repair the database's constraints and indexes.",
        "login": "Print a link into the dashboard.",
        "user": "Manage who may use the dashboard and the API.",
        "token": "Create and revoke tokens for the API.",
        "audit": "Show the audit log.",
    },
}
"""Every command, in the order of its use. Its file has its name, and defines `command`."""
COMMANDS = {name: about for commands in _SECTIONS.values() for name, about in commands.items()}
_WIDEST = max(map(len, COMMANDS))
_KEYWORDS = {"import": "import_"}
"""The files whose commands are words of Python's."""


class _Root(click.Group):
    """Loads a command's file when it is called: to list them all, or to complete a name, none is loaded."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"cikg.cli.{_KEYWORDS.get(cmd_name, cmd_name)}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:  # click knows only commands that are loaded, and can suggest none
            said = " ".join(filter(None, (error.format_message(), did_you_mean(args[0], COMMANDS))))
            raise click.UsageError(said, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(_WIDEST), about) for name, about in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        begun = [CompletionItem(name, help=about) for name, about in COMMANDS.items() if name.startswith(incomplete)]
        return begun + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="cikg")
def _root() -> None:
    """Recommendations that people can read, question and correct.

    Settings come from the environment (CIKG_…, OPENAI_…) and cikg.toml; `cikg doctor` shows them all.
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the tool and exit: 0 done, 1 a job failed, 2 wrong input or surroundings, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = _root.main(given, prog_name="cikg", standalone_mode=False)
    except CikgError as error:
        _fail(error, given)
    except click.ClickException as error:
        if "--json" in given:
            _print(InputError(error.format_message().rstrip(".")))
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        if arguments is None:  # a process of its own: who presses Ctrl-C again does not wait for what is left to close
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        click.echo("cikg: interrupted; what was committed is kept, and the same command resumes from there", err=True)
        sys.exit(130)
    except UnicodeEncodeError:
        wrong = [
            each for each in given if re.search("[\ud800-\udfff]", each)
        ]  # how Python reads bytes that are no text
        if not wrong:
            raise
        _fail(
            InputError(f"{wrong[0]!r} is not UTF-8 text", cure="Check the encoding of your terminal or script"), given
        )
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        _fail(_of_system(error), given)
    except MemoryError:
        _fail(
            CikgError("this machine has too little memory", cure="Use less data, or a machine with more memory"), given
        )
    # What a command gave to `context.exit`; commands return nothing.
    sys.exit(code if isinstance(code, int) else 0)


def _fail(error: CikgError, given: list[str]) -> NoReturn:
    """Say what is wrong, and exit."""
    from cikg.cli._visible import visible  # noqa: PLC0415 - names of other people are in many a message

    if "--json" in given:
        _print(error)
    plain = bool(os.environ.get("NO_COLOR"))  # which click does not heed
    click.secho(visible(f"cikg: {error}"), fg=None if plain else "red", err=True)
    sys.exit(error.exit_code)


def _print(error: CikgError) -> None:
    click.echo(json.dumps(error.as_dict()))


def _of_system(error: OSError) -> CikgError:
    """What the system refused, in a sentence: a file that may not be read or written, or a full disk."""
    where = f"{error.filename}: " if error.filename is not None else ""
    cure = "Free space on the disk" if error.errno in FULL else None
    cure = "Check its permissions" if isinstance(error, PermissionError) else cure
    return CikgError(f"{where}{error.strerror}", cure)
