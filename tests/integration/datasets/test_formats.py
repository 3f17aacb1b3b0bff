"""A small dataset in every published format, imported into a real graph: what was planted is there, nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cikg.datasets.loader import load
from cikg.graph import Graph
from tests.unit.datasets.formats import small

PUBLISHED: list[tuple[str, Callable[[Path], Path], tuple[int, int, int, int, int]]] = [
    # format, what writes it, and how many users, items, entities, interactions and facts it has
    ("movielens", small.movielens_100k, (2, 3, 5, 3, 5)),
    ("movielens", small.movielens_1m, (2, 4, 8, 4, 11)),
    ("movielens", small.movielens_csv, (2, 3, 5, 2, 7)),
    ("recbole", small.recbole, (3, 2, 8, 3, 10)),
    ("amazon", small.amazon_2014, (2, 2, 4, 3, 6)),
    ("amazon", small.amazon_2018, (2, 2, 3, 2, 5)),
    ("amazon", small.amazon_2023, (2, 2, 3, 2, 3)),
    ("steam", small.steam_reviews, (2, 2, 7, 2, 7)),
    ("yelp", small.yelp, (3, 3, 4, 2, 5)),
    ("book_crossing", small.book_crossing, (3, 5, 10, 4, 10)),
]


@pytest.mark.parametrize(
    ("format_name", "write", "counts"), PUBLISHED, ids=[write.__name__ for _, write, _ in PUBLISHED]
)
def test_the_graph_holds_what_was_published(
    *,
    graph: Graph,
    dataset: str,
    tmp_path: Path,
    format_name: str,
    write: Callable[[Path], Path],
    counts: tuple[int, int, int, int, int],
) -> None:
    folder = write(tmp_path)
    report = load(graph, format_name, folder, dataset)
    assert report.rejected == 0
    (held,) = graph.many("counts", dataset=dataset)
    assert tuple(held[kind] for kind in ("users", "items", "entities", "interactions", "facts")) == counts
    found = small.read(format_name, folder)
    things = graph.execute(
        "MATCH (n:User|Item|Entity {dataset: $dataset}) RETURN n.id AS id, n.name AS name", dataset=dataset
    )
    assert {row["id"]: row["name"] for row in things} == found.users | found.items | found.entities
    facts = graph.execute(
        "MATCH (h:Item|Entity {dataset: $dataset})-[f]->(t:Item|Entity) "
        "RETURN h.id AS head, f.relation AS relation, t.id AS tail",
        dataset=dataset,
    )
    assert {(row["head"], row["relation"], row["tail"]) for row in facts} == found.facts
    interactions = graph.execute(
        "MATCH (u:User {dataset: $dataset})-[i:INTERACTED]->(n:Item) "
        "RETURN u.id AS user, n.id AS item, i.rating AS rating, i.at AS at",
        dataset=dataset,
    )
    assert {(row["user"], row["item"]): (row["rating"], row["at"]) for row in interactions} == {
        (user, item): known for (user, item, _), known in found.interactions.items()
    }
    assert load(graph, format_name, folder, dataset).unchanged


def test_as_a_person_imports_them(
    cikg: Callable[..., subprocess.CompletedProcess[str]], dataset: str, tmp_path: Path
) -> None:
    done = cikg(
        "import", "amazon", small.amazon_2014(tmp_path) / "reviews_Toys_5.json.gz", "--dataset", dataset, "--json"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["rows"], report["rejected"]) == (6, 0)
    assert report["relations"] == {"also_bought": "ALSO_BOUGHT", "brand": "BRAND", "category": "CATEGORY"}
    wrong = cikg("import", "yelp", tmp_path, "--dataset", dataset)
    assert wrong.returncode == 2
    assert "holds meta_Toys.json.gz, reviews_Toys_5.json.gz. Expected the unpacked folder" in " ".join(
        wrong.stderr.split()
    )
