"""A browser on a server that can hand over audio and reports past ASGI."""

import asyncio
import json

import pytest

from voice.gateway.widget_caller import WidgetCaller
from voice.gateway.widget_connection import WidgetConnection
from voice.realtime_events import AudioDelta, dump
from voice.sessions.caller import CallerBrokeProtocol, Played

FRAME = bytes(1920)
REPORT = b'{"type":"playback.report","item_id":"i1","played_ms":10,"received_bytes":1920}'


class Socket:
    """A server's way past ASGI: `offer` is what messages are offered to, `sent_now` what was sent past it."""

    def __init__(self):
        self.offer, self.sent, self.sent_now = None, [], []
        self.has_room = True
        self._messages = asyncio.Queue()
        direct = {"listen": self.listen, "send": self.send_now, "has_room": lambda: self.has_room}
        self.connection = WidgetConnection(self._messages.get, self.send, direct)

    def listen(self, take):
        self.offer = take

    def send_now(self, data, is_text):
        if self.has_room:
            self.sent_now.append((data, is_text))
        return self.has_room

    async def send(self, message):
        self.sent.append(message)

    def says(self, **message):
        self._messages.put_nowait({"type": "websocket.receive", **message})


class Page:
    """A caller on such a socket; `taken` holds what was taken past its tasks, which is everything if it `takes`."""

    def __init__(self, *, is_voice=True):
        self.socket, self.taken, self.takes = Socket(), [], True
        self.caller = WidgetCaller(
            self.socket.connection, is_voice=is_voice, captions=True, model="m", resume_within_s=30
        )
        self.caller.listen(self)

    def take_audio(self, pcm):
        return self._take(pcm)

    def take_report(self, report):
        return self._take(report)

    def _take(self, what):
        if self.takes:
            self.taken.append(what)
        return self.takes


async def test_audio_and_reports_are_handed_over_at_once():
    page = Page()
    await page.caller.send_audio(AudioDelta("i1", FRAME), b"")
    assert page.socket.offer(FRAME, False)
    assert page.socket.offer(REPORT, True)
    assert page.taken == [FRAME, Played("i1", 10, 1920)]


async def test_a_report_counts_no_more_than_was_sent():
    page = Page()
    assert page.socket.offer(REPORT, True)
    assert page.taken == [Played("i1", 10, 0)]


@pytest.mark.parametrize(
    ("payload", "is_text"),
    [(b"", False), (bytes(3), False), (bytes(9602), False), (b'{"type":"session.end"}', True), (b"\xff", True)],
)
async def test_whatever_is_unusual_is_left_to_be_read(payload, is_text):
    page = Page()
    assert not page.socket.offer(payload, is_text)
    assert page.taken == []


async def test_audio_in_a_typed_call_is_left_to_be_refused():
    assert not Page(is_voice=False).socket.offer(FRAME, False)


async def test_what_was_handed_over_counts_among_what_may_be_sent():
    page = Page()
    offers = [page.socket.offer(REPORT, True) for _ in range(501)]
    assert offers == [True] * 500 + [False]
    page.socket.says(text=REPORT.decode())
    with pytest.raises(CallerBrokeProtocol):
        await anext(page.caller)


async def test_what_could_not_be_handed_over_counts_when_it_is_read():
    page = Page()
    page.takes = False
    assert not any(page.socket.offer(REPORT, True) for _ in range(200))
    page.socket.says(text=REPORT.decode())
    assert await anext(page.caller) == Played("i1", 10, 0)


async def test_speech_is_sent_at_once_when_it_has_been_announced():
    page, delta = Page(), AudioDelta("i1", FRAME)
    assert not page.caller.send_audio_now(delta)
    await page.caller.send_audio(delta, b"")
    assert page.caller.send_audio_now(delta)
    *announced, first, second = page.socket.sent_now
    assert [json.loads(text)["type"] for text, _ in announced] == ["state.changed", "audio.begin"]
    assert first == second == (FRAME, False)
    assert page.socket.sent == []


async def test_speech_for_a_full_socket_waits_in_its_turn():
    page, delta = Page(), AudioDelta("i1", FRAME)
    await page.caller.send_audio(delta, b"")
    page.socket.has_room = False
    assert not page.caller.send_audio_now(delta)


WORDS = {"type": "response.output_audio_transcript.delta", "item_id": "i1", "delta": "At nine."}


async def test_words_are_sent_at_once_and_again_after_a_break_if_they_did_not_come():
    page, other = Page(), Socket()
    assert page.caller.send_now(dump(WORDS), WORDS)
    [(text, is_text)] = page.socket.sent_now
    caption = {"type": "caption.delta", "speaker": "agent", "item_id": "i1", "text": "At nine."}
    assert (json.loads(text), is_text) == (caption, True)
    assert await page.caller.resume(other.connection, "{}", 0, Played(None, 0, 0))
    assert json.loads(other.sent_now[-1][0]) == caption


async def test_words_that_give_their_kind_twice_are_told_as_words():
    page, event = Page(), WORDS | {"type": "parley.meter_changed"}
    assert page.caller.send_now(dump(WORDS)[:-1] + b',"type":"parley.meter_changed"}', event)
    assert [json.loads(text)["type"] for text, _ in page.socket.sent_now] == ["caption.delta"]


async def test_words_for_a_full_socket_are_left_to_be_sent_in_their_turn():
    page = Page()
    page.socket.has_room = False
    assert not page.caller.send_now(dump(WORDS), WORDS)
    await page.caller.send(dump(WORDS), WORDS)
    assert [json.loads(message["text"])["text"] for message in page.socket.sent] == ["At nine."]


async def test_a_connection_that_was_given_up_takes_and_brings_nothing():
    page, delta = Page(), AudioDelta("i1", FRAME)
    await page.caller.send_audio(delta, b"")
    page.socket.connection.drop()
    assert not page.socket.offer(FRAME, False)
    assert not page.caller.send_audio_now(delta)
    assert not page.caller.send_now(dump(WORDS), WORDS)


async def test_only_the_connection_of_the_moment_is_heard():
    page, other = Page(), Socket()
    old = page.socket.offer
    assert await page.caller.resume(other.connection, "{}", None, Played(None, 0, 0))
    await anext(page.caller), await anext(page.caller)  # back again, and what was played
    assert not old(FRAME, False)
    assert other.offer(FRAME, False)
    assert page.taken == [FRAME]


async def test_what_is_said_after_an_absence_waits_until_the_return_was_told():
    page, other = Page(), Socket()
    assert await page.caller.resume(other.connection, "{}", None, Played(None, 0, 0))
    assert other.offer is None
