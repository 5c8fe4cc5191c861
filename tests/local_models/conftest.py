"""The server, in this process, with small fakes of the models or with the real ones."""

import io
import wave
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from local_models.server import Models, create_app
from local_models.workers import WorkerPool
from tests.local_models.telephone import NOW

DATA = Path(__file__).parent / "data"


class FakeRecogniser:
    def recognise(self, samples):
        return "my number is four one five five five five zero one three four"


class FakeSpeaker:
    """Speaks every clause as 50 ms of silence and 200 ms of tone, and remembers the clauses."""

    def __init__(self):
        self.clauses = []

    def speak(self, clause, speed):
        self.clauses.append((clause, speed))
        tone = 8000 * np.sin(np.arange(4410) / 10)
        return np.concatenate([np.zeros(1102), tone]).astype(np.int16)


def fake_models(speaker=None, recogniser=None, waiting_max=8):
    models = Models(
        recognisers=WorkerPool(recogniser or FakeRecogniser, 1, waiting_max),
        speakers=WorkerPool(lambda: speaker or FakeSpeaker(), 1, waiting_max),
        chats=WorkerPool(lambda: None, 1, waiting_max),
    )
    models.load()
    return models


@asynccontextmanager
async def client_of(models):
    transport = httpx.ASGITransport(create_app(models, lambda: NOW), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client
    models.close()


def wav_of(samples, rate=16000, channels=1, width=2):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(samples.astype({1: np.uint8, 2: np.int16}[width]).tobytes())
    return file.getvalue()


def speech_like(seconds, rate=16000):
    """A tone that comes and goes as syllables do."""
    time = np.arange(int(seconds * rate)) / rate
    return 12000 * np.sin(2 * np.pi * 180 * time) * (np.sin(2 * np.pi * 3 * time) > 0)


@pytest.fixture
async def client():
    async with client_of(fake_models()) as client:
        yield client
