"""What the tests about people share: the cast, and a CAPTCHA that somebody has solved."""

import altcha
import pytest

from accounts import captcha
from tests.factories import make_cast


@pytest.fixture
def cast(db):
    return make_cast()


@pytest.fixture
def solve():
    """Return a function that solves a fresh challenge, cheaply: the counter is found where it was hidden."""

    def solved() -> str:
        made = altcha.Challenge.from_dict(captcha.challenge())
        return altcha.Payload(made, altcha.solve_challenge(made)).to_base64()

    return solved


@pytest.fixture(autouse=True)
def easy_challenges(monkeypatch):
    monkeypatch.setattr(captcha, "_ROUNDS", 1)
    monkeypatch.setattr(captcha, "_COUNTER_TO", 110)
