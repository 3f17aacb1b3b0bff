"""The root command: finds the others, and turns every error into one clear sentence."""

from __future__ import annotations

import importlib
import json
import pkgutil
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from cikg import __version__
from cikg.errors import CikgError, InputError
from cikg.files import FULL

_COMMANDS = {
    module.name.removesuffix("_").replace("_", "-"): module.name
    for module in pkgutil.iter_modules([str(Path(__file__).parent)])
    if not module.name.startswith("_")
}


class _Root(click.Group):
    """Loads a command's file when it is called, so that `cikg --help` does not import torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"cikg.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command


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
        click.echo("cikg: interrupted; what was committed is kept, and the same command goes on from there", err=True)
        sys.exit(130)
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        _fail(_of_system(error), given)
    except MemoryError:
        _fail(
            CikgError("the memory of this machine does not suffice", cure="Take less data, or a larger machine"), given
        )
    # What a command gave to `context.exit`; commands return nothing.
    sys.exit(code if isinstance(code, int) else 0)


def _fail(error: CikgError, given: list[str]) -> NoReturn:
    """Say what is wrong, and exit."""
    if "--json" in given:
        _print(error)
    click.secho(f"cikg: {error}", fg="red", err=True)
    sys.exit(error.exit_code)


def _print(error: CikgError) -> None:
    click.echo(json.dumps(error.as_dict()))


def _of_system(error: OSError) -> CikgError:
    """What the system refused, in a sentence: a file that may not be read or written, or a full disk."""
    where = f"{error.filename}: " if error.filename is not None else ""
    cure = "Make room on the disk" if error.errno in FULL else None
    cure = "Check who may read and write it" if isinstance(error, PermissionError) else cure
    return CikgError(f"{where}{error.strerror}", cure)
