"""Real training runs over the planted graph: their files, and what the graph says of them."""

from __future__ import annotations

from cikg.cli.train import register
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.recommend import runs
from cikg.recommend.engine import train
from cikg.serving.publish import publish as carry_out
from cikg.settings import Settings


def write(graph: Graph, settings: Settings, dataset: str, *methods: str) -> list[str]:
    """Train methods on a dataset as it is; the names of their runs."""
    graph.execute(  # some interests are planted with a book of valid as evidence, from which no training may begin
        """
        MATCH (u:User {dataset: $d})-[known:HAS_INTEREST|POSSESSES]->()
        SET known.evidence = COLLECT { MATCH (u)-[:INTERACTED {split: 'train'}]->(i) RETURN i.id ORDER BY i.id LIMIT 1 }
        """,
        d=dataset,
    )
    snapshot = take(graph, dataset, settings)
    names = []
    for method in methods:
        trained = train(snapshot, method, settings=settings, epochs=2)
        register(graph, trained)
        names.append(trained.run_id)
    return names


def publish(graph: Graph, settings: Settings, run: str, k: int = 5) -> None:
    """Serve a run."""
    recommender = runs.load(settings.runs / run)
    carry_out(graph, runs.snapshot(settings, recommender.manifest), recommender, k)
