"""How much one browser may send: audio at up to twice real time, and a few dozen messages a second."""

from voice.audio import BYTES_PER_MS

# Beyond what is a caller's due in the long run, so much at once: a network that stalls delivers all it kept back in one
# go, and the caller did nothing wrong.
_AUDIO_BURST_S = 20
_AUDIO_BYTES_PER_S = 2 * 1000 * BYTES_PER_MS
_MESSAGES_BURST = 500
_MESSAGES_PER_S = 50


class TokenBucket:
    """So much a second in the long run, and up to `burst` at once. Times are of one clock, in seconds."""

    __slots__ = ("_burst", "_left", "_per_s", "_seen_at")

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._left, self._seen_at = burst, 0.0

    def take(self, amount: int, now: float) -> bool:
        """Count an amount; return False when it is more than there is left."""
        left = self._left + (now - self._seen_at) * self._per_s
        self._left = left = (left if left < self._burst else self._burst) - amount
        self._seen_at = now
        return left >= 0

    def put_back(self, amount: int) -> None:
        """Do not count what was taken last."""
        self._left += amount


class InboundLimits:
    """`audio` is counted in bytes. Who knows what it is that has come takes of `audio` or of `messages` itself."""

    def __init__(self) -> None:
        self.audio = TokenBucket(_AUDIO_BYTES_PER_S, _AUDIO_BURST_S * 1000 * BYTES_PER_MS)
        self.messages = TokenBucket(_MESSAGES_PER_S, _MESSAGES_BURST)

    def excess(self, *, audio_bytes: int = 0, messages: int = 0, now: float) -> str | None:
        """Return the stable word of the limit that this goes over, if it does."""
        if audio_bytes and not self.audio.take(audio_bytes, now):
            return "too_much_audio"
        if messages and not self.messages.take(messages, now):
            return "too_many_messages"
        return None
