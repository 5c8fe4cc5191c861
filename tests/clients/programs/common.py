"""What the Python programs share: what they are told, the caller's voice, and the report they print at the end."""

import asyncio
import json
import sys
import wave
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FRAME_MS = 20
FRAME_BYTES = 24_000 * 2 * FRAME_MS // 1000
# What is waited for has happened by then, or the program fails.
PATIENCE_S = 180
TOOL = {
    "type": "function",
    "name": "find_free_times",
    "description": "Look up when an appointment can be had.",
    "parameters": {"type": "object", "properties": {}, "required": []},
}
TOOL_OUTPUT = json.dumps({"message": "Friday at nine is free."})


@dataclass(frozen=True)
class Task:
    """What the test wants done: `mode` is talk, refused or revoked; the others say where, with what, in which words."""

    mode: str
    url: str
    key: str
    model: str
    instructions: str
    question: str
    wish: str
    again: str

    @property
    def websocket_url(self) -> str:
        return self.url.replace("https:", "wss:").replace("http:", "ws:")


@dataclass
class Report:
    """What happened, as the client library told it."""

    answers: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    interrupted: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    errors: list[str] = field(default_factory=list)

    def used(self, input_tokens: int, output_tokens: int) -> None:
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens

    def print(self) -> None:
        print(json.dumps(self.__dict__), flush=True)


class Microphone:
    """Speaks recordings in real time, and silence between them, as a microphone that is never switched off."""

    def __init__(self, hears: Callable[[bytes], Awaitable[Any]]) -> None:
        self._hears = hears
        self._left = b""

    def say(self, recording: str) -> None:
        self._left += pcm_of(recording)

    async def run(self) -> None:
        clock = asyncio.get_running_loop()
        due = clock.time()
        while True:
            frame, self._left = self._left[:FRAME_BYTES], self._left[FRAME_BYTES:]
            await self._hears(frame.ljust(FRAME_BYTES, b"\0"))
            due += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due - clock.time()))


def pcm_of(recording: str) -> bytes:
    with wave.open(recording) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2), recording
        return file.readframes(file.getnframes())


def task() -> Task:
    return Task(**json.loads(sys.argv[1]))


def is_open() -> None:
    """Tell the test that the connection stands."""
    print(json.dumps({"open": True}), flush=True)


async def within_patience(work: Awaitable[Any]) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        return await work


def here(name: str) -> Path:
    return Path(__file__).parent / name
