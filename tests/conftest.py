"""What every test stands on: settings of its own (tests/settings.py), and no network beyond this machine."""

import shutil
import socket
from pathlib import Path

import hypothesis
import pytest
from django.conf import settings

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


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder that settings.DATA_DIR names in this process."""
    return Path(settings.DATA_DIR)


@pytest.fixture(autouse=True)
def empty_cache():
    """Counters, tickets and remembered CAPTCHAs of one test are unknown to the next."""
    from django.core.cache import cache

    cache.clear()
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
