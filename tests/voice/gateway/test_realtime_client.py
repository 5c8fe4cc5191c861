"""A customer's program on a websocket whose server can hand over audio past ASGI."""

import pytest

from voice import realtime_events
from voice.gateway import realtime_client
from voice.gateway.realtime_client import RealtimeClient
from voice.gateway.realtime_rules import Terms
from voice.sessions.caller import CallerBrokeProtocol

APPEND = realtime_events.append_audio(b"\0" * 960)
TERMS = Terms(
    model="m", served="m", models=("m",), voices=(), transcription_models=(), is_reasoning=False, max_output_tokens=9,
    sees_images=False, context_tokens=9, output_tokens_cap=9,
)  # fmt: skip


class Socket:
    """A server's way past ASGI: `offer` is what messages are offered to, `sent` what was sent past it."""

    def __init__(self, messages=()):
        self.offer, self.sent = None, []
        self._messages = [{"type": "websocket.receive", "text": message.decode()} for message in messages]

    def listen(self, take):
        self.offer = take

    def send(self, data, is_text):
        self.sent.append((data, is_text))
        return True

    async def receive(self):
        return self._messages.pop(0) if self._messages else {"type": "websocket.disconnect", "code": 1000}

    def client(self, takes=True):
        """Return a client of which every append is taken, or none; `taken` holds what was offered."""
        client = RealtimeClient(self.receive, None, TERMS, direct={"listen": self.listen, "send": self.send})
        self.taken = []
        client.listen(lambda audio: takes and not self.taken.append(audio))
        return client


def test_an_append_is_handed_over_at_once():
    socket = Socket()
    socket.client()
    assert socket.offer(APPEND, True)
    assert [(audio.frame, audio.n_bytes) for audio in socket.taken] == [(APPEND, 960)]


@pytest.mark.parametrize(
    ("payload", "is_text"),
    [
        (APPEND, False),
        (b'{"type":"response.create"}', True),
        (b'{"type":"input_audio_buffer.append","audio":"\xff"}', True),
        (realtime_events.append_audio(bytes(12 * 1024 * 1024)), True),
    ],
    ids=["binary", "another event", "no UTF-8", "too long"],
)
def test_anything_else_is_left_to_be_read(payload, is_text):
    socket = Socket()
    socket.client()
    assert not socket.offer(payload, is_text)
    assert socket.taken == []


def test_events_are_sent_as_text():
    socket = Socket()
    assert socket.client().send_now(b"{}")
    assert socket.sent == [(b"{}", True)]


def test_without_a_way_past_asgi_nothing_is_sent_or_heard_there():
    client = RealtimeClient(None, None, TERMS)
    client.listen(lambda audio: True)
    assert not client.send_now(b"{}")


async def test_what_was_handed_over_counts_among_what_may_be_sent(monkeypatch):
    monkeypatch.setattr(realtime_client, "_AUDIO_FRAMES_MAX", 3)
    socket = Socket([APPEND])
    client = socket.client()
    assert [socket.offer(APPEND, True) for _ in range(4)] == [True, True, True, False]
    with pytest.raises(CallerBrokeProtocol) as broken:
        await anext(aiter(client))
    assert broken.value.code == "too_many_messages"


async def test_what_could_not_be_handed_over_counts_when_it_is_read(monkeypatch):
    monkeypatch.setattr(realtime_client, "_AUDIO_FRAMES_MAX", 1)
    socket = Socket([APPEND])
    client = socket.client(takes=False)
    assert not socket.offer(APPEND, True)
    assert (await anext(aiter(client))).n_bytes == 960
