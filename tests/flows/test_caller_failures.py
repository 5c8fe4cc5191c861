"""The caller vanishes, says nothing, or cannot keep up: the call ends, and they pay for what was used."""

import asyncio

import pytest
from channels.db import database_sync_to_async as in_thread

from tests.fakes.scripted_upstream import Step, spoken_answer, usage
from tests.flows.books import closed_books, only_session, response_micro
from tests.flows.browser import FRAME, PATIENCE_S, Browser
from tests.flows.script import GREETING_USAGE, SPEECH, begun, caller_says, cancelled, greeting
from tests.flows.visits import ticket_for
from voice.models import EndReason, Outcome, Turn
from voice.sessions import limits as limits_module
from voice.sessions import playback as playback_module

GREETING_MICRO = response_micro(GREETING_USAGE)
SILENCE = bytes(1920)
STILL_THERE_USAGE = usage(text_in=720, audio_in=3, text_out=6, audio_out=22)


@pytest.fixture
async def call(agent, served_by):
    """Greet a caller; return the model and the page."""

    async def begin(steps=None):
        upstream, page = served_by(greeting() if steps is None else steps), Browser()
        await page.calls(await ticket_for(agent))
        return upstream, page

    return begin


async def books_of_the_call():
    return await in_thread(closed_books)(await in_thread(only_session)())


async def test_a_caller_who_vanishes_between_answers_pays_for_the_answers(call):
    _, page = await call()
    await page.until("meter.changed")
    await page.vanishes()
    books = await books_of_the_call()
    assert (books.session.end_reason, books.session.outcome) == (EndReason.CALLER_DISCONNECTED, Outcome.GIVEN_UP)
    assert books.cost_micro == GREETING_MICRO


async def test_a_caller_who_vanishes_in_an_answer_stops_it_and_pays_for_its_beginning(call):
    used = usage(text_in=700, audio_out=17)
    upstream, page = await call([*greeting(emit=begun()), Step("response.cancel", emit=[cancelled("resp_1", used)])])
    await page.until("audio")
    await page.vanishes()
    upstream.assert_complete()
    books = await books_of_the_call()
    assert (books.cost_micro, books.usage[0].is_estimated) == (response_micro(used), False)
    assert upstream.closed


async def test_a_caller_who_vanishes_at_once_pays_for_no_more_than_was_asked(call):
    upstream, page = await call([*greeting(), Step("response.cancel")])
    await page.vanishes()
    books = await books_of_the_call()
    assert books.session.end_reason == EndReason.CALLER_DISCONNECTED
    assert books.cost_micro in (0, GREETING_MICRO)


async def test_a_silent_microphone_is_asked_whether_somebody_is_there_and_then_hung_up(call, agent, monkeypatch):
    monkeypatch.setattr(limits_module, "_ANSWER_S", 0.1)
    await in_thread(type(agent).objects.update)(silence_timeout_s=0)
    ask = {"response": {"instructions": "Say exactly: Are you still there?"}}
    answer = spoken_answer("Are you still there?", SPEECH, response_id="r2", item_id="i2", used=STILL_THERE_USAGE)
    upstream, page = await call([*greeting(), Step("response.create", fields=ask, emit=answer)])
    for _ in range(20):
        await page.sends_audio(SILENCE)
    assert (await page.until("notice"))["code"] == "still_there"
    ended = await page.until("session.ended")
    assert (ended["reason"], ended["outcome"]) == ("silence", "given_up")
    upstream.assert_complete()
    books = await books_of_the_call()
    assert books.cost_micro == GREETING_MICRO + response_micro(STILL_THERE_USAGE)
    assert page.heard["i2"] == len(SPEECH)


async def test_a_caller_who_answers_is_not_hung_up(call, agent):
    await in_thread(type(agent).objects.update)(silence_timeout_s=0)
    still_there = spoken_answer("Still there?", SPEECH, response_id="r2", item_id="i2", used=STILL_THERE_USAGE)
    yes = spoken_answer("Good.", SPEECH, response_id="r3", item_id="i3", used=usage(text_out=3))
    upstream, page = await call(
        [*greeting(), Step("response.create", emit=still_there), Step("response.create", emit=yes)]
    )
    await page.until("notice", code="still_there")
    await page.until("audio.end", item_id="i2")
    upstream.emit(*caller_says("Yes!", "u1"))
    await page.until("audio.end", item_id="i3")
    await page.says("session.end")
    assert (await page.until("session.ended"))["reason"] == "caller_hung_up"


async def test_a_browser_that_falls_behind_is_closed_with_its_own_code(call, monkeypatch):
    monkeypatch.setattr(playback_module, "_BEHIND_BYTES_MAX", len(SPEECH) - 1)
    steps = greeting()
    upstream, page = await call(steps)
    page.plays = False
    assert await page.until_closed() == 4409
    assert page.told[-1]["code"] == "connection_too_slow"
    books = await books_of_the_call()
    assert (books.session.end_reason, books.session.outcome) == (EndReason.CONNECTION_TOO_SLOW, Outcome.CUT)
    assert books.cost_micro == GREETING_MICRO


async def asked_again(upstream):
    async with asyncio.timeout(PATIENCE_S):
        while upstream.sent_types().count("response.create") < 2:
            await asyncio.sleep(0)


async def test_a_caller_who_interrupts_has_heard_what_they_heard(call):
    """The model is told how much of its answer was played, and the receipt is for all that it made."""
    answer = spoken_answer("What did you want?", SPEECH, response_id="r2", item_id="i2", used=usage(text_out=5))
    heard = Step("conversation.item.truncate", fields={"item_id": "item_1", "audio_end_ms": 800})
    upstream, page = await call([*greeting(), Step("response.create"), heard])
    page.plays = False
    await page.until("audio.end")
    await page.has_played("item_1", 500)
    upstream.emit(*caller_says("Wait!", "u1"))
    await page.until("audio.clear", item_id="item_1")
    await asked_again(upstream)
    await page.has_played("item_1", 800)
    final = await page.until("caption.final", item_id="item_1", interrupted=True)
    assert final["text"] == "Hello, how"
    page.plays = True
    upstream.emit(*answer)
    await page.until("audio.end", item_id="i2")
    await page.says("session.end")
    ended = await page.until("session.ended")
    upstream.assert_complete()
    turns = await in_thread(lambda: list(Turn.objects.filter(item_id="item_1")))()
    assert [(turn.heard_ms, turn.interrupted) for turn in turns] == [(800, True)]
    assert ended["receipt"]["total_micro"] == (await books_of_the_call()).cost_micro


async def test_a_muted_caller_is_still_there(call):
    upstream, page = await call()
    await page.says("microphone.state", muted=True)
    await page.sends_audio(FRAME)
    await page.says("session.end")
    assert (await page.until("session.ended"))["reason"] == "caller_hung_up"
