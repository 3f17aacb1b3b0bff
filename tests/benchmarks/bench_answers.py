"""Published answers of a language model to embedded profiles: seconds for all, and against one answer a transaction.

python -m tests.benchmarks.bench_answers FOLDER

FOLDER is one as CoLaKG's authors publish it (LastFM: 1,859 users and 2,813 items). The bar of 120 seconds is for
importing the answers about all users and items and embedding them by words.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from unittest.mock import patch

from cikg.datasets.answers import profiles
from cikg.datasets.drop import drop, drop_answers
from cikg.datasets.formats.colakg import ANSWERS
from cikg.datasets.loader import load
from cikg.embedded import supervisor
from cikg.extraction.steps import embedding
from cikg.graph import Graph, connect
from cikg.schema import Label
from cikg.settings import Settings, load_settings

BAR = 120.0
DATASETS = ("bench-answers", "bench-answers-single")


def imported(graph: Graph, folder: Path, dataset: str, batch: int) -> tuple[int, float]:
    """Import all answers of a folder, so many a transaction; how many profiles they made, and seconds."""
    load(graph, "colakg", folder, dataset)
    written, began = 0, time.perf_counter()
    with patch.object(profiles, "BATCH", batch):
        for about, label in profiles.ABOUT.items():
            written += profiles.load(graph, folder / ANSWERS[label], dataset, about).written
    return written, time.perf_counter() - began


def bench(graph: Graph, settings: Settings, folder: Path) -> dict[str, float]:
    """The figures, by what they are."""
    batched, single = DATASETS
    written, seconds = imported(graph, folder, batched, profiles.BATCH)
    began = time.perf_counter()
    with embedding.embedder(settings, "lexical") as model:
        made = embedding.embed(graph, batched, model, [Label.PROFILE])
    embedded = time.perf_counter() - began
    _, alone = imported(graph, folder, single, 1)
    return {
        "answers": written,
        "vectors": made.written[Label.PROFILE],
        "import, s": seconds,
        "embed, s": embedded,
        f"both, s (bar {BAR:g})": seconds + embedded,
        "import, one a transaction, s": alone,
        "times as fast": alone / seconds,
    }


def main() -> None:
    """Run it, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with supervisor.serving(load_settings(), ("neo4j",)) as settings, connect(settings) as graph:
        try:
            for name, figure in bench(graph, settings, folder).items():
                print(f"{name:<32} {figure:>10,.2f}")  # noqa: T201
        finally:
            for dataset in DATASETS:
                drop(graph, dataset)
                drop_answers(graph, dataset)


if __name__ == "__main__":
    main()
