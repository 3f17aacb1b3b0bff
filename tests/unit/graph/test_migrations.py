"""Which servers have what the schema needs."""

from __future__ import annotations

import pytest

from cikg.errors import ServiceError
from cikg.graph.migrations import refuse_old


@pytest.mark.parametrize("version", ["5.26.1", "2025.12.1", "4.4.0-aura"])
def test_a_server_too_old_is_refused(version: str) -> None:
    with pytest.raises(ServiceError, match=r"is too old\. Use 2026\.01 or newer"):
        refuse_old(version)


@pytest.mark.parametrize("version", ["2026.01.0", "2026.08.1", "2027.01-SNAPSHOT"])
def test_newer_servers_are_taken(version: str) -> None:
    refuse_old(version)
