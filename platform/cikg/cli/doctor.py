"""`cikg doctor`: examine every part, say how to fix it, and list every setting."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from pydantic import SecretStr
from rich.text import Text

from cikg.cli._output import console, json_option, messages, print_json, print_table
from cikg.embedded.diagnosis import Finding, Verdict, examine
from cikg.settings import Settings, environment_name, load_settings, setting_sources

_SIGNS = {Verdict.OK: ("ok  ", "green"), Verdict.WARN: ("warn", "yellow"), Verdict.FAIL: ("FAIL", "red")}


@click.command("doctor")
@json_option
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Check every part of the platform, say how to fix what is broken, and list every setting with its source.

    Exits with 2 if any check fails.
    """
    settings = load_settings()
    findings = []
    with messages.status("Examining"):
        for finding in examine(settings, load_settings(with_embedded=False).embedded):
            findings.append(finding)
            if not as_json:
                _print(finding)
    rows = _settings(settings)
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings], "settings": rows})
    else:
        print_table("Settings", list(rows[0]), [list(row.values()) for row in rows])
    if any(finding.verdict is Verdict.FAIL for finding in findings):
        context.exit(2)


def _print(finding: Finding) -> None:
    said = Text.assemble(_SIGNS[finding.verdict], f" {finding.check}: {finding.detail}")
    console.print(said, highlight=False, soft_wrap=True)
    if finding.cure:
        console.print(f"     {finding.cure}.", style="dim", highlight=False, soft_wrap=True)


def _settings(settings: Settings) -> list[dict[str, Any]]:
    sources = setting_sources(settings)
    return [
        {
            "setting": environment_name(name),
            "value": _shown(getattr(settings, name)),
            "from": sources[name],
            "meaning": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    return "(hidden)" if isinstance(value, SecretStr) else str(value)
