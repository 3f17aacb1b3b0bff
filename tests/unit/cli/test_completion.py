"""What a shell proposes, and the lists of commands that people read."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from cikg.cli import _main


def proposed(*words: str) -> list[str]:
    """What a shell would propose for the last word."""
    completer = ShellComplete(_main._root, {}, "cikg", "_CIKG_COMPLETE")
    return [item.value for item in completer.get_completions(list(words[:-1]), words[-1])]


def test_commands_options_and_names_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIKG_HOME", str(tmp_path))
    (tmp_path / "runs" / "ease-demo-0123456789ab").mkdir(parents=True)
    assert proposed("tr") == ["train"]
    assert proposed("jobs", "pu") == ["purge"]
    assert proposed("train", "--pro") == ["--protocol"]
    assert proposed("train", "item") == proposed("tune", "item") == ["item-knn"]
    assert proposed("import", "mov") == ["movielens"]
    assert proposed("import", "wiz") == ["wizard"]
    assert "users_by_intent" in proposed("query", "users_by")
    assert proposed("publish", "") == proposed("evaluate", "ease") == ["ease-demo-0123456789ab"]
    assert proposed("runs", "remove", "ea") == ["ease-demo-0123456789ab"]


def test_a_wrong_setting_does_not_disturb_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cikg.toml").write_text("nonsense = 1\n")
    monkeypatch.chdir(tmp_path)
    assert proposed("publish", "") == []


def groups(command: click.Command, path: str) -> list[tuple[str, click.Group]]:
    """A group with all within it."""
    if not isinstance(command, click.Group):
        return []
    context = click.Context(command)
    found = ((name, command.get_command(context, name)) for name in command.list_commands(context))
    return [(path, command), *(group for name, inner in found if inner for group in groups(inner, f"{path} {name}"))]


def test_no_command_is_cut_short_where_commands_are_listed() -> None:
    for path, group in groups(_main._root, "cikg"):
        shown = group.get_help(click.Context(group, info_name=path, terminal_width=80))
        cut = [line for line in shown.splitlines() if line.endswith("...") and not line.startswith("Usage")]
        assert not cut, path
