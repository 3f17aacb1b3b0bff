"""Whatever Schemathesis thinks of to send: no error of ours, and no answer that the document does not announce."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis.openapi import from_dict
from schemathesis.specs.openapi.checks import positive_data_acceptance

from cikg.datasets.prepared.intake import Intakes
from cikg.extraction import commands
from cikg.graph import Graph
from tests.dashboard import answering
from tests.planted import QUIRK
from web import api as served_api
from web.api.document import document

KNOWN: dict[str, list[str]] = {
    "user": ["0", QUIRK],
    "item": ["garden-1", "almanac"],
    "entity": ["author of sea"],
    "intent": ["gardens"],
    "interest": ["garden"],
    "run": ["extraction", "neighbours-1"],
    "kind": ["user", "Interest"],
    "node": ["0", "sea"],
}
EXAMPLES = 5


served_api.load()
api = from_dict(document())


@pytest.fixture(scope="module")
def address(app: Flask) -> Iterator[str]:
    """A real server, which has loaded what a first counterfactual would have to wait for."""
    importlib.import_module("cikg.recommend.runs")
    with answering(app) as served:
        yield f"{served}/api/v1"


@pytest.fixture(scope="module", autouse=True)
def existing(planted_dataset: str, app: Flask, graph: Graph) -> None:
    """Most ids are replaced by ones that exist, so that more than 404 is met."""
    KNOWN["dataset"] = [planted_dataset]
    queued = commands.enqueue(graph, app.extensions["cikg"], ["train", "popularity"], planted_dataset)
    KNOWN["run"].append(queued.partition(":")[2])
    KNOWN["import_id"] = []
    for _ in range(4):  # some are removed, and some started
        with Intakes(app.extensions["cikg"]).receive("tests") as intake:
            intake.put("ratings.csv", io.BytesIO(b"user,item,rating\nann,emma,5\nben,dune,4\n"))
        KNOWN["import_id"].append(intake.id)


@api.hook
def map_path_parameters(_context: Any, parameters: dict[str, Any] | None) -> dict[str, Any]:
    def known(name: str, value: Any) -> Any:
        size = len(str(value))
        return KNOWN[name][size % len(KNOWN[name])] if name in KNOWN and size % 5 else value

    return {name: known(name, value) for name, value in (parameters or {}).items()}


@api.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
def test_every_answer_is_announced(case: schemathesis.Case, address: str, token: str) -> None:
    case.call_and_validate(
        base_url=address,
        headers={"Authorization": f"Bearer {token}"},
        excluded_checks=[positive_data_acceptance],  # to a schema every text is a cursor, and every run could be paused
    )
