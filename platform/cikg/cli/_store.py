"""What an import needs to know of the embedded Neo4j."""

from __future__ import annotations

from cikg.datasets.bulk import Bulk
from cikg.embedded.store import EmbeddedStore
from cikg.errors import InputError
from cikg.settings import Settings, load_settings


def bulk_store(settings: Settings, wanted: bool | None) -> Bulk | None:
    """How the database can be made anew, if it is embedded and nobody forbids it.

    Args:
        settings: of this process.
        wanted: whether it shall be, whatever the size; None where the size decides.

    Raises:
        InputError: it is not embedded, and that was asked for.
    """
    embedded = "neo4j" in load_settings(with_embedded=False).embedded
    if wanted and not embedded:
        raise InputError(
            "only an embedded Neo4j can be rebuilt from files", cure="Import without --bulk, or unset CIKG_NEO4J_URI"
        )
    return Bulk(EmbeddedStore(settings), required=bool(wanted)) if embedded and wanted is not False else None
