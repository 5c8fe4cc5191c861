"""A whole call, from asking for it to its stars: what is told, what is kept, and what it cost to the micro-credit."""

import altcha
import pytest
from channels.db import database_sync_to_async as in_thread
from django.test import AsyncClient

from accounts import captcha
from billing import ledger
from tests.fakes.realtime_server import RealtimeServer
from tests.fakes.scripted_upstream import Step, spoken_answer, usage
from tests.flows.books import caption_micro, closed_books, response_micro
from tests.flows.browser import FRAME, Browser
from tests.flows.script import (
    CAPTION_USAGE,
    GREETING_USAGE,
    SESSION_STEP,
    SPEECH,
    caller_says,
    greeting,
    wants_tool,
)
from tests.flows.visits import asks_for_a_call, posts, ticket_for
from voice.models import EndReason, Outcome, Session, Turn
from voice.sessions import connect

BOOKING_USAGE = usage(text_in=860, audio_in=52, text_out=31, audio_out=0, cached_text=640)
CONFIRMED_USAGE = usage(text_in=911, audio_in=93, text_out=20, audio_out=77, cached_text=832)
GOODBYE_USAGE = usage(text_in=940, audio_in=170, text_out=9, audio_out=31, cached_text=896)
RESPONSES = [GREETING_USAGE, BOOKING_USAGE, CONFIRMED_USAGE, GOODBYE_USAGE]
COST_MICRO = sum(map(response_micro, RESPONSES)) + caption_micro(CAPTION_USAGE)


def booking():
    """Return the script of a call in which a name is taken and the assistant hangs up."""
    book = wants_tool("book_appointment", {"name": "Ada"}, response_id="r2", call_id="c1", used=BOOKING_USAGE)
    confirm = spoken_answer("Booked, Ada.", SPEECH, response_id="r3", item_id="i3", used=CONFIRMED_USAGE)
    hang_up = wants_tool("end_call", {}, response_id="r4", call_id="c2", used=GOODBYE_USAGE)
    done = {"type": "function_call_output", "call_id": "c1", "output": '{"status":"ok"}'}
    return [
        *greeting(),
        Step("response.create", emit=book),
        Step("conversation.item.create", fields={"item": done}),
        Step("response.create", emit=confirm),
        Step("conversation.item.create"),
        Step("response.create", emit=hang_up),
        Step("conversation.item.create", fields={"item": {"call_id": "c2"}}),
    ]


async def test_a_visitor_books_by_voice_and_pays_what_the_receipt_says(agent, served_by):
    upstream = served_by(booking())
    page = Browser()
    started = await page.calls(await ticket_for(agent))
    await page.until("audio.end")
    await page.sends_audio(FRAME)
    upstream.emit(*caller_says("I am Ada.", "u1"))
    await page.until("audio.end")
    await page.says("text.send", text="Goodbye")
    ended = await page.until("session.ended")
    assert await page.until_closed() == 1000
    upstream.assert_complete()

    books = await in_thread(closed_books)(started["session_id"])
    assert books.cost_micro == COST_MICRO
    assert books.balance.balance_micro == 1000 * ledger.MICRO - COST_MICRO
    assert books.balance.held_micro == 0
    receipt = ended["receipt"]
    assert (receipt["total_micro"], receipt["uncollected_micro"]) == (COST_MICRO, 0)
    assert sum(line["amount_micro"] for line in receipt["lines"]) == COST_MICRO
    assert page.told_of("meter.changed")[-1]["used_micro"] == COST_MICRO
    assert page.told_of("task.completed") == [
        {"type": "task.completed", "name": "book_appointment", "fields": {"name": "Ada"}}
    ]
    assert (ended["reason"], ended["outcome"]) == ("agent_hung_up", "completed")
    assert bytes(upstream.appended) == FRAME
    assert page.heard == {"item_1": len(SPEECH), "i3": len(SPEECH)}


async def test_what_is_kept_of_a_call_is_times_and_money_and_no_word(agent, served_by):
    upstream = served_by(booking())
    page = Browser()
    started = await page.calls(await ticket_for(agent))
    await page.until("audio.end")
    upstream.emit(*caller_says("I am Ada.", "u1"))
    await page.until("audio.end")
    await page.says("text.send", text="Goodbye")
    await page.until_closed()
    session, turns = await in_thread(kept)(started["session_id"])
    assert (session.end_reason, session.outcome) == (EndReason.AGENT_HUNG_UP, Outcome.COMPLETED)
    assert (session.task_completed, session.model_asked) == ("book_appointment", "gpt-realtime-mini")
    assert session.model_served == "parley-embedded"
    assert session.visitor_id and session.duration_ms > 0
    assert [turn.speaker for turn in turns] == ["agent", "caller", "agent", "caller"]
    assert [turn.heard_ms for turn in turns] == [2000, None, 2000, None]
    assert turns[2].latency_ms is not None
    columns = str([vars(session), *map(vars, turns)])
    assert "Ada" not in columns and "Goodbye" not in columns


def kept(session_id):
    return Session.objects.get(id=session_id), list(Turn.objects.filter(session_id=session_id))


async def test_the_captcha_is_solved_the_call_made_and_the_call_rated(agent, served_by, monkeypatch):
    monkeypatch.setattr(captcha, "_COUNTER_FROM", 1)
    monkeypatch.setattr(captcha, "_COUNTER_TO", 2)
    served_by(greeting())
    client = AsyncClient()
    assert (await asks_for_a_call(agent, client)).json()["error"]["code"] == "captcha_required"
    challenge = altcha.Challenge.from_dict((await client.get("/v1/captcha/challenge")).json())
    solved = altcha.Payload(challenge, altcha.solve_challenge(challenge)).to_base64()
    answer = await asks_for_a_call(agent, client, captcha=solved)

    page = Browser()
    await page.calls(answer.json()["ticket"])
    await page.until("audio.end")
    await page.says("session.end")
    ended = await page.until("session.ended")
    rating = {"token": ended["rating_token"], "stars": 5, "comment": "Quick."}
    path = f"/v1/voice/sessions/{answer.json()['id']}/rating"
    assert (await posts(path, rating, client)).status_code == 200
    session, _ = await in_thread(kept)(answer.json()["id"])
    assert (session.stars, session.comment, session.outcome) == (5, "Quick.", Outcome.GIVEN_UP)


async def test_a_typed_call_has_no_audio_either_way(agent, served_by):
    greeted = [event for event in spoken_answer("Hello", b"", used=usage(text_in=700, text_out=12))
               if "audio" not in event["type"]]  # fmt: skip
    session = {"output_modalities": ["text"]}
    typed = Step("session.update", fields={"session": session})
    upstream = served_by([typed, Step("response.create", emit=greeted)])
    page = Browser()
    started = await page.calls(await ticket_for(agent, voice=False), voice=False)
    assert started["voice"] is False
    await page.until("meter.changed")
    await page.says("session.end")
    ended = await page.until("session.ended")
    assert ended["receipt"]["total_micro"] == response_micro(usage(text_in=700, text_out=12))
    assert page.heard == {}
    assert "audio" not in upstream.sent[0]["session"]
    await in_thread(closed_books)(started["session_id"])


async def test_the_same_call_over_a_websocket_to_a_realtime_server(agent, settings):
    """With a key the call is served by OpenAI's protocol; here by a server that checks every header and frame."""
    script = [SESSION_STEP, *greeting()[1:], Step("response.cancel")]
    async with RealtimeServer(script[:2]) as server:
        settings.OPENAI_API_KEY, settings.OPENAI_REALTIME_URL = server.api_key, server.url
        answer = (await asks_for_a_call(agent)).json()
        assert (answer["model_served"], answer["model_reason"]) == ("gpt-realtime-mini", "")
        server.safety_identifier = await in_thread(identifier_of)(answer["id"])
        page = Browser()
        await page.calls(answer["ticket"])
        await page.until("audio.end")
        await page.until("meter.changed")
        await page.says("session.end")
        ended = await page.until("session.ended")
        server.assert_complete()
    assert ended["receipt"]["total_micro"] == response_micro(GREETING_USAGE)
    books = await in_thread(closed_books)(answer["id"])
    assert [row.model_slug for row in books.usage] == ["gpt-realtime-mini"]


def identifier_of(session_id):
    return connect._safety_identifier(Session.objects.get(id=session_id))


@pytest.mark.parametrize("order", ["caption first", "answer first"])
async def test_the_caption_of_a_turn_is_charged_whenever_it_comes(agent, served_by, order):
    upstream = served_by([*greeting(), Step("response.create", emit=answer_to_turn())])
    page = Browser()
    started = await page.calls(await ticket_for(agent))
    await page.until("audio.end")
    said = caller_says("Hello?", "u1")
    if order == "caption first":
        said = [*said[:2], said[4], *said[2:4]]
    upstream.emit(*said)
    both_micro = response_micro(GREETING_USAGE) + response_micro(CONFIRMED_USAGE) + caption_micro(CAPTION_USAGE)
    await page.until("meter.changed", used_micro=both_micro)
    await page.says("session.end")
    await page.until_closed()
    assert (await in_thread(closed_books)(started["session_id"])).cost_micro == both_micro


def answer_to_turn():
    return spoken_answer("Yes?", SPEECH, response_id="r2", item_id="i2", used=CONFIRMED_USAGE)
