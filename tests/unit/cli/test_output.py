from __future__ import annotations

import io
from pathlib import Path

import click
import pytest

from cikg.cli._output import confirm, print_facts, print_table, working
from cikg.errors import InputError
from cikg.progress import FILE


class Terminal(io.StringIO):
    """A person who types."""

    def isatty(self) -> bool:
        return True


def test_what_is_lost_is_asked_about_first(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(typed: str, *, as_json: bool = False) -> str:
        monkeypatch.setattr("sys.stdin", Terminal(typed))
        confirm("This removes all.", "Remove it?", "Nothing was removed.", as_json=as_json)
        return capsys.readouterr().err

    assert ask("y\n").startswith("This removes all.\nRemove it? [y/N]: ")
    for no in ("n\n", "\n"):
        with pytest.raises(click.exceptions.Exit) as ended:
            ask(no)
        assert ended.value.exit_code == 0 and "Nothing was removed." in capsys.readouterr().err
    with pytest.raises(InputError, match="no terminal to ask in"):
        ask("y\n", as_json=True)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(InputError, match="no terminal to ask in"):
        confirm("This removes all.", "Remove it?", "Nothing was removed.", as_json=False)


@pytest.mark.parametrize("quiet", [False, True])
def test_who_started_a_command_hears_what_it_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, quiet: bool
) -> None:
    monkeypatch.setenv(FILE, str(tmp_path / "progress"))
    with working("Opening a run", quiet=quiet):
        assert (tmp_path / "progress").read_text() == "Opening a run"
    assert capsys.readouterr().out == ""


def test_a_path_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/" + "/".join(f"folder-{number}" for number in range(20))
    print_facts("Import", {"rows": 12345, "rejected file": path})
    said = capsys.readouterr().out
    assert "12,345" in said
    assert path in "".join(said.split())


def test_an_empty_list_says_what_to_do_and_shows_no_header(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Tokens", ["id", "name"], [], empty="There are no tokens. `cikg token create NAME` makes one.")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "There are no tokens. `cikg token create NAME` makes one.\n")
    print_table("Tokens", ["id", "name"], [["a", "b"]], empty="There are no tokens.")
    assert "There are no" not in (said := capsys.readouterr()).err and "id" in said.out


def test_a_table_in_a_pipe_is_not_cut_to_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest, name = "0123456789abcdef" * 4, "a name of many words " * 10
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table("Snapshots", ["hash", "name"], [[digest, name], ["", ""]])
    assert f"{digest}   {name}".strip() in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "60")
    print_table("Snapshots", ["hash", "name"], [[digest, name], ["", ""]])
    said = capsys.readouterr().out
    assert digest not in said
    assert max(map(len, said.splitlines())) <= 60
