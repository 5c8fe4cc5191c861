"""What every test stands on: settings of its own (tests/settings.py), and no network beyond this machine."""

import gc
import os
import shutil
import socket
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings
from django.db import connections

from tests.migrated import MigratedFile
from tests.quick import made_once
from voice.catalogue import moments
from voice.sessions.fallback.doubts import DOUBTS

_THIS_MACHINE = {"127.0.0.1", "::1", "localhost"}

# The same examples on every machine, however busy it is: a failure that comes and goes tells nobody anything. New ones
# are looked for with --hypothesis-profile=search (CONTRIBUTING.md).
_PATIENT = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=_PATIENT)
hypothesis.settings.register_profile("search", deadline=None, suppress_health_check=_PATIENT, print_blob=True)
hypothesis.settings.load_profile("same")

# WhiteNoise warns of a missing folder, and here a warning is an error.
Path(settings.STATIC_ROOT).mkdir(exist_ok=True)
# A connection kept open by a thread of a test that is over would keep the test database from being removed.
settings.DATABASES["default"]["CONN_MAX_AGE"] = 0


def pytest_collection_finish() -> None:
    """Have no search for garbage look again at what is there by now, thousands of tests and all modules: it stays."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder that settings.DATA_DIR names in this process."""
    return Path(settings.DATA_DIR)


@pytest.fixture(scope="session")
def migrated(django_db_modify_db_settings):
    """Where `./parley test` has processes share a migrated database, the file; else None."""
    shared = os.environ.get("PARLEY_TEST_SHARED", "")
    if not shared or connections["default"].vendor != "sqlite":
        yield None
        return
    file = MigratedFile(Path(shared))
    yield file
    file.close()


@pytest.fixture(scope="session")
def django_db_keepdb(request, migrated) -> bool:
    """Whether there is a database that has been migrated already, which Django then finds nothing to do to."""
    if migrated and migrated.copy_to(connections["default"].settings_dict["TEST"]["NAME"]):
        return True
    return request.config.getvalue("reuse_db")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_keepdb, django_db_blocker, migrated):
    if migrated and not django_db_keepdb:
        migrated.keep(connections["default"].settings_dict["NAME"])
    yield
    with django_db_blocker.unblock():
        connections.close_all()


@pytest.fixture(autouse=True, scope="session")
def what_stays_the_same():
    with made_once():
        yield


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch):
    """Counters, tickets, remembered CAPTCHAs and doubts of one test are unknown to the next."""
    from django.core.cache import cache

    cache.clear()
    DOUBTS.clear()
    monkeypatch.setattr(moments, "MOMENT_S", 0.0)
    yield


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """A test that reaches for another machine fails at once, instead of passing only where there is a network."""
    connect = socket.socket.connect

    def connect_on_this_machine(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _THIS_MACHINE:
            raise RuntimeError(f"A test tried to connect to {address[0]}.")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_on_this_machine)
        yield
