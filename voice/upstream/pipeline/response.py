"""One response of a pipeline: asks the chat model, speaks clause by clause, and tells of it in GA events."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

from voice.audio import bytes_of, output_tokens_of
from voice.upstream.errors import UpstreamError
from voice.upstream.pipeline.clauses import ClauseCutter
from voice.upstream.pipeline.conversation import Conversation, Item, Spoken, chat_tool_choice, chat_tools, messages_of
from voice.upstream.pipeline.parts import ChatRequest, Finished, Parts, TextDelta, ToolCall
from voice.upstream.pipeline.requests import InvalidRequest
from voice.upstream.pipeline.usage import Piece, text_tokens_of, usage_of

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

    `read` is what it read, which the usage of the next one starts from.
    """

    def __init__(
        self,
        *,
        response_id: str,
        session: dict[str, Any],
        metadata: dict[str, str] | None,
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
        self._session = session
        self._metadata = metadata
        self._parts = parts
        self._conversation = conversation
        self._context_tokens = context_tokens
        self._max_tokens = max_output_tokens
        self._voice = voice
        self._read_before = read_before
        self._emit = emit
        self._new_item_id = new_item_id
        self._audio = session["output_modalities"] == ["audio"]
        self._output: list[Item] = []
        self._message: Item | None = None
        self._previous: str | None = None
        self._text = ""
        self._audio_bytes = 0
        self._clause_bytes = 0
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
        self._close_message("completed" if status == "completed" else "incomplete")
        self.done = True
        usage = None if status == "failed" else self._usage()
        self._emit("response.done", response=self._described(status, details, usage))

    def cancel(self, reason: str) -> None:
        self.finish("cancelled", {"type": "cancelled", "reason": reason})

    def _fail(self, kind: str, code: str) -> None:
        self.finish("failed", {"type": "failed", "error": {"type": kind, "code": code, "message": code}})

    async def _answer(self) -> None:
        instructions, tools = self._session["instructions"], self._session["tools"]
        most_tokens = self._context_tokens - self._max_tokens
        self.read, items = self._conversation.readable(instructions, tools, most_tokens)
        request = ChatRequest(
            messages_of(instructions, items),
            chat_tools(tools),
            chat_tool_choice(self._session["tool_choice"]),
            self._max_tokens,
        )
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
        cutter = ClauseCutter()
        try:
            async with aclosing(self._parts.chat_model.answer(request)) as answer:
                async for delta in answer:
                    if not isinstance(delta, TextDelta):
                        await _put_all(pieces, [*cutter.flush(), delta])
                    else:
                        await _put_all(pieces, cutter.feed(delta.text) if self._audio else [delta.text])
        except UpstreamError as error:
            await _put_all(pieces, [*cutter.flush(), error])

    async def _put_out(self, piece: str | ToolCall | UpstreamError) -> None:
        if isinstance(piece, UpstreamError):
            raise piece
        if isinstance(piece, ToolCall):
            self._call(piece)
        elif self._audio:
            await self._say(piece)
        else:
            self._write(piece)

    def _write(self, text: str) -> None:
        self._spend_text(text)
        message = self._open_message()
        message.data["content"][0]["text"] += text
        self._emit("response.output_text.delta", **self._place(message), content_index=0, delta=text)

    async def _say(self, clause: str) -> None:
        self._spend_text(clause)
        message = self._open_message()
        message.data["content"][0]["transcript"] += clause
        self._emit("response.output_audio_transcript.delta", **self._place(message), content_index=0, delta=clause)
        message.spoken.append(Spoken(clause, 0))
        self._clause_bytes = 0
        if not any(letter.isalnum() for letter in clause):
            return
        async for pcm in self._spoken(clause.strip()):
            self._hand_over(message, clause, pcm)

    async def _spoken(self, text: str) -> AsyncIterator[bytes]:
        speed = self._session["audio"]["output"]["speed"]
        speech = self._parts.text_to_speech.speak(text, voice=self._voice, speed=speed)
        async with aclosing(speech) as stream:
            async for pcm in stream:
                for start in range(0, len(pcm), _DELTA_BYTES):
                    yield pcm[start : start + _DELTA_BYTES]

    def _hand_over(self, message: Item, clause: str, pcm: bytes) -> None:
        affordable = (self._max_tokens - text_tokens_of(self._text)) * bytes_of(50) - self._audio_bytes
        heard = pcm[: max(0, affordable)]
        self._audio_bytes += len(heard)
        self._clause_bytes += len(heard)
        message.spoken[-1] = Spoken(clause, self._clause_bytes)
        if heard:
            delta = base64.b64encode(heard).decode()
            self._emit("response.output_audio.delta", **self._place(message), content_index=0, delta=delta)
        if len(heard) < len(pcm):
            raise _OutOfTokens

    def _call(self, call: ToolCall) -> None:
        self._spend_text(call.name + call.arguments)
        self._close_message("completed")
        fields = {"call_id": call.call_id, "name": call.name}
        item = self._add_item({"type": "function_call", **fields, "arguments": ""})
        place = {**self._place(item), "call_id": call.call_id}
        self._emit("response.function_call_arguments.delta", **place, delta=call.arguments)
        self._emit("response.function_call_arguments.done", **place, name=call.name, arguments=call.arguments)
        item.data["arguments"] = call.arguments
        self._finish_item(item, "completed")

    def _spend_text(self, text: str) -> None:
        if text_tokens_of(self._text + text) + output_tokens_of(self._audio_bytes) > self._max_tokens:
            raise _OutOfTokens
        self._text += text

    def _open_message(self) -> Item:
        if self._message is None:
            self._message = self._add_item({"type": "message", "role": "assistant", "content": []})
            part = {"type": "audio", "transcript": ""} if self._audio else {"type": "text", "text": ""}
            self._message.data["content"].append({**part, "type": f"output_{part['type']}"})
            self._emit("response.content_part.added", **self._place(self._message), content_index=0, part=part)
        return self._message

    def _close_message(self, status: str) -> None:
        message, self._message = self._message, None
        if message is None:
            return
        part = {**message.data["content"][0]}
        part["type"] = part["type"].removeprefix("output_")
        place = {**self._place(message), "content_index": 0}
        if self._audio:
            self._emit("response.output_audio.done", **place)
            self._emit("response.output_audio_transcript.done", **place, transcript=part["transcript"])
        else:
            self._emit("response.output_text.done", **place, text=part["text"])
        self._emit("response.content_part.done", **place, part=part)
        self._finish_item(message, status)

    def _add_item(self, fields: dict[str, Any]) -> Item:
        item = Item({"id": self._new_item_id(), "object": "realtime.item", "status": "in_progress", **fields})
        self._output.append(item)
        self._previous = self._conversation.add(item)
        where = {"response_id": self.id, "output_index": len(self._output) - 1}
        self._emit("response.output_item.added", **where, item=item.snapshot())
        self._emit("conversation.item.added", previous_item_id=self._previous, item=item.snapshot())
        return item

    def _finish_item(self, item: Item, status: str) -> None:
        item.data["status"] = status
        self._emit("conversation.item.done", previous_item_id=self._previous, item=item.snapshot())
        where = {"response_id": self.id, "output_index": len(self._output) - 1}
        self._emit("response.output_item.done", **where, item=item.snapshot())

    def _place(self, item: Item) -> dict[str, Any]:
        return {"response_id": self.id, "item_id": item.id, "output_index": len(self._output) - 1}

    def _usage(self) -> dict[str, Any]:
        return usage_of(
            self.read,
            self._read_before,
            output_text_tokens=text_tokens_of(self._text),
            output_audio_tokens=output_tokens_of(self._audio_bytes),
        )

    def _described(self, status: str, details: dict[str, Any] | None, usage: dict[str, Any] | None) -> dict[str, Any]:
        output = self._session["audio"]["output"]
        return {
            "object": "realtime.response", "id": self.id, "status": status, "status_details": details,
            "output": [item.snapshot() for item in self._output], "conversation_id": None,
            "output_modalities": self._session["output_modalities"],
            "max_output_tokens": self._session["max_output_tokens"],
            "audio": {"output": {"format": output["format"], "voice": output["voice"]}},
            "usage": usage, "metadata": self._metadata,
        }  # fmt: skip


async def _put_all(queue: "asyncio.Queue[_Piece]", pieces: Sequence[_Piece]) -> None:
    for piece in pieces:
        await queue.put(piece)
