"""Answers made elsewhere become profiles: whose, under which run, what a repetition changes, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cikg.datasets.answers import profiles
from cikg.datasets.answers.importing import AnswersReport
from cikg.errors import ConflictError, InputError, NotFoundError
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.recommend.data.views import training_data
from cikg.schema import SplitCode
from cikg.settings import Settings

PROFILES = """
MATCH (p:Profile {dataset: $d})-[e:DESCRIBES]->(n)
MATCH (c:Completion {uid: e.completion})
RETURN labels(n)[0] + ' ' + n.id AS about, properties(p) AS profile, properties(e) AS edge, properties(c) AS completion
ORDER BY about
"""


def standing(graph: Graph, dataset: str) -> dict[str, dict[str, Any]]:
    return {row["about"]: row for row in graph.execute(PROFILES, d=dataset)}


def version(graph: Graph, dataset: str) -> int:
    return int(graph.many("find_dataset", dataset=dataset)[0]["dataset"]["version"])


def bring(
    graph: Graph, dataset: str, path: Path, texts: dict[str, str], about: str = "item", **options: Any
) -> AnswersReport:
    path.write_text(json.dumps(texts, indent=0))
    return profiles.load(graph, path, dataset, about, **options)


def test_numbers_of_published_files_are_looked_up_in_the_maps_beside_them(
    graph: Graph, shop: str, tmp_path: Path
) -> None:
    users = bring(graph, shop, tmp_path / "llm_response_user.json", {"1": "likes rock", "0": "likes jazz"}, "user")
    items = bring(graph, shop, tmp_path / "llm_response_item.json", {"0": "a band", "1": "a singer"}, model="m")
    assert users.numbers == str(tmp_path / "user_map.txt")
    found = standing(graph, shop)
    texts = {about: row["profile"]["text"] for about, row in found.items()}
    expected = {"User 20": "likes jazz", "User 3": "likes rock", "Item 51": "a band", "Item 1": "a singer"}
    assert texts == expected
    row = found["Item 51"]
    assert row["edge"] == {"run": items.run, "completion": row["completion"]["uid"], "round": 1, "evidence": []}
    identity = {"uid": f"{shop}:import-answers/Item/51", "id": "import-answers/Item/51", "dataset": shop, "name": "51"}
    assert identity.items() <= row["profile"].items()
    answer = {"model": "m", "prompt": "imported", "status": "valid", "text": "a band", "run": items.run}
    assert (answer | {"source": items.source}).items() <= row["completion"].items()
    (run,) = graph.execute("MATCH (r:Run {uid: $r}) RETURN properties(r) AS run", r=items.run)
    assert (run["run"]["kind"], run["run"]["state"], run["run"]["total"]) == ("import-answers", "done", 2)
    assert json.loads(run["run"]["report"])["written"] == 2
    assert graph.one("extraction_leaks", dataset=shop) == {"edges": 0, "leaks": 0}
    (wrote,) = graph.many("written_by_run", dataset=shop, run=items.run.removeprefix(f"{shop}:"))  # type: ignore[union-attr]
    assert (wrote["kind"], wrote["edges"]) == ("DESCRIBES", 2)


def test_a_repetition_changes_nothing_and_a_correction_no_more_than_it_says(
    graph: Graph, shop: str, tmp_path: Path
) -> None:
    path, texts = tmp_path / "items.json", {"51": "a band", "1": "a singer", "70": "a duo"}
    first = bring(graph, shop, path, texts)
    before, at = standing(graph, shop), version(graph, shop)
    again = bring(graph, shop, path, texts)
    assert (again.written, again.standing, again.run) == (0, 3, first.run)
    assert standing(graph, shop) == before
    assert version(graph, shop) == at

    corrected = bring(graph, shop, path, texts | {"1": "a choir"})
    after = standing(graph, shop)
    assert (corrected.written, corrected.standing) == (1, 2)
    assert after.pop("Item 1")["profile"]["text"] == "a choir"
    assert after.items() <= before.items()
    assert version(graph, shop) == at + 1
    assert bring(graph, shop, path, texts).written == 1, "what stood before comes back"
    assert standing(graph, shop)["Item 1"]["completion"] == before["Item 1"]["completion"]


def test_what_an_interruption_left_out_is_added(
    graph: Graph, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "BATCH", 1)
    path, texts = tmp_path / "items.json", {"51": "a band", "1": "a singer", "70": "a duo"}
    written = graph.write

    def dies(name: str, /, **parameters: Any) -> Any:
        if name == "write_answers" and parameters["rows"][0]["target"].endswith(":70"):
            raise KeyboardInterrupt
        return written(name, **parameters)

    with monkeypatch.context() as patch:
        patch.setattr(graph, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            bring(graph, shop, path, texts)
    report = bring(graph, shop, path, texts)
    assert (report.written, report.standing) == (1, 2)
    runs = graph.execute("MATCH (r:Run {dataset: $d, kind: 'import-answers'}) RETURN r.state AS state", d=shop)
    assert runs == [{"state": "done"}]
    assert {row["edge"]["run"] for row in standing(graph, shop).values()} == {report.run}


def test_answers_in_the_same_words_are_two_answers(graph: Graph, shop: str, tmp_path: Path) -> None:
    bring(graph, shop, tmp_path / "a.json", {"51": "a band", "1": "a band"})
    assert len({row["edge"]["completion"] for row in standing(graph, shop).values()}) == 2


def test_snapshots_mark_them_and_training_warns(graph: Graph, shop: str, tmp_path: Path, settings: Settings) -> None:
    assert take(graph, shop, settings).imported_profiles == 0
    bring(graph, shop, tmp_path / "a.json", {"51": "a band", "1": "a singer"})
    graph.execute(
        "MATCH (i:Item {uid: $d + ':70'}) CREATE (p:Profile {uid: $d + ':refined/Item/70', dataset: $d, "
        "id: 'refined/Item/70', text: 'A duo.'})-[:DESCRIBES {run: 'r', round: 1, evidence: ['70']}]->(i)",
        d=shop,
    )
    snapshot = take(graph, shop, settings)
    assert sorted(snapshot.item_profile) == ["A duo.", "a band", "a singer"]
    assert snapshot.imported_profiles == 2
    data = training_data(snapshot, (SplitCode.TRAIN,), None)
    assert any("imported profiles have no evidence" in warning for warning in data.warnings)
    assert not data.profiles_proven


def test_purged_answers_are_kept_again(graph: Graph, shop: str, tmp_path: Path) -> None:
    bring(graph, shop, tmp_path / "a.json", {"51": "a band", "1": "a singer"})
    graph.write("purge_completions", dataset=shop, prompt="imported", model="", run="", size=1)
    assert bring(graph, shop, tmp_path / "a.json", {"51": "a band", "1": "a singer"}).written == 1
    assert len(standing(graph, shop)) == 2


def test_answers_about_nobody_are_rejected_with_their_lines(graph: Graph, shop: str, tmp_path: Path) -> None:
    texts = {"51": "a band", "nobody": "?", "1": "a singer", "20": "a user"}
    with pytest.raises(InputError, match=r"items\.json:3: the dataset has no item 'nobody'; 2 of 4 rows \(50 %\)"):
        bring(graph, shop, tmp_path / "items.json", texts, home=tmp_path)
    assert standing(graph, shop) == {}
    report = bring(graph, shop, tmp_path / "items.json", texts, home=tmp_path, max_rejected=0.5)
    assert (report.rows, report.rejected, report.written) == (4, 2, 2)
    assert sorted((reason.reason, reason.rows, reason.line) for reason in report.reasons) == [
        ("the dataset has no item …", 2, 3)
    ]
    listed = Path(report.rejected_file or "").read_text().splitlines()
    assert [line.split(",")[1] for line in listed[1:]] == ["3", "5"]


def test_numbers_that_no_list_has_and_numbers_given_twice(graph: Graph, shop: str, tmp_path: Path) -> None:
    texts = {"0": "a band", "00": "the same band", "9": "?", "x": "?"}
    options: dict[str, Any] = {"numbers": tmp_path / "item_map.txt", "max_rejected": 1}
    report = bring(graph, shop, tmp_path / "items.json", texts, **options)
    assert [row["profile"]["text"] for row in standing(graph, shop).values()] == ["a band"]
    assert sorted(reason.example for reason in report.reasons) == [
        "'9' is not a number in item_map.txt",
        "line 2 already has an answer about '00'",
    ]
    with pytest.raises(InputError, match="does not exist"):
        bring(graph, shop, tmp_path / "items.json", texts, numbers=tmp_path / "other.txt")


def test_nothing_is_written_while_an_import_replaces_the_dataset(
    graph: Graph, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = graph.write

    def late(name: str, /, **parameters: Any) -> Any:
        if name == "write_answers":
            graph.execute("MATCH (d:Dataset {uid: $d}) SET d.state = 'importing'", d=shop)
        return written(name, **parameters)

    with monkeypatch.context() as patch:
        patch.setattr(graph, "write", late)
        with pytest.raises(ConflictError, match="its import was interrupted"):
            bring(graph, shop, tmp_path / "a.json", {"51": "a band"})
    assert standing(graph, shop) == {}


def test_what_is_refused(graph: Graph, shop: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no dataset"):
        bring(graph, f"{shop}-other", tmp_path / "a.json", {"51": "a band"})
    with pytest.raises(InputError, match="it holds no answers"):
        bring(graph, shop, tmp_path / "a.json", {})
    graph.execute("MATCH (d:Dataset {uid: $d}) SET d.state = 'importing'", d=shop)
    with pytest.raises(ConflictError, match="its import was interrupted"):
        bring(graph, shop, tmp_path / "a.json", {"51": "a band"})
