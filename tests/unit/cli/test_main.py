"""The root command: exit codes, sentences instead of tracebacks, errors as JSON, and a cheap start."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import cikg.cli
from cikg.cli import _main
from cikg.cli._main import main
from cikg.errors import InputError, JobError

Body = Callable[[], Any]
COMMANDS = sorted(_main.COMMANDS)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Body], None]:
    """Adds a command `breaks` that runs a function, as a file of that name would."""

    def add(body: Body) -> None:
        module = types.ModuleType("cikg.cli.breaks")

        @click.command("breaks")
        @click.option("--json", "as_json", is_flag=True)
        def breaks(as_json: bool) -> Any:
            return body()

        module.command = breaks  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "cikg.cli.breaks", module)
        monkeypatch.setitem(_main.COMMANDS, "breaks", "Breaks.")

    return add


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def fail(error: BaseException) -> Body:
    def body() -> None:
        raise error

    return body


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("no such column", "a.csv", 2, cure="Name it"), 2, "cikg: a.csv:2: no such column. Name it\n"),
        (JobError("3 subjects failed"), 1, "cikg: 3 subjects failed\n"),
        (KeyboardInterrupt(), 130, "cikg: interrupted"),
        (click.Abort(), 130, "cikg: interrupted"),
        (click.BadParameter("not a number"), 2, "not a number"),
        (
            PermissionError(13, "Permission denied", "/x"),
            2,
            "cikg: /x: Permission denied. Check its permissions",
        ),
        (OSError(28, "No space left on device"), 2, "cikg: No space left on device. Free space on the disk\n"),
        (MemoryError(), 2, "cikg: this machine has too little memory. Use less data"),
    ],
)
def test_errors_become_a_sentence_and_an_exit_code(
    command: Callable[[Body], None], capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    command(fail(error))
    assert run("breaks") == code
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""
    assert "Traceback" not in printed.err


def test_with_json_the_error_is_data_too(command: Callable[[Body], None], capsys: pytest.CaptureFixture[str]) -> None:
    command(fail(InputError("no such column", "a.csv", 2, cure="Name it")))
    assert run("breaks", "--json") == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"error": "InputError", "message": "a.csv:2: no such column", "cure": "Name it"}
    assert printed.err == "cikg: a.csv:2: no such column. Name it\n"


def test_with_json_a_wrong_command_line_is_data_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "--epochs", "0", "--json") == 2
    said = json.loads(capsys.readouterr().out)
    assert said["error"] == "InputError" and "--epochs" in said["message"] and not said["message"].endswith(".")


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), ConnectionResetError(104, "reset by peer")])
def test_a_mistake_of_ours_is_not_hidden(command: Callable[[Body], None], error: Exception) -> None:
    command(fail(error))
    with pytest.raises(type(error)):
        main(["breaks"])


def test_exit_code_of_a_command_that_chooses_it(command: Callable[[Body], None]) -> None:
    command(lambda: click.get_current_context().exit(2))
    assert run("breaks") == 2
    command(lambda: None)
    assert run("breaks") == 0


@pytest.mark.parametrize("arguments", [["unknown"], ["--unknown"], ["train", "--unknown"]])
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert "Usage:" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "meant"), [("trian", "train"), ("datset", "dataset"), ("zzzz", None)])
def test_the_nearest_command_is_suggested(capsys: pytest.CaptureFixture[str], typed: str, meant: str | None) -> None:
    assert run(typed, "--json") == 2
    said = capsys.readouterr()
    suggestion = f" Did you mean {meant!r}?" if meant else ""
    assert f"No such command {typed!r}.{suggestion}\n" in said.err
    assert meant is None or suggestion in json.loads(said.out)["message"]


@pytest.mark.parametrize(("no_color", "red"), [("", True), ("1", False)])
def test_errors_are_red_unless_no_colour_is_wanted(
    command: Callable[[Body], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    no_color: str,
    red: bool,
) -> None:
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)  # as on a terminal
    monkeypatch.setenv("NO_COLOR", no_color)
    command(fail(InputError("no such column")))
    assert run("breaks") == 2
    assert ("\x1b[31m" in capsys.readouterr().err) is red


def test_a_wrong_setting_stops_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cikg.toml").write_text('neo4j_url = "bolt://host"\n')
    monkeypatch.chdir(tmp_path)
    assert run("status", "--json") == 2
    error = json.loads(capsys.readouterr().out)
    assert error["error"] == "SettingsError"
    assert "unknown setting 'neo4j_url'" in error["message"]


def leaves(command: click.Command) -> list[click.Command]:
    """A command's own subcommands, or itself."""
    if not isinstance(command, click.Group):
        return [command]
    return [leaf for child in command.commands.values() for leaf in leaves(child)]


def test_every_file_is_a_command_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    files = {path.stem.removesuffix("_") for path in Path(cikg.cli.__path__[0]).glob("[!_]*.py")}
    assert set(COMMANDS) == files
    assert run("--help") == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line.startswith("  "))
    assert {name: shown[name] for name in COMMANDS} == _main.COMMANDS, "each on a line of its own, uncut"


PROPOSED = {"down", "doctor", "demo", "dataset"}
LOOKS = """
import sys
from click.shell_completion import ShellComplete
from cikg.cli._main import _root

print(*(each.value for each in ShellComplete(_root, {}, "cikg", "_CIKG_COMPLETE").get_completions([], "d")))
try:
    _root.main(["--help"], prog_name="cikg")
except SystemExit:
    print(*(name for name in sys.modules if name.startswith("cikg.cli.") or name == "pydantic"))
"""


def test_help_and_the_names_that_a_shell_proposes_load_no_command() -> None:
    done = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert set(lines[0].split()) == PROPOSED
    assert lines[-1] == "cikg.cli._main"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_speaks_json(name: str) -> None:
    found = _main._root.get_command(click.Context(_main._root), name)
    assert found is not None
    assert found.help, "a sentence on what it does"
    for leaf in leaves(found):
        assert leaf.help, f"a sentence on what {leaf.name} does"
        assert "--json" in {option for parameter in leaf.params for option in parameter.opts}, leaf.name
        for parameter in leaf.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"help for {parameter.name}"


def test_the_interface_that_scripts_rely_on() -> None:
    promised = [
        "up",
        "down",
        "status",
        "import",
        "extract",
        "cluster",
        "snapshot",
        "train",
        "evaluate",
        "publish",
        "recommend",
        "query",
        "doctor",
    ]
    assert set(promised) <= set(COMMANDS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("cikg, version ")


SLOW_TO_CLOSE = """
import atexit, sys, time
from cikg.cli import _main

def interrupted(*_arguments, **_options):
    raise KeyboardInterrupt

atexit.register(time.sleep, 60)
_main._root.main = interrupted
_main.main()
"""


def test_who_presses_ctrl_c_again_waits_for_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", SLOW_TO_CLOSE], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None and "cikg: interrupted" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == -signal.SIGINT
        assert process.stderr.read() == ""
