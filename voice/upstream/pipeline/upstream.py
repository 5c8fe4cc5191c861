"""A Realtime session made of three models: speech to text, a chat model, and text to speech.

Client events are handled one at a time, in order, and never wait for a model: hearing.py finds the caller's turns,
transcription.py their words, and response.py answers, each beside the events.
"""

import asyncio
import binascii
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from voice.audio import ms_of
from voice.realtime_events import InvalidEvent, decode_audio, dump, parse
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamTimeout
from voice.upstream.inbox import Inbox
from voice.upstream.pipeline.answers import Answers
from voice.upstream.pipeline.background import Background
from voice.upstream.pipeline.conversation import Conversation, Item, new_item, said_item, truncated_at
from voice.upstream.pipeline.endings import Ending, ending_of
from voice.upstream.pipeline.hearing import MAX_INPUT_MS, MIN_COMMIT_MS, Hearing, Turn
from voice.upstream.pipeline.openai_compatible import OpenAICompatibleServer
from voice.upstream.pipeline.parts import Parts
from voice.upstream.pipeline.requests import (
    PCM,
    InvalidRequest,
    Order,
    chooses_silence,
    member,
    new_session,
    ordered_response,
    updated_session,
)
from voice.upstream.pipeline.transcription import Transcription
from voice.upstream.pipeline.wire_audio import decoder_of

# As long as a session of OpenAI's, so that nothing above us meets two rules.
SESSION_S = 3600.0
CLOSE_WITHIN_S = 2.0
# Whole samples.
_DECODED_BYTES = 64 * 1024


async def dial(endpoint: Endpoint, timeout_s: float) -> "PipelineUpstream":
    """Open a session once the server of the models has answered; raise UpstreamError when it does not."""
    server = await _checked_server(endpoint, timeout_s)
    return PipelineUpstream(endpoint, server.parts(), server.close)


async def dial_text(endpoint: Endpoint, timeout_s: float) -> "PipelineUpstream":
    """As `dial`, for a chat model without ears or a voice: it is billed by the tokens that it counts itself."""
    server = await _checked_server(endpoint, timeout_s)
    parts = replace(server.parts(), chat_model=server.counting_chat_model(), bills_words=True)
    return PipelineUpstream(endpoint, parts, server.close)


async def _checked_server(endpoint: Endpoint, timeout_s: float) -> OpenAICompatibleServer:
    server = OpenAICompatibleServer(endpoint)
    try:
        async with asyncio.timeout(timeout_s):
            await server.check()
    except TimeoutError:
        await server.close()
        raise UpstreamTimeout("upstream_connect_timeout", retryable=True) from None
    except BaseException:
        await server.close()
        raise
    return server


class PipelineUpstream:
    """One session. `disconnect` is awaited once, when it closes."""

    def __init__(self, endpoint: Endpoint, parts: Parts, disconnect: Callable[[], Awaitable[None]]) -> None:
        self.capabilities = endpoint.capabilities
        self._endpoint = endpoint
        self._disconnect: Callable[[], Awaitable[None]] | None = disconnect
        self._inbox = Inbox()
        self._order = asyncio.Lock()
        self._background = Background(self._on_mistake)
        self._conversation = Conversation()
        self._transcription = Transcription(parts.speech_to_text, self._background, self._emit)
        self._hearing = Hearing(
            emit=self._emit,
            new_item_id=lambda: _new_id("item"),
            transcribe=self._transcription.start,
            on_speech=self._on_speech,
            on_turn=self._on_turn,
            on_early_words=self._on_early_words,
        )
        self._answers = Answers(
            endpoint=endpoint,
            parts=parts,
            background=self._background,
            conversation=self._conversation,
            transcription=self._transcription,
            emit=self._emit,
            new_id=_new_id,
        )
        self._decoder = decoder_of(PCM)
        self._silence_is_chosen = False
        self._session = new_session(_new_id("sess"), endpoint.model, endpoint.voice, int(time.time() + SESSION_S))
        self._expiry = asyncio.get_running_loop().call_later(SESSION_S, self._on_expiry)
        self._handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "session.update": self._on_session_update,
            "input_audio_buffer.append": self._on_append,
            "input_audio_buffer.commit": self._on_commit,
            "input_audio_buffer.clear": self._on_clear,
            "conversation.item.create": self._on_item_create,
            "conversation.item.retrieve": self._on_item_retrieve,
            "conversation.item.truncate": self._on_item_truncate,
            "conversation.item.delete": self._on_item_delete,
            "response.create": self._on_response_create,
            "response.cancel": self._on_response_cancel,
        }
        self._emit("session.created", session=self._session)

    async def send(self, frame: bytes) -> None:
        async with self._order:
            if self._inbox.ended:
                raise UpstreamDropped("upstream_gone", retryable=True)
            await self._handle(frame)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await self._inbox.get()

    async def close(self) -> None:
        self._inbox.finish(None)
        self._expiry.cancel()
        await self._background.stop(CLOSE_WITHIN_S)
        async with self._order:
            self._hearing.close()
        disconnect, self._disconnect = self._disconnect, None
        if disconnect is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await disconnect()

    async def _handle(self, frame: bytes) -> None:
        event: dict[str, Any] = {}
        try:
            event = parse(frame)
            handler = self._handlers.get(event["type"])
            if handler is None:
                raise InvalidRequest("invalid_value", "There is no such client event.", "type")
            await handler(event)
        except InvalidEvent as problem:
            self._emit_error(InvalidRequest("invalid_event", f"Not an event: {problem.reason}."), None)
        except InvalidRequest as problem:
            self._emit_error(problem, event.get("event_id"))

    async def _on_session_update(self, event: dict[str, Any]) -> None:
        old, session = self._session["audio"], updated_session(self._session, event.get("session"))
        if self._answers.have_been_heard and session["audio"]["output"]["voice"] != old["output"]["voice"]:
            message = "Cannot update a conversation's voice if assistant audio is present."
            raise InvalidRequest("cannot_update_voice", message, "session.audio.output.voice")
        silence_is_chosen = chooses_silence(event["session"], self._silence_is_chosen)
        wanted = (session["audio"]["input"]["turn_detection"], silence_is_chosen)
        if wanted != (old["input"]["turn_detection"], self._silence_is_chosen):
            self._hearing.start_afresh()
        self._silence_is_chosen = silence_is_chosen
        if session["audio"]["input"]["format"] != old["input"]["format"]:
            self._decoder = decoder_of(session["audio"]["input"]["format"])
        self._transcription.wanted = session["audio"]["input"]["transcription"]
        self._session = session
        self._emit("session.updated", session=session)

    async def _on_append(self, event: dict[str, Any]) -> None:
        audio = self._audio_of(member(event, "audio", str), "audio")
        # G.711 becomes six times as much: piece by piece, so that no other call waits for it.
        for start in range(0, len(audio), _DECODED_BYTES):
            pcm = self._decoder.convert(audio[start : start + _DECODED_BYTES])
            await self._hearing.append(pcm, self._turn_detection, silence_is_chosen=self._silence_is_chosen)

    async def _on_commit(self, event: dict[str, Any]) -> None:
        self._refuse_if_busy()
        self._commit(self._hearing.commit())

    def _refuse_if_busy(self, more: int = 1) -> None:
        if not self._transcription.has_room_for(more):
            raise InvalidRequest("rate_limit_exceeded", "Too many turns are waiting to be transcribed.")

    def _decoded(self, audio: str, where: str) -> bytes:
        """Return the PCM of audio that comes in one piece with an item; raise InvalidRequest."""
        decoder = decoder_of(self._session["audio"]["input"]["format"])
        pcm = decoder.convert(self._audio_of(audio, where)) + decoder.finish()
        if not MIN_COMMIT_MS <= ms_of(len(pcm)) <= MAX_INPUT_MS:
            message = f"Audio of an item must have between {MIN_COMMIT_MS} and {MAX_INPUT_MS} ms."
            raise InvalidRequest("invalid_value", message, where)
        return pcm

    def _audio_of(self, audio: str, where: str) -> bytes:
        is_pcm = self._session["audio"]["input"]["format"] == PCM
        try:
            return decode_audio(audio) if is_pcm else binascii.a2b_base64(audio, strict_mode=True)
        except (InvalidEvent, ValueError):
            message = f"{where} must be base64 of the session's input format, in whole samples."
            raise InvalidRequest("invalid_value", message, where) from None

    async def _on_clear(self, event: dict[str, Any]) -> None:
        self._hearing.clear()
        self._emit("input_audio_buffer.cleared")

    def _on_speech(self) -> None:
        if self._turn_detection and self._turn_detection["interrupt_response"]:
            self._answers.interrupt("turn_detected")

    def _on_turn(self, turn: Turn) -> None:
        self._commit(turn)
        if self._turn_detection and self._turn_detection["create_response"] and not self._answers.is_one_running:
            self._answers.start(Order(self._session))

    def _on_early_words(self, turn: Turn, words: str) -> Ending:
        """Say whether the turn sounds complete; begin its answer."""
        if words:
            self._answers.begin_early(self._session, said_item(turn.item_id, turn.pcm, words))
        language = (self._transcription.wanted or {}).get("language", "en")
        return ending_of(words) if language.lower().startswith("en") else Ending.UNSURE

    def _commit(self, turn: Turn) -> None:
        item = said_item(turn.item_id, turn.pcm)
        previous = self._conversation.add(item)
        self._emit("input_audio_buffer.committed", item_id=item.id, previous_item_id=previous)
        self._emit_added(item, previous)
        self._transcription.write_down(item, turn.words or self._transcription.start(turn.pcm))

    async def _on_response_create(self, event: dict[str, Any]) -> None:
        order = ordered_response(self._session, event.get("response"))
        self._answers.refuse_if_too_many(order)
        self._answers.start(order, None if order.input is None else self._input_items(order.input))

    def _input_items(self, raw_items: Sequence[Any]) -> list[Item]:
        """Return the items a response is to read instead of the conversation; raise InvalidRequest."""
        items = [self._input_item(raw, f"response.input[{index}]") for index, raw in enumerate(raw_items)]
        unheard = [item for item in items if item.unheard]
        if unheard:
            self._refuse_if_busy(len(unheard))
        for item in unheard:
            self._hear(item)
        return items

    def _input_item(self, raw: Any, where: str) -> Item:
        if not isinstance(raw, dict):
            raise InvalidRequest("invalid_value", f"'{where}' must be an item.", where)
        if raw.get("type") != "item_reference" and (
            raw.get("type") or self._conversation.get(str(raw.get("id"))) is None
        ):
            return new_item(raw, _new_id("item"), self._decoded, where)
        item = self._conversation.get(member(raw, "id", str))
        if item is None:
            raise InvalidRequest("invalid_value", "There is no such item.", f"{where}.id")
        return item

    async def _on_response_cancel(self, event: dict[str, Any]) -> None:
        self._answers.cancel(member(event, "response_id", str, ""))

    async def _on_item_create(self, event: dict[str, Any]) -> None:
        item = new_item(member(event, "item", dict), _new_id("item"), self._decoded)
        if self._conversation.get(item.id) is not None:
            raise InvalidRequest("item_create_duplicate_item_id", "There is an item with this id.", "item.id")
        if item.unheard:
            self._refuse_if_busy()
        previous = self._conversation.add(item, member(event, "previous_item_id", str, "") or None)
        self._emit_added(item, previous)
        self._hear(item)

    def _hear(self, item: Item) -> None:
        """Find out what is said in audio that came with an item."""
        pcm, item.unheard = item.unheard, b""
        if pcm:
            self._transcription.write_down(item, self._transcription.start(pcm), told=False)

    async def _on_item_retrieve(self, event: dict[str, Any]) -> None:
        # Only its words: audio is not kept once it is understood.
        item = self._item_of(event, "item_retrieve_invalid_item_id")
        self._emit("conversation.item.retrieved", item=item.snapshot())

    async def _on_item_truncate(self, event: dict[str, Any]) -> None:
        if member(event, "content_index", int, 0) != 0:
            raise InvalidRequest("invalid_value", "There is no such content.", "content_index")
        audio_end_ms = member(event, "audio_end_ms", int)
        item = truncated_at(self._conversation.get(member(event, "item_id", str)), audio_end_ms)
        if item.data["status"] == "in_progress":
            # What is cut short is not to go on.
            self._answers.interrupt("client_cancelled")
        item.cut_to(audio_end_ms)
        where = {"item_id": item.id, "content_index": 0, "audio_end_ms": audio_end_ms}
        self._emit("conversation.item.truncated", **where)

    async def _on_item_delete(self, event: dict[str, Any]) -> None:
        item = self._item_of(event, "item_delete_invalid_item_id")
        self._conversation.delete(item)
        self._emit("conversation.item.deleted", item_id=item.id)

    def _item_of(self, event: dict[str, Any], code: str) -> Item:
        item = self._conversation.get(member(event, "item_id", str))
        if item is None:
            raise InvalidRequest(code, "There is no such item.", "item_id")
        return item

    @property
    def _turn_detection(self) -> dict[str, Any] | None:
        wanted: dict[str, Any] | None = self._session["audio"]["input"]["turn_detection"]
        return wanted

    def _emit_added(self, item: Item, previous: str | None) -> None:
        self._emit("conversation.item.added", previous_item_id=previous, item=item.snapshot())
        self._emit("conversation.item.done", previous_item_id=previous, item=item.snapshot())

    def _emit(self, kind: str, **fields: Any) -> None:
        self._inbox.put(dump({"type": kind, "event_id": _new_id("event"), **fields}))

    def _emit_error(self, problem: InvalidRequest, event_id: Any) -> None:
        error = {"type": "invalid_request_error", "code": problem.code, "message": problem.message}
        echoed = event_id if isinstance(event_id, str) else None
        self._emit("error", error={**error, "param": problem.param, "event_id": echoed})

    def _on_expiry(self) -> None:
        message = "Your session hit the maximum duration of 60 minutes."
        self._emit_error(InvalidRequest("session_expired", message), None)
        self._inbox.finish(UpstreamDropped("upstream_closed", retryable=True))

    def _on_mistake(self) -> None:
        # A fault of ours in the background: end the call rather than leave it silent.
        self._inbox.finish(UpstreamError("upstream_failed", retryable=True))


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(10)}"
