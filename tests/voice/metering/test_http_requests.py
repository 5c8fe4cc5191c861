"""One request's money: settled once, whoever settles it, and never left open by a dead process."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.api_keys import create_key
from billing import ledger
from voice.admission.admit_request import Need, admit_request, model_for
from voice.admission.key_holders import authenticate_bearer
from voice.catalogue.rate_card import Kind, RateCard
from voice.metering.http_requests import settle_abandoned, settle_request
from voice.metering.http_usage import billable_transcription, quantities_of_chat, quantities_of_speech
from voice.models import ApiRequest
from voice.models.catalogue import ModelKind


@pytest.fixture
def holder(organisation, catalogue):
    return authenticate_bearer(create_key(organisation, name="Website")[1])


@pytest.fixture
def request_of(holder):
    """Admit a request that holds so much and return it with its prices."""

    def admit(most_micro=1_000_000):
        model = model_for(holder, "gpt-4.1", ModelKind.CHAT)
        row = admit_request(holder, model, ApiRequest.Kind.CHAT, Need(most_micro, 1), client_ip="203.0.113.7")
        return row, model.card

    return admit


def test_a_request_is_charged_once_however_often_it_is_settled(request_of, organisation):
    row, card = request_of()
    for _ in range(3):
        settle_request(row.id, {Kind.TEXT_IN: 100}, card)
    assert ledger.balance_of(organisation.id).balance_micro == 1000 * ledger.MICRO - 27_000


def test_what_the_hold_does_not_cover_is_kept_and_not_charged(request_of, organisation):
    row, card = request_of(most_micro=10_000)
    settled = settle_request(row.id, {Kind.TEXT_IN: 100}, card)
    assert (settled.captured_micro, settled.uncollected_micro) == (10_000, 17_000)


def test_usage_without_a_rate_is_kept_at_nothing(request_of):
    row, _ = request_of()
    settled = settle_request(row.id, {Kind.AUDIO_OUT: 5}, RateCard("gpt-4.1", {Kind.TEXT_IN: 1}))
    assert (settled.captured_micro, settled.usage) == (0, {"audio_out": 5})


def test_a_request_whose_process_died_is_closed_for_nothing(request_of, organisation):
    row, card = request_of()
    assert settle_abandoned(timezone.now()) == 0
    assert settle_abandoned(timezone.now() + timedelta(seconds=901)) == 1
    assert ledger.balance_of(organisation.id).held_micro == 0
    settled = settle_request(row.id, {Kind.TEXT_IN: 100}, card)
    assert settled.captured_micro == 0


def test_usage_after_the_hold_has_expired_is_uncollected(request_of):
    row, card = request_of()
    ledger.expire_holds(timezone.now() + timedelta(seconds=901))
    settled = settle_request(row.id, {Kind.TEXT_IN: 100}, card)
    assert (settled.captured_micro, settled.uncollected_micro) == (0, 27_000)


@pytest.mark.parametrize(
    "report", [None, {}, [], "x", {"prompt_tokens": -1}, {"prompt_tokens": "9"}, {"prompt_tokens": True}]
)
def test_a_report_that_is_none_counts_nothing(report):
    assert quantities_of_chat(report) == quantities_of_speech(report) == {}


def test_cached_tokens_are_part_of_those_that_were_read():
    report = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}}
    assert quantities_of_chat(report) == {Kind.TEXT_CACHED_IN: 10, Kind.TEXT_OUT: 5}


def test_seconds_become_tokens_where_they_have_no_price():
    report = {"type": "duration", "seconds": 2}
    assert billable_transcription(report, has_seconds_rate=True) == {Kind.SECONDS: 2}
    assert billable_transcription(report, has_seconds_rate=False) == {Kind.AUDIO_IN: 20, Kind.TEXT_OUT: 14}
