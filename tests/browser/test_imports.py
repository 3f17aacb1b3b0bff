"""Importing in the dashboard, from a file that is chosen to the page of its dataset, with a worker of its own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pydantic import SecretStr

import web
from cikg.embedded.assets import fetch_assets
from cikg.graph import Graph
from cikg.settings import Settings
from tests.browser.conftest import Site, Visit, in_all, in_two
from tests.dashboard import answering
from tests.integration.extraction.conftest import job_settings, worker  # noqa: F401

ROWS = 20_000
RATINGS = "customer;sku;stars;when\n" + "".join(
    f"u{n % 601};i{n * 7 % 307};{n % 5 + 1};{1_400_000_000 + n}\n" for n in range(ROWS)
)
FILMS = "sku,name,genres\n" + "".join(f"i{n},Film {n},{'Drama|War' if n % 2 else 'War'}\n" for n in range(307))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    (made / "ratings.csv").write_text(RATINGS + "u1;i1;five;1400000000\n")
    (made / "films.csv").write_text(FILMS)
    return made


@pytest.fixture(scope="module")
def site(graph: Graph, settings: Settings, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A dashboard whose messages its own worker reads, with a folder that may be imported from."""
    fetch_assets(quiet=True)
    redis = settings.redis_url.get_secret_value().rpartition("/")[0] if settings.redis_url else ""
    own = settings.model_copy(
        update={
            "home": tmp_path_factory.mktemp("home"),
            "secret_key": SecretStr("browser-test-key-0123456789"),
            "redis_url": SecretStr(f"{redis}/12"),
            "import_folders": str(folder),
        }
    )
    app = web.create_app(own)
    with answering(app) as address:
        yield Site(address, own, app)


@pytest.fixture
def page(visit: Visit) -> Page:
    """The page Import, to someone who is logged in."""
    visit.page.goto(visit.site.link())
    visit.page.get_by_role("link", name="Import", exact=True).click()
    return visit.page


@pytest.fixture
def start_worker(visit: Visit, worker: Callable[[Settings], subprocess.Popen[bytes]]) -> Callable[[], object]:  # noqa: F811
    """Starts a worker of the dashboard's own."""
    return lambda: worker(visit.site.settings)


@in_two
@pytest.mark.usefixtures("page")
def test_from_a_file_to_its_dataset(
    visit: Visit, folder: Path, dataset: str, axe: str, start_worker: Callable[[], object]
) -> None:
    page = visit.page
    visit.check()
    visit.find_no_barrier(axe)
    page.get_by_label("Files: tables").set_input_files([folder / "ratings.csv", folder / "films.csv"])
    page.get_by_role("button", name="Upload and preview").click()
    becomes = page.get_by_role("region", name="Preview")
    expect(becomes).to_contain_text("Film 7")
    expect(page.get_by_label("Which column is the rating?")).to_have_value("stars")
    visit.check()
    visit.find_no_barrier(axe)
    page.get_by_label("Which column is the rating?").select_option("none")
    expect(becomes.get_by_role("columnheader", name="rating")).to_have_count(0)
    page.get_by_label("Which column is the rating?").select_option("stars")
    expect(becomes.get_by_role("columnheader", name="rating")).to_have_count(1)
    page.get_by_label("Dataset name").fill(dataset)
    page.get_by_text("What to leave out, and how to split").click()
    page.get_by_label("Leave out ratings below").fill("2")
    visit.check()
    page.get_by_role("button", name="Start the import").click()
    expect(page.get_by_role("heading", name="queued into")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    visit.find_no_barrier(axe)
    start_worker()
    opened = page.get_by_role("link", name=f"Open {dataset}")
    expect(page.get_by_role("progressbar").or_(opened)).to_be_visible(timeout=30_000)  # a fast machine is done by then
    expect(opened).to_be_visible(timeout=60_000)
    rejected = page.get_by_role("region", name="Rows that could not be used")
    expect(rejected).to_contain_text("expected a number as rating, found 'five'")
    with page.expect_download() as download:
        rejected.get_by_role("link", name="Download all as CSV").click()
    assert "ratings.csv,20002" in download.value.path().read_text()
    visit.check()
    visit.find_no_barrier(axe)
    page.get_by_role("link", name=f"Open {dataset}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(dataset)
    visit.check()
    counts = page.locator(".counts")
    expect(counts).to_contain_text("601")
    expect(counts).to_contain_text(f"{ROWS * 4 // 5:,}")


@in_all
def test_what_cannot_be_read_is_told_beside_the_form(visit: Visit, page: Page, tmp_path: Path, axe: str) -> None:
    (tmp_path / "a.zip").write_bytes(b"no archive")
    page.get_by_label("Files: tables").set_input_files(tmp_path / "a.zip")
    page.get_by_role("button", name="Upload and preview").click()
    expect(page.get_by_role("alert")).to_contain_text("a.zip cannot be read as a zip archive")
    visit.forgive("400")
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\0\0\0")
    page.get_by_label("Files: tables").set_input_files(tmp_path / "picture.csv")
    page.get_by_role("button", name="Upload and preview").click()
    expect(page.get_by_role("alert")).to_contain_text("picture.csv: it is not text: it contains zero bytes")
    page.get_by_label("Format").select_option("movielens")
    expect(page.get_by_role("alert")).to_contain_text("what was sent holds picture.csv")
    expect(page.get_by_role("alert")).to_contain_text("Expected")
    visit.check()
    visit.find_no_barrier(axe)


def test_what_was_typed_outlives_a_preview_and_a_preview_that_fails(visit: Visit, page: Page, folder: Path) -> None:
    page.get_by_label("A file or folder on the server").fill(str(folder))
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Preview")).to_be_visible()
    name, rating = page.get_by_label("Dataset name"), page.get_by_label("Which column is the rating?")
    name.fill("typed-by-hand")
    page.evaluate("document.body.dataset.stays = 'yes'")  # gone if the page were loaded anew
    with page.expect_response(re.compile("look=1")):
        page.get_by_role("button", name="Update the preview").click()
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.body.dataset.stays") == "yes"
    expect(name).to_have_value("typed-by-hand")
    expect(page.get_by_role("button", name="Update the preview")).to_be_focused()
    cause = "<div class=error><h1>The disk is full.</h1></div>"
    page.route("**/preview", lambda route: route.fulfill(status=503, content_type="text/html", body=cause))
    rating.select_option("none")
    expect(page.get_by_role("alert").filter(has_text="The disk is full.")).to_be_visible()
    visit.forgive("503")
    visit.forgive("503")
    page.unroute_all()
    rating.select_option("sku")
    expect(page.get_by_text("The disk is full.")).to_have_count(0)
    visit.check()


def test_an_upload_notices_that_its_session_has_ended(visit: Visit, page: Page, folder: Path) -> None:
    page.get_by_label("Files: tables").set_input_files(folder / "films.csv")
    page.context.clear_cookies()
    page.get_by_role("button", name="Upload and preview").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expect(page.locator("input[name=to]")).to_have_value("/import")


def test_a_path_of_the_server_by_keyboard_and_cancelled(visit: Visit, page: Page, folder: Path, dataset: str) -> None:
    page.get_by_label("A file or folder on the server").focus()
    page.keyboard.type(str(folder))
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Preview")).to_be_visible()
    page.get_by_label("Dataset name").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type(dataset)
    page.get_by_role("button", name="Start the import").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="queued into")).to_be_visible()
    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Start the import again to resume")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Import")
    visit.check()
