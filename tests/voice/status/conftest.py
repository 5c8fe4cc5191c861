"""Nothing that one test has seen of the installation is kept for the next."""

import pytest

from voice.status import beats, now


@pytest.fixture(autouse=True)
def nothing_kept():
    now.forget()
    beats._unwritten.clear()
    yield
    now.forget()
    beats._unwritten.clear()
