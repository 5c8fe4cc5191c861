"""One response of a pipeline: asks the chat model, speaks clause by clause, and tells of it in GA events."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any

from voice.audio import BYTES_PER_OUTPUT_TOKEN, bytes_of, output_tokens_of
from voice.upstream.errors import UpstreamError
from voice.upstream.pipeline.clauses import ClauseCutter
from voice.upstream.pipeline.conversation import Conversation, Item, chat_tool_choice, chat_tools, fitting, messages_of
from voice.upstream.pipeline.output import Output
from voice.upstream.pipeline.parts import ChatDelta, ChatRequest, ChatTokens, Finished, Parts, TextDelta, ToolCall
from voice.upstream.pipeline.requests import InvalidRequest, Order
from voice.upstream.pipeline.usage import Piece, text_tokens_of, usage_in_words, usage_of

# Short deltas let a caller interrupt, and a slow line show, without a second of audio on its way already.
_DELTA_BYTES = bytes_of(100)
_MAX_WAITING_PIECES = 64
_RESPONSE_WITHIN_S = 120.0

Emit = Callable[..., None]
_Piece = str | ToolCall | Finished | UpstreamError


class _OutOfTokens(Exception):
    """max_output_tokens is used up."""


class Response:
    """From response.created to response.done, whichever way it ends.

    `reads` are the items it answers: the conversation, or others. `read` is what it read, which the usage of the next
    one starts from.
    """

    def __init__(
        self,
        *,
        response_id: str,
        order: Order,
        reads: Iterable[Item],
        parts: Parts,
        conversation: Conversation,
        context_tokens: int,
        max_output_tokens: int,
        voice: str,
        read_before: list[Piece],
        emit: Emit,
        new_item_id: Callable[[], str],
    ) -> None:
        self.id = response_id
        self.read: list[Piece] = []
        self.done = False
        self.is_out_of_band = order.is_out_of_band
        self._session = session = order.session
        self._metadata = order.metadata
        self._reads = reads
        # What the conversation's own response leaves out for good, no later one reads.
        self._forgets = isinstance(session["truncation"], dict) and order.input is None and not order.is_out_of_band
        self._parts = parts
        self._context_tokens = context_tokens
        self._max_tokens = max_output_tokens
        self._voice = voice
        self._read_before = read_before
        self._emit = emit
        self._asked: ChatRequest | None = None
        self._written = ""
        self._chat_tokens: ChatTokens | None = None
        self._characters = 0
        self._is_audio = session["output_modalities"] == ["audio"]
        self._output = Output(
            response_id=response_id,
            audio_format=session["audio"]["output"]["format"] if self._is_audio else None,
            conversation=None if order.is_out_of_band else conversation,
            emit=emit,
            new_item_id=new_item_id,
        )
        self._emit("response.created", response=self._described("in_progress", None, None))

    async def run(self, transcribed: Callable[[], Awaitable[None]]) -> None:
        """Answer once everything said is transcribed; ends in response.done unless cancelled, then finish() has."""
        try:
            async with asyncio.timeout(_RESPONSE_WITHIN_S):
                await transcribed()
                await self._answer()
        except _OutOfTokens:
            self.finish("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
        except InvalidRequest as problem:
            self._fail("invalid_request_error", problem.code)
        except UpstreamError as error:
            self._fail("server_error", error.code)
        except TimeoutError:
            self._fail("server_error", "upstream_timeout")
        else:
            self.finish("completed", None)

    def finish(self, status: str, details: dict[str, Any] | None) -> None:
        """Close what is open and emit response.done, at once; does nothing the second time."""
        if self.done:
            return
        self._output.close_message("completed" if status == "completed" else "incomplete")
        self.done = True
        usage = None if status == "failed" else self._usage()
        self._emit("response.done", response=self._described(status, details, usage))

    def cancel(self, reason: str) -> None:
        self.finish("cancelled", {"type": "cancelled", "reason": reason})

    def _fail(self, kind: str, code: str) -> None:
        self.finish("failed", {"type": "failed", "error": {"type": kind, "code": code, "message": code}})

    async def _answer(self) -> None:
        items = list(self._reads)
        self.read, kept, request = chat_request(self._session, items, self._context_tokens, self._max_tokens)
        if self._forgets:
            for item in items[: len(items) - len(kept)]:
                item.forgotten = True
        pieces: asyncio.Queue[_Piece] = asyncio.Queue(_MAX_WAITING_PIECES)
        reading = asyncio.create_task(self._read_chat(request, pieces))
        try:
            while not isinstance(piece := await pieces.get(), Finished):
                await self._put_out(piece)
            if piece.cut_off:
                raise _OutOfTokens
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _read_chat(self, request: ChatRequest, pieces: "asyncio.Queue[_Piece]") -> None:
        """Read ahead of the voice, so that the next clause is there when this one has been spoken."""
        self._asked = request
        cutter = ClauseCutter()
        try:
            async with aclosing(self._parts.chat_model.answer(request)) as answer:
                async for delta in answer:
                    self._count(delta)
                    if not isinstance(delta, TextDelta):
                        await _put_all(pieces, [*cutter.flush(), delta])
                    else:
                        await _put_all(pieces, cutter.feed(delta.text) if self._is_audio else [delta.text])
        except UpstreamError as error:
            await _put_all(pieces, [*cutter.flush(), error])

    def _count(self, delta: ChatDelta) -> None:
        """Remember what is billed of it, whether or not the caller gets to hear it."""
        if isinstance(delta, TextDelta):
            self._written += delta.text
        elif isinstance(delta, ToolCall):
            self._written += delta.name + delta.arguments
        else:
            self._chat_tokens = delta.tokens

    async def _put_out(self, piece: str | ToolCall | UpstreamError) -> None:
        if isinstance(piece, UpstreamError):
            raise piece
        if isinstance(piece, ToolCall):
            self._spend(piece.name + piece.arguments)
            self._output.call(piece)
            return
        self._spend(piece)
        if self._is_audio:
            await self._say(piece)
        else:
            self._output.write(piece)

    async def _say(self, clause: str) -> None:
        self._output.begin_clause(clause)
        if not any(letter.isalnum() for letter in clause):
            return
        speed = self._session["audio"]["output"]["speed"]
        self._characters += len(clause.strip())
        speech = self._parts.text_to_speech.speak(clause.strip(), voice=self._voice, speed=speed)
        async with aclosing(speech):
            async for pcm in speech:
                for start in range(0, len(pcm), _DELTA_BYTES):
                    self._sound(pcm[start : start + _DELTA_BYTES])

    def _sound(self, pcm: bytes) -> None:
        tokens_for_audio = self._max_tokens - text_tokens_of(self._output.text)
        affordable = tokens_for_audio * BYTES_PER_OUTPUT_TOKEN - self._output.audio_bytes
        if affordable > 0:
            self._output.sound(pcm[:affordable])
        if affordable < len(pcm):
            raise _OutOfTokens

    def _spend(self, text: str) -> None:
        text_tokens = text_tokens_of(self._output.text + text)
        if text_tokens + output_tokens_of(self._output.audio_bytes) > self._max_tokens:
            raise _OutOfTokens

    def _usage(self) -> dict[str, Any]:
        if self._parts.bills_words:
            return usage_in_words(self._chat_tokens or self._estimated_tokens(), self._characters)
        return usage_of(
            self.read,
            self._read_before,
            output_text_tokens=text_tokens_of(self._output.text),
            output_audio_tokens=output_tokens_of(self._output.audio_bytes),
        )

    def _estimated_tokens(self) -> ChatTokens:
        """Count by the rule of thumb what a chat model that was cut short did not get to say."""
        if self._asked is None:
            return ChatTokens(0, 0, 0)
        read = json.dumps([*self._asked.messages, *self._asked.tools], ensure_ascii=False)
        return ChatTokens(text_tokens_of(read), 0, text_tokens_of(self._written))

    def _described(self, status: str, details: dict[str, Any] | None, usage: dict[str, Any] | None) -> dict[str, Any]:
        output = self._session["audio"]["output"]
        return {
            "object": "realtime.response", "id": self.id, "status": status, "status_details": details,
            "conversation_id": None if self.is_out_of_band else self._session["id"].replace("sess_", "conv_"),
            "output": [item.snapshot() for item in self._output.items],
            "output_modalities": self._session["output_modalities"],
            "max_output_tokens": self._session["max_output_tokens"],
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
            "usage": usage, "metadata": self._metadata,
        }  # fmt: skip


def chat_request(
    session: dict[str, Any], items: Sequence[Item], context_tokens: int, max_output_tokens: int
) -> tuple[list[Piece], list[Item], ChatRequest]:
    """Return what a response to these items reads, which of them, and what to ask the chat model.

    Raise InvalidRequest when it cannot be read.
    """
    instructions, tools = session["instructions"], session["tools"]
    most_tokens = context_tokens - max_output_tokens
    read, kept = fitting(items, instructions, tools, most_tokens, session["truncation"])
    tool_choice = chat_tool_choice(session["tool_choice"])
    request = ChatRequest(messages_of(instructions, kept), chat_tools(tools), tool_choice, max_output_tokens)
    return read, kept, request


async def _put_all(queue: "asyncio.Queue[_Piece]", pieces: Sequence[_Piece]) -> None:
    for piece in pieces:
        await queue.put(piece)
