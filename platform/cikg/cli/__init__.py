"""The command-line tool `cikg`: one file a group of commands, found by their names.

A command file defines `command`, a click command or group; adding a file adds the command.
"""

from cikg.cli._main import main

__all__ = ["main"]
