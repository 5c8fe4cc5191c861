"""Sarvam's speech to text and voice, as the pipeline uses them, and a whole response that is billed by words."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest

from tests.fakes.openai_compatible_server import Act, OpenAICompatibleServer
from tests.fakes.sarvam_server import Fails, Heard, Rude, SarvamServer
from tests.fakes.scripted_upstream import CAPABILITIES
from tests.voice.upstream.client import Client
from voice import realtime_events as events
from voice.audio import bytes_of
from voice.metering.usage import Kind, quantities_of_response, quantities_of_transcription
from voice.upstream import registry
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamRefused, UpstreamTimeout
from voice.upstream.pipeline import sarvam

TURN = bytes(bytes_of(3000))
COUNTED = {"prompt_tokens": 90, "completion_tokens": 12, "prompt_tokens_details": {"cached_tokens": 64}}
ERRORS = [
    (Fails("invalid_api_key_error"), UpstreamRefused, "upstream_unauthorized", False),
    (Fails("authentication_error"), UpstreamRefused, "upstream_unauthorized", False),
    (Fails("insufficient_quota_error"), UpstreamRefused, "upstream_quota_exhausted", False),
    (Fails("rate_limit_exceeded_error"), UpstreamRefused, "upstream_rate_limited", True),
    (Fails("internal_server_error"), UpstreamRefused, "upstream_unavailable", True),
    (Fails("unprocessable_entity_error"), UpstreamRefused, "upstream_refused", False),
    (Fails("a_new_error"), UpstreamRefused, "upstream_refused", False),
    (Fails(429), UpstreamRefused, "upstream_rate_limited", True),
    (Rude("drop"), UpstreamDropped, "upstream_dropped", True),
    (Rude("garbage"), UpstreamError, "upstream_garbage", False),
    (Rude("no_data"), UpstreamError, "upstream_garbage", False),
    (Rude("too_long"), UpstreamError, "upstream_garbage", False),
]


def endpoint(speech, chat_url="http://127.0.0.1:1/v1", **changes):
    keys = {"api_key": "sk-test", "speech_api_key": "sk-sarvam"}
    there = {"adapter": "sarvam", "model": "gpt-4.1", "base_url": chat_url, "speech_url": speech.url, **keys}
    return Endpoint(**(there | {"capabilities": CAPABILITIES} | changes))


@asynccontextmanager
async def ears(speech, **changes):
    async with speech:
        yield sarvam._SpeechToText(sarvam._Sarvam(endpoint(speech, **changes)))
        assert not speech.problems


@asynccontextmanager
async def mouth(speech, **changes):
    async with speech:
        voice = sarvam._TextToSpeech(sarvam._Sarvam(endpoint(speech, **changes)))
        yield voice
        await voice.close()
        assert not speech.problems


async def spoken(voice, text, **manner):
    return b"".join([pcm async for pcm in voice.speak(text, **({"voice": "", "speed": 1.0} | manner))])


async def test_a_turn_is_sent_at_16_khz_and_its_words_come_back():
    server = SarvamServer([Heard(["नमस्ते।"])])
    async with ears(server) as speech_to_text:
        assert await speech_to_text.transcribe(TURN, language="hi", prompt="") == "नमस्ते।"
    assert (server.heard_bytes, server.languages) == ([3 * 32_000], ["hi-IN"])


def test_what_is_heard_is_the_same_sound_at_16_khz():
    wave = (8000 * np.sin(np.arange(24_000) * 2 * np.pi * 440 / 24_000)).astype(np.int16)
    heard = np.frombuffer(sarvam._for_hearing(wave.tobytes()), np.int16)
    assert len(heard) == 16_000
    assert np.argmax(np.abs(np.fft.rfft(heard))) == 440


async def test_a_turn_of_several_sentences_is_put_together():
    async with ears(SarvamServer([Heard(["Hello. ", "Two, please."], "en-IN")])) as speech_to_text:
        assert await speech_to_text.transcribe(TURN, language="en", prompt="") == "Hello. Two, please."


async def test_silence_has_no_words(monkeypatch):
    monkeypatch.setattr(sarvam, "NO_WORDS_AFTER_S", 0.05)
    async with ears(SarvamServer([Heard()])) as speech_to_text:
        assert await speech_to_text.transcribe(TURN, language="", prompt="") == ""


@pytest.mark.parametrize(
    ("language", "sent"),
    [("hi", "hi-IN"), ("ta-IN", "ta-IN"), ("or", "od-IN"), ("EN_us", "en-IN"), ("fr", "unknown"), ("", "unknown")],
)
async def test_languages_are_written_as_sarvam_writes_them(language, sent):
    server = SarvamServer([Heard(["Yes."])])
    async with ears(server) as speech_to_text:
        await speech_to_text.transcribe(TURN, language=language, prompt="")
    assert server.languages == [sent]


async def test_all_eleven_languages_have_their_code():
    codes = [sarvam.language_code(name) for name in sarvam.LANGUAGES]
    assert len(codes) == 11 and all(code.endswith("-IN") for code in codes)


async def test_a_language_that_was_found_out_is_spoken_back():
    server = SarvamServer([Heard(["வணக்கம்"], "ta-IN")], [None])
    async with server:
        both = sarvam._Sarvam(endpoint(server))
        await sarvam._SpeechToText(both).transcribe(TURN, language="", prompt="")
        voice = sarvam._TextToSpeech(both)
        await spoken(voice, "வணக்கம்!")
        await voice.close()
    assert server.configs[0]["target_language_code"] == "ta-IN"


@pytest.mark.parametrize(("act", "kind", "code", "retryable"), ERRORS)
async def test_what_goes_wrong_while_hearing_has_a_code(act, kind, code, retryable):
    async with ears(SarvamServer([act])) as speech_to_text:
        with pytest.raises(kind) as failed:
            await speech_to_text.transcribe(TURN, language="hi", prompt="")
    assert (failed.value.code, failed.value.retryable) == (code, retryable)


async def test_speech_without_words_is_waited_for_and_then_given_up(monkeypatch):
    monkeypatch.setattr(sarvam, "ANSWER_WITHIN_S", 0.05)
    monkeypatch.setattr(SarvamServer, "_tell", _begins_and_stalls)
    async with ears(SarvamServer([Heard(["never"])])) as speech_to_text:
        with pytest.raises(UpstreamTimeout) as late:
            await speech_to_text.transcribe(TURN, language="hi", prompt="")
    assert late.value.retryable


async def _begins_and_stalls(server, connection, turn, seconds):
    await connection.send('{"type":"events","data":{"signal_type":"START_SPEECH","occured_at":1.0}}')


async def test_a_clause_is_spoken_in_whole_samples():
    server = SarvamServer(clauses=[None])
    async with mouth(server, language="mr-IN") as voice:
        pieces = [pcm async for pcm in voice.speak("Namaskar.", voice="kavya", speed=1.2)]
    assert b"".join(pieces) == bytes([1, 2]) * (24 * 10 * len("Namaskar."))
    assert all(len(piece) % 2 == 0 for piece in pieces)
    [config] = server.configs
    assert (config["target_language_code"], config["speaker"], config["pace"]) == ("mr-IN", "kavya", 1.2)


async def test_clauses_share_a_connection_and_are_configured_once():
    server = SarvamServer()
    async with mouth(server) as voice:
        for clause in ("One.", "Two.", "Three."):
            await spoken(voice, clause)
    assert (server.said, server.voices_opened, len(server.configs)) == (["One.", "Two.", "Three."], 1, 1)


@pytest.mark.parametrize(("speed", "pace"), [(0.25, 0.5), (1.0, 1.0), (2.5, 2.0)])
async def test_a_speed_sarvam_does_not_have_becomes_the_nearest(speed, pace):
    server = SarvamServer()
    async with mouth(server) as voice:
        await spoken(voice, "Hello.", speed=speed)
    assert server.configs[0]["pace"] == pace


async def test_a_long_text_goes_in_pieces():
    server = SarvamServer(ms_per_char=1)
    async with mouth(server) as voice:
        await spoken(voice, "a" * 1200)
    assert server.said == ["a" * 1200]


async def test_an_interruption_closes_the_connection_and_the_next_clause_opens_another():
    server = SarvamServer(clauses=[Rude("stall"), None])
    async with mouth(server) as voice:
        speech = voice.speak("A long story.", voice="", speed=1.0)
        await anext(speech)
        await speech.aclose()
        assert await spoken(voice, "Yes?")
    assert (server.voices_opened, server.said) == (2, ["A long story.", "Yes?"])


async def test_a_connection_closed_for_being_idle_is_replaced():
    server = SarvamServer(hangs_up_when_idle=True)
    async with mouth(server) as voice:
        await spoken(voice, "One.")
        while not voice._spare._connection._connection.inbox.ended:
            await asyncio.sleep(0.01)
        assert await spoken(voice, "Two.")
    assert server.voices_opened == 2


@pytest.mark.parametrize(
    ("act", "kind", "code", "retryable"),
    [*ERRORS, (Rude("flood"), UpstreamError, "upstream_flooded", False)],
)
async def test_what_goes_wrong_in_mid_clause_has_a_code(act, kind, code, retryable):
    async with mouth(SarvamServer(clauses=[act])) as voice:
        with pytest.raises(kind) as failed:
            await spoken(voice, "Hello there.")
    assert (failed.value.code, failed.value.retryable) == (code, retryable)


async def test_a_voice_that_falls_silent_is_given_up(monkeypatch):
    monkeypatch.setattr(sarvam, "ANSWER_WITHIN_S", 0.05)
    async with mouth(SarvamServer(clauses=[Rude("stall")])) as voice:
        with pytest.raises(UpstreamTimeout):
            await spoken(voice, "Hello there.")


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (401, "upstream_unauthorized", False),
        (403, "upstream_unauthorized", False),
        (404, "upstream_model_not_found", False),
        (429, "upstream_rate_limited", True),
        (503, "upstream_unavailable", True),
    ],
)
async def test_a_refused_handshake_says_why_and_whether_to_try_again(status, code, retryable):
    async with SarvamServer(refuse=status) as server:
        with pytest.raises(UpstreamRefused) as refused:
            await registry.dial(endpoint(server))
    assert (refused.value.code, refused.value.retryable) == (code, retryable)


async def test_a_chat_model_that_refuses_the_key_ends_the_dial_and_leaves_no_connection():
    async with OpenAICompatibleServer(models_status=401, api_key="sk-test") as chat, SarvamServer() as speech:
        with pytest.raises(UpstreamRefused):
            await registry.dial(endpoint(speech, chat.url))
        while speech.voices_closed < speech.voices_opened:
            await asyncio.sleep(0.01)


def test_neither_key_is_in_its_repr():
    described = repr(Endpoint("sarvam", "m", "u", "sk-test", CAPABILITIES, speech_api_key="sk-sarvam"))
    assert "sk-test" not in described and "sk-sarvam" not in described


@asynccontextmanager
async def call(speech, **chat_behaviour):
    behaviour = {"api_key": "sk-test", "chat_usage": COUNTED} | chat_behaviour
    async with speech, OpenAICompatibleServer(**behaviour) as chat:
        client = Client(await registry.dial(endpoint(speech, chat.url)))
        yield client
        await client.hang_up()
        assert not chat.problems + speech.problems


async def test_a_response_is_billed_by_the_chat_models_own_tokens_and_the_characters_spoken():
    async with call(SarvamServer(), answers=[["Namaste! ", "All is well."]]) as client:
        done = await client.asks(events.response_create(), until="response.done")
    assert done["response"]["status"] == "completed"
    assert quantities_of_response(done["response"]["usage"]) == {
        Kind.TEXT_IN: 26,
        Kind.TEXT_CACHED_IN: 64,
        Kind.TEXT_OUT: 12,
        Kind.CHARACTERS: len("Namaste!") + len("All is well."),
    }


async def test_a_response_cut_short_is_billed_for_what_it_read_and_began_to_say():
    async with call(SarvamServer(), answers=[["Namaste! ", Act.HOLD]]) as client:
        await client.send(events.session_update({"instructions": "Be kind to everyone who calls."}))
        await client.send(events.response_create())
        await client.until("response.output_audio.delta")
        done = await client.asks(events.response_cancel(), until="response.done")
    used = quantities_of_response(done["response"]["usage"])
    assert used[Kind.CHARACTERS] == len("Namaste!")
    assert used[Kind.TEXT_IN] > 8 and used[Kind.TEXT_OUT] >= 2
    assert Kind.AUDIO_OUT not in used


async def test_what_a_caller_says_is_billed_by_the_second():
    speech = SarvamServer([Heard(["नमस्ते"])])
    async with call(speech) as client:
        settings = {"turn_detection": None, "transcription": {"model": "saaras:v3", "language": "hi"}}
        await client.send(events.session_update({"audio": {"input": settings}}))
        await client.send(events.append_audio(TURN), {"type": "input_audio_buffer.commit"})
        told = await client.until("conversation.item.input_audio_transcription.completed")
    assert (told["transcript"], quantities_of_transcription(told["usage"])) == ("नमस्ते", {Kind.SECONDS: 3})


async def test_a_voice_lost_in_mid_utterance_fails_the_response_and_not_the_session():
    async with call(SarvamServer(clauses=[Rude("drop"), None]), answers=[["Hello."], ["Here again."]]) as client:
        failed = await client.asks(events.response_create(), until="response.done")
        assert failed["response"]["status_details"]["error"]["code"] == "upstream_dropped"
        done = await client.asks(events.response_create(), until="response.done")
    assert done["response"]["status"] == "completed"


async def test_a_reasoning_model_is_asked_not_to_think_and_in_its_own_words():
    reasons = CAPABILITIES.__class__(True, False, True, True, 32_000, 4_096)
    async with SarvamServer() as speech, OpenAICompatibleServer(answers=[["Yes."]], api_key="sk-test") as chat:
        client = Client(await registry.dial(endpoint(speech, chat.url, capabilities=reasons)))
        await client.asks(events.response_create(), until="response.done")
        await client.hang_up()
        [asked] = chat.bodies("/chat/completions")
    assert asked["reasoning_effort"] == "none" and "max_tokens" not in asked
    assert asked["max_completion_tokens"] == 4_096
