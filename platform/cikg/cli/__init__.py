"""The command-line tool `cikg`: one file per command or group of commands, by its name.

`_main` lists them; a file defines `command`, a click command or group.
"""

from cikg.cli._main import main

__all__ = ["main"]
