"""What is wrong in the books is found: for each kind of mistake, one that is made on purpose."""

import json

import pytest
from django.utils import timezone

from tests.crash.storm.books import Books, problems_of_logs, unexpected_traces
from tests.crash.storm.callers import CallOfCaller
from tests.crash.storm.chat import WRITTEN_TOKENS
from tests.crash.storm.provider import Accounts, Produced
from tests.fakes.scripted_upstream import usage
from tests.voice.conftest import agent, catalogue, open_session, organisation
from voice.metering.rating import Rating
from voice.metering.records import Used, record_usage
from voice.metering.settlement import settle_session
from voice.models import EndReason, Rung, SessionState

__all__ = ["agent", "catalogue", "open_session", "organisation"]

MODEL, TEXT = "gpt-realtime-mini", "storm-text"
TOLD = usage(text_in=300, text_out=6, audio_out=24)


class CallUnderTest:
    """A call that a provider answered once; its charges are what a test makes of them."""

    def __init__(self, session):
        self.session = session
        self.known = CallOfCaller(str(session.id), "name", models=[MODEL])
        self.accounts, self.chat_told = Accounts(), {}
        self.accounts.responses["name"]["resp_1"] = Produced("first", is_begun=True, usage=TOLD)

    def charge(self, upstream_id="resp_1", *, told=TOLD, model=MODEL, source="response", is_estimated=False):
        used = Used(source, upstream_id, model, told, is_estimated=is_estimated)
        record_usage(self.session.id, used, Rating((), 1000))

    def problems(self, *, reason=EndReason.CALLER_HUNG_UP, is_settled=True):
        if is_settled:
            settle_session(self.session.id)
        self.session.refresh_from_db()
        self.session.state, self.session.ended_at, self.session.end_reason = SessionState.ENDED, timezone.now(), reason
        self.session.save()
        books = Books(
            self.accounts, chat_told=self.chat_told, text_model=TEXT, caller_of={str(self.session.id): 1}
        )  # fmt: skip
        found = books.problems([self.known])
        return [problem.removeprefix(f"session {self.session.id}: ") for problem in found]


@pytest.fixture
def call(open_session):
    return CallUnderTest(open_session())


def test_books_that_are_right_have_no_problem(call):
    call.charge()
    assert call.problems() == []


def test_a_response_that_is_charged_on_two_rungs_is_found(call):
    call.charge()
    call.charge("1/resp_1")
    assert call.problems() == ["resp_1 was charged 2 times"]


def test_a_response_that_is_estimated_and_measured_is_found(call):
    call.charge()
    call.charge("1/resp_1", told={}, is_estimated=True)
    assert call.problems() == ["resp_1 was charged 2 times"]


def test_a_response_that_nobody_made_is_found(call):
    call.charge()
    call.charge("resp_2")
    assert call.problems() == ["resp_2 was charged, and no provider made it"]


def test_other_figures_than_the_providers_are_found(call):
    call.charge(told={**TOLD, "output_tokens": 1})
    assert call.problems() == ["resp_1 was charged by other figures than its provider told"]


def test_an_estimate_of_what_was_delivered_is_right(call):
    call.accounts.responses["name"]["resp_1"].usage = None
    call.charge(told={}, is_estimated=True)
    assert call.problems() == []


def test_an_answer_that_was_reported_and_not_charged_is_found(call):
    assert call.problems() == ["1 answers were reported and are not on the books: resp_1"]


def test_a_process_that_died_may_lose_the_answer_on_its_way(call):
    assert call.problems(reason=EndReason.PROCESS_DIED) == []


def test_a_transcription_that_nobody_made_is_found(call):
    call.charge()
    call.charge("said_1", source="transcription")
    assert call.problems() == ["said_1 was charged, and nobody wrote it down"]


def test_a_text_answer_that_is_charged_twice_is_found(call):
    told = usage(text_in=201, text_out=WRITTEN_TOKENS)
    for index, slug in enumerate([MODEL, TEXT]):
        Rung.objects.create(session=call.session, index=index, model_slug=slug, kind="text", reason="x", at_ms=0)
    call.chat_told[201] = 1
    call.charge()
    call.charge("1/resp_a", told=told, model=TEXT)
    call.charge("2/resp_b", told=told, model=TEXT)
    assert call.problems() == ["a text answer of 201 tokens was charged 2 times"]


def test_a_hold_that_nobody_closed_is_found(call):
    call.charge()
    assert "its hold is still open" in call.problems(is_settled=False)


def test_a_call_that_ended_for_no_reason_is_found(call):
    call.charge()
    assert call.problems(reason="") == ["it ended by '', and its caller was told of ''"]


def test_a_call_that_ended_by_a_fault_of_ours_is_found(call):
    call.charge()
    assert call.problems(reason=EndReason.INTERNAL_ERROR) == [
        "it ended by 'internal_error', and its caller was told of ''"
    ]


def test_a_caller_who_was_told_of_more_than_was_taken_is_found(call):
    call.charge()
    call.known.told_micro = 1001
    assert call.problems() == ["the caller was told 1001, the books say 1000"]


def test_a_change_of_model_that_no_rung_explains_is_found(call):
    call.charge()
    call.known.models.append("storm-second")
    (problem,) = call.problems()
    assert problem.startswith("the caller was told of ['storm-second']")


def test_a_rung_without_a_reason_is_found(call):
    call.charge()
    for index in (0, 1):
        Rung.objects.create(session=call.session, index=index, model_slug=MODEL, kind="realtime", at_ms=0)
    assert call.problems() == [f"nothing says why {MODEL} took its rung 1"]


def test_a_log_with_a_key_or_a_word_or_a_traceback_in_it_is_found(tmp_path):
    log = tmp_path / "web.log"
    event = {"event": "call failed", "logger": "voice", "exception": "Traceback\n  File\nKeyError: 'x'"}
    log.write_text(f"{json.dumps(event)}\nsk-secret\nTurnips are sold\n")
    problems = problems_of_logs([log, tmp_path / "never-written.log"], ["sk-secret"], ["turnips are"])
    assert [problem.split(":")[0] for problem in problems] == [
        "web.log holds a traceback", "web.log holds a secret that begins with sk-sec", "web.log holds what was said",
    ]  # fmt: skip


def test_what_a_library_says_of_a_redis_that_is_away_is_no_fault_of_ours():
    trace = "Traceback\nredis.exceptions.ConnectionError: refused"
    assert unexpected_traces(json.dumps({"logger": "channels_redis.pubsub", "exception": trace})) == []
    assert len(unexpected_traces(json.dumps({"logger": "voice.gateway", "exception": trace}))) == 1
