import wave
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.openai_compatible_server import OpenAICompatibleServer
from tests.fakes.scripted_upstream import CAPABILITIES
from tests.voice.upstream import ga_rules
from tests.voice.upstream.client import Client
from voice import realtime_events as events
from voice.upstream import registry
from voice.upstream.base import Endpoint

UTTERANCES = Path(__file__).parents[3] / "data" / "utterances"


@pytest.fixture
def call():
    """Open a session with scripted models: `async with call(answers=[["Hi."]]) as (client, server)`.

    Everything the session said is checked against the rules of GA when it is over, unless it ends badly by intent.
    """
    return _call


@asynccontextmanager
async def _call(*, session=None, capabilities=None, voice="joe", check=True, costs_nothing=False, **script):
    async with OpenAICompatibleServer(**script) as server:
        endpoint = Endpoint(
            "pipeline", "receptionist", server.url, script.get("api_key", ""), CAPABILITIES,
            chat_model="chat", speech_to_text_model="stt", text_to_speech_model="tts", voice=voice,
            costs_nothing=costs_nothing,
        )  # fmt: skip
        client = Client(await registry.dial(replace(endpoint, capabilities=capabilities or CAPABILITIES)))
        if session is not None:
            await client.asks(events.session_update(session), until="session.updated")
        yield client, server
        if check:
            await client.hang_up()
            ga_rules.check(client.events)
        else:
            await client.upstream.close()
    server.assert_complete()


def recorded(name):
    """Return a recorded sentence as 24 kHz PCM16, with silence around it as a call has."""
    with wave.open(str(UTTERANCES / f"{name}.wav")) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (24_000, 1, 2)
        return bytes(48_000) + wav.readframes(wav.getnframes()) + bytes(48_000)


@pytest.fixture
def say():
    """Speak a recorded sentence into a session, in frames of 40 ms."""
    return _say


async def _say(client, name="kokoro_af_heart_u01", frame_bytes=1920):
    pcm = recorded(name)
    for start in range(0, len(pcm), frame_bytes):
        await client.send(events.append_audio(pcm[start : start + frame_bytes]))
