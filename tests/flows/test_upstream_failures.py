"""The model refuses, stalls, drops or answers garbage: the caller is told, and pays for what was delivered."""

import asyncio
import math

import pytest
from channels.db import database_sync_to_async as in_thread

from tests.fakes.realtime_server import RealtimeServer
from tests.fakes.scripted_upstream import Step, spoken_answer, usage
from tests.flows.books import AUDIO_OUT, TEXT_OUT, closed_books, only_session, response_micro
from tests.flows.browser import Browser
from tests.flows.script import GREETING_USAGE, SESSION_STEP, SPEECH, begun, greeting
from tests.flows.visits import asks_for_a_call, ticket_for
from voice.models import EndReason, Outcome
from voice.sessions import relay as relay_module
from voice.sessions.fallback import search, stalls
from voice.sessions.model_side import ModelSide
from voice.upstream.errors import UpstreamDropped, UpstreamRefused, UpstreamTimeout

GREETING_MICRO = response_micro(GREETING_USAGE)
WORDS = "Hello, how can I help?"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """What is waited for in seconds is waited for in tenths."""
    monkeypatch.setattr(relay_module, "_LAST_USAGE_S", 0.05)
    monkeypatch.setattr(search, "_ALL_AGAIN_AFTER_S", 0.0)


@pytest.fixture
def quick_stalls(monkeypatch):
    """For those who stall only: on a busy machine a model that answers at once may seem to, too."""
    for name in ("STALL_S", "STALL_PIPELINE_S"):
        monkeypatch.setattr(stalls, name, 0.3)


async def ends_with(page, reason):
    """Return the receipt and the closed books of a call that its model has ended."""
    ended = await page.until("session.ended")
    assert (ended["reason"], ended["outcome"]) == (reason, Outcome.CUT)
    assert await page.until_closed() == 1000
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert books.session.end_reason == reason
    assert books.balance.held_micro == 0
    assert ended["receipt"]["total_micro"] == books.cost_micro
    return books


@pytest.mark.parametrize(
    "error",
    [
        UpstreamRefused("upstream_unauthorized", retryable=False),
        UpstreamRefused("upstream_unavailable", retryable=True),
        UpstreamTimeout("upstream_timeout", retryable=True),
        UpstreamDropped("upstream_unreachable", retryable=True),
    ],
)
async def test_a_model_that_cannot_be_reached_costs_nothing(agent, served_by, error):
    served_by(refuse=error)
    page = Browser()
    await page.calls(await ticket_for(agent))
    assert await page.until_closed() == 4503
    assert page.told[-1]["code"] == "upstream_unavailable"
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert (books.session.end_reason, books.cost_micro, books.usage) == (EndReason.UPSTREAM_FAILED, 0, [])
    assert books.balance.held_micro == 0


async def test_a_key_that_the_provider_refuses_is_our_trouble_and_nobodys_bill(agent, settings):
    async with RealtimeServer(refuse=401) as server:
        settings.OPENAI_API_KEY, settings.OPENAI_REALTIME_URL = "sk-wrong", server.url
        page = Browser()
        await page.calls(await ticket_for(agent))
        assert await page.until_closed() == 4503
    assert "sk-wrong" not in str(page.told)
    assert (await in_thread(closed_books)(await in_thread(only_session)())).cost_micro == 0


@pytest.mark.parametrize("then", ["drop", "close", "garbage"])
async def test_a_model_that_breaks_off_between_answers_is_paid_for_the_answers(agent, served_by, then):
    served_by([*greeting(), Step("conversation.item.create", then=then)])
    page = Browser()
    await page.calls(await ticket_for(agent))
    await page.until("meter.changed", used_micro=GREETING_MICRO)
    await page.says("text.send", text="Hello?")
    books = await ends_with(page, EndReason.UPSTREAM_FAILED)
    assert [(row.upstream_id, row.is_estimated) for row in books.usage] == [("resp_1", False)]


@pytest.mark.parametrize("then", ["drop", "close"])
async def test_a_model_that_breaks_off_in_an_answer_is_paid_for_what_was_delivered(agent, served_by, then):
    served_by(greeting(emit=begun(WORDS), then=then))
    page = Browser()
    await page.calls(await ticket_for(agent))
    books = await ends_with(page, EndReason.UPSTREAM_FAILED)
    is_the_estimate_of_the_greeting(books)


async def test_a_model_that_stalls_in_an_answer_is_given_up_and_paid_for_what_was_delivered(
    agent, served_by, quick_stalls
):
    served_by(greeting(emit=begun(WORDS), then="stall"))
    page = Browser()
    await page.calls(await ticket_for(agent))
    books = await ends_with(page, EndReason.UPSTREAM_FAILED)
    is_the_estimate_of_the_greeting(books)


def is_the_estimate_of_the_greeting(books):
    """Twenty tokens a second of speech, a token for three characters, and the instructions, which were read."""
    (row,) = books.usage
    assert (row.upstream_id, row.is_estimated) == ("resp_1", True)
    spoken = {line["kind"]: line["quantity"] for line in row.lines if line["kind"].endswith("out")}
    assert spoken == {"audio_out": len(SPEECH) // 2400, "text_out": math.ceil(len(WORDS) / 3)}
    assert books.cost_micro > spoken["audio_out"] * AUDIO_OUT + spoken["text_out"] * TEXT_OUT


async def test_a_model_that_never_begins_its_answer_costs_nothing(agent, served_by, quick_stalls):
    served_by([SESSION_STEP, Step("response.create", then="stall")])
    page = Browser()
    await page.calls(await ticket_for(agent))
    books = await ends_with(page, EndReason.UPSTREAM_FAILED)
    assert (books.cost_micro, books.usage) == (0, [])


GARBAGE = [
    {"type": "response.created"},
    {"type": "response.created", "response": None},
    {"type": "response.done", "response": []},
    {"type": "response.output_audio.delta", "delta": "not base64!", "item_id": "i", "response_id": "r"},
    {"type": "response.output_audio.delta", "delta": 7},
    {"type": "error"},
    {"type": "input_audio_buffer.speech_started", "audio_start_ms": "soon"},
    {"type": "conversation.item.input_audio_transcription.completed"},
    {"type": "conversation.item.added", "item": None},
    {"type": "input_audio_buffer.speech_started", "audio_start_ms": float("inf")},
    {"type": "response.output_audio_transcript.delta", "delta": "no item"},
    {"type": "response.output_audio_transcript.done"},
    {"type": "response.output_audio.done"},
]


@pytest.mark.parametrize("event", GARBAGE, ids=lambda event: event["type"])
async def test_an_event_that_makes_no_sense_ends_the_call_and_not_the_server(agent, served_by, event):
    upstream = served_by(greeting())
    page = Browser()
    await page.calls(await ticket_for(agent))
    await page.until("meter.changed", used_micro=GREETING_MICRO)
    upstream.emit(event)
    books = await ends_with(page, EndReason.UPSTREAM_FAILED)
    assert books.cost_micro == GREETING_MICRO


@pytest.mark.parametrize("frame", [b"{", b"null", b"[]", b"\xff", b'{"no":"type"}', b""])
async def test_a_frame_that_is_no_event_ends_the_call(agent, served_by, frame):
    upstream = served_by(greeting())
    page = Browser()
    await page.calls(await ticket_for(agent))
    await page.until("meter.changed", used_micro=GREETING_MICRO)
    upstream.emit_raw(frame)
    assert (await ends_with(page, EndReason.UPSTREAM_FAILED)).cost_micro == GREETING_MICRO


async def test_events_of_a_later_version_are_passed_over(agent, served_by):
    upstream = served_by(greeting())
    page = Browser()
    await page.calls(await ticket_for(agent))
    await page.until("meter.changed")
    upstream.emit({"type": "response.telepathy.delta", "delta": {"thought": 1}}, {"type": "rate_limits.updated"})
    await page.says("session.end")
    assert (await page.until("session.ended"))["reason"] == "caller_hung_up"


@pytest.mark.parametrize(
    "reported", [None, {}, [], "free", {"output_tokens": "many"}, {"input_tokens": -5}, {"output_tokens": 10**400}]
)
async def test_usage_that_makes_no_sense_is_estimated(agent, served_by, reported):
    answer = spoken_answer(WORDS, SPEECH)
    answer[-1]["response"]["usage"] = reported
    served_by(greeting(emit=answer))
    page = Browser()
    await page.calls(await ticket_for(agent))
    await page.until("meter.changed")
    await page.says("session.end")
    await page.until_closed()
    is_the_estimate_of_the_greeting(await in_thread(closed_books)(await in_thread(only_session)()))


async def test_an_answer_reported_twice_is_charged_once(agent, served_by):
    answer = spoken_answer(WORDS, SPEECH, used=GREETING_USAGE)
    served_by(greeting(emit=[*answer, answer[-1]]))
    page = Browser()
    await page.calls(await ticket_for(agent))
    await page.until("meter.changed")
    await page.says("session.end")
    await page.until_closed()
    assert (await in_thread(closed_books)(await in_thread(only_session)())).cost_micro == GREETING_MICRO


async def test_a_response_that_is_refused_is_not_waited_for(agent, served_by, monkeypatch):
    """The provider's error is ours to read; the caller may go on, and is answered."""
    refused = asyncio.Event()
    read = ModelSide._on_error

    async def on_error(self, event, now):
        await read(self, event, now)
        refused.set()

    monkeypatch.setitem(ModelSide._HANDLERS, "error", on_error)
    busy = {"type": "error", "error": {"type": "server_error", "code": "overloaded", "message": "a provider's words"}}
    answer = spoken_answer("Yes?", SPEECH, response_id="r2", item_id="i2", used=usage(text_out=7))
    served_by(
        [
            SESSION_STEP,
            Step("response.create", emit=[busy]),
            Step("conversation.item.create"),
            Step("response.create", emit=answer),
        ]
    )
    page = Browser()
    await page.calls(await ticket_for(agent))
    await refused.wait()
    await page.says("text.send", text="Hello?")
    await page.until("meter.changed", used_micro=response_micro(usage(text_out=7)))
    await page.says("session.end")
    await page.until_closed()
    assert "provider's words" not in str(page.told)


async def test_a_model_that_was_away_answers_the_next_call(agent, served_by):
    served_by(refuse=UpstreamRefused("upstream_unavailable", retryable=True))
    page = Browser()
    await page.calls(await ticket_for(agent))
    assert await page.until_closed() == 4503
    served_by(greeting())
    assert (await asks_for_a_call(agent)).status_code == 201
