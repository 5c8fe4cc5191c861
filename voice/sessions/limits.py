"""How long a call may last and how long it may be silent."""

from enum import Enum

_LAST_MINUTE_S = 60.0
# After being asked whether they are still there, a caller has this long to answer.
_ANSWER_S = 12.0


class Step(Enum):
    """What is due now."""

    ASK_STILL_THERE = "ask_still_there"
    LAST_MINUTE = "last_minute"
    SILENCE = "silence"
    MAX_DURATION = "max_duration"


class Limits:
    """Times are seconds of one monotonic clock."""

    def __init__(self, *, max_duration_s: int, silence_timeout_s: int, now: float) -> None:
        self._ends_at = now + max_duration_s
        self._silence_timeout_s = silence_timeout_s
        self._active_at = now
        self._has_asked = False
        # A call shorter than two minutes has no last minute worth announcing.
        self._has_warned = max_duration_s < 2 * _LAST_MINUTE_S

    def caller_was_active(self, now: float) -> None:
        self._active_at = now
        self._has_asked = False

    def due(self, now: float, *, is_busy: bool) -> Step | None:
        """Return what is due; is_busy: the caller or the assistant is speaking, or an answer is on its way."""
        if now >= self._ends_at:
            return Step.MAX_DURATION
        if is_busy:
            self._active_at = now
        elif step := self._silence(now - self._active_at):
            self._active_at = now
            return step
        if not self._has_warned and now >= self._ends_at - _LAST_MINUTE_S:
            self._has_warned = True
            return Step.LAST_MINUTE
        return None

    def _silence(self, silent_s: float) -> Step | None:
        if self._has_asked:
            return Step.SILENCE if silent_s >= _ANSWER_S else None
        if silent_s >= self._silence_timeout_s:
            self._has_asked = True
            return Step.ASK_STILL_THERE
        return None
