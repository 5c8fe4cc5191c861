"""What the caller has said and nobody has answered yet, as audio: another model may have to hear it again."""

from collections import deque

from voice.audio import bytes_of

# In frames of the caller's, which last twenty milliseconds or more: the second before speech is noticed, for its first
# syllable lies in it, and as much of a turn as is worth saying again.
_BEFORE_FRAMES, _TURN_FRAMES = 50, 750
_TURN_BYTES_MAX = bytes_of(15_000)


class Spoken:
    """One a call. The relay appends what it passes on to `frames` itself: it costs the audio path next to nothing."""

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque(maxlen=_BEFORE_FRAMES)
        self._is_open = False

    def begins(self, *, is_answering: bool) -> None:
        """The caller speaks; unless they are being answered, it belongs to what they said before."""
        if is_answering or not self._is_open:
            self.frames = deque(list(self.frames)[-_BEFORE_FRAMES:], maxlen=_TURN_FRAMES)
        self._is_open = True

    def is_answered(self) -> None:
        """Nobody needs to hear it again."""
        self.frames = deque(list(self.frames)[-_BEFORE_FRAMES:], maxlen=_BEFORE_FRAMES)
        self._is_open = False

    def pcm(self) -> bytes:
        """Return the unanswered turn, its end if it was long; b"" when there is none."""
        return b"".join(self.frames)[-_TURN_BYTES_MAX:] if self._is_open else b""
