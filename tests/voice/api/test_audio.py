"""Speech and transcriptions over HTTP: bounded, held before, charged after."""

import base64
import json

import pytest
from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient

from billing import ledger
from tests.fakes.provider_server import Answer, refusal
from tests.voice.api.conftest import error_of
from voice.api import transcriptions
from voice.models import ApiRequest

pytestmark = pytest.mark.django_db(transaction=True)

SPEECH, TRANSCRIPTIONS = "/v1/audio/speech", "/v1/audio/transcriptions"
TOKENS = {
    "type": "tokens", "input_tokens": 30, "output_tokens": 10,
    "input_token_details": {"text_tokens": 10, "audio_tokens": 20},
}  # fmt: skip
# gpt-4o-transcribe: 337.5 micro-credits a token read, 1350 one written.
TRANSCRIBED_MICRO = 30 * 3375 // 10 + 10 * 1350


def transcript(usage, text="Hello there."):
    return Answer([json.dumps({"text": text, "usage": usage}).encode()])


def spoken(*pieces, usage=None):
    events = [{"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()} for piece in pieces]
    if usage:
        events.append({"type": "speech.audio.done", "usage": usage})
    lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    return Answer(lines, content_type="text/event-stream")


def held(organisation):
    return ledger.balance_of(organisation.id).held_micro


@pytest.fixture
def write_down(client, new_key):
    key = new_key()

    def send(content=b"RIFF" + b"\0" * 32_000, *, name="call.wav", key=key, **fields):
        file = SimpleUploadedFile(name, content, content_type="audio/wav")
        body = {"model": "gpt-4o-transcribe", "file": file, **fields}
        return client.post(TRANSCRIPTIONS, body, headers={"Authorization": f"Bearer {key}"})

    return send


@pytest.fixture
def say(new_key):
    key = new_key()

    async def send(**fields):
        body = {"model": "gpt-4o-mini-tts", "input": "Good morning.", "voice": "coral", **fields}
        headers = {"Authorization": f"Bearer {key}"}
        return await AsyncClient().post(SPEECH, body, content_type="application/json", headers=headers)

    return send


async def audio_of(response):
    return b"".join([piece async for piece in response])


def test_a_recording_is_written_down_and_charged_by_its_tokens(write_down, provider, organisation):
    server = provider(transcript(TOKENS))
    response = write_down(language="pt-BR", prompt="Names: Scully.")
    assert response.json() == {"text": "Hello there.", "usage": TOKENS}
    form = server.form_of()
    assert (form["model"], form["language"], form["prompt"]) == (b"gpt-4o-transcribe", b"pt", b"Names: Scully.")
    assert form["file"].startswith(b"RIFF")
    row = ApiRequest.objects.get()
    assert (row.captured_micro, row.is_estimated, held(organisation)) == (TRANSCRIBED_MICRO, False, 0)


def test_a_files_name_stays_here(write_down, provider):
    server = provider(transcript(TOKENS))
    write_down(name="Maria Silva, biopsy.MP3")
    assert b"Maria" not in server.requests[0][2] and b'filename="audio.mp3"' in server.requests[0][2]


def test_it_may_be_asked_for_as_text(write_down, provider):
    provider(transcript(TOKENS))
    response = write_down(response_format="text")
    assert (response.content, response["Content-Type"]) == (b"Hello there.\n", "text/plain; charset=utf-8")


def test_our_own_model_is_charged_by_the_published_rule(write_down, embedded):
    server = embedded(transcript({"type": "duration", "seconds": 3}))
    assert write_down()["X-Model-Served"] == "parley-embedded-transcribe"
    assert server.form_of()["model"] == b"moonshine-tiny-en"
    row = ApiRequest.objects.get()
    # The row it is rated as has a rate a second: $0.003 a minute and 35 %.
    assert row.captured_micro == 3 * 6750 and row.lines[0]["kind"] == "seconds"


def test_a_transcription_without_a_report_is_estimated(write_down, provider):
    provider(transcript(None))
    write_down()
    row = ApiRequest.objects.get()
    assert row.is_estimated and row.captured_micro > 0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"language": "english please"}, "language"),
        ({"response_format": "srt"}, "response_format"),
        ({"stream": "true"}, "stream"),
        ({"temperature": "2"}, "temperature"),
        ({"prompt": "x" * 2001}, "prompt"),
        ({"prompt": "a\x00"}, "prompt"),
        ({"content": b""}, "file"),
    ],
)
def test_a_wrong_field_of_the_form_is_named(write_down, provider, fields, param):
    server = provider()
    assert error_of(write_down(**fields)) == (400, "invalid_request", param)
    assert server.requests == [] and not ApiRequest.objects.exists()


def test_a_recording_has_a_bound(write_down, provider, monkeypatch):
    server = provider()
    monkeypatch.setattr(transcriptions, "MAX_FILE_BYTES", 1000)
    assert error_of(write_down()) == (413, "request_too_large", "file")
    assert server.requests == []


@pytest.mark.parametrize(
    "body", [b"", b"x", b"--b\r\n", b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nx\r\n']
)
def test_a_form_that_is_none_is_refused(client, new_key, body):
    headers = {"Authorization": f"Bearer {new_key()}"}
    response = client.generic(
        "POST", TRANSCRIPTIONS, body, content_type="multipart/form-data; boundary=b", headers=headers
    )
    assert error_of(response)[0] == 400


def test_a_provider_that_refuses_a_recording_costs_nothing(write_down, provider, organisation):
    provider(refusal(400, "Audio file might be corrupted.", param="file"))
    assert error_of(write_down()) == (400, "invalid_request", "file")
    assert (held(organisation), ApiRequest.objects.get().captured_micro) == (0, 0)


def test_an_empty_wallet_has_nothing_written_down(write_down, provider, organisation):
    server = provider()
    ledger.adjust(organisation.id, -1000 * ledger.MICRO, key="k", reason="For a test", actor="test")
    assert error_of(write_down()) == (402, "out_of_credit", None)
    assert server.requests == []


def test_a_realtime_model_writes_nothing_down(write_down):
    assert error_of(write_down(model="gpt-realtime-mini")) == (400, "model_is_voice_only", None)
    assert error_of(write_down(model="gpt-live-transcribe")) == (404, "model_not_found", None)


# Speech.


async def test_speech_comes_as_it_is_made_and_is_charged_by_its_tokens(say, provider):
    server = await sync_to_async(provider)(spoken(b"abc", b"def", usage={"input_tokens": 5, "output_tokens": 40}))
    response = await say(instructions="Softly.")
    assert await audio_of(response) == b"abcdef"
    assert (response["Content-Type"], response["X-Model-Served"]) == ("audio/mpeg", "gpt-4o-mini-tts")
    sent = server.json_of()
    assert (sent["voice"], sent["response_format"], sent["stream_format"]) == ("coral", "mp3", "sse")
    row = await ApiRequest.objects.aget()
    assert (row.captured_micro, row.is_estimated) == (5 * 81 + 40 * 1620, False)


async def test_our_own_voice_is_charged_by_what_it_made(say, embedded):
    pcm = b"\0" * 48_000  # one second: twenty tokens
    server = await sync_to_async(embedded)(Answer([pcm[:1000], pcm[1000:]], content_type="audio/pcm"))
    response = await say(response_format="pcm", voice="marin")
    assert await audio_of(response) == pcm
    assert (response["Content-Type"], server.json_of()["voice"]) == ("audio/pcm", "joe")
    row = await ApiRequest.objects.aget()
    assert (row.captured_micro, row.is_estimated) == (4 * 81 + 20 * 1620, False)


async def test_our_own_voice_answers_who_names_no_format_with_wav(say, embedded):
    server = await sync_to_async(embedded)(Answer([b"\0" * 44], content_type="audio/wav"))
    response = await say()
    await audio_of(response)
    assert (response["Content-Type"], server.json_of()["response_format"]) == ("audio/wav", "wav")
    assert (await ApiRequest.objects.aget()).captured_micro == 0


async def test_a_listener_that_leaves_pays_for_what_was_made(say, provider):
    await sync_to_async(provider)(Answer(spoken(b"x" * 4800).pieces, content_type="text/event-stream", holds=True))
    pieces = aiter(await say(response_format="pcm"))
    assert await anext(pieces) == b"x" * 4800
    await pieces.aclose()
    row = await ApiRequest.objects.aget()
    assert row.is_estimated and row.captured_micro == 4 * 81 + 2 * 1620


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"voice": "joe"}, "voice", "alloy"),
        ({"input": ""}, "input", ""),
        ({"input": "x" * 4097}, "input", "4096"),
        ({"response_format": "ogg"}, "response_format", "mp3"),
        ({"speed": 5}, "speed", "4"),
        ({"stream_format": "sse"}, "stream_format", "audio"),
    ],
)
def test_a_wrong_field_is_named(call, provider, fields, param, words):
    server = provider()
    response = call("POST", SPEECH, {"model": "gpt-4o-mini-tts", "input": "Hi.", "voice": "coral", **fields})
    assert error_of(response) == (400, "invalid_request", param)
    assert words in response.json()["error"]["message"] and server.requests == []


def test_our_own_voice_says_which_formats_it_speaks(call, embedded):
    body = {"model": "gpt-4o-mini-tts", "input": "Hi.", "voice": "coral", "response_format": "mp3"}
    response = call("POST", SPEECH, body)
    assert error_of(response) == (400, "unsupported_value", "response_format")
    assert "wav or pcm" in response.json()["error"]["message"]


def test_audio_needs_its_scope(call, write_down, new_key):
    key = new_key(scopes=["chat"])
    body = {"model": "gpt-4o-mini-tts", "input": "Hi.", "voice": "coral"}
    assert error_of(call("POST", SPEECH, body, key=key)) == (403, "scope_missing", None)
    assert error_of(write_down(key=key)) == (403, "scope_missing", None)
