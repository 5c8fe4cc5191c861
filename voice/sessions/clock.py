"""What happens because time goes by: patience that runs out, goodbyes that end, limits, moves that are due."""

import time

from voice.sessions import own_events
from voice.sessions.beat import beat
from voice.sessions.interruption import truncate
from voice.sessions.limits import Step
from voice.sessions.parts import Parts
from voice.sessions.prompt import say_exactly
from voice.sessions.state import Response
from voice.sessions.stop import Stop
from voice.upstream.errors import UpstreamError

# How long a goodbye may still be playing after the assistant asked to hang up.
_GOODBYE_S = 20.0
# Well below the pauses that a caller is told of, and the silence that makes a model be left (fallback/stalls.py).
_FLUENT_S = 0.2


class Clock:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def follow(self) -> Stop:
        """Tick until the call is to end, and return why."""
        every_beat = beat()
        while True:
            await every_beat.next(self._is_fluent)
            if stop := await self.tick(time.monotonic()):
                return stop

    def _is_fluent(self, now: float) -> bool:
        """Say whether the model speaks and nothing is awaited: whatever may be due then can wait for half a second."""
        parts = self._parts
        return (
            parts.state.response is Response.RUNNING
            and now - parts.alive.seen_at < _FLUENT_S
            and not (parts.playback.awaits_report or parts.tools.is_running or parts.moving.is_expecting)
        )

    async def tick(self, now: float) -> Stop | None:
        """Do what is due at this moment of the monotonic clock."""
        parts = self._parts
        if heard := parts.playback.overdue(now):
            await truncate(parts, heard)
        is_away = parts.caller.is_away
        if parts.playback.is_too_slow(now, is_away=is_away):
            return Stop.TOO_SLOW
        is_playing = parts.playback.playing(now) is not None
        await self._look_for_life(now, is_playing=is_playing)
        response = parts.state.response
        if parts.tools.is_running:
            await parts.tools.follow(now, is_playing=is_playing, is_leaving=parts.goodbye_since is not None)
        if parts.goodbye_since is not None and response is Response.NONE and not parts.tools.is_running:
            if not is_playing or now - parts.goodbye_since > _GOODBYE_S:
                return Stop.AGENT_HUNG_UP
            return None
        is_owed = response is not Response.NONE or parts.tools.is_running
        is_busy = is_playing or parts.state.caller_is_speaking or is_owed
        await parts.moving.follow(now, is_quiet=not is_busy)
        is_busy = is_busy or parts.moving.is_moving
        # Nobody who is away can break a silence.
        step = parts.limits.due(now, is_busy=is_busy or is_away)
        return await self._keep_limits(step) if step else None

    async def _look_for_life(self, now: float, *, is_playing: bool) -> None:
        parts = self._parts
        if parts.state.response is Response.NONE or parts.gate.is_asking or parts.moving.is_moving:
            # Nothing is owed by the upstream, so nothing can be late: its time begins when it is asked.
            parts.alive.seen_at = now
        elif parts.alive.has_stalled(parts.call, parts.state, now, is_playing=is_playing):
            parts.line.break_off(UpstreamError("upstream_stalled", retryable=True))
        elif parts.alive.begins_to_pause(parts.state, now, is_playing=is_playing):
            await parts.caller.send(own_events.paused())

    async def _keep_limits(self, step: Step) -> Stop | None:
        match step:
            case Step.ASK_STILL_THERE:
                await self._notice("still_there")
                self._parts.gate.ask(say_exactly(self._parts.notices["still_there"]))
            case Step.LAST_MINUTE:
                await self._notice("last_minute")
            case Step.SILENCE:
                return Stop.SILENCE
            case Step.MAX_DURATION:
                return Stop.MAX_DURATION
        return None

    async def _notice(self, code: str) -> None:
        await self._parts.caller.send(own_events.notice(code, self._parts.notices[code]))
