import base64

import numpy as np
import pytest

from tests.voice.upstream.pipeline.test_hearing import SECOND
from voice import realtime_events as events
from voice.upstream.pipeline.wire_audio import _codes_of, _values_of, decoder_of, encoder_of

G711 = ["audio/pcmu", "audio/pcma"]


@pytest.mark.parametrize(
    ("kind", "code", "value"),
    [
        ("audio/pcmu", 0x00, -32124),
        ("audio/pcmu", 0x80, 32124),
        ("audio/pcmu", 0xFF, 0),
        ("audio/pcmu", 0xCE, 988),
        ("audio/pcma", 0x2A, -32256),
        ("audio/pcma", 0xAA, 32256),
        ("audio/pcma", 0xD5, 8),
        ("audio/pcma", 0x55, -8),
    ],
)
def test_a_code_stands_for_the_sample_that_the_standard_says(kind, code, value):
    assert _values_of(kind)[code] == value


@pytest.mark.parametrize("kind", G711)
def test_every_sample_gets_the_nearest_code(kind):
    samples = np.arange(65_536, dtype=np.uint16).view(np.int16).astype(int)
    values = _values_of(kind).astype(int)
    nearest = np.abs(samples[:, None] - np.unique(values)[None, :]).min(axis=1)
    assert (np.abs(values[_codes_of(kind)] - samples) == nearest).all()


@pytest.mark.parametrize("kind", G711)
def test_a_tone_survives_the_way_there_and_back_in_pieces_of_any_size(kind):
    tone = (np.sin(np.arange(24_000) / 10) * 8000).astype(np.int16)
    encoder, decoder = encoder_of({"type": kind}), decoder_of({"type": kind})
    sent = b"".join(encoder.convert(tone[at : at + 700].tobytes()) for at in range(0, 24_000, 700)) + encoder.finish()
    heard = b"".join(decoder.convert(sent[at : at + 33]) for at in range(0, len(sent), 33)) + decoder.finish()
    assert len(sent) == 8000
    error = np.frombuffer(heard, np.int16)[1000:23_000].astype(int) - tone[1000:23_000]
    assert np.sqrt((error**2).mean()) < 300


@pytest.mark.parametrize("kind", G711)
async def test_a_telephone_is_heard_and_spoken_to_in_its_own_format(call, kind):
    audio_format = {"type": kind}
    session = {"audio": {"input": {"format": audio_format, "turn_detection": None}, "output": {"format": audio_format}}}
    async with call(session=session, transcripts=["Hello."], answers=[["Good day."]]) as (client, server):
        appended = base64.b64encode(bytes([0xD5]) * 8001).decode()
        await client.send({"type": "input_audio_buffer.append", "audio": appended})
        await client.asks({"type": "input_audio_buffer.commit"}, until="input_audio_buffer.committed")
        done = await client.asks(events.response_create(), until="response.done")
        spoken = b"".join(base64.b64decode(event["delta"]) for event in client.of("response.output_audio.delta"))
        # Nine characters of ten milliseconds, eight samples each.
        assert abs(len(spoken) - 720) <= 1
        assert done["response"]["usage"]["input_token_details"]["audio_tokens"] == 10
        assert done["response"]["audio"]["output"]["format"] == audio_format


async def test_half_a_sample_of_pcm_is_refused_and_an_odd_byte_of_g711_is_not(call):
    session = {"audio": {"input": {"turn_detection": None}}}
    odd = {"type": "input_audio_buffer.append", "audio": base64.b64encode(SECOND[:4801]).decode()}
    async with call(session=session) as (client, server):
        error = await client.asks(odd, until="error")
        assert (error["error"]["code"], error["error"]["param"]) == ("invalid_value", "audio")
        telephone = {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}
        await client.send(events.session_update(telephone), odd)
        await client.asks(events.clear_input_audio(), until="input_audio_buffer.cleared")
        assert len(client.of("error")) == 1
