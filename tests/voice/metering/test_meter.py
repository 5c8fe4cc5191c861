import asyncio
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async as in_thread
from django.db import OperationalError
from django.utils import timezone

from billing import ledger
from billing.audit import audit_ledger
from billing.exceptions import HoldClosed
from billing.low_balance import save_budget
from tests.voice.conftest import CREDIT
from voice.catalogue import moments
from voice.catalogue.rates import RateMissing
from voice.metering import meter as meter_module
from voice.metering.meter import Allowance, Charge, Meter, OutOfCredit
from voice.metering.sweep import settle_dead_sessions
from voice.models import Rate, Session, UsageRecord

pytestmark = pytest.mark.django_db(transaction=True)

# Text 200 of which 128 cached, audio 800 of which 472 cached, out text 50 and audio 400 (facts of the provider).
USAGE = {
    "total_tokens": 1450,
    "input_tokens": 1000,
    "output_tokens": 450,
    "input_token_details": {
        "text_tokens": 200,
        "audio_tokens": 800,
        "image_tokens": 0,
        "cached_tokens": 600,
        "cached_tokens_details": {"text_tokens": 128, "audio_tokens": 472, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 50, "audio_tokens": 400},
}
# By the price sheet: 72 x 81 + 128 x 8.1 + 328 x 1500 + 472 x 40.5
# + 50 x 324 + 400 x 3000 credits a million, that is 1.7341848 credits.
USAGE_MICRO = 1_734_185
HEARD = {"type": "tokens", "input_tokens": 40, "output_tokens": 8, "input_token_details": {"audio_tokens": 40}}
HEARD_MICRO = 40 * 168.75 + 8 * 675  # $1.25 and $5 a million, and 35 %
OUTPUT_MICRO = 3000  # the dearest token an answer can have
INPUT_MICRO = 1500
WORST_MICRO = 1450 * INPUT_MICRO + 1024 * OUTPUT_MICRO + 405_000
RESERVE_MICRO = 405_000  # a minute of captions: $0.003 and 35 %; more than 600 tokens heard and 400 written: 371 250


def response(response_id="resp_1", usage=USAGE):
    return {"id": response_id, "status": "completed", "usage": usage}


def read(session):
    return Session.objects.get(id=session.id)


def held(session):
    return ledger.hold_state(session.hold_id).amount_micro


def test_in_the_same_moment_as_another_a_meter_opens_in_two_statements(
    open_session, monkeypatch, django_assert_max_num_queries
):
    first, second = open_session(), open_session()
    meter_module._open_meter(first.id)
    monkeypatch.setattr(moments, "MOMENT_S", 60.0)
    with django_assert_max_num_queries(2):
        meter_module._open_meter(second.id)


async def test_a_response_is_charged_at_once(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    assert await meter.record_response(response(), "gpt-realtime-mini") == Charge(USAGE_MICRO, 0, repeated=False)
    assert meter.used_micro == USAGE_MICRO
    assert (await in_thread(read)(session)).captured_micro == USAGE_MICRO


async def test_a_repeat_charges_nothing(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    await meter.record_response(response(), "gpt-realtime-mini")
    assert await meter.record_response(response(), "gpt-realtime-mini") == Charge(USAGE_MICRO, 0, repeated=True)
    assert meter.used_micro == USAGE_MICRO


async def test_responses_that_come_at_once_are_each_charged_once(open_session):
    session = await in_thread(open_session)()
    meter, other = await Meter.open(session.id), await Meter.open(session.id)
    events = [response(f"resp_{n % 3}") for n in range(12)]
    charges = await asyncio.gather(
        *(m.record_response(event, "gpt-realtime-mini") for event in events for m in (meter, other))
    )
    assert sum(not charge.repeated for charge in charges) == 3
    assert (await in_thread(read)(session)).captured_micro == 3 * USAGE_MICRO


async def test_captions_are_charged_by_the_transcription_models_own_rates(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    charge = await meter.record_transcription("item_1", HEARD, "gpt-4o-mini-transcribe")
    assert charge.captured_micro == HEARD_MICRO


async def test_a_response_and_a_transcription_may_share_an_id(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    await meter.record_response(response("same"), "gpt-realtime-mini")
    assert not (await meter.record_transcription("same", HEARD, "gpt-4o-mini-transcribe")).repeated


async def test_another_model_that_answered_is_charged_by_its_own_rates(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    usage = {"output_tokens": 100, "output_token_details": {"audio_tokens": 100}}
    charge = await meter.record_response(response(usage=usage), "gpt-realtime")
    assert charge.captured_micro == 100 * 8640  # $64 a million, and 35 %


async def test_a_name_that_is_not_in_the_catalogue_is_charged_as_the_model_that_serves(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    assert (await meter.record_response(response(), "gpt-realtime-mini-2025-12-15")).captured_micro == USAGE_MICRO


async def test_usage_without_an_id_is_counted_all_the_same(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    await meter.record_response({"usage": USAGE}, "gpt-realtime-mini")
    await meter.record_response({"id": 7, "usage": USAGE}, "gpt-realtime-mini")
    assert meter.used_micro == 2 * USAGE_MICRO


@pytest.mark.parametrize("hostile", ["x" * 5000, "a\x00b", " ", "\ud800"])
async def test_an_odd_id_is_charged_once_too(open_session, hostile):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    await meter.record_response(response(hostile), "gpt-realtime-mini")
    assert (await meter.record_response(response(hostile), "gpt-realtime-mini")).repeated


async def test_usage_beyond_the_hold_is_kept_as_uncollected(open_session):
    session = await in_thread(open_session)(held_micro=CREDIT)
    meter = await Meter.open(session.id)
    charge = await meter.record_response(response(), "gpt-realtime-mini")
    assert (charge.captured_micro, charge.uncollected_micro) == (CREDIT, USAGE_MICRO - CREDIT)
    receipt = await meter.settle()
    assert (receipt.total_micro, receipt.uncollected_micro) == (CREDIT, USAGE_MICRO - CREDIT)
    assert sum(line.amount_micro for line in receipt.lines) == receipt.total_micro


async def test_a_failed_response_is_recorded_and_costs_nothing(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    assert await meter.record_response(response(usage=None), "gpt-realtime-mini") == Charge(0, 0, repeated=False)
    assert await in_thread(UsageRecord.objects.count)() == 1


async def test_usage_that_has_no_rate_is_kept_and_reported(open_session):
    session = await in_thread(open_session)(model_served="parley-embedded")
    meter = await Meter.open(session.id)
    seen = {"input_tokens": 5, "input_token_details": {"image_tokens": 5}}
    await in_thread(Rate.objects.filter(kind="image_in").delete)()
    meter = await Meter.open(session.id)
    with pytest.raises(RateMissing):
        await meter.record_response(response(usage=seen), "parley-embedded")
    record = await in_thread(UsageRecord.objects.get)()
    assert (record.usage, record.amount_micro) == (seen, 0)


async def test_a_call_whose_model_lost_a_rate_does_not_begin(open_session):
    session = await in_thread(open_session)()
    await in_thread(Rate.objects.filter(kind="audio_cached_in").delete)()
    with pytest.raises(RateMissing):
        await Meter.open(session.id)


async def test_preparing_holds_the_worst_case_beside_what_was_used(open_session, organisation):
    session = await in_thread(open_session)(held_micro=2 * CREDIT)
    await in_thread(leave)(organisation, 50 * CREDIT)
    meter = await Meter.open(session.id)
    await meter.record_response(response(), "gpt-realtime-mini")
    allowance = await meter.prepare_response(1450, 1024)
    assert (allowance.max_output_tokens, allowance.low) == (1024, False)
    assert await in_thread(held)(session) == USAGE_MICRO + WORST_MICRO


@pytest.mark.parametrize(("free_credits", "responses"), [(950, 8), (500, 3), (300, 1)])
async def test_where_credits_abound_some_responses_are_held_at_once(
    open_session, organisation, free_credits, responses
):
    session = await in_thread(open_session)(held_micro=2 * CREDIT)
    await in_thread(leave)(organisation, free_credits * CREDIT)
    meter = await Meter.open(session.id)
    await meter.record_response(response(), "gpt-realtime-mini")
    await meter.prepare_response(1450, 1024)
    assert await in_thread(held)(session) == USAGE_MICRO + responses * WORST_MICRO


async def test_a_ceiling_without_room_to_spare_keeps_a_hold_exact(open_session, agent):
    agent.daily_ceiling_micro = 50 * CREDIT
    await in_thread(agent.save)()
    session = await in_thread(open_session)(held_micro=CREDIT, spend_cap_micro=CREDIT)
    meter = await Meter.open(session.id)
    await meter.prepare_response(1450, 1024)
    assert await in_thread(held)(session) == (await in_thread(read)(session)).spend_cap_micro == WORST_MICRO


async def test_preparing_again_holds_no_more(open_session):
    session = await in_thread(open_session)(held_micro=100 * CREDIT)
    meter = await Meter.open(session.id)
    await meter.prepare_response(1450, 1024)
    assert await in_thread(held)(session) == 100 * CREDIT


async def test_a_typed_call_holds_nothing_for_captions(open_session, organisation):
    session = await in_thread(open_session)(held_micro=1, is_voice=False)
    await in_thread(leave)(organisation, 5 * CREDIT)
    meter = await Meter.open(session.id)
    await meter.prepare_response(100, 100)
    assert await in_thread(held)(session) == 100 * INPUT_MICRO + 100 * OUTPUT_MICRO


async def test_near_the_months_cap_answers_get_shorter_and_then_end(open_session, organisation):
    session = await in_thread(open_session)(held_micro=2 * CREDIT)
    await in_thread(save_budget)(organisation.id, low_balance_thresholds_micro=[], monthly_cap_micro=3 * CREDIT)
    meter = await Meter.open(session.id)
    allowance = await meter.prepare_response(400, 1024)
    affordable = (3 * CREDIT - RESERVE_MICRO - 400 * INPUT_MICRO) // OUTPUT_MICRO
    assert (allowance.max_output_tokens, allowance.low) == (affordable, True)
    await meter.record_response(response(), "gpt-realtime-mini")
    with pytest.raises(OutOfCredit) as raised:
        await meter.prepare_response(1450, 1024)
    assert raised.value.reason == "cap"


async def test_when_the_wallet_runs_short_the_answer_gets_shorter_and_the_caller_is_warned(open_session, organisation):
    session = await in_thread(open_session)(held_micro=2 * CREDIT)
    await in_thread(leave)(organisation, 0)
    meter = await Meter.open(session.id)
    allowance = await meter.prepare_response(400, 1024)
    affordable = (2 * CREDIT - RESERVE_MICRO - 400 * INPUT_MICRO) // OUTPUT_MICRO
    assert (allowance.max_output_tokens, allowance.low) == (affordable, True)
    assert affordable < 1024


async def test_with_less_than_a_minute_left_the_caller_is_warned_before_answers_get_shorter(open_session, organisation):
    session = await in_thread(open_session)(held_micro=CREDIT)
    await in_thread(leave)(organisation, CREDIT)
    meter = await Meter.open(session.id)
    allowance = await meter.prepare_response(100, 400)
    assert (allowance.max_output_tokens, allowance.low) == (400, True)


async def test_when_not_even_a_short_answer_can_be_paid_the_call_is_over(open_session, organisation):
    session = await in_thread(open_session)(held_micro=CREDIT)
    await in_thread(leave)(organisation, 0)
    meter = await Meter.open(session.id)
    with pytest.raises(OutOfCredit) as raised:
        await meter.prepare_response(400, 1024)
    assert raised.value.reason == "wallet"
    assert await in_thread(held)(session) == CREDIT


async def test_a_wallet_below_zero_pays_for_no_more(open_session, organisation):
    session = await in_thread(open_session)(held_micro=CREDIT)
    await in_thread(leave)(organisation, -5 * CREDIT)
    meter = await Meter.open(session.id)
    with pytest.raises(OutOfCredit):
        await meter.prepare_response(400, 1024)


async def test_calls_of_one_wallet_never_hold_more_than_it_has(open_session, organisation):
    sessions = [await in_thread(open_session)(held_micro=CREDIT) for _ in range(5)]
    await in_thread(leave)(organisation, 7 * CREDIT)
    meters = [await Meter.open(session.id) for session in sessions]
    allowances = await asyncio.gather(*(m.prepare_response(400, 1024) for m in meters), return_exceptions=True)
    assert {type(allowance).__name__ for allowance in allowances} <= {"Allowance", "OutOfCredit"}
    assert any(not isinstance(allowance, OutOfCredit) for allowance in allowances)
    balance = await in_thread(ledger.balance_of)(organisation.id)
    assert balance.available_micro >= 0
    assert not await in_thread(lambda: list(audit_ledger()))()


async def test_calls_of_one_agent_never_pass_its_ceiling_together(open_session, agent):
    agent.daily_ceiling_micro = 12 * CREDIT
    await in_thread(agent.save)()
    sessions = [await in_thread(open_session)(held_micro=CREDIT, spend_cap_micro=CREDIT) for _ in range(5)]
    meters = [await Meter.open(session.id) for session in sessions]
    allowances = await asyncio.gather(*(m.prepare_response(400, 1024) for m in meters), return_exceptions=True)
    assert any(isinstance(allowance, OutOfCredit) and allowance.reason == "ceiling" for allowance in allowances)
    holds = [await in_thread(held)(session) for session in sessions]
    assert sum(holds) <= 12 * CREDIT
    assert holds == [(await in_thread(read)(session)).spend_cap_micro for session in sessions]


async def test_a_call_without_its_agent_keeps_what_it_has_claimed(open_session, agent):
    session = await in_thread(open_session)(held_micro=CREDIT, spend_cap_micro=CREDIT)
    meter = await Meter.open(session.id)
    await in_thread(agent.delete)()
    with pytest.raises(OutOfCredit) as raised:
        await meter.prepare_response(400, 1024)
    assert raised.value.reason == "ceiling"


async def test_a_response_whose_usage_never_came_is_estimated_and_marked(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    delivered = {"context_tokens": 500, "audio_bytes": 48_000, "text_chars": 30}
    charge = await meter.record_estimate("resp_9", **delivered)
    # 500 tokens of instructions, a second of speech, ten tokens of its words.
    assert charge.captured_micro == 500 * 81 + 20 * 3000 + 10 * 324
    record = await in_thread(UsageRecord.objects.get)()
    assert (record.is_estimated, record.usage) == (True, delivered)


async def test_usage_that_comes_after_its_estimate_changes_nothing(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    estimate = await meter.record_estimate("resp_1", context_tokens=500, audio_bytes=48_000, text_chars=30)
    late = await meter.record_response(response(), "gpt-realtime-mini")
    assert late == Charge(estimate.captured_micro, 0, repeated=True)


async def test_nothing_delivered_is_not_estimated(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    assert await meter.record_estimate("r", context_tokens=500, audio_bytes=0, text_chars=0) == Charge(0, 0, False)
    assert not await in_thread(UsageRecord.objects.exists)()


async def test_settling_takes_what_the_receipt_says_and_only_once(open_session, organisation):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    await meter.record_response(response("resp_1"), "gpt-realtime-mini")
    await meter.record_response(response("resp_2"), "gpt-realtime-mini")
    await meter.record_transcription("item_1", HEARD, "gpt-4o-mini-transcribe")
    receipt = await meter.settle()
    assert await meter.settle() == receipt
    assert receipt.total_micro == 2 * USAGE_MICRO + HEARD_MICRO == meter.used_micro
    assert sum(line.amount_micro for line in receipt.lines) == receipt.total_micro
    balance = await in_thread(ledger.balance_of)(organisation.id)
    assert (balance.balance_micro, balance.held_micro) == (1000 * CREDIT - receipt.total_micro, 0)


async def test_the_receipt_has_one_line_a_kind_over_the_whole_call(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    await meter.record_response(response("resp_1"), "gpt-realtime-mini")
    await meter.record_response(response("resp_2"), "gpt-realtime-mini")
    receipt = (await meter.settle()).as_dict()
    spoken = [line for line in receipt["lines"] if line["label"] == "Speech spoken"]
    assert spoken == [{"label": "Speech spoken", "quantity": 800, "unit": "tokens", "amount_micro": 800 * 3000}]
    assert receipt["uncollected_micro"] == 0


async def test_a_call_that_used_nothing_gives_everything_back(open_session, organisation):
    session = await in_thread(open_session)()
    receipt = await (await Meter.open(session.id)).settle()
    assert (receipt.lines, receipt.total_micro) == ((), 0)
    balance = await in_thread(ledger.balance_of)(organisation.id)
    assert (balance.balance_micro, balance.held_micro) == (1000 * CREDIT, 0)


async def test_what_comes_after_the_sweep_settled_is_kept_as_uncollected_and_nothing_more_is_asked(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    await in_thread(settle_dead_sessions)(timezone.now() + timedelta(minutes=5))
    charge = await meter.record_response(response(), "gpt-realtime-mini")
    assert (charge.captured_micro, charge.uncollected_micro) == (0, USAGE_MICRO)
    with pytest.raises(HoldClosed):
        await meter.prepare_response(400, 1024)


async def test_a_hold_that_was_closed_is_noticed_though_nothing_was_used_since(open_session, monkeypatch):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    await in_thread(settle_dead_sessions)(timezone.now() + timedelta(minutes=5))
    monkeypatch.setattr(meter_module, "_REMEMBERED_FOR_S", 0)
    with pytest.raises(HoldClosed):
        await meter.prepare_response(400, 1024)


async def test_a_response_that_the_hold_covers_asks_the_database_nothing(open_session, monkeypatch):
    meter = await Meter.open((await in_thread(open_session)(held_micro=100 * CREDIT)).id)
    await meter.record_response(response(), "gpt-realtime-mini")
    monkeypatch.setattr(meter_module, "in_ledger_thread", None)
    assert await meter.prepare_response(1450, 1024) == Allowance(1024, low=False)


async def test_usages_that_come_together_are_each_charged(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    charges = await asyncio.gather(
        meter.record_response(response(), "gpt-realtime-mini"),
        meter.record_response(response(), "gpt-realtime-mini"),
        meter.record_transcription("item_1", HEARD, "gpt-4o-mini-transcribe"),
    )
    assert [charge.repeated for charge in charges] == [False, True, False]
    assert meter.used_micro == (await in_thread(read)(session)).captured_micro == USAGE_MICRO + HEARD_MICRO


async def test_of_usages_that_come_together_one_without_a_rate_is_reported_alone(open_session):
    session = await in_thread(open_session)(model_served="parley-embedded")
    await in_thread(Rate.objects.filter(kind="image_in").delete)()
    meter = await Meter.open(session.id)
    seen = {"input_tokens": 5, "input_token_details": {"image_tokens": 5}}
    outcomes = await asyncio.gather(
        meter.record_response(response("resp_1", seen), "parley-embedded"),
        meter.record_response(response("resp_2"), "parley-embedded"),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [RateMissing, Charge]


async def test_usage_is_recorded_though_whoever_reported_it_is_cancelled(open_session):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)
    first = asyncio.create_task(meter.record_response(response("resp_1"), "gpt-realtime-mini"))
    second = asyncio.create_task(meter.record_response(response("resp_2"), "gpt-realtime-mini"))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert (await in_thread(read)(session)).captured_micro == 2 * USAGE_MICRO


async def test_a_ledger_that_is_away_is_told_to_everybody_who_waits(open_session, monkeypatch):
    session = await in_thread(open_session)()
    meter = await Meter.open(session.id)

    def away(*_):
        raise OperationalError

    with monkeypatch.context() as patched:
        patched.setattr(meter_module, "record_at_once", away)
        jobs = [meter.record_response(response(f"resp_{n}"), "gpt-realtime-mini") for n in range(2)]
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [OperationalError] * 2
    assert not (await meter.record_response(response("resp_0"), "gpt-realtime-mini")).repeated


async def test_a_second_meter_of_the_same_call_goes_on_where_the_first_was(open_session):
    session = await in_thread(open_session)()
    await (await Meter.open(session.id)).record_response(response(), "gpt-realtime-mini")
    assert (await Meter.open(session.id)).used_micro == USAGE_MICRO


def leave(organisation, available_micro):
    """Take what is available but so much."""
    available = ledger.balance_of(organisation.id).available_micro
    if available != available_micro:
        ledger.adjust(organisation.id, available_micro - available, key="leave", reason="For a test", actor="test")
