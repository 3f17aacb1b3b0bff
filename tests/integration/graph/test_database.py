"""Addresses and names that lead to no graph: told in a sentence that names the setting."""

from __future__ import annotations

import pytest

from cikg.errors import ServiceError, UnreachableError
from cikg.graph import connect
from cikg.settings import Settings


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:7474", "127.0.0.1:7687", "", "bolt:/host", "redis://127.0.0.1:1"]
)
def test_what_is_no_bolt_address_is_named(settings: Settings, address: str) -> None:
    with pytest.raises(UnreachableError, match=r"which is no Bolt address. Write it like bolt://host:7687"):
        connect(settings.model_copy(update={"neo4j_uri": address}))


def test_a_database_that_is_not_there_is_named(settings: Settings) -> None:
    with (
        connect(settings.model_copy(update={"neo4j_database": "nowhere"})) as graph,
        pytest.raises(ServiceError, match=r"no such database: .*nowhere.* Correct CIKG_NEO4J_DATABASE"),
    ):
        graph.many("find_dataset", dataset="any")
