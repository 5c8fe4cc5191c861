"""The real models: recorded callers are understood, and the voice understands itself."""

import asyncio
import csv
import re
import threading

import httpx
import numpy as np
import pytest

from local_models import speech_to_text, text_to_speech, wav
from local_models.receptionist.numbers import digits
from local_models.server import create_app, embedded_models
from tests.local_models.conftest import DATA, wav_of

RECORDED = [
    (row["file"], row["text"]) for row in csv.DictReader((DATA / "texts.tsv").read_text().splitlines(), delimiter="\t")
]


@pytest.fixture(scope="module")
def models():
    loaded = embedded_models()
    loaded.load()
    assert loaded.state == "ok"
    yield loaded
    loaded.close()


@pytest.fixture
async def client(models):
    transport = httpx.ASGITransport(create_app(models))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=120) as client:
        yield client


def words(text):
    """Words with digits written one way, so that "415-555-0134" and "four one five" compare equal."""
    text = re.sub(r"[^\w\s]", " ", text.lower())
    return [digits(word) or word for word in text.split()]


def errors(said, heard):
    """Edit distance in words."""
    row = list(range(len(heard) + 1))
    for at, word in enumerate(said, 1):
        above, row = row, [at]
        for index, other in enumerate(heard, 1):
            row.append(min(above[index] + 1, row[-1] + 1, above[index - 1] + (word != other)))
    return row[-1]


async def transcribe(client, sound):
    response = await client.post(
        "/v1/audio/transcriptions", files={"file": ("speech.wav", sound)}, data={"model": speech_to_text.MODEL_ID}
    )
    return response.json()["text"]


async def speak(client, text):
    body = {"model": text_to_speech.MODEL_ID, "voice": "joe", "input": text, "response_format": "pcm"}
    return np.frombuffer((await client.post("/v1/audio/speech", json=body)).content, "<i2")


async def test_recorded_callers_are_understood(client):
    said = heard = 0
    for file, text in RECORDED:
        transcript = await transcribe(client, (DATA / file).read_bytes())
        said += len(words(text))
        heard += errors(words(text), words(transcript))
    assert heard / said < 0.08


async def test_a_recorded_phone_number_comes_out_whole(client):
    text = await transcribe(client, (DATA / "kokoro_af_heart_u12.wav").read_bytes())
    assert "415-555-0134" in text


SPOKEN = (
    "And what's your name?",
    "On Saturday we're open from ten to two.",
    "Let me read that back. Is that right?",
    "Would you like someone to call you back about it?",
    "Thank you for calling. Goodbye!",
)


async def test_what_the_voice_says_is_what_was_written(client):
    # Of all sentences together, since the voice varies a little each time it speaks.
    said = wrong = 0
    for text in SPOKEN:
        heard = await transcribe(client, wav_of(await speak(client, text), 24000))
        said += len(words(text))
        wrong += errors(words(text), words(heard))
    assert wrong / said < 0.25


async def test_a_number_is_spoken_digit_by_digit(client):
    heard = await transcribe(client, wav_of(await speak(client, "Your number is 415-555-0134."), 24000))
    assert len(digits(heard)) >= 8


async def test_the_voice_begins_at_once(client):
    sound = await speak(client, "And what's your name?")
    assert np.argmax(np.abs(sound) > 300) < 24 * 20


async def test_silence_noise_and_tones_have_no_words(client):
    noise = np.random.default_rng(1)
    for sound in (np.zeros(24000), noise.normal(0, 1500, 48000), 6000 * np.sin(np.arange(24000) / 5)):
        assert await transcribe(client, wav_of(sound, 24000)) == ""


async def test_a_long_turn_is_cut_and_still_complete(client):
    files = [
        "kokoro_af_heart_u06",
        "kokoro_af_heart_u12",
        "kokoro_af_heart_u15",
        "kokoro_af_heart_u34",
        "kokoro_af_heart_u30",
    ]
    spoken = [wav.read((DATA / f"{file}.wav").read_bytes(), 24000) * 32767 for file in files * 2]
    text = (await transcribe(client, wav_of(np.concatenate(spoken), 24000))).lower()
    for word in ("johnson", "415-555-0134", "maple", "saturday", "wednesday"):
        assert text.count(word) == 2


def test_two_workers_do_not_share_a_recogniser(models):
    taken = [models.recognisers._models.get() for _ in range(2)]
    assert taken[0] is not taken[1]
    for recogniser in taken:
        models.recognisers._models.put(recogniser)


async def test_many_at_once_are_all_answered_right(client):
    sound = (DATA / "kokoro_af_heart_u15.wav").read_bytes()
    texts = await asyncio.gather(*(transcribe(client, sound) for _ in range(6)))
    assert set(texts) == {"I live at 42 Maple Street."}
    assert threading.active_count() < 40
