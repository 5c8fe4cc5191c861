"""A Realtime session made of three models: speech to text, a chat model, and text to speech.

Client events are handled one at a time, in order, and never wait for a model: listening to the caller, transcribing
and answering go on beside them. Reads from top to bottom as a turn goes: listen, transcribe, answer.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from voice.audio import bytes_of, ms_of
from voice.realtime_events import InvalidEvent, decode_audio, dump, parse
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamTimeout
from voice.upstream.inbox import Inbox
from voice.upstream.pipeline.conversation import Conversation, Item, new_item, truncated_at
from voice.upstream.pipeline.input_audio import InputAudio
from voice.upstream.pipeline.openai_compatible import OpenAICompatibleServer
from voice.upstream.pipeline.parts import Parts
from voice.upstream.pipeline.requests import (
    InvalidRequest,
    member,
    most_output_tokens,
    new_session,
    ordered_response,
    updated_session,
)
from voice.upstream.pipeline.response import Response
from voice.upstream.pipeline.turn_detection import Detector, Kind, Signal, Thresholds, TurnDetector, detectors
from voice.upstream.pipeline.usage import Piece

# As long as a session of OpenAI's, so that nothing above us meets two rules.
SESSION_S = 3600.0
CLOSE_WITHIN_S = 2.0
# A turn cut by hand; the embedded models read two minutes at most.
MAX_INPUT_MS = 120_000
MIN_COMMIT_MS = 100
MAX_TRANSCRIPTIONS = 8
# Long frames are heard piece by piece, so that one call's backlog does not hold up every other call.
_SLICE_BYTES = bytes_of(100)
# The detector is this far behind the audio at most: the resampler's delay and two of its windows.
_DETECTOR_LAG_MS = 200


async def dial(endpoint: Endpoint, timeout_s: float) -> "PipelineUpstream":
    """Open a session once the server of the models has answered; raise UpstreamError when it does not."""
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
    return PipelineUpstream(endpoint, server.parts(), server.close)


class PipelineUpstream:
    """One session. `disconnect` is awaited once, when it closes."""

    def __init__(self, endpoint: Endpoint, parts: Parts, disconnect: Callable[[], Awaitable[None]]) -> None:
        self.capabilities = endpoint.capabilities
        self._endpoint = endpoint
        self._parts = parts
        self._disconnect = disconnect
        self._inbox = Inbox()
        self._order = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._conversation = Conversation()
        self._input = InputAudio()
        self._detector: Detector | None = None
        self._turns: TurnDetector | None = None
        self._turns_began_ms = 0
        self._turn_item_id = _new_id("item")
        self._early: asyncio.Task[str] | None = None
        self._transcribing: set[asyncio.Task[None]] = set()
        self._untold_failure: UpstreamError | None = None
        self._response: Response | None = None
        self._answering: asyncio.Task[None] | None = None
        self._read_before: list[Piece] = []
        self._spoke = False
        self._session = new_session(_new_id("sess"), endpoint.model, endpoint.voice, int(time.time() + SESSION_S))
        self._expiry = asyncio.get_running_loop().call_later(SESSION_S, self._expire)
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
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_WITHIN_S)
        if self._detector is not None:
            detectors.give_back(self._detector)
            self._detector = self._turns = None
        disconnect, self._disconnect = self._disconnect, _nothing
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
            self._emit_error("invalid_event", f"Not an event: {problem.reason}.", None, None)
        except InvalidRequest as problem:
            self._emit_error(problem.code, problem.message, problem.param, event.get("event_id"))

    # The session

    async def _on_session_update(self, event: dict[str, Any]) -> None:
        session = updated_session(self._session, event.get("session"))
        old_output, output = self._session["audio"]["output"], session["audio"]["output"]
        if self._spoke and output["voice"] != old_output["voice"]:
            message = "Cannot update a conversation's voice if assistant audio is present."
            raise InvalidRequest("cannot_update_voice", message, "session.audio.output.voice")
        if session["audio"]["input"]["turn_detection"] != self._session["audio"]["input"]["turn_detection"]:
            self._stop_listening()
        self._session = session
        self._emit("session.updated", session=session)

    def _expire(self) -> None:
        self._emit_error("session_expired", "Your session hit the maximum duration of 60 minutes.", None, None)
        self._inbox.finish(UpstreamDropped("upstream_closed", retryable=True))

    # Listen

    async def _on_append(self, event: dict[str, Any]) -> None:
        pcm = _pcm_of(event)
        if self._turn_detection is None:
            self._hold(pcm)
            return
        turns = await self._listening(self._turn_detection)
        for start in range(0, len(pcm), _SLICE_BYTES):
            piece = pcm[start : start + _SLICE_BYTES]
            self._input.append(piece)
            for signal in turns.feed(piece):
                self._on_signal(signal)
            if not turns.speaking:
                self._input.drop_before(self._input.end_ms - turns.thresholds.prefix_ms - _DETECTOR_LAG_MS)
            await asyncio.sleep(0)

    def _hold(self, pcm: bytes) -> None:
        if len(self._input) + len(pcm) > bytes_of(MAX_INPUT_MS):
            message = f"The input audio buffer holds {MAX_INPUT_MS} ms; commit or clear it."
            raise InvalidRequest("input_audio_buffer_full", message, "audio")
        self._input.append(pcm)

    async def _listening(self, turn_detection: dict[str, Any]) -> TurnDetector:
        if self._detector is None:
            self._detector = await detectors.take()
        if self._turns is None:
            self._turns = TurnDetector(self._detector, Thresholds.of(turn_detection))
            self._turns_began_ms = self._input.end_ms
        return self._turns

    def _stop_listening(self) -> None:
        self._turns = None
        self._drop_early_transcription()

    def _on_signal(self, signal: Signal) -> None:
        at_ms = self._turns_began_ms + signal.at_ms
        if signal.kind is Kind.STARTED:
            self._on_speech_started(at_ms)
        elif signal.kind is Kind.PAUSED:
            self._early = self._start(self._transcribe(self._input.until(at_ms)))
        elif signal.kind is Kind.RESUMED:
            self._drop_early_transcription()
        elif signal.kind is Kind.STOPPED:
            self._on_speech_stopped(at_ms)

    def _on_speech_started(self, at_ms: int) -> None:
        self._input.drop_before(at_ms)
        self._emit("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=self._turn_item_id)
        if self._turn_detection and self._turn_detection["interrupt_response"]:
            self._cancel_response("turn_detected")

    def _on_speech_stopped(self, at_ms: int) -> None:
        self._emit("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=self._turn_item_id)
        self._commit(at_ms)
        if self._turn_detection and self._turn_detection["create_response"] and not self._is_answering:
            self._respond(*ordered_response(self._session, None))

    async def _on_commit(self, event: dict[str, Any]) -> None:
        if ms_of(len(self._input)) < MIN_COMMIT_MS:
            message = f"Expected at least {MIN_COMMIT_MS}ms of audio, but the buffer has {ms_of(len(self._input))}ms."
            raise InvalidRequest("input_audio_buffer_commit_empty", message)
        if len(self._transcribing) >= MAX_TRANSCRIPTIONS:
            raise InvalidRequest("rate_limit_exceeded", "Too many turns are waiting to be transcribed.")
        self._drop_early_transcription()
        if self._turns is not None:
            self._turns.forget_turn()
        self._commit(self._input.end_ms)

    async def _on_clear(self, event: dict[str, Any]) -> None:
        self._input.take(self._input.end_ms)
        self._stop_listening()
        self._emit("input_audio_buffer.cleared")

    # Transcribe

    def _commit(self, end_ms: int) -> None:
        """Make an item of the audio so far, and start to find out what was said."""
        pcm = self._input.take(end_ms)
        item_id, self._turn_item_id = self._turn_item_id, _new_id("item")
        content = [{"type": "input_audio", "transcript": None}]
        data = {"id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user"}
        item = Item({**data, "content": content}, audio_bytes=len(pcm))
        previous = self._conversation.add(item)
        self._emit("input_audio_buffer.committed", item_id=item_id, previous_item_id=previous)
        self._emit_added(item, previous)
        early, self._early = self._early, None
        words = early or self._start(self._transcribe(pcm))
        task = self._start(self._write_down(item, words))
        self._transcribing.add(task)
        task.add_done_callback(self._transcribing.discard)

    async def _transcribe(self, pcm: bytes) -> str:
        wanted = self._session["audio"]["input"]["transcription"] or {}
        language, prompt = wanted.get("language", ""), wanted.get("prompt", "")
        return await self._parts.speech_to_text.transcribe(pcm, language=language, prompt=prompt)

    async def _write_down(self, item: Item, words: "asyncio.Task[str]") -> None:
        place = {"item_id": item.id, "content_index": 0}
        event = "conversation.item.input_audio_transcription."
        told = self._session["audio"]["input"]["transcription"] is not None
        try:
            transcript = await words
        except UpstreamError as error:
            self._untold_failure = error
            if told:
                problem = {"type": "transcription_error", "code": error.code, "message": error.code, "param": None}
                self._emit(event + "failed", **place, error=problem)
            return
        item.data["content"][0]["transcript"] = transcript
        if told:
            usage = {"type": "duration", "seconds": ms_of(item.audio_bytes) / 1000}
            self._emit(event + "completed", **place, transcript=transcript, usage=usage)

    async def _all_transcribed(self) -> None:
        """Wait for the words of every turn so far; raise the UpstreamError of one that has none."""
        if self._transcribing:
            await asyncio.wait(set(self._transcribing))
        failure, self._untold_failure = self._untold_failure, None
        if failure is not None:
            raise failure

    def _drop_early_transcription(self) -> None:
        if self._early is not None:
            self._early.cancel()
            self._early = None

    # Answer

    async def _on_response_create(self, event: dict[str, Any]) -> None:
        if self._is_answering:
            message = "Conversation already has an active response in progress."
            raise InvalidRequest("conversation_already_has_active_response", message)
        self._respond(*ordered_response(self._session, event.get("response")))

    def _respond(self, session: dict[str, Any], metadata: dict[str, str] | None) -> None:
        self._spoke = self._spoke or session["output_modalities"] == ["audio"]
        if self._response is not None:
            # A response that failed before it read anything leaves what was read before it.
            self._read_before = self._response.read or self._read_before
        self._response = Response(
            response_id=_new_id("resp"),
            session=session,
            metadata=metadata,
            parts=self._parts,
            conversation=self._conversation,
            context_tokens=self.capabilities.context_tokens,
            max_output_tokens=most_output_tokens(session, self.capabilities),
            # The operator's voice exists on the server at hand; what clients ask for by habit need not.
            voice=self._endpoint.voice or session["audio"]["output"]["voice"],
            read_before=self._read_before,
            emit=self._emit,
            new_id=_new_id,
        )
        self._answering = self._start(self._response.run(self._all_transcribed))

    @property
    def _is_answering(self) -> bool:
        return self._response is not None and not self._response.done

    async def _on_response_cancel(self, event: dict[str, Any]) -> None:
        wanted = member(event, "response_id", str, "")
        if self._response is None or not self._is_answering or wanted not in ("", self._response.id):
            message = "Cancellation failed: no active response found"
            raise InvalidRequest("response_cancel_not_active", message, "response_id" if wanted else None)
        self._cancel_response("client_cancelled")

    def _cancel_response(self, reason: str) -> None:
        """End the running response, if any, at once; the requests behind it end on their own."""
        if self._response is not None and self._answering is not None and self._is_answering:
            self._response.cancel(reason)
            self._answering.cancel()

    # Items

    async def _on_item_create(self, event: dict[str, Any]) -> None:
        item = new_item(member(event, "item", dict), _new_id("item"))
        if self._conversation.get(item.id) is not None:
            raise InvalidRequest("item_create_duplicate_item_id", "There is an item with this id.", "item.id")
        previous = self._conversation.add(item, event.get("previous_item_id"))
        self._emit_added(item, previous)

    async def _on_item_retrieve(self, event: dict[str, Any]) -> None:
        """Return an item; its audio is not kept, so only its words."""
        item = self._item_of(event, "item_retrieve_invalid_item_id")
        self._emit("conversation.item.retrieved", item=item.snapshot())

    async def _on_item_truncate(self, event: dict[str, Any]) -> None:
        audio_end_ms = member(event, "audio_end_ms", int)
        item = truncated_at(self._conversation.get(member(event, "item_id", str)), audio_end_ms)
        if item.data["status"] == "in_progress":
            # What is cut short is not to go on.
            self._cancel_response("client_cancelled")
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

    def _emit_added(self, item: Item, previous: str | None) -> None:
        self._emit("conversation.item.added", previous_item_id=previous, item=item.snapshot())
        self._emit("conversation.item.done", previous_item_id=previous, item=item.snapshot())

    # Common to all

    @property
    def _turn_detection(self) -> dict[str, Any] | None:
        wanted: dict[str, Any] | None = self._session["audio"]["input"]["turn_detection"]
        return wanted

    def _emit(self, kind: str, **fields: Any) -> None:
        self._inbox.put(dump({"type": kind, "event_id": _new_id("event"), **fields}))

    def _emit_error(self, code: str, message: str, param: str | None, event_id: Any) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": param}
        self._emit("error", error={**error, "event_id": event_id if isinstance(event_id, str) else None})

    def _start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and not isinstance(task.exception(), UpstreamError):
            # A mistake of ours: end the call rather than leave it silent.
            self._inbox.finish(UpstreamError("upstream_failed", retryable=True))
            raise task.exception() or AssertionError


async def _nothing() -> None:
    pass


def _new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_hex(10)}"


def _pcm_of(event: dict[str, Any]) -> bytes:
    try:
        return decode_audio(member(event, "audio", str))
    except InvalidEvent:
        raise InvalidRequest("invalid_value", "audio must be base64 of whole 16-bit samples.", "audio") from None
