"""A call from its redeemed ticket to its receipt, whatever ends it, on the real ledger."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async as in_thread
from django.db import OperationalError

from tests.fakes.scripted_upstream import ScriptedUpstream, Step, spoken_answer, usage
from tests.flows.books import caption_micro, closed_books, response_micro
from tests.flows.caller import Listener
from tests.flows.script import (
    CAPTION_USAGE,
    GREETING_USAGE,
    SESSION_STEP,
    SPEECH,
    begun,
    caller_says,
    cancelled,
    greeting,
    wants_tool,
)
from tests.voice.sessions.calls import make_call
from voice.metering.meter import Meter, RateMissing
from voice.models import EndReason, Outcome, Rate, Session, SessionState
from voice.sessions import records, runner
from voice.sessions import relay as relay_module
from voice.sessions.caller import Audio, CallerGone, HungUp, Text
from voice.sessions.clock import Clock
from voice.sessions.fallback import stalls
from voice.sessions.orders import alive, control, listening
from voice.sessions.orders.listening import orders_for
from voice.sessions.runner import run_call
from voice.upstream import registry
from voice.upstream.errors import UpstreamError, UpstreamRefused

pytestmark = pytest.mark.django_db(transaction=True)

GREETING_MICRO = response_micro(GREETING_USAGE)


class Conversation:
    """A call under way: `caller` and `upstream` are its two ends, `task` runs it."""

    def __init__(self, call, upstream):
        self.call, self.upstream, self.caller = call, upstream, Listener()
        self.task = asyncio.create_task(run_call(call, self.caller))

    async def ends(self):
        """Return how it ended and the books, which are closed."""
        async with asyncio.timeout(30):
            ended = await self.task
        books = await in_thread(closed_books)(self.call.session_id)
        assert self.upstream.closed
        assert ended.receipt.total_micro == books.cost_micro
        assert (books.session.end_reason, books.session.outcome) == (ended.reason, ended.outcome)
        return ended, books

    async def fails(self, error):
        """Return the books of a call that came to no conversation."""
        async with asyncio.timeout(30):
            with pytest.raises(error):
                await self.task
        return await in_thread(closed_books)(self.call.session_id)


@pytest.fixture
def converse(open_session, monkeypatch):
    """Begin an admitted session on a scripted model."""

    async def begin(steps=None, *, upstream=None, **fields):
        upstream = upstream or ScriptedUpstream(greeting() if steps is None else steps)
        monkeypatch.setattr(registry, "dial", upstream.dial)
        session = await in_thread(open_session)(state="admitted", **fields)
        return Conversation(await in_thread(records.begin)(session.id), upstream)

    return begin


@pytest.fixture
def impatient(monkeypatch):
    """What is waited for in seconds is waited for in hundredths."""
    monkeypatch.setattr(relay_module, "_LAST_USAGE_S", 0.05)
    monkeypatch.setattr(stalls, "STALL_S", 0.3)
    monkeypatch.setattr(alive, "_LOOK_EVERY_S", 0.05)


async def greeted(call):
    await call.caller.until_told("parley.meter_changed", used_micro=GREETING_MICRO)


async def test_a_call_that_is_hung_up_is_settled(converse):
    call = await converse()
    await greeted(call)
    call.caller.does(HungUp())
    ended, books = await call.ends()
    assert (ended.reason, ended.outcome) == (EndReason.CALLER_HUNG_UP, Outcome.GIVEN_UP)
    assert books.cost_micro == GREETING_MICRO


async def test_the_caller_is_heard_by_the_model_and_hears_it(converse):
    call = await converse()
    call.caller.does(Audio(b"\3\0" * 960))
    await greeted(call)
    call.caller.does(HungUp())
    await call.ends()
    assert bytes(call.upstream.appended) == b"\3\0" * 960
    assert call.caller.heard == [("item_1", SPEECH)]


async def test_an_agent_without_a_task_has_done_its_work_when_it_answered(converse, agent):
    await in_thread(type(agent).objects.update)(task_name="", collects=[])
    answer = spoken_answer("Nine to five.", SPEECH, response_id="r2", item_id="i2", used=usage(text_out=9))
    steps = [*greeting(), Step("conversation.item.create"), Step("response.create", emit=answer)]
    call = await converse(steps)
    await greeted(call)
    call.caller.does(Text("When are you open?"))
    await call.caller.until_told("response.done", response=answer[-1]["response"])
    call.caller.does(HungUp())
    ended, _ = await call.ends()
    assert ended.outcome == Outcome.COMPLETED


async def test_a_running_response_is_cancelled_and_its_usage_waited_for(converse):
    used = usage(text_in=700, audio_out=21)
    call = await converse([*greeting(emit=begun()), Step("response.cancel", emit=[cancelled("resp_1", used)])])
    await call.caller.until_heard()
    call.caller.does(HungUp())
    _, books = await call.ends()
    call.upstream.assert_complete()
    assert [(row.upstream_id, row.is_estimated) for row in books.usage] == [("resp_1", False)]
    assert books.cost_micro == response_micro(used)


async def test_a_caption_that_comes_while_the_last_usage_is_waited_for_is_charged(converse):
    said = caller_says("Bye", "u1")
    used = usage(text_in=700, audio_out=21)
    last = [said[-1], cancelled("resp_1", used)]
    call = await converse([*greeting(emit=begun()), Step("response.cancel", emit=last)])
    await call.caller.until_heard()
    call.caller.does(HungUp())
    _, books = await call.ends()
    assert books.cost_micro == response_micro(used) + caption_micro(CAPTION_USAGE)


async def test_usage_that_never_comes_is_estimated(converse, impatient):
    call = await converse([*greeting(emit=begun()), Step("response.cancel")])
    await call.caller.until_heard()
    call.caller.does(HungUp())
    _, books = await call.ends()
    assert [(row.upstream_id, row.is_estimated) for row in books.usage] == [("resp_1", True)]
    assert books.usage[0].usage["audio_bytes"] == len(SPEECH)


async def test_a_caller_who_vanishes_is_settled_too(converse):
    call = await converse()
    await greeted(call)
    call.caller.vanishes()
    ended, books = await call.ends()
    assert (ended.reason, books.cost_micro) == (EndReason.CALLER_DISCONNECTED, GREETING_MICRO)


async def test_a_caller_who_breaks_the_protocol_is_told_with_which_code(converse):
    call = await converse()
    await greeted(call)
    call.caller.breaks_protocol("too_much_audio")
    ended, _ = await call.ends()
    assert (ended.reason, ended.code, ended.outcome) == (EndReason.PROTOCOL_ERROR, "too_much_audio", Outcome.CUT)


async def test_the_assistant_may_hang_up(converse):
    hang_up = wants_tool("end_call", {}, response_id="r2", call_id="c1", used=usage(text_out=5))
    steps = [
        *greeting(),
        Step("conversation.item.create"),
        Step("response.create", emit=hang_up),
        Step("conversation.item.create"),
    ]
    call = await converse(steps)
    await greeted(call)
    call.caller.does(Text("Goodbye"))
    ended, books = await call.ends()
    assert ended.reason == EndReason.AGENT_HUNG_UP
    assert books.cost_micro == GREETING_MICRO + response_micro(usage(text_out=5))


async def test_the_longest_call_ends(converse, agent):
    await in_thread(type(agent).objects.update)(max_duration_s=0)
    ended, _ = await (await converse([SESSION_STEP, Step("response.create")])).ends()
    assert ended.reason == EndReason.MAX_DURATION


async def test_a_call_whose_greeting_cannot_be_paid_asks_for_none(converse, agent):
    await in_thread(type(agent).objects.update)(daily_ceiling_micro=0)
    call = await converse([SESSION_STEP], held_micro=1, spend_cap_micro=1)
    ended, books = await call.ends()
    assert (ended.reason, books.cost_micro) == (EndReason.OUT_OF_CREDIT, 0)
    assert call.upstream.sent_types() == ["session.update"]


async def test_a_model_that_refuses_leaves_nothing_open_and_nothing_charged(converse):
    refused = ScriptedUpstream(refuse=UpstreamRefused("upstream_unauthorized", retryable=False))
    books = await (await converse(upstream=refused)).fails(UpstreamError)
    assert (books.session.end_reason, books.cost_micro) == (EndReason.UPSTREAM_FAILED, 0)
    assert books.balance.held_micro == 0


async def test_prices_that_are_missing_leave_nothing_open(converse, agent):
    await in_thread(Rate.objects.all().delete)()
    books = await (await converse()).fails(RateMissing)
    assert (books.session.end_reason, books.balance.held_micro) == (EndReason.INTERNAL_ERROR, 0)


async def test_a_stop_while_the_model_is_dialled_leaves_nothing_open(converse, monkeypatch):
    call = await converse()
    dialling = asyncio.Event()

    async def dial(*_, **__):
        dialling.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(registry, "dial", dial)
    await dialling.wait()
    call.task.cancel()
    books = await call.fails(asyncio.CancelledError)
    assert (books.session.end_reason, books.balance.held_micro) == (EndReason.SHUTTING_DOWN, 0)


async def test_a_server_that_stops_settles_what_was_used(converse):
    call = await converse()
    await greeted(call)
    call.task.cancel()
    books = await call.fails(asyncio.CancelledError)
    assert (books.session.end_reason, books.cost_micro) == (EndReason.SHUTTING_DOWN, GREETING_MICRO)


async def test_a_fault_of_ours_settles_what_was_used(converse, monkeypatch, caplog):
    call = await converse()
    await greeted(call)

    async def faulty(self, now):
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(Clock, "tick", faulty)
    ended, books = await call.ends()
    assert (ended.reason, ended.code, books.cost_micro) == (EndReason.INTERNAL_ERROR, "", GREETING_MICRO)


async def test_a_channel_layer_that_is_away_does_not_leave_the_call_open(converse, monkeypatch):
    class Away:
        async def new_channel(self, prefix):
            raise ConnectionError

    monkeypatch.setattr(listening, "get_channel_layer", Away)
    ended, _ = await (await converse([])).ends()
    assert ended.reason == EndReason.INTERNAL_ERROR


async def test_an_order_ends_the_call_at_once(converse):
    call = await converse()
    await greeted(call)
    await sync_to_async(control.end_call)(call.call.session_id)
    ended, _ = await call.ends()
    assert ended.reason == EndReason.OPERATOR_ENDED


async def test_a_call_that_was_ended_elsewhere_notices(converse, impatient):
    call = await converse()
    await greeted(call)
    await in_thread(Session.objects.update)(state=SessionState.ENDED, end_reason=EndReason.PROCESS_DIED)
    async with asyncio.timeout(30):
        ended = await call.task
    assert ended.reason == EndReason.OPERATOR_ENDED
    assert (await in_thread(closed_books)(call.call.session_id)).session.end_reason == EndReason.PROCESS_DIED


async def test_a_live_call_says_that_it_lives(converse, impatient):
    call = await converse()
    begun_at = (await in_thread(Session.objects.get)()).seen_at
    async with asyncio.timeout(30):
        while (await in_thread(Session.objects.get)()).seen_at == begun_at:
            await asyncio.sleep(0.01)
    call.caller.does(HungUp())
    await call.ends()


async def test_a_database_that_is_away_for_a_moment_ends_no_call(converse, impatient, monkeypatch):
    asked = asyncio.Event()
    failures = iter([OperationalError(), OperationalError()])
    loop = asyncio.get_running_loop()

    def still_live(client_ips):
        if failure := next(failures, None):
            raise failure
        loop.call_soon_threadsafe(asked.set)
        return {}

    monkeypatch.setattr(records, "still_live", still_live)
    call = await converse()
    await asked.wait()
    assert not call.task.done()
    call.caller.does(HungUp())
    ended, _ = await call.ends()
    assert ended.reason == EndReason.CALLER_HUNG_UP


async def test_a_ledger_that_is_away_for_a_moment_delays_the_answer(converse, monkeypatch):
    prepare, failures = Meter.prepare_response, iter([OperationalError()])

    async def prepare_response(self, *tokens):
        if failure := next(failures, None):
            raise failure
        return await prepare(self, *tokens)

    monkeypatch.setattr(Meter, "prepare_response", prepare_response)
    call = await converse()
    await greeted(call)
    call.caller.does(HungUp())
    await call.ends()


async def test_one_usage_that_cannot_be_recorded_does_not_take_the_others_with_it(converse, monkeypatch):
    """Its caption has no rate; the response whose usage comes last is on the books all the same."""
    said = caller_says("Bye", "u1")
    used = usage(text_in=700, audio_out=21)
    last = [said[-1], cancelled("resp_1", used)]
    call = await converse([*greeting(emit=begun()), Step("response.cancel", emit=last)])

    async def record_transcription(self, *_):
        raise RateMissing("captions")

    monkeypatch.setattr(Meter, "record_transcription", record_transcription)
    await call.caller.until_heard()
    call.caller.does(HungUp())
    _, books = await call.ends()
    assert books.cost_micro == response_micro(used)


async def test_of_parts_that_end_together_the_first_named_says_why():
    """A caller who leaves makes whatever is being sent to them fail in the same moment."""

    async def caller():
        raise CallerGone

    async def upstream():
        raise ZeroDivisionError

    for _ in range(50):
        with pytest.raises(CallerGone):
            await runner._first_of(caller(), upstream(), asyncio.sleep(0))


async def test_a_model_that_is_reached_in_the_moment_in_which_the_caller_leaves_is_hung_up():
    class Leaving:
        async def until_gone(self):
            raise CallerGone

    async with orders_for(make_call()) as orders:
        for _ in range(50):
            upstream = ScriptedUpstream()
            with pytest.raises(CallerGone):
                await runner._while_wanted(Leaving(), orders, _reached(upstream))
            assert upstream.closed


async def test_a_model_that_is_reached_in_the_moment_in_which_the_call_is_ordered_to_end_is_hung_up():
    class Patient:
        async def until_gone(self):
            await asyncio.Event().wait()

    async with orders_for(make_call()) as orders:
        orders.ended.set_result(EndReason.PAUSED)
        for _ in range(50):
            upstream = ScriptedUpstream()
            with pytest.raises(runner._Ordered):
                await runner._while_wanted(Patient(), orders, _reached(upstream))
            assert upstream.closed


async def _reached(upstream):
    return None, upstream


async def test_a_part_that_is_deaf_to_its_cancellation_is_cancelled_again(monkeypatch):
    """As a library may be that waits with asyncio.wait_for, before Python 3.12."""
    monkeypatch.setattr(runner, "_CANCEL_AGAIN_S", 0.01)
    heard = []

    async def deaf():
        while len(heard) < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard.append("cancelled")
        raise asyncio.CancelledError

    async def over():
        return "over"

    async with asyncio.timeout(20):
        assert await runner._first_of(deaf(), over()) == "over"
    assert len(heard) == 2
