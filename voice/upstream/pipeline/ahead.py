"""Begin an answer before it is ordered: what a caller has probably said is answered in the silence that proves it.

Nothing of it is told to anyone. A response that turns out to read exactly the same takes what is there; anything else
drops it and asks afresh.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

from voice.upstream.errors import UpstreamError
from voice.upstream.pipeline.background import Background
from voice.upstream.pipeline.clauses import ClauseCutter
from voice.upstream.pipeline.parts import ChatDelta, ChatModel, ChatRequest, Parts, TextDelta, TextToSpeech

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Manner:
    """How an answer is spoken."""

    voice: str
    speed: float


class Ahead:
    """A chat model and a voice that may have begun already; at most one answer at a time."""

    def __init__(self, parts: Parts, background: Background) -> None:
        self._parts = parts
        self._background = background
        self._asked: ChatRequest | None = None
        self._manner: Manner | None = None
        self._answer: _Begun[ChatDelta] | None = None
        self._spoken_text = ""
        self._speech: _Begun[bytes] | None = None

    def parts(self) -> Parts:
        """Return the same parts, with what was begun in front."""
        return Parts(self._parts.speech_to_text, _Chat(self), _Voice(self))

    def begin(self, request: ChatRequest, manner: Manner | None) -> None:
        """Ask for an answer now, and for the sound of its first clause if a manner of speaking is given."""
        self.drop()
        self._asked, self._manner = request, manner
        self._answer = _Begun(self._heard(self._parts.chat_model.answer(request)), self._background)

    def drop(self) -> None:
        """Throw away what was begun and nobody has taken."""
        for begun in (self._answer, self._speech):
            if begun is not None:
                begun.stop()
        self._asked = self._answer = self._speech = None

    def answer(self, request: ChatRequest) -> AsyncGenerator[ChatDelta, None]:
        begun, self._answer = self._answer, None
        if begun is not None and request == self._asked:
            return begun.read(otherwise=lambda: self._parts.chat_model.answer(request))
        if begun is not None:
            begun.stop()
        self.drop()
        return self._parts.chat_model.answer(request)

    def speak(self, text: str, *, voice: str, speed: float) -> AsyncGenerator[bytes, None]:
        begun, self._speech = self._speech, None
        if begun is not None and (text, Manner(voice, speed)) == (self._spoken_text, self._manner):
            return begun.read(otherwise=lambda: self._parts.text_to_speech.speak(text, voice=voice, speed=speed))
        if begun is not None:
            begun.stop()
        return self._parts.text_to_speech.speak(text, voice=voice, speed=speed)

    async def _heard(self, answer: AsyncGenerator[ChatDelta, None]) -> AsyncGenerator[ChatDelta, None]:
        """Pass an answer on, and have its first clause spoken as soon as it is known."""
        cutter, is_spoken = ClauseCutter(), self._manner is None
        async with aclosing(answer):
            async for delta in answer:
                clauses = cutter.feed(delta.text) if isinstance(delta, TextDelta) else cutter.flush()
                if clauses and not is_spoken:
                    is_spoken = True
                    self._say(clauses[0].strip())
                yield delta

    def _say(self, clause: str) -> None:
        if self._manner is None or not any(letter.isalnum() for letter in clause):
            return
        self._spoken_text = clause
        speech = self._parts.text_to_speech.speak(clause, voice=self._manner.voice, speed=self._manner.speed)
        self._speech = _Begun(speech, self._background)


class _Begun(Generic[T]):
    """Reads a stream in the background from now on, for one reader who may come later. Parts bound their streams."""

    def __init__(self, source: AsyncGenerator[T, None], background: Background) -> None:
        self._pieces: asyncio.Queue[T | UpstreamError | None] = asyncio.Queue()
        self._task = background.start(self._follow(source))

    def stop(self) -> None:
        self._task.cancel()

    async def read(self, *, otherwise: Callable[[], AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
        """Yield what was and will be read; where that failed before it gave anything, what there is `otherwise`."""
        is_first = True
        try:
            while (piece := await self._pieces.get()) is not None:
                if isinstance(piece, UpstreamError):
                    if not is_first:
                        raise piece
                    break
                is_first = False
                yield piece
            else:
                return
        finally:
            self.stop()
        async with aclosing(otherwise()) as afresh:
            async for piece in afresh:
                yield piece

    async def _follow(self, source: AsyncGenerator[T, None]) -> None:
        try:
            async with aclosing(source):
                async for piece in source:
                    self._pieces.put_nowait(piece)
        except UpstreamError as error:
            self._pieces.put_nowait(error)
        self._pieces.put_nowait(None)


class _Chat(ChatModel):
    def __init__(self, ahead: Ahead) -> None:
        self._ahead = ahead

    def answer(self, request: ChatRequest) -> AsyncGenerator[ChatDelta, None]:
        return self._ahead.answer(request)


class _Voice(TextToSpeech):
    def __init__(self, ahead: Ahead) -> None:
        self._ahead = ahead

    def speak(self, text: str, *, voice: str, speed: float) -> AsyncGenerator[bytes, None]:
        return self._ahead.speak(text, voice=voice, speed=speed)
