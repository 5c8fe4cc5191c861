"""The HTTP edge: the shapes of the OpenAI API, every bound, and one clear error for everything else."""

import asyncio
import json
import threading

import numpy as np
import pytest

from local_models import chat_completions, text_to_speech
from local_models.__main__ import is_loopback, main
from local_models.server import CHAT_MAX_BYTES, UPLOAD_MAX_BYTES
from tests.local_models.conftest import FakeSpeaker, client_of, fake_models, speech_like, wav_of

HELLO = {"model": "parley-receptionist", "messages": [{"role": "user", "content": "Hello"}]}
BOOK = {
    "type": "function",
    "function": {
        "name": "book_visit",
        "parameters": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}


def upload(data, **fields):
    return {"files": {"file": ("speech.wav", data, "audio/wav")}, "data": {"model": "moonshine-tiny-en", **fields}}


def events(response):
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def assert_error(response, status, code=None, param=None):
    error = response.json()["error"]
    assert response.status_code == status
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert "Traceback" not in response.text
    if code:
        assert error["code"] == code
    if param:
        assert error["param"] == param


async def test_health_names_the_models_once_they_are_loaded(client):
    response = await client.get("/health")
    assert response.json() == {"status": "ok", "models": ["moonshine-tiny-en", "piper-joe", "parley-receptionist"]}


async def test_while_loading_health_and_every_endpoint_say_so():
    models = fake_models()
    models.state = "loading"
    async with client_of(models) as client:
        health = await client.get("/health")
        assert (health.status_code, health.json()) == (503, {"status": "loading", "models": []})
        for response in (
            await client.post("/v1/chat/completions", json=HELLO),
            await client.post("/v1/audio/speech", json={}),
            await client.post("/v1/audio/transcriptions"),
        ):
            assert_error(response, 503, "model_loading")
            assert response.headers["retry-after"] == "2"


async def test_the_models_are_listed(client):
    listed = (await client.get("/v1/models")).json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["moonshine-tiny-en", "piper-joe", "parley-receptionist"]
    assert (await client.get("/v1/models/piper-joe")).json()["id"] == "piper-joe"
    assert_error(await client.get("/v1/models/gpt-9"), 404, "model_not_found")


async def test_unknown_addresses_and_methods_are_errors_in_json(client):
    assert_error(await client.get("/v1/nothing"), 404, "not_found")
    assert_error(await client.get("/v1/chat/completions"), 405, "method_not_allowed")


async def test_a_page_on_another_name_is_refused(client):
    assert_error(await client.get("/v1/models", headers={"host": "evil.example"}), 421)
    assert (await client.get("/health", headers={"host": "localhost:8790"})).status_code == 200


async def test_a_chat_answer_has_the_published_shape(client):
    answer = (await client.post("/v1/chat/completions", json=HELLO)).json()
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["choices"][0]["message"]["role"] == "assistant"
    assert answer["choices"][0]["message"]["content"] == "Hello! How can I help you?"


async def test_tokens_are_counted_four_characters_to_one(client):
    usage = (await client.post("/v1/chat/completions", json=HELLO)).json()["usage"]
    assert usage["completion_tokens"] == 7
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert [chat_completions.count_tokens(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]


async def test_a_streamed_answer_is_the_same_answer_in_pieces(client):
    response = await client.post(
        "/v1/chat/completions", json={**HELLO, "stream": True, "stream_options": {"include_usage": True}}
    )
    assert response.headers["content-type"].startswith("text/event-stream")
    chunks = events(response)
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert text == "Hello! How can I help you?"
    assert len(chunks) > 5
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 7
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


async def test_usage_is_streamed_only_when_asked_for(client):
    chunks = events(await client.post("/v1/chat/completions", json={**HELLO, "stream": True}))
    assert all("usage" not in chunk for chunk in chunks)


BOOKING = {
    **HELLO,
    "tools": [BOOK],
    "messages": [
        {"role": "user", "content": "I'd like to book a visit"},
        {"role": "assistant", "content": "Sure, I can help with that. May I have your name, please?"},
        {"role": "user", "content": [{"type": "text", "text": "Sarah Johnson"}]},
        {"role": "assistant", "content": "Thanks, Sarah. Let me read that back: Sarah Johnson. Is that right?"},
        {"role": "user", "content": "yes"},
    ],
}


async def test_a_tool_call_has_the_published_shape(client):
    choice = (await client.post("/v1/chat/completions", json=BOOKING)).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    (call,) = choice["message"]["tool_calls"]
    assert call["type"] == "function"
    assert call["function"]["name"] == "book_visit"
    assert json.loads(call["function"]["arguments"]) == {"name": "Sarah Johnson"}


async def test_a_streamed_tool_call_comes_in_deltas(client):
    chunks = events(await client.post("/v1/chat/completions", json={**BOOKING, "stream": True}))
    deltas = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert deltas[0]["id"].startswith("call_")
    assert deltas[0]["function"] == {"name": "book_visit", "arguments": ""}
    assert json.loads("".join(delta["function"]["arguments"] for delta in deltas)) == {"name": "Sarah Johnson"}
    assert {delta["index"] for delta in deltas} == {0}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_tool_result_is_answered(client):
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "book_visit", "arguments": '{"name": "Sarah Johnson"}'},
    }
    messages = [
        *BOOKING["messages"],
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"ok": true}'},
    ]
    answer = (await client.post("/v1/chat/completions", json={**BOOKING, "messages": messages})).json()
    assert "all set" in answer["choices"][0]["message"]["content"]


async def test_a_json_schema_is_answered_with_json(client):
    schema = {
        "type": "object",
        "properties": {"summary": {"type": "string"}},
        "required": ["summary"],
        "additionalProperties": False,
    }
    response_format = {"type": "json_schema", "json_schema": {"name": "note", "strict": True, "schema": schema}}
    answer = (await client.post("/v1/chat/completions", json={**HELLO, "response_format": response_format})).json()
    assert set(json.loads(answer["choices"][0]["message"]["content"])) == {"summary"}


async def test_an_answer_that_is_too_long_is_cut_and_says_so(client):
    choice = (await client.post("/v1/chat/completions", json={**HELLO, "max_completion_tokens": 2})).json()["choices"][
        0
    ]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello! H", "length")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "x"}] * 601}, "messages"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls"),
        ({"n": 2}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": "no spaces"}}]}, "tools[0].function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [BOOK], "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"response_format": {"type": "yaml"}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": []}}},
            "response_format.json_schema.schema",
        ),
    ],
)
async def test_a_wrong_chat_parameter_is_named(client, change, param):
    assert_error(await client.post("/v1/chat/completions", json={**HELLO, **change}), 400, param=param)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "find"}}])
async def test_a_call_that_is_insisted_on_is_made_with_what_is_known(client, choice):
    properties = {"name": {"type": "string"}, "town": {"type": "string"}, "unit": {"type": "string"}}
    parameters = {"type": "object", "properties": properties, "required": ["name", "town"]}
    find = {"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": parameters}}
    body = {**HELLO, "messages": [{"role": "user", "content": "My name is Sarah Johnson."}]}
    answer = (await client.post("/v1/chat/completions", json={**body, "tools": [find], "tool_choice": choice})).json()
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    arguments = json.loads(call["function"]["arguments"])
    assert arguments == {"name": "Sarah Johnson"}


async def test_a_schema_without_a_bottom_is_refused(client):
    schema = {"type": "object"}
    for _ in range(200):
        schema = {"type": "object", "properties": {"a": schema}}
    response_format = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert_error(await client.post("/v1/chat/completions", json={**HELLO, "response_format": response_format}), 400)


async def test_an_unknown_model_is_not_found(client):
    assert_error(await client.post("/v1/chat/completions", json={**HELLO, "model": "gpt-4.1"}), 404, "model_not_found")
    assert_error(await client.post("/v1/audio/speech", json={"model": "tts-1", "input": "hi"}), 404, "model_not_found")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
async def test_what_is_not_json_is_refused(client, body):
    assert_error(await client.post("/v1/chat/completions", content=body), 400)
    assert (await client.post("/v1/audio/speech", content=body)).status_code in (400, 413)


async def test_bodies_are_bounded(client):
    assert_error(await client.post("/v1/chat/completions", content=b" " * (CHAT_MAX_BYTES + 1)), 413, "body_too_large")

    async def endless():
        for _ in range(UPLOAD_MAX_BYTES // 65536 + 2):
            yield b"x" * 65536

    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert_error(
        await client.post("/v1/audio/transcriptions", content=endless(), headers=headers), 413, "body_too_large"
    )


async def test_a_transcription_has_the_published_shape(client):
    answer = await client.post("/v1/audio/transcriptions", **upload(wav_of(speech_like(1.2))))
    assert answer.json() == {"text": "my number is 415-555-0134", "usage": {"type": "duration", "seconds": 2}}


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000])
async def test_every_usual_sample_rate_is_read(client, rate):
    answer = await client.post("/v1/audio/transcriptions", **upload(wav_of(speech_like(1, rate), rate)))
    assert answer.json()["usage"]["seconds"] == 1


async def test_a_transcription_may_be_plain_text_or_verbose(client):
    sound = wav_of(speech_like(1))
    plain = await client.post("/v1/audio/transcriptions", **upload(sound, response_format="text", language="en-US"))
    assert plain.text == "my number is 415-555-0134\n"
    verbose = (await client.post("/v1/audio/transcriptions", **upload(sound, response_format="verbose_json"))).json()
    assert verbose["duration"] == 1.0
    assert [segment["text"] for segment in verbose["segments"]] == ["my number is 415-555-0134"]


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(16000),
        np.zeros(0),
        speech_like(0.2),
        3000 * np.sin(np.arange(16000) / 5),
        np.random.default_rng(1).normal(0, 1500, 32000),
    ],
    ids=["silence", "nothing", "too short", "tone", "noise"],
)
async def test_what_is_not_speech_has_no_words(client, sound):
    answer = await client.post("/v1/audio/transcriptions", **upload(wav_of(sound)))
    assert answer.json()["text"] == ""


@pytest.mark.parametrize(
    ("request_of", "param"),
    [
        (lambda: upload(b"not a wav file"), "file"),
        (lambda: upload(b"RIFF\x00\x00\x00\x00WAVEfmt "), "file"),
        (lambda: upload(wav_of(np.zeros(1000), channels=2)), "file"),
        (lambda: upload(wav_of(np.zeros(1000), width=1)), "file"),
        (lambda: upload(wav_of(np.zeros(1000), rate=11025)), "file"),
        (lambda: upload(wav_of(np.zeros(16000 * 121))), "file"),
        (lambda: upload(wav_of(np.zeros(1000)), language="hi"), "language"),
        (lambda: upload(wav_of(np.zeros(1000)), response_format="srt"), "response_format"),
        (lambda: upload(wav_of(np.zeros(1000)), stream="true"), "stream"),
        (lambda: {"data": {"model": "moonshine-tiny-en"}, "files": {"other": b"x"}}, "file"),
    ],
)
async def test_a_wrong_transcription_parameter_is_named(client, request_of, param):
    assert_error(await client.post("/v1/audio/transcriptions", **request_of()), 400, param=param)


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "multipart/form-data"}, {"content-type": "multipart/form-data; boundary=x"}]
)
async def test_a_broken_form_is_refused(client, headers):
    assert (
        await client.post("/v1/audio/transcriptions", content=b"--y\r\nnonsense", headers=headers)
    ).status_code == 400


SPEAK = {
    "model": "piper-joe",
    "voice": "joe",
    "input": "Hello there Sarah. How are you today?",
    "response_format": "pcm",
}


async def test_speech_is_24_khz_pcm_without_the_silence_in_front(client):
    sound = np.frombuffer((await client.post("/v1/audio/speech", json=SPEAK)).content, "<i2")
    assert np.argmax(np.abs(sound) > 300) < 24 * 20
    # Two clauses of 250 ms, the first without its 50 ms of silence.
    assert abs(len(sound) / 24 - 450) < 15


async def test_speech_as_wav_has_a_header(client):
    response = await client.post("/v1/audio/speech", json={**SPEAK, "response_format": "wav"})
    assert response.headers["content-type"] == "audio/wav"
    assert response.content[:4] == b"RIFF"
    assert int.from_bytes(response.content[24:28], "little") == 24000


async def test_speed_reaches_the_voice():
    speaker = FakeSpeaker()
    async with client_of(fake_models(speaker)) as client:
        await client.post("/v1/audio/speech", json={**SPEAK, "speed": 1.5})
    assert {speed for _, speed in speaker.clauses} == {1.5}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": "x" * 4097}, "input"),
        ({"input": ["x"]}, "input"),
        ({"response_format": "mp3"}, "response_format"),
        ({"stream_format": "sse"}, "stream_format"),
        ({"speed": 9}, "speed"),
        ({"speed": "fast"}, "speed"),
    ],
)
async def test_a_wrong_speech_parameter_is_named(client, change, param):
    assert_error(await client.post("/v1/audio/speech", json={**SPEAK, **change}), 400, param=param)


async def test_text_with_nothing_to_say_is_silence(client):
    assert (await client.post("/v1/audio/speech", json={**SPEAK, "input": "... !"})).content == b""


class HeldSpeaker(FakeSpeaker):
    """Waits for leave before each clause."""

    def __init__(self):
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.leave = threading.Semaphore(0)

    def speak(self, clause, speed):
        self.begun.release()
        self.leave.acquire(timeout=10)
        return super().speak(clause, speed)


async def test_speaking_stops_when_the_listener_leaves():
    speaker = HeldSpeaker()
    pool = fake_models(speaker).speakers
    stream = text_to_speech.stream(pool, "One sentence here. Two sentences here. Three sentences here.", 1.0)
    first = asyncio.ensure_future(anext(stream))
    await asyncio.to_thread(speaker.begun.acquire, timeout=10)
    speaker.leave.release()
    await first
    await stream.aclose()
    assert len(speaker.clauses) == 1
    pool.close()


async def test_when_every_place_is_taken_the_next_is_told_to_wait():
    speaker = HeldSpeaker()
    async with client_of(fake_models(speaker, waiting_max=0)) as client:
        held = asyncio.ensure_future(client.post("/v1/audio/speech", json={**SPEAK, "input": "Hello."}))
        await asyncio.to_thread(speaker.begun.acquire, timeout=10)
        refused = await client.post("/v1/audio/speech", json=SPEAK)
        speaker.leave.release()
        await held
        assert_error(refused, 429, "rate_limit_exceeded")
        assert refused.headers["retry-after"] == "1"
        for _ in range(4):
            speaker.leave.release()
        assert (await client.post("/v1/audio/speech", json={**SPEAK, "input": "Hello."})).status_code == 200


async def test_a_place_is_given_back_when_a_request_fails(client):
    for _ in range(20):
        await client.post("/v1/audio/transcriptions", **upload(b"not a wav file"))
    assert (await client.post("/v1/audio/transcriptions", **upload(wav_of(speech_like(1))))).status_code == 200


async def test_an_unforeseen_error_shows_nothing_of_itself():
    class Broken:
        def recognise(self, samples):
            raise KeyError("secret detail")

    async with client_of(fake_models(recogniser=Broken)) as client:
        response = await client.post("/v1/audio/transcriptions", **upload(wav_of(speech_like(1))))
        assert_error(response, 500, "internal_error")
        assert "secret" not in response.text


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.com", ""])
def test_it_refuses_to_be_reachable_from_elsewhere(host, capsys):
    assert main(["--host", host]) == 1
    assert "loopback" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_loopback_addresses_are_accepted(host):
    assert is_loopback(host)
