"""The servers of a machine that has none: Neo4j, Redis, the stand-in, and their supervisor."""
