"""What a session keeps of the question whether its words may be kept, and what is paid for because of the answer."""

import pytest

from tests import factories
from voice.admission.admit import admit
from voice.models import Session
from voice.transcripts.consent import records_words, wording_of


def changed(agent, **fields):
    type(agent).objects.filter(pk=agent.pk).update(**fields)
    agent.refresh_from_db()
    return agent


def admitted(request):
    return Session.objects.get(pk=admit(request).session.pk)


def test_the_answer_is_kept_with_the_wording_and_the_time(ask, agent):
    version = wording_of(changed(agent, transcript_policy="ask")).version
    session = admitted(ask(consent=True, consent_version=version))
    assert (session.transcript_policy, session.consent, session.consent_version) == ("ask", True, version)
    assert session.consent_at is not None and records_words(session)


def test_a_no_is_kept_and_keeps_nothing(ask, agent):
    version = wording_of(changed(agent, transcript_policy="ask")).version
    session = admitted(ask(consent=False, consent_version=version))
    assert session.consent is False and session.consent_at is not None and not records_words(session)


def test_an_answer_to_a_question_that_was_not_asked_is_none(ask, agent):
    session = admitted(ask(consent=True, consent_version="ask-1/90d"))
    assert (session.transcript_policy, session.consent, session.consent_version) == ("never", None, "")
    assert not records_words(session)


@pytest.mark.parametrize("policy", ["ask", "always"])
def test_a_member_who_tries_the_agent_is_a_caller_like_any_other(ask, agent, organisation, policy):
    changed(agent, transcript_policy=policy)
    user = factories.make_user()
    factories.add_member(organisation, user)
    session = admitted(ask(user=user, payload=""))
    assert session.is_member and not records_words(session)
    assert records_words(admitted(ask(user=user, payload="", consent=True)))


@pytest.mark.parametrize(
    ("captions", "fields", "is_written_down"),
    [
        (True, {}, True),
        (False, {}, False),
        (False, {"consent": True}, True),
        (False, {"consent": False}, False),
        # Somebody who types may want to talk later.
        (True, {"is_voice": False}, True),
        (False, {"is_voice": False}, False),
    ],
)
def test_speech_is_written_down_where_somebody_reads_it(ask, agent, captions, fields, is_written_down):
    changed(agent, captions=captions, transcript_policy="ask")
    assert admitted(ask(**fields)).transcribes_input is is_written_down


def test_speech_is_written_down_for_no_one_to_read_where_another_model_is_to_go_on_from_it(ask, agent):
    changed(agent, captions=False, transcript_policy="ask", writes_down_for_fallback=True)
    session = admitted(ask(consent=False))
    assert session.transcribes_input and not records_words(session)
