"""What was said in a call, from the question before it to what is kept: as heard with consent, not a word without."""

import asyncio
from dataclasses import astuple, dataclass
from uuid import uuid4

import pytest
from channels.db import database_sync_to_async as in_thread

from outbox.models import OutboxMessage
from tests.fakes.scripted_upstream import Step, spoken_answer, usage
from tests.flows.books import closed_books, response_micro
from tests.flows.browser import FRAME, Browser
from tests.flows.script import GREETING_USAGE, SPEECH, caller_says, greeting, wants_tool
from tests.flows.traces import traces_of
from tests.flows.visits import asks_for_a_call, ticket_for
from voice.models import Session
from voice.transcripts.consent import wording_of
from voice.transcripts.reading import collected_fields_of, transcript_of

USED = usage(text_in=10, text_out=5)


@dataclass(frozen=True)
class Spoken:
    """Words that nothing else in the product uses."""

    said: str
    typed: str
    answered: str


@pytest.fixture
def spoken():
    # Of each test alone: what another was allowed to keep may still lie in the database's journal.
    mark = uuid4().hex[:8]
    return Spoken(f"xylophone{mark}", f"marzipan{mark}", f"zeppelin{mark}")


def booking(spoken):
    """Return a script: the greeting, a booking of a name, an answer."""
    book = wants_tool("book_appointment", {"name": "Ada"}, response_id="r2", call_id="c1", used=USED)
    answer = spoken_answer(f"A {spoken.answered} for you.", SPEECH, response_id="r3", item_id="i3", used=USED)
    again = spoken_answer(f"One more {spoken.answered}.", SPEECH, response_id="r4", item_id="i4", used=USED)
    return [
        *greeting(),
        Step("response.create", emit=book),
        Step("conversation.item.create"),
        Step("response.create", emit=answer),
        Step("conversation.item.create"),
        Step("response.create", emit=again),
    ]


async def holds_the_conversation(agent, served_by, spoken, **answer):
    """Speak and type through the script; return the session's id."""
    upstream = served_by(booking(spoken))
    page = Browser()
    started = await page.calls(await ticket_for(agent, **answer))
    await page.until("audio.end")
    await page.sends_audio(FRAME)
    upstream.emit(*caller_says(f"I would like a {spoken.said}.", "u1"))
    await page.until("audio.end", item_id="i3")
    await page.says("text.send", text=f"With {spoken.typed}, please.")
    await page.until("audio.end", item_id="i4")
    await page.says("session.end")
    await page.until_closed()
    return started["session_id"]


def policy(agent, **fields):
    type(agent).objects.filter(pk=agent.pk).update(**fields)
    agent.refresh_from_db()


async def test_with_a_yes_the_conversation_is_kept_in_its_words_and_order(agent, served_by, spoken):
    await in_thread(policy)(agent, transcript_policy="ask")
    version = (await in_thread(wording_of)(agent)).version
    session_id = await holds_the_conversation(agent, served_by, spoken, consent=True, consent_version=version)
    view = await in_thread(transcript_of)(session_id)
    assert [(turn.speaker, turn.text) for turn in view.turns] == [
        ("agent", "Hello, how can I help?"),
        ("caller", f"I would like a {spoken.said}."),
        ("agent", f"A {spoken.answered} for you."),
        ("caller", f"With {spoken.typed}, please."),
        ("agent", f"One more {spoken.answered}."),
    ]
    assert view.turns[2].latency_ms is not None
    session = await Session.objects.aget(pk=session_id)
    assert (session.transcript_policy, session.consent, session.consent_version) == ("ask", True, version)
    assert session.consent_at is not None
    message = await OutboxMessage.objects.aget(kind="conversation_ended")
    assert message.payload == {"session_id": session_id}
    assert await in_thread(traces_of)(spoken.said) != []


@pytest.mark.parametrize(
    ("chosen", "answer"),
    [
        ("never", {}),
        ("never", {"consent": True}),
        ("ask", {"consent": False}),
        ("ask", {}),
        ("ask", {"consent": True, "consent_version": "ask-1/9999d"}),
        ("always", {}),
    ],
)
async def test_without_a_yes_not_one_word_is_anywhere(agent, served_by, spoken, caplog, chosen, answer):
    caplog.set_level(1)
    await in_thread(policy)(agent, transcript_policy=chosen)
    session_id = await holds_the_conversation(agent, served_by, spoken, **answer)
    await in_thread(closed_books)(session_id)
    for word in astuple(spoken):
        assert await in_thread(traces_of)(word, caplog.text) == []
    (collected,) = await in_thread(collected_fields_of)(session_id)
    assert (collected.task_name, collected.fields) == ("book_appointment", {"name": "Ada"})


async def test_an_interrupted_answer_is_kept_as_far_as_it_was_heard(agent, served_by):
    await in_thread(policy)(agent, transcript_policy="always")
    answer = spoken_answer("What did you want?", SPEECH, response_id="r2", item_id="i2", used=USED)
    upstream = served_by([*greeting(), Step("response.create"), Step("conversation.item.truncate")])
    page = Browser()
    started = await page.calls(await ticket_for(agent, consent=True))
    page.plays = False
    await page.until("audio.end")
    await page.has_played("item_1", 500)
    upstream.emit(*caller_says("Wait!", "u1"))
    await page.until("audio.clear", item_id="item_1")
    while upstream.sent_types().count("response.create") < 2:
        await asyncio.sleep(0)
    await page.has_played("item_1", 800)
    await page.until("caption.final", item_id="item_1", interrupted=True)
    page.plays = True
    upstream.emit(*answer)
    await page.until("audio.end", item_id="i2")
    await page.says("session.end")
    await page.until_closed()
    turns = (await in_thread(transcript_of)(started["session_id"])).turns
    assert [(turn.text, turn.interrupted) for turn in turns] == [
        ("Hello, how", True),
        ("Wait!", False),
        ("What did you want?", False),
    ]
    assert turns[0].ended_ms - turns[0].started_ms == 800


@pytest.mark.parametrize(
    ("captions", "answer", "is_written_down"),
    [(True, {}, True), (False, {}, False), (False, {"consent": True}, True), (False, {"consent": False}, False)],
)
async def test_speech_is_written_down_only_where_somebody_reads_it(
    agent, served_by, settings, captions, answer, is_written_down
):
    """With captions off and no consent, OpenAI is asked for no transcription, and none is billed."""
    settings.OPENAI_API_KEY = "sk-test"
    await in_thread(policy)(agent, transcript_policy="ask", captions=captions)
    upstream = served_by(greeting())
    admitted = (await asks_for_a_call(agent, **answer)).json()
    assert admitted["model_served"] == "gpt-realtime-mini"
    page = Browser()
    await page.calls(admitted["ticket"])
    await page.until("audio.end")
    await page.until("meter.changed")
    await page.says("session.end")
    await page.until("session.ended")
    asked_for = upstream.sent[0]["session"]["audio"]["input"]["transcription"]
    assert asked_for == ({"model": "gpt-4o-mini-transcribe", "language": "en"} if is_written_down else None)
    assert bool(page.told_of("caption.final")) == captions
    books = await in_thread(closed_books)(admitted["id"])
    assert books.cost_micro == response_micro(GREETING_USAGE)
