"""Find out what was said in each turn: once, for the answer and for whoever asked to be told."""

import asyncio
from collections.abc import Callable
from typing import Any

from voice.audio import ms_of
from voice.upstream.errors import UpstreamError
from voice.upstream.pipeline.background import Background
from voice.upstream.pipeline.conversation import Item
from voice.upstream.pipeline.parts import SpeechToText

# Only a client that commits faster than anyone speaks gets here.
MAX_WAITING = 8


class Transcription:
    """Gives items their words; `wanted` is the session's transcription setting, None when nobody is to be told."""

    def __init__(self, speech_to_text: SpeechToText, background: Background, emit: Callable[..., None]) -> None:
        self.wanted: dict[str, Any] | None = None
        self._speech_to_text = speech_to_text
        self._background = background
        self._emit = emit
        self._waiting: set[asyncio.Task[None]] = set()
        self._failure: UpstreamError | None = None

    def has_room_for(self, more: int) -> bool:
        return len(self._waiting) + more <= MAX_WAITING

    def start(self, pcm: bytes) -> "asyncio.Task[str]":
        wanted = self.wanted or {}
        language, prompt = wanted.get("language", ""), wanted.get("prompt", "")
        return self._background.start(self._speech_to_text.transcribe(pcm, language=language, prompt=prompt))

    def write_down(self, item: Item, words: "asyncio.Task[str]", *, told: bool = True) -> None:
        """Put words into their item, and say so if anybody is to be told, as soon as they are known."""
        task = self._background.start(self._write_down(item, words, told))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def all_written(self) -> None:
        """Wait for the words of every turn so far; raise the UpstreamError of a turn that has none, once."""
        await self.settled()
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    async def settled(self) -> None:
        """Wait for the words of every turn so far, whether they could be found or not."""
        if self._waiting:
            await asyncio.wait(set(self._waiting))

    async def _write_down(self, item: Item, words: "asyncio.Task[str]", told: bool) -> None:
        try:
            transcript = await words
        except UpstreamError as error:
            self._failure = error
            problem = {"type": "transcription_error", "code": error.code, "message": error.code, "param": None}
            if told:
                self._tell("failed", item, error=problem)
            return
        part = next(part for part in item.data["content"] if part["type"] == "input_audio")
        part["transcript"] = transcript
        if not told:
            return
        usage = {"type": "duration", "seconds": ms_of(item.audio_bytes) / 1000}
        self._tell("completed", item, transcript=transcript, usage=usage)

    def _tell(self, how: str, item: Item, **fields: Any) -> None:
        if self.wanted is not None:
            kind = f"conversation.item.input_audio_transcription.{how}"
            self._emit(kind, item_id=item.id, content_index=0, **fields)
