from django.utils import timezone

from tests.factories import make_agent
from voice.transcripts.consent import consent_of, records_words, wording_of, words_may_be_kept
from voice.transcripts.rules import Rules, change_rules


def answered(agent, answer, version=""):
    return consent_of(agent, answer, version, timezone.now())


def test_nothing_is_kept_unless_the_owner_chose_it(cast):
    agent = make_agent(cast.organisation)
    assert agent.transcript_policy == "never"
    assert wording_of(agent).text == wording_of(agent).version == ""
    assert not words_may_be_kept(answered(agent, True))


def test_a_yes_is_kept_with_the_wording_and_the_time(agent):
    version = wording_of(agent).version
    consent = answered(agent, True, version)
    assert (consent.policy, consent.answer, consent.version) == ("ask", True, version)
    assert consent.at is not None and words_may_be_kept(consent)


def test_a_no_is_kept_as_an_answer_and_keeps_nothing(agent):
    consent = answered(agent, False, wording_of(agent).version)
    assert consent.answer is False and consent.at is not None
    assert not words_may_be_kept(consent)


def test_who_does_not_answer_has_not_agreed(agent):
    assert answered(agent, None).answer is None
    assert not words_may_be_kept(answered(agent, None))


def test_a_yes_to_another_wording_is_a_no(agent):
    consent = answered(agent, True, "ask-1/9999d")
    assert (consent.answer, consent.version) == (False, "ask-1/9999d")


def test_a_notice_that_nobody_was_shown_keeps_nothing(cast):
    agent = make_agent(cast.organisation, transcript_policy="always")
    assert not words_may_be_kept(answered(agent, None))
    assert words_may_be_kept(answered(agent, True))


def test_the_question_says_for_how_long_and_its_version_does_too(agent):
    change_rules(agent.organisation_id, Rules(kept_days=30))
    assert "30 days" in wording_of(agent).text and wording_of(agent).version == "ask-1/30d"
    assert "Rosewood Dental" in wording_of(agent).text


def test_callers_are_asked_in_their_language_and_the_version_says_in_which(agent):
    hindi = wording_of(agent, "hi-IN")
    assert "90 दिन" in hindi.text and hindi.version == "ask-1-hi/90d"
    assert words_may_be_kept(answered(agent, True, hindi.version))
    assert wording_of(agent, "fi") == wording_of(agent)


def test_an_owner_who_switches_to_never_ends_what_older_answers_allowed(converse):
    assert records_words(converse())
    assert not records_words(converse(transcript_policy="never"))
