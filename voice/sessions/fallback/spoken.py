"""What the caller has said and nobody has answered yet, as audio: another model may have to hear it again."""

from collections import deque

from voice.audio import bytes_of

# The half second before speech is noticed, for its first syllable lies in it. Every call keeps that much all the time.
_BEFORE_BYTES = bytes_of(500)
# As much of a turn as is worth saying again.
_TURN_BYTES_MAX = bytes_of(15_000)
# What is kept is counted in frames, which last forty milliseconds in a browser of ours and mostly twenty elsewhere.
_USUAL_FRAME_BYTES, _SHORTEST_FRAME_BYTES = bytes_of(40), bytes_of(20)


class Spoken:
    """One a call. Who passes audio on appends it to `frames` itself, which costs its path next to nothing.

    `sent_bytes` is how much of the caller's audio the upstream at hand has been sent.
    """

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque(maxlen=_BEFORE_BYTES // _USUAL_FRAME_BYTES)
        self.sent_bytes = 0
        self._is_open = False

    def begins(self, *, is_answering: bool) -> None:
        """The caller speaks; unless they are being answered, it belongs to what they said before."""
        if is_answering or not self._is_open:
            before = list(self.frames)[-self._frames_in(_BEFORE_BYTES) :]
            self.frames = deque(before, maxlen=self._frames_in(_TURN_BYTES_MAX))
        self._is_open = True

    def is_answered(self) -> None:
        """Nobody needs to hear it again."""
        self.frames = deque(self.frames, maxlen=self._frames_in(_BEFORE_BYTES))
        self._is_open = False

    def pcm(self) -> bytes:
        """Return the unanswered turn, its end if it was long; b"" when there is none."""
        return b"".join(self.frames)[-_TURN_BYTES_MAX:] if self._is_open else b""

    def _frames_in(self, pcm_bytes: int) -> int:
        frame_bytes = len(self.frames[-1]) if self.frames else _USUAL_FRAME_BYTES
        return pcm_bytes // max(frame_bytes, _SHORTEST_FRAME_BYTES)
