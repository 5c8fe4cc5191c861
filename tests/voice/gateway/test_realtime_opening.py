"""How much a session's beginning asks of the database: callers who talk already wait for it, too."""

import pytest

from accounts.api_keys import create_key
from tests.voice.conftest import CREDIT
from voice.admission.key_holders import authenticate_bearer
from voice.catalogue import moments
from voice.gateway.realtime_opening import open_session as open_realtime_session
from voice.gateway.realtime_rules import RequestRefused
from voice.models import SessionState

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def begin(organisation, catalogue):
    """Make a function that begins a session of a key with such limits."""

    def make(query=None, **limits):
        holder = authenticate_bearer(create_key(organisation, name="test", **limits)[1])
        return lambda: open_realtime_session(holder, query or {}, "gpt-realtime-mini", "203.0.113.7")

    return make


@pytest.fixture
def in_one_moment(monkeypatch):
    """Make a function after which what was last looked up in the catalogue still counts."""
    return lambda: monkeypatch.setattr(moments, "MOMENT_S", 60.0)


def test_in_the_same_moment_as_another_a_session_begins_in_22_statements(
    begin, in_one_moment, django_assert_max_num_queries
):
    begin_one = begin()
    begin_one()
    in_one_moment()
    with django_assert_max_num_queries(24):  # with each COMMIT
        opened = begin_one()
    assert (opened.call.model_served, opened.terms.model) == ("parley-embedded", "gpt-realtime-mini")


def test_limits_of_its_key_and_an_agent_add_four(begin, agent, in_one_moment, django_assert_max_num_queries):
    begin_one = begin({"agent": agent.public_key}, concurrent_calls=5, monthly_budget_micro=500 * CREDIT)
    begin_one()
    in_one_moment()
    with django_assert_max_num_queries(28):
        assert begin_one().call.agent_name == agent.name


def test_what_is_known_of_the_catalogue_is_the_same_for_sessions_of_one_moment(begin, in_one_moment):
    begin_one = begin()
    first = begin_one()
    in_one_moment()
    second = begin_one()
    assert (first.terms, first.bounds.transcription_slugs) == (second.terms, second.bounds.transcription_slugs)
    assert first.call.session_id != second.call.session_id


def test_a_voice_that_no_model_has_is_refused_before_anything_is_held(begin, organisation):
    with pytest.raises(RequestRefused):
        begin({"voice": "nobody's"})()
    assert not organisation.sessions.filter(state=SessionState.ADMITTED).exists()
