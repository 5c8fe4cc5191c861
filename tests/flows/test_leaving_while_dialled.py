"""Whoever leaves before a model is reached has had nothing and pays nothing; whoever comes back misses nothing."""

import asyncio

import pytest
from channels.db import database_sync_to_async as in_thread

from accounts.api_keys import create_key
from tests.fakes.obedient_model import ObedientModel
from tests.fakes.scripted_upstream import ScriptedUpstream, Step, spoken_answer, usage
from tests.fakes.slow_dial import SlowDial
from tests.flows.books import closed_books, only_session, response_micro
from tests.flows.browser import FRAME, PATIENCE_S, Browser
from tests.flows.program import Program
from tests.flows.rungs import Dialled, call_to
from tests.flows.script import GREETING_USAGE, SESSION_STEP, SPEECH, greeting
from tests.flows.test_resume import hangs_up, waits
from tests.flows.visits import admitted
from voice.models import EndReason, Outcome, Session
from voice.sessions.caller import HungUp
from voice.sessions.fallback import search
from voice.upstream import registry
from voice.upstream.errors import UpstreamDropped

GREETING_MICRO = response_micro(GREETING_USAGE)
DROPPED = UpstreamDropped("upstream_unreachable", retryable=False)


@pytest.fixture(autouse=True)
def patient(settings):
    settings.RESUME_WITHIN_S = PATIENCE_S


@pytest.fixture
async def call(agent, dialling):
    """Begin a call whose model is being dialled: return the model, its dial, and the page."""

    async def begin(steps=None, **fields):
        upstream, page = ScriptedUpstream(greeting() if steps is None else steps), Browser()
        dial = dialling(upstream)
        await page.calls(await in_thread(admitted)(agent, **fields), voice=fields.get("is_voice", True))
        await dial.until_dialled()
        return upstream, dial, page

    return begin


async def nothing_was_charged(reason):
    """Check that the only session ended for this reason, at no cost, with nothing held."""
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert (books.session.end_reason, books.cost_micro, books.usage) == (reason, 0, [])
    assert books.balance.held_micro == 0
    return books


async def is_opened(upstream):
    async with asyncio.timeout(PATIENCE_S):
        while not upstream.sent:
            await asyncio.sleep(0.001)


async def is_missed():
    """Return once the only call waits for its caller."""
    async with asyncio.timeout(PATIENCE_S):
        while (await in_thread(Session.objects.get)()).away_since is None:
            await asyncio.sleep(0.01)


# A browser.


async def test_who_hangs_up_while_a_model_is_dialled_is_told_at_once_that_it_costs_nothing(call):
    upstream, dial, page = await call()
    await page.says("session.end")
    ended = await page.until("session.ended")
    assert (ended["reason"], ended["outcome"], ended["receipt"]["total_micro"]) == ("caller_hung_up", "given_up", 0)
    assert await page.until_closed() == 1000
    assert (dial.given_up, upstream.sent) == (["gpt-realtime-mini"], [])
    await nothing_was_charged(EndReason.CALLER_HUNG_UP)


async def test_who_closes_the_page_while_a_model_is_dialled_is_not_waited_for(call):
    upstream, dial, page = await call()
    await page.vanishes(1000)
    assert (dial.given_up, upstream.sent) == (["gpt-realtime-mini"], [])
    books = await nothing_was_charged(EndReason.CALLER_DISCONNECTED)
    assert books.session.outcome == Outcome.GIVEN_UP


async def test_who_breaks_the_protocol_while_a_model_is_dialled_is_told_so(call):
    _, dial, page = await call(is_voice=False)
    await page.sends_audio()
    assert await page.until_closed() == 4400
    assert (page.told[-1]["code"], dial.given_up) == ("invalid_message", ["gpt-realtime-mini"])
    await nothing_was_charged(EndReason.PROTOCOL_ERROR)


async def test_a_goodbye_is_heard_behind_all_that_was_said_before_it(call):
    _, dial, page = await call()
    for _ in range(200):
        await page.sends_audio()
    await page.says("text.send", text="Nobody there?")
    await page.says("session.end")
    assert (await page.until("session.ended"))["reason"] == "caller_hung_up"
    assert dial.given_up
    await nothing_was_charged(EndReason.CALLER_HUNG_UP)


async def test_all_models_that_are_dialled_side_by_side_are_hung_up(call, settings, monkeypatch):
    settings.OPENAI_API_KEY = "sk-test"
    monkeypatch.setattr(search, "_FIRST_HEAD_START_S", 0.0)
    _, dial, page = await call()
    await dial.until_dialled(2)
    await page.says("session.end")
    await page.until("session.ended")
    async with asyncio.timeout(PATIENCE_S):
        while sorted(dial.given_up) != sorted(dial.dialled):
            await asyncio.sleep(0.001)
    await nothing_was_charged(EndReason.CALLER_HUNG_UP)


async def test_what_is_said_while_a_model_is_dialled_reaches_it_in_its_order(call):
    second = spoken_answer("Nine to five.", SPEECH, response_id="r2", item_id="i2", used=usage(text_out=9))
    typed = Step("conversation.item.create", fields={"item": {"content": [{"type": "input_text", "text": "Hours?"}]}})
    upstream, dial, page = await call([SESSION_STEP, typed, *greeting()[1:], Step("response.create", emit=second)])
    spoken = [bytes([number, 0]) * 960 for number in range(100)]
    for pcm in spoken[:50]:
        await page.sends_audio(pcm)
    await page.says("text.send", text="Hours?")
    for pcm in spoken[50:]:
        await page.sends_audio(pcm)
    dial.answers()
    await page.until("audio.end", item_id="i2")
    assert bytes(upstream.appended) == b"".join(spoken)
    await hangs_up(page)
    upstream.assert_complete()


# A browser whose network breaks.


async def test_a_call_whose_connection_breaks_is_dialled_for_all_the_same(call):
    upstream, dial, page = await call()
    await waits(page)
    assert dial.given_up == []
    back = Browser()
    await back.resumes(page)
    dial.answers()
    await back.until("meter.changed", used_micro=GREETING_MICRO)
    assert back.heard == {"item_1": len(SPEECH)}
    books = await hangs_up(back)
    assert (books.cost_micro, books.session.resumes) == (GREETING_MICRO, 1)
    upstream.assert_complete()


async def test_who_is_away_when_a_model_is_reached_is_greeted_when_they_are_back(call):
    upstream, dial, page = await call()
    await waits(page)
    dial.answers()
    await is_opened(upstream)
    back = Browser()
    await back.resumes(page)
    assert upstream.sent_types() == ["session.update"]
    await back.until("meter.changed", used_micro=GREETING_MICRO)
    await hangs_up(back)
    assert upstream.sent_types() == ["session.update", "response.create"]


async def test_who_never_comes_back_to_a_model_that_was_reached_pays_for_no_greeting(call, settings):
    settings.RESUME_WITHIN_S = 0.5
    upstream, dial, page = await call()
    await waits(page)
    dial.answers()
    await page.is_let_go()
    assert "response.create" not in upstream.sent_types()
    await nothing_was_charged(EndReason.CALLER_DISCONNECTED)


async def test_who_stays_away_is_not_dialled_for_any_longer(call, settings):
    settings.RESUME_WITHIN_S = 0.2
    upstream, dial, page = await call()
    await page.vanishes()
    assert (dial.given_up, upstream.sent) == (["gpt-realtime-mini"], [])
    await nothing_was_charged(EndReason.CALLER_DISCONNECTED)


async def test_who_comes_back_while_a_model_is_dialled_may_hang_up(call):
    _, dial, page = await call()
    await page.sends_audio()
    await waits(page)
    back = Browser()
    await back.resumes(page)
    await back.says("session.end")
    assert (await back.until("session.ended"))["receipt"]["total_micro"] == 0
    assert dial.given_up == ["gpt-realtime-mini"]
    await nothing_was_charged(EndReason.CALLER_HUNG_UP)


# In the moment between: a model is reached, and the greeting not asked for yet.


class Opening(ScriptedUpstream):
    """Something happens to the caller while it is told who it is."""

    def __init__(self, happens):
        super().__init__(greeting())
        self._happens = happens

    async def send(self, frame):
        await super().send(frame)
        if len(self.sent) == 1:
            await self._happens()


async def begun_with(agent, dialling, happens):
    page = Browser()
    upstream = Opening(lambda: happens(page))
    dialling(upstream).answers()
    await page.calls(await in_thread(admitted)(agent))
    return upstream, page


async def test_who_hangs_up_just_before_the_greeting_is_asked_for_does_not_pay_for_it(agent, dialling):
    upstream, page = await begun_with(agent, dialling, lambda page: page.says("session.end"))
    assert (await page.until("session.ended"))["receipt"]["total_micro"] == 0
    assert upstream.sent_types() == ["session.update"]
    await nothing_was_charged(EndReason.CALLER_HUNG_UP)


async def test_who_closes_the_page_just_before_the_greeting_is_asked_for_does_not_pay_for_it(agent, dialling):
    upstream, page = await begun_with(agent, dialling, lambda page: page.drops(1000))
    await page.is_let_go()
    assert upstream.sent_types() == ["session.update"]
    await nothing_was_charged(EndReason.CALLER_DISCONNECTED)


async def test_who_is_lost_just_before_the_greeting_is_asked_for_is_greeted_when_they_are_back(agent, dialling):
    upstream, page = await begun_with(agent, dialling, lambda page: page.drops())
    await is_missed()
    assert upstream.sent_types() == ["session.update"]
    back = Browser()
    await back.resumes(page)
    await back.until("meter.changed", used_micro=GREETING_MICRO)
    books = await hangs_up(back)
    assert upstream.sent_types() == ["session.update", "response.create"]
    assert books.cost_micro == GREETING_MICRO


# In the middle of a call.


async def test_who_hangs_up_while_the_next_model_is_dialled_is_not_kept_waiting_for_it(agent, monkeypatch, settings):
    settings.OPENAI_API_KEY = "sk-test"
    monkeypatch.setattr(search, "_HEAD_START_S", 0.0)
    monkeypatch.setattr(search, "_VOICES_START_S", 0.0)
    first = ScriptedUpstream([*greeting()])
    monkeypatch.setattr(registry, "dial", Dialled(first).dial)
    call = await call_to(agent)
    await call.caller.until_told("parley.meter_changed", used_micro=GREETING_MICRO)
    never = SlowDial(ScriptedUpstream())
    monkeypatch.setattr(registry, "dial", never.dial)
    first.drop()
    await never.until_dialled(3)
    call.caller.does(HungUp())
    ended, books = await call.ends()
    assert (ended.reason, books.cost_micro) == (EndReason.CALLER_HUNG_UP, GREETING_MICRO)
    async with asyncio.timeout(PATIENCE_S):
        while sorted(never.given_up) != sorted(never.dialled):
            await asyncio.sleep(0.001)


# A customer's own program.


@pytest.fixture
async def program(agent, dialling):
    """One whose model is being dialled: return the model, its dial, and the program."""
    _, key = await in_thread(create_key)(agent.organisation, name="test")
    model, program = ObedientModel(), Program(key)
    dial = dialling(model)
    await program.opens()
    await dial.until_dialled()
    return model, dial, program


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, EndReason.CALLER_HUNG_UP),
        (1001, EndReason.CALLER_HUNG_UP),
        (1006, EndReason.CALLER_DISCONNECTED),
        (4000, EndReason.CALLER_DISCONNECTED),
    ],
)
async def test_a_program_that_leaves_while_its_model_is_dialled_is_asked_nothing_for(program, code, reason):
    model, dial, program = program
    await program.says("response.create")
    await program.leaves(code)
    assert (dial.given_up, model.sent) == (dial.dialled, [])
    await nothing_was_charged(reason)


async def test_what_a_program_sends_while_its_model_is_dialled_is_done_in_its_order(program):
    model, dial, program = program
    await program.sends_audio(FRAME)
    await program.sends_text("{")
    await program.says("input_audio_buffer.commit")
    dial.answers()
    await program.until("input_audio_buffer.committed")
    assert len(program.told_of("error")) == 1
    kinds = [event["type"] for event in model.sent]
    assert kinds == ["session.update", "input_audio_buffer.append", "input_audio_buffer.commit"]
    await program.leaves()
