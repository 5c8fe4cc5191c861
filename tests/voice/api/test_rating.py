import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from tests import factories
from voice.admission import rating_token as tokens
from voice.admission import tickets
from voice.admission.rating_token import rating_token


@pytest.fixture
def session(agent):
    return factories.make_session(agent)


@pytest.fixture
def rate(post, session):
    def send(of=session, **fields):
        body = {"token": rating_token(session.id), "stars": 4, "comment": "", **fields}
        return post(f"/v1/voice/sessions/{of.id}/rating", body)

    return send


def error_of(response):
    return response.status_code, response.json()["error"]["code"]


def test_a_caller_rates_their_call(rate, session):
    response = rate(stars=5, comment=" Quick and kind. ")
    session.refresh_from_db()
    assert response.status_code == 200
    assert (session.stars, session.comment) == (5, "Quick and kind.")


def test_a_rating_may_be_changed_within_the_hour(rate, session):
    rate(stars=1, comment="Bad")
    rate(stars=5, comment="")
    session.refresh_from_db()
    assert (session.stars, session.comment) == (5, "")


def test_after_an_hour_it_is_too_late(rate, session):
    type(session).objects.update(ended_at=timezone.now() - timedelta(hours=1, seconds=1))
    assert error_of(rate()) == (409, "not_rateable")


def test_a_call_that_goes_on_cannot_be_rated(rate, session):
    type(session).objects.update(state="live", ended_at=None)
    assert error_of(rate()) == (409, "not_rateable")


def test_a_token_expires(rate, monkeypatch):
    monkeypatch.setattr(tokens, "RATING_OPEN_S", -1)
    assert error_of(rate()) == (403, "invalid_token")


@pytest.mark.parametrize("token", ["", "x", "a:b:c", "y" * 200])
def test_a_forged_token_rates_nothing(rate, token):
    assert error_of(rate(token=token)) == (403, "invalid_token")


def test_a_token_rates_only_its_own_call(rate, agent):
    assert error_of(rate(of=factories.make_session(agent))) == (403, "invalid_token")


def test_a_ticket_is_no_rating_token(rate, session):
    assert error_of(rate(token=tickets.issue(session.id))) == (403, "invalid_token")


@pytest.mark.parametrize(
    "fields",
    [
        {"stars": 0},
        {"stars": 6},
        {"stars": True},
        {"stars": 4.5},
        {"stars": "5"},
        {"comment": "x" * 1001},
        {"comment": None},
        {"comment": "a\x00"},
        {"token": "y" * 301},
        {"outcome": "completed"},
    ],
)
def test_a_rating_that_is_none_is_refused(rate, session, fields):
    assert error_of(rate(**fields)) == (400, "invalid_request")
    session.refresh_from_db()
    assert session.stars is None


@pytest.mark.django_db
def test_a_call_that_never_was_cannot_be_rated(post):
    missing = uuid.uuid4()
    response = post(f"/v1/voice/sessions/{missing}/rating", {"token": rating_token(missing), "stars": 5})
    assert error_of(response) == (409, "not_rateable")
