"""`cikg import` and `cikg snapshot` as a person runs them: wrong input is one sentence, exit 2, nothing written."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.settings import Settings
from tests.unit.datasets.folders import write

Cikg = Callable[..., subprocess.CompletedProcess[str]]


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The error a person sees: one line, no traceback, exit 2."""
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("reading")]
    assert len(lines) == 1 and lines[0].startswith("cikg: "), done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def nodes(graph: Graph, dataset: str) -> int:
    found: int = graph.execute("MATCH (n {dataset: $dataset}) RETURN count(n) AS n", dataset=dataset)[0]["n"]
    return found


def properties(graph: Graph, dataset: str) -> dict[str, object]:
    found: dict[str, object] = graph.one("find_dataset", dataset=dataset)["dataset"]
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"test": None}, "test.txt is missing"),
        ({"kg_final": "0 0\n"}, "kg_final.txt:1: expected three numbers: head, relation, tail, found 2 columns"),
        ({"item_list": "org remap\n1 0\n1 1\n"}, "item_list.txt:3: the id '1' is already in line 2"),
        ({"test": "0 77\n"}, "test.txt:1: item 77 is not in item_list.txt"),
    ],
    ids=["missing file", "wrong columns", "duplicate id", "unlisted item in test"],
)
def test_a_wrong_folder(
    *, graph: Graph, here: Cikg, dataset: str, tmp_path: Path, change: dict[str, str | None], said: str
) -> None:
    done = here("import", "cikgrec", write(tmp_path, **change), "--dataset", dataset)
    assert said in one_sentence(done)
    assert done.stdout == ""
    assert nodes(graph, dataset) == 0


def test_a_wrong_folder_leaves_the_old_data(graph: Graph, here: Cikg, dataset: str, tmp_path: Path) -> None:
    assert here("import", "cikgrec", write(tmp_path / "good"), "--dataset", dataset).returncode == 0
    before = nodes(graph, dataset)
    bad = write(tmp_path / "bad", test="0 77\n")
    one_sentence(here("import", "cikgrec", bad, "--dataset", dataset, "--replace"))
    assert nodes(graph, dataset) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "nothing", "."], "no dataset format 'nothing'. Use one of: "),
        (["import", "movilens", "."], "no dataset format 'movilens'. Did you mean 'movielens'?"),
        (["import", "cikgrec"], "the format 'cikgrec' needs a path"),
        (["import", "demo", "/nowhere"], "the format 'demo' comes with its own data and takes no path"),
        (["import", "cikgrec", "/nowhere"], "/nowhere is not a folder"),
        (["import", "cikgrec", ".", "--split", "leave-one-out", "--test-share", "0.1"], "has no test share"),
        (["import", "cikgrec", ".", "--dataset", "A B"], "'A B' cannot be the name of a dataset"),
        (["snapshot", "--dataset", "test-nothing"], "no dataset 'test-nothing'"),
    ],
)
def test_wrong_arguments(here: Cikg, arguments: list[str], said: str) -> None:
    assert said in one_sentence(here(*arguments))


def test_a_file_that_unpacks_without_end_is_refused(graph: Graph, here: Cikg, dataset: str, tmp_path: Path) -> None:
    (tmp_path / "ratings.csv.zst").write_bytes(zstandard.compress((b"x," + b"x" * 2**20 + b"\n") * 300))
    (tmp_path / "mine.toml").write_text('[interactions]\nfile = "ratings.csv.zst"\nuser = 1\nitem = 2\n')
    said = one_sentence(here("import", "table", tmp_path / "mine.toml", "--dataset", dataset, "--max-rejected", "1"))
    assert f"{tmp_path}/ratings.csv.zst: it unpacks to more than 200 times its size" in said
    assert nodes(graph, dataset) == 0


def with_bad_rows(folder: Path, users: int = 200) -> Path:
    """Three of 402 rows cannot be used, and one of those looks like a formula."""
    train = [f"{user} {user % 7} {user % 5 + 7}" for user in range(users)]
    train[3], train[9] = "3 x", "=1+1"
    test = [f"{user} 12" for user in range(users)] + ["0 12", "0 7"]
    return write(folder, train="\n".join(train), test="\n".join(test), **dict.fromkeys(OPTIONAL))


OPTIONAL = ("user_list", "item_list", "entity_list", "relation_list", "kg_final", "user_interest_clustered")


def test_few_bad_rows_are_left_out_told_and_listed(
    graph: Graph, here: Cikg, dataset: str, tmp_path: Path, settings: Settings
) -> None:
    folder = with_bad_rows(tmp_path)
    command = ("import", "cikgrec", folder, "--dataset", dataset)
    done = here(*command, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["rows"], report["accepted"], report["rejected"]) == (0, 402, 399, 3)
    assert [(reason["rows"], Path(reason["file"]).name, reason["line"]) for reason in report["reasons"]] == [
        (2, "train.txt", 4),
        (1, "test.txt", 202),
    ]
    listed = Path(report["rejected_file"])
    assert listed.parent == settings.home / "imports" / dataset
    content = listed.read_bytes()
    numbers = "expected a user's number and those of the items, found"
    assert list(csv.reader(content.decode().splitlines())) == [
        ["file", "line", "reason", "row"],
        [f"{folder}/train.txt", "4", f"{numbers} 'x', which is not a whole number", "3 x"],
        [f"{folder}/train.txt", "10", f"{numbers} '=1+1', which is not a whole number", "'=1+1"],
        [f"{folder}/test.txt", "202", "item 7 of user 0 is also in train.txt", "0 7"],
    ]
    stored = graph.execute("MATCH (run:Run {uid: $run}) RETURN run.report AS report", run=report["run"])
    assert json.loads(stored[0]["report"]).items() <= report.items()

    before, nodes_before = properties(graph, dataset), nodes(graph, dataset)
    again = here(*command)
    assert (again.returncode, f"{dataset}: unchanged" in again.stdout) == (0, True), again.stderr
    for shown in ("rows rejected", "train.txt:4", str(listed)):
        assert shown in again.stdout.replace("\n", "")
    assert (properties(graph, dataset), nodes(graph, dataset)) == (before, nodes_before)
    assert listed.read_bytes() == content


def test_a_dry_run_says_what_would_come_of_it_without_a_database(
    graph: Graph, here: Cikg, dataset: str, tmp_path: Path
) -> None:
    command = ("import", "cikgrec", with_bad_rows(tmp_path), "--dataset", dataset)
    said = here(*command, "--dry-run", "--json", CIKG_NEO4J_URI="bolt://127.0.0.1:1")
    assert (said.returncode, nodes(graph, dataset)) == (0, 0), said.stderr
    dry, real = json.loads(said.stdout), json.loads(here(*command, "--json").stdout)
    assert (dry["dry_run"], real["dry_run"]) == (True, False)
    assert dry["seconds"] > 0
    differ = ("dry_run", "seconds", "peak_memory")
    assert {**dry, **dict.fromkeys(differ)} == {**real, **dict.fromkeys(differ)}
    shown = " ".join(here(*command, "--dry-run").stdout.split())
    assert f"{dataset}: checked; nothing was written" in shown and "rows rejected" in shown


def test_too_many_bad_rows_stop_the_import(
    graph: Graph, here: Cikg, dataset: str, tmp_path: Path, settings: Settings
) -> None:
    command = ("import", "cikgrec", with_bad_rows(tmp_path), "--dataset", dataset, "--max-rejected", "0.007")
    said = one_sentence(here(*command))
    listed = settings.home / "imports" / dataset / "refused.csv"
    assert f"{tmp_path}/train.txt:4: expected a user's number and those of the items, found 'x'" in said
    assert "3 of 402 rows (0.746 %) cannot be used, and --max-rejected allows 0.7 %" in said
    assert f"--max-rejected 0.01; {listed} lists them" in said
    assert len(listed.read_text(encoding="utf-8").splitlines()) == 4
    assert nodes(graph, dataset) == 0
    assert here(*command[:-1], "0.01").returncode == 0


def test_the_split_stands_on_the_edges_the_dataset_and_its_snapshots(
    graph: Graph, here: Cikg, dataset: str, tmp_path: Path, settings: Settings
) -> None:
    ratings = "userId,movieId,rating,timestamp\n"
    ratings += "".join(f"u{user},{movie},{movie % 5 + 1},{100 + movie}\n" for user in range(9) for movie in range(20))
    (tmp_path / "ratings.csv").write_text(ratings, encoding="utf-8")
    movies = "".join(f"{movie},Movie {movie} (1999),Drama\n" for movie in range(20))
    (tmp_path / "movies.csv").write_text(f"movieId,title,genres\n{movies}", encoding="utf-8")
    command = ("import", "movielens", tmp_path, "--dataset", dataset, "--min-rating", "2", "--core", "9", "--json")
    report = json.loads(here(*command, "--split", "temporal", "--test-share", "0.25", "--valid-share", "0.25").stdout)
    assert report["left_out"]["interactions_below_min_rating"] == 36
    assert report["left_out"]["items_outside_core"] == 4
    edges = graph.execute(
        "MATCH (:User {dataset: $dataset})-[edge:INTERACTED]->() RETURN edge.split AS split, min(edge.at) AS first, "
        "max(edge.at) AS last, count(*) AS n ORDER BY first",
        dataset=dataset,
    )
    assert [tuple(edge.values()) for edge in edges] == [
        ("train", 101, 111, 81), ("valid", 112, 114, 27), ("test", 116, 119, 36)
    ]  # fmt: skip
    wanted = {
        "split": "temporal", "test_share": 0.25, "valid_share": 0.25, "valid_from": 112, "test_from": 116,
        "min_rating": 2.0, "core": 9,
    }  # fmt: skip
    assert wanted.items() <= properties(graph, dataset).items()
    assert report["split"].items() >= {"split": "temporal", "split_seed": None, "test_from": 116}.items()
    assert take(graph, dataset, settings).manifest["split"] | {"min_rating": 2.0, "core": 9} == wanted
    said = one_sentence(here(*command[:-1], "--split", "ratio", "--split-seed", "3"))
    assert "already holds something else" in said


def test_adding_says_what_came_in_and_takes_no_option_about_a_whole_dataset(
    here: Cikg, dataset: str, tmp_path: Path
) -> None:
    def csv_of(name: str, rows: str) -> str:
        (tmp_path / f"{name}.csv").write_text(f"user,item\n{rows}")
        (tmp_path / f"{name}.toml").write_text(f'[interactions]\nfile = "{name}.csv"\nuser = "user"\nitem = "item"\n')
        return str(tmp_path / f"{name}.toml")

    old, new = csv_of("old", "a,x\nb,y\n"), csv_of("new", "a,x\na,y\nc,x\n")
    adding = ("import", "table", new, "--dataset", dataset, "--add")
    assert "without --add" in one_sentence(here(*adding))
    assert here("import", "table", old, "--dataset", dataset).returncode == 0
    for option in (["--replace"], ["--core", "2"], ["--split", "ratio"], ["--test-share", "0.1"], ["--dry-run"]):
        done = here(*adding, *option)
        assert done.returncode == 2 and f"{option[0]} cannot be used with --add" in done.stderr
    first, again = here(*adding, "--json"), here(*adding, "--json")
    told = [json.loads(done.stdout) for done in (first, again)]
    assert [(each["unchanged"], each["counts"]["users"], each["counts"]["train"]) for each in told] == [
        (False, 1, 2), (True, 0, 0)
    ]  # fmt: skip


def test_formats_are_listed(here: Cikg) -> None:
    done = here("import", "--list", "--json")
    assert done.returncode == 0
    found = {kind["name"]: kind["help"] for kind in json.loads(done.stdout)["formats"]}
    assert "train.txt" in found["cikgrec"]


def test_json_holds_what_scripts_need(cikg: Cikg, dataset: str, tmp_path: Path) -> None:
    done = cikg("import", "cikgrec", write(tmp_path), "--dataset", dataset, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["counts"]["users"] == 4
    assert report["duplicates"] == {"nodes": 0, "interactions": 1, "facts": 1, "interest_edges": 1}
    assert (report["rows"], report["rejected"], report["reasons"], report["rejected_file"]) == (32, 0, [], None)
    assert not report["unchanged"] and report["peak_memory"] > 10**6

    first, second = (json.loads(cikg("snapshot", "--dataset", dataset, "--json").stdout) for _ in range(2))
    assert len(first["hash"]) == 64 and Path(first["path"]).is_dir()
    assert first["counts"]["facts"] == 4
    assert (first["reused"], second["reused"]) == (False, True)
    assert first["hash"] == second["hash"]


def test_tables_are_for_people(here: Cikg, dataset: str, tmp_path: Path) -> None:
    done = here("import", "cikgrec", write(tmp_path), "--dataset", dataset)
    assert done.returncode == 0
    for shown in ("users", "repeated facts, left out", "seconds", "peak memory, MiB"):
        assert shown in done.stdout
