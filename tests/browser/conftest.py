"""The whole product, started as its README says, and a Chromium in front of it."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from launcher.machine import free_port
from tests.browser import inside
from tests.browser.waiting import wait_until
from tests.migrated import MigratedFile

ROOT = Path(__file__).parents[2]
START_LIMIT_S = 240
NEIGHBOURS_LIMIT_S = 60
# Begun first, the longest before all: of the processes that share the files, none is left with a long one at the end.
LONG_FILES = [
    "test_booking_by_voice.py",
    "test_mic_to_note.py",
    "test_every_page.py",
    "test_consent.py",
    "test_network.py",
    "test_status_banner.py",
    "test_billing_pages.py",
    "test_voice_text_voice.py",
    "test_push_to_talk.py",
]
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


RUNNING = pytest.StashKey["Product"]()


@dataclass(frozen=True)
class Product:
    """A running Parley: its address, and its database, which tests read past the product's own code."""

    url: str
    data_dir: Path
    log: Path
    # Where the product believes HubSpot to be: nobody is there unless a test is.
    hubspot_port: int

    def rows(self, query: str, *values) -> list[dict]:
        with closing(sqlite3.connect(f"file:{self.data_dir / 'db.sqlite3'}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, values)]

    def row(self, query: str, *values) -> dict:
        (row,) = self.rows(query, *values)
        return row


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.browser)
    items.sort(key=lambda item: [*LONG_FILES, item.path.name].index(item.path.name))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Show with a failure what the product had to say."""
    report = yield
    if report.failed and (running := item.config.stash.get(RUNNING, None)):
        report.sections.append(("the product's last lines", "\n".join(running.log.read_text().splitlines()[-40:])))
    return report


def find_chromium() -> str:
    named = os.environ.get("PARLEY_CHROMIUM", "")
    return named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""


def spare_migrating(data_dir: Path) -> None:
    """Begin with the database that the tests of this run have migrated already, if they have: it takes many seconds.

    The first of the processes begins with nothing, as a person does.
    """
    shared = os.environ.get("PARLEY_TEST_SHARED", "")
    if not shared or os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        return
    data_dir.mkdir()
    migrated = MigratedFile(Path(shared))
    migrated.copy_to(data_dir / "db.sqlite3")
    migrated.close()


def wait_for_neighbours(shared: Path) -> None:
    """Let nobody call while another test process of this run still starts its product.

    Migrating and loading models take the machine from what runs already for many seconds, as nothing does later.
    """
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    ready = shared / "products-ready"
    ready.mkdir(exist_ok=True)
    (ready / os.environ.get("PYTEST_XDIST_WORKER", "alone")).touch()
    # One that has no test left, or could not start, is not waited for.
    end = time.monotonic() + NEIGHBOURS_LIMIT_S
    while len(list(ready.iterdir())) < count and time.monotonic() < end:
        time.sleep(0.2)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = find_chromium()
    if not path:
        pytest.skip("Chromium is not installed")
    return path


@pytest.fixture(scope="session")
def product(pytestconfig, chromium_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("product")
    port, models_port, hubspot_port = (free_port("127.0.0.1") for _ in range(3))
    url = f"http://127.0.0.1:{port}"
    environment = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}},
        "PORT": str(port),
        "LOCAL_MODELS_PORT": str(models_port),
        "PARLEY_DATA_DIR": str(folder / "data"),
        "PARLEY_VENV": sys.prefix,
        "HUBSPOT_API_URL": f"http://127.0.0.1:{hubspot_port}",
        # Many conversations from one address in a few minutes; the limits themselves are tested elsewhere.
        "CALL_STARTS_PER_IP": "600/m",
        "SIGN_UPS_PER_IP": "100/h",
    }
    spare_migrating(folder / "data")
    log = folder / "run.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "parley"), "run"], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        wait_until(lambda: "Parley is ready" in log.read_text() or process.poll() is not None, START_LIMIT_S)
        assert process.poll() is None, log.read_text()
        assert urllib.request.urlopen(f"{url}/healthz", timeout=10).status == 200
        wait_for_neighbours(tmp_path_factory.getbasetemp().parent)
        pytestconfig.stash[RUNNING] = Product(url, folder / "data", log, hubspot_port)
        yield pytestconfig.stash[RUNNING]
    finally:
        inside.end(folder / "data")
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def playwright_driver():
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def chromium(chromium_path, playwright_driver) -> Browser:
    browser = playwright_driver.chromium.launch(
        executable_path=chromium_path, args=[*CHROMIUM_FLAGS, "--use-fake-ui-for-media-stream"]
    )
    yield browser
    browser.close()


@pytest.fixture
def context(chromium, product) -> BrowserContext:
    context = chromium.new_context(base_url=product.url, viewport={"width": 1280, "height": 900})
    context.add_init_script(path=Path(__file__).parent / "microphone.js")
    yield context
    context.close()


@pytest.fixture
def page(context) -> Page:
    """A page on which any fault of ours fails the test: script errors, refused resources, answers of 5xx."""
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.on("console", lambda message: message.type == "error" and faults.append(f"console: {message.text}"))
    page.on("response", lambda answer: answer.status >= 500 and faults.append(f"{answer.status}: {answer.url}"))
    yield page
    assert not faults, faults
