"""The whole product with a certificate of its own, and the real clients in front of it."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher.machine import free_port
from tests.clients.clients import NAMES, ROOT, Programs, are_installed

START_LIMIT_S = 240
SETTLED_LIMIT_S = 60
MAKE_KEYS = """
import json
from accounts.api_keys import create_key
from accounts.models import Organisation
organisation = Organisation.objects.get(slug=%r)
print(json.dumps({name: create_key(organisation, name=name)[1] for name in %r}))
"""
REVOKE_KEYS = """
from accounts.api_keys import key_with_prefix, revoke_key
for prefix in %r:
    revoke_key(key_with_prefix(prefix))
"""


@dataclass(frozen=True)
class Site:
    """A running Parley: its address, and its database, which tests read past the product's own code."""

    url: str
    data_dir: Path
    environment: dict[str, str]

    @property
    def certificate(self) -> Path:
        return self.data_dir / "tls" / "certificate.pem"

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    def organisation(self, slug: str, *, credits: int) -> None:
        self.manage("create_organisation", "--name", slug, "--slug", slug)
        if credits:
            self.manage("grant_credits", slug, str(credits), "--reason", "for the test")

    def keys(self, organisation: str, names: Iterable[str]) -> dict[str, str]:
        """Make keys and return their texts by their names: in one process, which takes longer to start than to work."""
        return dict(json.loads(self.manage("shell", "--no-imports", "-c", MAKE_KEYS % (organisation, list(names)))))

    def revoke(self, keys: Iterable[str]) -> None:
        self.manage("shell", "--no-imports", "-c", REVOKE_KEYS % [key.rpartition("_")[0] for key in keys])

    def rows(self, query: str, *values: str) -> list[dict]:
        with closing(sqlite3.connect(f"file:{self.data_dir / 'db.sqlite3'}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, values)]

    def settled_session(self, key_name: str) -> dict:
        """Return the only session of a key, once its money is settled."""
        query = (
            "SELECT session.* FROM voice_session session JOIN accounts_apikey key ON session.api_key_id = key.id "
            "WHERE key.name = ?"
        )
        deadline = time.monotonic() + SETTLED_LIMIT_S
        while True:
            (session,) = self.rows(query, key_name)
            if session["state"] == "ended":
                return session
            assert time.monotonic() < deadline, f"the session of {key_name} does not end"
            time.sleep(0.2)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    if not are_installed():
        pytest.skip("the real clients are not installed")
    folder = tmp_path_factory.mktemp("site")
    port, models_port = free_port("127.0.0.1"), free_port("127.0.0.1")
    environment = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}},
        "PORT": str(port),
        "LOCAL_MODELS_PORT": str(models_port),
        "PARLEY_DATA_DIR": str(folder / "data"),
        "PARLEY_VENV": sys.prefix,
        "DEBUG": "true",
        "LOG_LEVEL": "ERROR",
        # All of them call from one address.
        "CONCURRENT_CALLS_PER_IP": "100",
    }
    log = folder / "run.log"
    command = [sys.executable, str(ROOT / "parley"), "run", "--tls"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while "Parley is ready" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield Site(f"https://127.0.0.1:{port}", folder / "data", environment)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def programs(site, tmp_path_factory):
    return Programs(site.url, site.certificate, tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="session")
def rich(site):
    site.organisation("rich", credits=5000)
    return "rich"


@pytest.fixture(scope="session")
def poor(site):
    site.organisation("poor", credits=0)
    return "poor"


@pytest.fixture(scope="session")
def talkers(site, rich):
    """A key for each of the clients, by its name."""
    return site.keys(rich, NAMES)


@pytest.fixture(scope="session", params=NAMES)
def talk(request, programs, talkers):
    """A conversation that one of the clients had: its name, and what it says about it."""
    name = request.param
    return name, programs.run(name, "talk", talkers[name])
