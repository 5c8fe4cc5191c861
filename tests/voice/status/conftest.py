"""Nothing that one test has seen of the installation is kept for the next."""

from datetime import UTC, datetime

import pytest

from voice.status import beats, now, parts


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    # This process has been up for long: what is silent is missed.
    monkeypatch.setattr(parts, "_began_at", datetime(2000, 1, 1, tzinfo=UTC))
    now.forget()
    beats._unwritten.clear()
    yield
    now.forget()
    beats._unwritten.clear()
