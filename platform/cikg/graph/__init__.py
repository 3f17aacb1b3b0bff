"""The graph in Neo4j: statements, driver, schema migrations, snapshots. Nothing else imports the driver."""

from cikg.graph.database import Graph, connect
from cikg.graph.statements import Statement, library

__all__ = ["Graph", "Statement", "connect", "library"]
