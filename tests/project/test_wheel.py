"""A built wheel works outside the checkout: everything it reads at run time is inside it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """The wheel, and an environment that holds it and nothing of the checkout."""

    wheel: Path
    programs: Path
    folder: Path

    def run(self, program: str, *arguments: str) -> str:
        """What a program prints, started in an empty folder."""
        answer = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={"PATH": str(self.programs), "HOME": str(self.folder)},
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    def python(self, code: str) -> str:
        return self.run("python", "-W", "error", "-c", code).strip()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    base = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(base)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = base.glob("*.whl")
    environment = base / "environment"
    venv.EnvBuilder(with_pip=False).create(environment)
    python = environment / "bin" / "python"
    # The dependencies are those of the tests: a line of a `.pth` file adds their folder, and not the checkout, which
    # only another `.pth` file in that folder names.
    (library,) = (environment / "lib").glob("python*/site-packages")
    (library / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--ignore-installed", str(wheel)], check=True, capture_output=True)
    folder = base / "empty"
    folder.mkdir()
    return Installed(wheel, environment / "bin", folder)


def test_wheel_holds_what_is_read_at_run_time(installed: Installed) -> None:
    inside = set(zipfile.ZipFile(installed.wheel).namelist())
    for source, target in (
        ("cypher/**/*.cypher", "cikg/cypher"),
        ("platform/cikg/llm/prompts/*.md", "cikg/llm/prompts"),
        ("platform/cikg/datasets/formats/demo_data/*", "cikg/datasets/formats/demo_data"),
        ("web/templates/**/*.html", "web/templates"),
        ("web/static/*.*", "web/static"),
        ("web/static/vendor/*.*", "web/static/vendor"),
    ):
        base = ROOT / source.split("*")[0].rstrip("/")
        wanted = {f"{target}/{path.relative_to(base)}" for path in ROOT.glob(source) if "__pycache__" not in path.parts}
        assert wanted, source
        assert wanted <= inside
    assert {"cikg/embedded/neo4j.lock", "cikg/embedded/redis.lock"} <= inside


def test_wheel_holds_nothing_else(installed: Installed) -> None:
    inside = zipfile.ZipFile(installed.wheel).namelist()
    assert {path.split("/")[0] for path in inside} == {"cikg", "workers", "web", "cikg-0.1.0.dist-info"}
    assert not [path for path in inside if "node_modules" in path or "test" in path.lower()]


def test_command_line_works_from_an_empty_folder(installed: Installed) -> None:
    assert "Recommendations that people can read" in installed.run("cikg", "--help")
    assert "extract" in installed.run("cikg", "--help")
    listed = installed.run("cikg", "query", "--list", "--json")
    statements = sum(path.read_text().count("// name: ") for path in (ROOT / "cypher").glob("*.cypher"))
    assert 0 < len(json.loads(listed)["queries"]) <= statements


def test_every_part_finds_its_files(installed: Installed) -> None:
    where = installed.python("import cikg, web, workers; print(cikg.__file__, web.__file__, workers.__file__)")
    assert all(path.startswith(str(installed.programs.parent)) for path in where.split()), where
    assert int(installed.python("from cikg.embedded.fetch import lock; print(len(lock()))")) > 100
    assert installed.python("from cikg.embedded.assets import missing_assets; print(missing_assets())") == "[]"
    books = "from cikg.datasets.formats.demo import FORMAT; print(sum(1 for _ in FORMAT.read(None)) > 15_000)"
    assert installed.python(books) == "True"


def test_dashboard_has_its_templates_and_assets(installed: Installed) -> None:
    code = """
import web
from cikg.settings import Settings
browser = web.create_app(Settings(secret_key="s" * 32)).test_client()
for path in ("/healthz", "/nowhere", "/static/style.css", "/static/vendor/htmx.min.js"):
    answer = browser.get(path)
    print(answer.status_code, answer.mimetype)
"""
    assert installed.python(code).splitlines() == [
        "200 application/json",
        "404 text/html",
        "200 text/css",
        "200 text/javascript",
    ]
