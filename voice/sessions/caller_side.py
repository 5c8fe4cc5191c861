"""What the caller does, passed on to the model: their speech, their typing, what they have heard."""

import time
import uuid

from voice import realtime_events
from voice.sessions.caller import Audio, CameBack, HungUp, ModeChosen, Muted, Played, Text
from voice.sessions.interruption import interrupt, truncate
from voice.sessions.parts import Parts
from voice.sessions.state import Response
from voice.sessions.stop import Stop
from voice.upstream.errors import UpstreamError


class CallerSide:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        # What a frame of audio passes, within reach.
        self._line, self._spoken, self._playback = parts.line, parts.spoken, parts.playback

    async def follow(self) -> Stop:
        """Pass on what the caller says until they hang up; raise CallerGone or CallerBrokeProtocol."""
        caller = self._parts.caller
        caller.listen(self)
        try:
            return await self._do_as_they_do()
        finally:
            # Nothing is passed on while the call is being closed, and a caller that is kept must not keep the call.
            caller.listen(None)

    async def _do_as_they_do(self) -> Stop:
        limits = self._parts.limits
        async for event in self._parts.caller:
            match event:
                case Audio():
                    # Here, not in a coroutine of its own: fifty a second of every caller's.
                    spoken, pcm = self._spoken, event.pcm
                    spoken.sent_bytes += len(pcm)
                    spoken.frames.append(pcm)
                    frame = realtime_events.append_audio(pcm)
                    try:
                        await self._line.ears.send(frame)
                    except UpstreamError as error:
                        self._line.break_off(error)
                        await self._line.ears.send(frame)
                case Played(item_id, played_ms, received_bytes):
                    heard = self._playback.reported(item_id, played_ms, received_bytes, time.monotonic())
                    await truncate(self._parts, heard)
                case Text(text):
                    await self._on_typed(text)
                case ModeChosen(is_voice):
                    limits.caller_was_active(time.monotonic())
                    await self._parts.moving.choose_mode(is_voice=is_voice)
                case Muted():
                    limits.caller_was_active(time.monotonic())
                case CameBack(away_s):
                    self._on_back(away_s)
                case HungUp():
                    return Stop.CALLER_HUNG_UP
        return Stop.CALLER_HUNG_UP

    # What nobody has to wait for; the rest is left to `follow`.

    def take_audio(self, pcm: bytes) -> bool:
        ears = self._line.direct_ears
        if ears is None or not ears.send_now(realtime_events.append_audio(pcm)):
            return False
        spoken = self._spoken
        spoken.sent_bytes += len(pcm)
        spoken.frames.append(pcm)
        return True

    def take_report(self, report: Played) -> bool:
        if self._playback.awaits_report:
            return False
        self._playback.reported(report.item_id, report.played_ms, report.received_bytes, time.monotonic())
        return True

    async def _on_typed(self, text: str) -> None:
        parts, now = self._parts, time.monotonic()
        parts.limits.caller_was_active(now)
        await interrupt(parts, now)
        if parts.state.response is Response.RUNNING:
            await parts.line.send(realtime_events.response_cancel())
        item_id = f"typed_{uuid.uuid4().hex[:16]}"
        parts.turns.caller_started(item_id, now)
        parts.turns.caller_finished(item_id, now)
        parts.words.caller_final(item_id, text)
        parts.state.text_added(text)
        parts.state.caller_finished_turn()
        await parts.line.send(realtime_events.user_text(text, item_id))
        parts.gate.ask()

    def _on_back(self, away_s: float) -> None:
        now = time.monotonic()
        self._playback.came_back(now, away_s)
        self._parts.limits.caller_was_active(now)
        self._parts.gate.response_is_over()
