import asyncio
import ssl
from contextlib import aclosing, asynccontextmanager

import pytest

from tests.fakes.openai_compatible_server import Act, Call, OpenAICompatibleServer, Refuse
from tests.fakes.scripted_upstream import CAPABILITIES
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamError, UpstreamTimeout
from voice.upstream.pipeline import openai_compatible
from voice.upstream.pipeline.parts import ChatRequest, Finished, TextDelta, ToolCall

QUESTION = ChatRequest([{"role": "user", "content": "Hi."}], [], "auto", 100)


@asynccontextmanager
async def connected(**script):
    async with OpenAICompatibleServer(**script) as server:
        there = Endpoint("pipeline", "m", server.url, script.get("api_key", ""), CAPABILITIES)
        client = openai_compatible.OpenAICompatibleServer(there)
        yield client.parts(), server
        await client.close()


async def answer_of(parts):
    async with aclosing(parts.chat_model.answer(QUESTION)) as answer:
        return [delta async for delta in answer]


async def spoken_by(parts):
    async with aclosing(parts.text_to_speech.speak("Hi.", voice="joe", speed=1.0)) as speech:
        return b"".join([pcm async for pcm in speech])


async def test_the_key_is_sent_when_there_is_one():
    async with connected(api_key="sk-x", answers=[["Hi."]]) as (parts, server):
        await answer_of(parts)
        server.assert_complete()


async def test_text_and_calls_come_as_they_are_written():
    async with connected(answers=[["Hel", "lo.", Call("book", '{"a":1}', "c1"), Call("look", "", "c2")]]) as (parts, _):
        assert await answer_of(parts) == [
            TextDelta("Hel"),
            TextDelta("lo."),
            ToolCall("c1", "book", '{"a":1}'),
            ToolCall("c2", "look", "{}"),
            Finished(cut_off=False),
        ]


async def test_too_many_calls_are_garbage():
    calls = [Call("book", "{}", f"call_{number}") for number in range(30)]
    async with connected(answers=[calls]) as (parts, _):
        with pytest.raises(UpstreamError) as failed:
            await answer_of(parts)
    assert failed.value.code == "upstream_garbage"


@pytest.mark.parametrize(
    "text", [b"data: 7", b"data: []", b'data: {"choices": 7}', b'data: {"choices": [{"delta": 7}]}']
)
async def test_chunks_of_another_shape_are_garbage(monkeypatch, text):
    async with connected(answers=[["Hi."]]) as (parts, _):
        monkeypatch.setattr(openai_compatible, "_bounded", lambda answer, limit: _one(text + b"\n"))
        with pytest.raises(UpstreamError) as failed:
            await answer_of(parts)
    assert failed.value.code == "upstream_garbage"


async def test_a_stream_that_just_ends_is_no_answer(monkeypatch):
    async with connected(answers=[["Hi."]]) as (parts, _):
        monkeypatch.setattr(openai_compatible, "_bounded", lambda answer, limit: _one(b": comment\n\ndata: [DONE]\n"))
        with pytest.raises(UpstreamError) as failed:
            await answer_of(parts)
    assert (failed.value.code, failed.value.retryable) == ("upstream_dropped", True)


async def test_a_line_without_end_is_garbage(monkeypatch):
    monkeypatch.setattr(openai_compatible, "MAX_LINE_BYTES", 100)
    async with connected(answers=[["Hi."]]) as (parts, _):
        monkeypatch.setattr(openai_compatible, "_bounded", lambda answer, limit: _one(b"data: " + b"x" * 200))
        with pytest.raises(UpstreamError) as failed:
            await answer_of(parts)
    assert failed.value.code == "upstream_garbage"


async def test_lines_cut_anywhere_are_put_together(monkeypatch):
    text = (
        b'data: {"choices":[{"delta":{"content":"\xc3\xa9"},"finish_reason":null}]}\r\n\r\n'
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
    )
    async with connected(answers=[["Hi."]]) as (parts, _):
        monkeypatch.setattr(openai_compatible, "_bounded", lambda answer, limit: _bytewise(text))
        assert await answer_of(parts) == [TextDelta("\N{LATIN SMALL LETTER E WITH ACUTE}"), Finished(cut_off=False)]


async def test_endless_speech_is_a_flood(monkeypatch):
    monkeypatch.setattr(openai_compatible, "MAX_SPEECH_BYTES", 1000)
    async with connected(speech=[bytes(2000)]) as (parts, _):
        with pytest.raises(UpstreamError) as failed:
            await spoken_by(parts)
    assert failed.value.code == "upstream_flooded"


async def test_an_endless_transcript_is_a_flood(monkeypatch):
    monkeypatch.setattr(openai_compatible, "MAX_ANSWER_BYTES", 100)
    async with connected(transcripts=["x" * 200]) as (parts, _):
        with pytest.raises(UpstreamError) as failed:
            await parts.speech_to_text.transcribe(bytes(4800), language="", prompt="")
    assert failed.value.code == "upstream_flooded"


async def test_a_server_that_does_not_know_a_language_hears_what_it_can():
    async with connected(transcripts=[Refuse(400), "hello", "again"]) as (parts, _):
        heard = [await parts.speech_to_text.transcribe(bytes(4800), language="ta", prompt="") for _ in range(2)]
    # The second time it is not asked to: the script has three answers.
    assert heard == ["hello", "again"]


async def test_a_server_that_refuses_speech_in_no_language_has_failed():
    async with connected(transcripts=[Refuse(400)]) as (parts, _):
        with pytest.raises(UpstreamError) as failed:
            await parts.speech_to_text.transcribe(bytes(4800), language="", prompt="")
    assert failed.value.code == "upstream_refused"


async def test_a_model_that_does_not_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(openai_compatible, "_TIMEOUT", 0.05)
    async with connected(transcripts=[Act.HOLD]) as (parts, _):
        with pytest.raises(UpstreamTimeout) as late:
            await parts.speech_to_text.transcribe(bytes(4800), language="", prompt="")
    assert late.value.retryable


async def test_leaving_in_the_middle_of_speech_hangs_up():
    async with connected(speech=[Act.HOLD]) as (parts, server):
        async with aclosing(parts.text_to_speech.speak("Hi.", voice="joe", speed=1.0)) as speech:
            await anext(speech)
        while not server.hang_ups:
            await asyncio.sleep(0.005)


def test_certificates_are_checked():
    context = openai_compatible._tls()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context is openai_compatible._tls()


async def _one(text):
    yield text


async def _bytewise(text):
    for index in range(len(text)):
        yield text[index : index + 1]
