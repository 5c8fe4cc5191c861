"""What bad input gets on the widget's socket: one documented error, its close code, and nothing left open."""

import asyncio
import json
import time
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async as in_thread
from django.utils import timezone

from tests.fakes.scripted_upstream import ScriptedUpstream, Step
from tests.flows.books import closed_books, only_session, response_micro
from tests.flows.browser import FRAME, ORIGIN, Browser
from tests.flows.script import GREETING_USAGE, greeting
from tests.flows.visits import admitted
from voice.admission import tickets
from voice.gateway import widget_consumer
from voice.gateway.close_codes import closing_for
from voice.gateway.widget_protocol import SUBPROTOCOL
from voice.metering.sweep import settle_dead_sessions
from voice.models import EndReason, Session, SessionState
from voice.sessions.clock import Clock
from voice.upstream import registry
from voice.upstream.errors import UpstreamRefused

pytestmark = pytest.mark.django_db(transaction=True)

GREETING_MICRO = response_micro(GREETING_USAGE)
SILENCE = bytes(1920)


@pytest.fixture
def upstream(monkeypatch):
    upstream = ScriptedUpstream(greeting())
    monkeypatch.setattr(registry, "dial", upstream.dial)
    return upstream


@pytest.fixture
async def ticket(agent, upstream):
    return await in_thread(admitted)(agent)


@pytest.fixture
async def page(ticket):
    """One in a call that has been greeted."""
    page = Browser()
    await page.calls(ticket)
    await page.until("meter.changed", used_micro=GREETING_MICRO)
    return page


async def refused(page, code):
    """Check that the server says why, in words for people, and closes as the table says."""
    close_code = await page.until_closed()
    closing = closing_for(code)
    error = {"type": "error", "code": code, "message": closing.message, "fatal": True}
    assert (page.told[-1], close_code) == (error, closing.close_code)
    assert [message["type"] for message in page.told].count("error") == 1


async def refused_in_call(page, code):
    """The call was cut: it is settled for the greeting, which was used, and for nothing else."""
    await refused(page, code)
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert (books.session.end_reason, books.cost_micro) == (EndReason.PROTOCOL_ERROR, GREETING_MICRO)
    assert books.balance.held_micro == 0
    assert page.told_of("session.ended") == []


async def left_to_the_sweep():
    """The session of a ticket that was not used up waits for it; then the sweep closes it, at no charge."""
    session_id = await in_thread(only_session)()
    await in_thread(settle_dead_sessions)(timezone.now() + timedelta(minutes=2))
    books = await in_thread(closed_books)(session_id)
    assert (books.session.end_reason, books.cost_micro) == (EndReason.TICKET_UNUSED, 0)
    assert books.balance.held_micro == 0


# Before the call.


@pytest.mark.parametrize("subprotocols", [(), ("parley.widget.v2",), ("chat", "superchat")])
async def test_a_socket_that_does_not_speak_the_protocol_is_not_accepted(ticket, upstream, subprotocols):
    accepted, _ = await Browser(subprotocols=subprotocols).opens()
    assert not accepted
    await left_to_the_sweep()


async def test_the_protocol_is_chosen_among_others(ticket, upstream):
    page = Browser(subprotocols=("chat", SUBPROTOCOL))
    assert await page.opens() == (True, SUBPROTOCOL)
    await page.vanishes()


@pytest.mark.parametrize(
    "first",
    [
        "",
        "{",
        "null",
        "[]",
        '"session.start"',
        "[" * 10_000,
        '{"type":"session.start"}',
        '{"type":"session.start","version":2,"ticket":"t","voice":true}',
        '{"type":"session.start","version":1,"ticket":"","voice":true}',
        '{"type":"session.start","version":1,"ticket":7,"voice":true}',
        '{"type":"session.start","version":1,"ticket":"t","voice":"yes"}',
        '{"type":"session.start","version":1,"ticket":"\\ud800","voice":true}',
        '{"type":"session.begin","version":1,"ticket":"t","voice":true}',
        '{"type":"text.send","text":"Hello"}',
        '{"type":"session.end"}',
    ],
)
async def test_a_first_message_that_starts_nothing_is_refused(ticket, first):
    page = Browser()
    await page.opens()
    await page.sends_text(first)
    await refused(page, "invalid_message")
    await left_to_the_sweep()


async def test_audio_before_the_start_is_refused(ticket):
    page = Browser()
    await page.opens()
    await page.sends_audio()
    await refused(page, "invalid_message")
    await left_to_the_sweep()


async def test_a_first_message_that_is_too_long_is_refused(ticket):
    page = Browser()
    await page.opens()
    await page.says("session.start", version=1, ticket="t" * 20_000, voice=True)
    await refused(page, "message_too_large")


async def test_silence_instead_of_a_first_message_is_not_waited_for(ticket, monkeypatch):
    monkeypatch.setattr(widget_consumer, "_START_S", 0.01)
    page = Browser()
    await page.opens()
    await refused(page, "start_timeout")
    await left_to_the_sweep()


async def test_a_page_that_leaves_before_it_starts_leaves_nothing(ticket):
    page = Browser()
    await page.opens()
    await page.vanishes()
    assert page.told == []
    await left_to_the_sweep()


@pytest.mark.parametrize("forged", ["x", "a:b:c", "é" * 100, "\x00"])
async def test_a_forged_ticket_is_refused(ticket, forged):
    page = Browser()
    await page.opens()
    await page.says("session.start", version=1, ticket=forged, voice=True)
    await refused(page, "invalid_ticket")
    await left_to_the_sweep()


async def test_a_ticket_signed_with_another_key_is_refused(ticket, agent, settings):
    settings.SECRET_KEY = "somebody else's"
    forged = await in_thread(lambda: tickets.issue(Session.objects.get().id))()
    settings.SECRET_KEY = "tests-only-and-long-enough-to-satisfy-every-check-of-it"
    page = Browser()
    await page.opens()
    await page.says("session.start", version=1, ticket=forged, voice=True)
    await refused(page, "invalid_ticket")
    await left_to_the_sweep()


async def test_an_expired_ticket_is_refused(ticket):
    await in_thread(Session.objects.update)(ticket_expires_at=timezone.now())
    page = Browser()
    await page.opens()
    await page.says("session.start", version=1, ticket=ticket, voice=True)
    await refused(page, "invalid_ticket")
    await left_to_the_sweep()


@pytest.mark.parametrize("state", [SessionState.LIVE, SessionState.ENDED])
async def test_a_ticket_of_a_session_that_is_not_waiting_is_refused(ticket, state):
    await in_thread(Session.objects.update)(state=state, seen_at=timezone.now(), started_at=timezone.now())
    page = Browser()
    await page.opens()
    await page.says("session.start", version=1, ticket=ticket, voice=True)
    await refused(page, "invalid_ticket")


async def test_a_ticket_opens_one_socket(ticket, page):
    """The second is refused, and the first does not notice."""
    thief = Browser()
    await thief.opens()
    await thief.says("session.start", version=1, ticket=ticket, voice=True)
    await refused(thief, "invalid_ticket")
    await page.says("session.end")
    assert (await page.until("session.ended"))["reason"] == "caller_hung_up"
    await in_thread(closed_books)(await in_thread(only_session)())


async def test_of_two_sockets_with_one_ticket_at_once_one_is_opened(ticket):
    pages = [Browser(), Browser()]
    for page in pages:
        await page.opens()
    for page in pages:
        await page.says("session.start", version=1, ticket=ticket, voice=True)
    messages = await asyncio.gather(*(first_of(page) for page in pages))
    assert sorted(message["type"] for message in messages) == ["error", "session.started"]
    await asyncio.gather(*(page.vanishes() for page in pages))
    await in_thread(closed_books)(await in_thread(only_session)())


async def first_of(page):
    return await page._next()


@pytest.mark.parametrize("origin", ["", "null", "https://evil.example", "http://testserver.evil.example", "file://"])
async def test_a_page_that_may_not_call_is_refused_and_frees_the_hold_at_once(ticket, origin):
    page = Browser(origin=origin)
    await page.opens()
    await page.says("session.start", version=1, ticket=ticket, voice=True)
    await refused(page, "origin_not_allowed")
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert (books.session.end_reason, books.cost_micro) == (EndReason.PROTOCOL_ERROR, 0)
    assert books.balance.held_micro == 0


async def test_a_page_on_the_agents_list_may_call(agent, ticket):
    await in_thread(type(agent).objects.update)(allowed_origins=["https://dentist.example"])
    page = Browser(origin="https://dentist.example")
    await page.calls(ticket)
    await page.vanishes()


# In the call.


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        '{"type":null}',
        '{"type":"session.delete"}',
        '{"type":"text.send"}',
        '{"type":"text.send","text":" "}',
        '{"type":"text.send","text":["Hello"]}',
        '{"type":"text.send","text":"' + "x" * 2001 + '"}',
        '{"type":"text.send","text":"\\udc00"}',
        '{"type":"playback.report","item_id":null,"played_ms":-1,"received_bytes":0}',
        '{"type":"playback.report","item_id":null,"played_ms":1e3,"received_bytes":0}',
        '{"type":"playback.report","item_id":null,"played_ms":NaN,"received_bytes":0}',
        '{"type":"playback.report","item_id":7,"played_ms":0,"received_bytes":0}',
        '{"type":"microphone.state","muted":0}',
        '{"type":"session.start","version":1,"ticket":"t","voice":true}',
    ],
)
async def test_a_message_that_is_none_ends_the_call(page, text):
    await page.sends_text(text)
    await refused_in_call(page, "invalid_message")


@pytest.mark.parametrize("pcm", [b"", b"\0", bytes(1919), bytes(9602), bytes(100_000)])
async def test_audio_of_a_wrong_size_ends_the_call(page, upstream, pcm):
    await page.sends_audio(pcm)
    await refused_in_call(page, "message_too_large")
    assert upstream.appended == b""


async def test_a_message_that_is_too_long_ends_the_call(page):
    await page.says("text.send", text="x" * 20_000)
    await refused_in_call(page, "message_too_large")


async def test_more_audio_than_a_microphone_makes_ends_the_call(page, upstream):
    began_at = time.monotonic()
    for _ in range(760):
        await page.sends_audio(FRAME)
    await refused_in_call(page, "too_much_audio")
    # What may come at once, and what has become due since.
    assert len(upstream.appended) <= 960_000 + 96_000 * (time.monotonic() - began_at)


async def test_a_flood_of_messages_ends_the_call(page):
    for _ in range(600):
        await page.says("microphone.state", muted=False)
    await refused_in_call(page, "too_many_messages")


async def test_reports_of_what_never_was_are_harmless(page):
    for item_id, played_ms in [("nothing", 5), ("item_1", 2**53 - 1), ("item_1", 0), (None, 0)]:
        await page.says("playback.report", item_id=item_id, played_ms=played_ms, received_bytes=2**53 - 1)
    await page.says("session.end")
    assert (await page.until("session.ended"))["reason"] == "caller_hung_up"


async def test_audio_on_a_typed_call_ends_it(agent, upstream):
    page = Browser()
    await page.calls(await in_thread(admitted)(agent, is_voice=False), voice=False)
    await page.until("meter.changed")
    await page.sends_audio()
    await refused_in_call(page, "invalid_message")


async def test_a_browser_that_does_not_take_what_it_is_sent_is_let_go(ticket, monkeypatch):
    monkeypatch.setattr("voice.sessions.playback._BEHIND_S_MAX", 0.0)
    page = Browser()
    page.plays = False
    await page.calls(ticket)
    await refused(page, "connection_too_slow")
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert books.session.end_reason == EndReason.CONNECTION_TOO_SLOW
    assert books.cost_micro <= GREETING_MICRO


async def test_a_model_that_cannot_be_reached_costs_nothing(agent, monkeypatch):
    down = ScriptedUpstream(refuse=UpstreamRefused("upstream_unauthorized", retryable=False))
    monkeypatch.setattr(registry, "dial", down.dial)
    page = Browser()
    await page.calls(await in_thread(admitted)(agent))
    await refused(page, "upstream_unavailable")
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert (books.session.end_reason, books.cost_micro) == (EndReason.UPSTREAM_FAILED, 0)
    assert books.balance.held_micro == 0


async def test_a_fault_of_ours_shows_no_traceback_and_charges_what_was_used(page, monkeypatch):
    async def faulty(self, now):
        raise ZeroDivisionError("a secret of the server's")

    monkeypatch.setattr(Clock, "tick", faulty)
    await refused(page, "internal_error")
    assert "secret" not in json.dumps(page.told) and "Traceback" not in json.dumps(page.told)
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert (books.session.end_reason, books.cost_micro) == (EndReason.INTERNAL_ERROR, GREETING_MICRO)


async def test_a_fault_before_the_call_shows_no_traceback_either(ticket, monkeypatch):
    def faulty(*_):
        raise ZeroDivisionError("a secret of the server's")

    monkeypatch.setattr(tickets, "redeem", faulty)
    page = Browser()
    await page.opens()
    await page.says("session.start", version=1, ticket=ticket, voice=True)
    await refused(page, "internal_error")
    await left_to_the_sweep()


async def test_a_page_that_is_gone_before_it_is_told_of_its_call_is_settled(ticket):
    page = Browser()
    await page.opens()
    await page.says("session.start", version=1, ticket=ticket, voice=True)
    await page.vanishes()
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert books.session.end_reason == EndReason.CALLER_DISCONNECTED


class Gone:
    """A socket that takes the first messages, and on which the server finds nobody after that."""

    def __init__(self, ticket, error, *, takes, then):
        self.inbox, self.sent = asyncio.Queue(), []
        self._error, self._takes = error, takes
        for message in [{"type": "websocket.connect"}, _says("session.start", ticket), then]:
            self.inbox.put_nowait(message)

    async def send(self, message):
        if len(self.sent) >= self._takes:
            raise self._error
        self.sent.append(message)

    async def is_served(self):
        headers = [(b"origin", ORIGIN.encode()), (b"host", b"testserver")]
        scope = {"type": "websocket", "headers": headers, "subprotocols": [SUBPROTOCOL]}
        await widget_consumer.WidgetConsumer()(scope, self.inbox.get, self.send)
        return await in_thread(closed_books)(await in_thread(only_session)())


def _says(kind, ticket=""):
    fields = {"version": 1, "ticket": ticket, "voice": True} if ticket else {}
    return {"type": "websocket.receive", "text": json.dumps({"type": kind, **fields})}


@pytest.mark.parametrize("error", [OSError, RuntimeError])
async def test_a_server_that_finds_the_socket_closed_settles_too(ticket, error):
    """uvicorn raises the first from `send` while a browser is going, and the second once it has gone."""
    books = await Gone(ticket, error, takes=1, then={"type": "websocket.disconnect", "code": 1006}).is_served()
    assert books.session.end_reason == EndReason.CALLER_DISCONNECTED
    assert books.balance.held_micro == 0


async def test_a_server_that_is_stopped_is_not_a_browser_that_left(ticket):
    stopped = {"type": "websocket.disconnect", "code": 1012}
    books = await Gone(ticket, OSError, takes=2, then=stopped).is_served()
    assert books.session.end_reason == EndReason.SHUTTING_DOWN
    assert books.balance.held_micro == 0


@pytest.mark.parametrize("error", [OSError, RuntimeError])
async def test_a_browser_that_hangs_up_and_does_not_wait_for_its_receipt_is_no_fault(
    ticket, error, caplog, monkeypatch
):
    # It may go in the middle of the greeting, which is then cancelled.
    monkeypatch.setattr(registry, "dial", ScriptedUpstream([*greeting(), Step("response.cancel")]).dial)
    books = await Gone(ticket, error, takes=2, then=_says("session.end")).is_served()
    assert books.session.end_reason in (EndReason.CALLER_HUNG_UP, EndReason.CALLER_DISCONNECTED)
    assert caplog.records == []
