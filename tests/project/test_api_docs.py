"""The client of docs/api.md, run against a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from pydantic import SecretStr

import web
from cikg.access import tokens
from cikg.access.accounts import Scope
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.serving.publish import publish
from cikg.settings import Settings
from tests import planted
from tests.dashboard import answering
from web import api
from web.api.operation import OPERATIONS

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_client_runs(graph: Graph, settings: Settings, dataset: str, tmp_path: Path) -> None:
    planted.write(graph, dataset)
    snapshot = take(graph, dataset, settings)
    publish(graph, snapshot, planted.Neighbours(snapshot), k=5)
    (code,) = re.findall(r"`client.py`\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "client.py").write_text(code, encoding="utf-8")
    app = web.create_app(settings.model_copy(update={"secret_key": SecretStr("docs-test-key-0123456789")}))
    with answering(app) as address:
        token = tokens.create(graph, None, "shop", [Scope.READ], actor="tests")[1]
        surroundings = {"ADDRESS": address, "TOKEN": token}

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-W", "error", "client.py", *arguments]
            environment = os.environ | surroundings
            return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

        answer = run(dataset)
        assert answer.returncode == 0, answer.stderr
        lines = answer.stdout.splitlines()
        assert lines[0] == "41 users"
        assert lines[1].startswith(f"1 {planted.missing('0').replace('-', ' book ')} - ")
        assert "who share the interest “gardens”" in lines[1]
        assert lines[-1] == "41 lists at once"
        wrong = run("absent")
        assert (wrong.returncode, "not_found: there is no dataset 'absent'" in wrong.stderr) == (1, True)


def test_the_scopes_are_those_that_operations_ask_for() -> None:
    api.load()
    assert {made.scope for made in OPERATIONS} == set(Scope)
    assert all(f"`{scope}`" in PAGE for scope in set(Scope) - {Scope.ADMIN})
