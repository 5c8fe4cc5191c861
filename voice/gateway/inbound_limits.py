"""How much one browser may send: audio at up to twice real time, and a few dozen messages a second."""

from array import array

from voice.audio import BYTES_PER_MS

# Long: a network that stalls delivers all it kept back in one go, and the caller did nothing wrong.
_AUDIO_WINDOW_S = 10.0
_AUDIO_BYTES_MAX = int(2 * 1000 * BYTES_PER_MS * _AUDIO_WINDOW_S)
_MESSAGES_WINDOW_S = 10.0
# Of each window: a call keeps no more numbers than this.
_SLICES = 20
_MESSAGES_MAX = int(50 * _MESSAGES_WINDOW_S)


class Window:
    """A sum over the last seconds, kept in slices so that its memory is bounded whatever arrives."""

    __slots__ = ("_amounts", "_began_at", "_most", "_sum", "_window_s")

    def __init__(self, most: int, window_s: float) -> None:
        self._most, self._window_s = most, window_s
        # When each slice began, and its amount: plain numbers take a tenth of what a list for each slice would.
        self._began_at = array("d")
        self._amounts = array("q")
        self._sum = 0

    def add(self, amount: int, now: float) -> bool:
        """Count an amount; return False when there is too much in the window."""
        while self._began_at and now - self._began_at[0] > self._window_s:
            del self._began_at[0]
            self._sum -= self._amounts.pop(0)
        if self._began_at and now - self._began_at[-1] < self._window_s / _SLICES:
            self._amounts[-1] += amount
        else:
            self._began_at.append(now)
            self._amounts.append(amount)
        self._sum += amount
        return self._sum <= self._most

    def take_back(self, amount: int) -> None:
        """Do not count what was added last."""
        self._amounts[-1] -= amount
        self._sum -= amount


class InboundLimits:
    def __init__(self) -> None:
        self._audio = Window(_AUDIO_BYTES_MAX, _AUDIO_WINDOW_S)
        self._messages = Window(_MESSAGES_MAX, _MESSAGES_WINDOW_S)

    def excess(self, *, audio_bytes: int = 0, messages: int = 0, now: float) -> str | None:
        """Return the stable word of the limit that this goes over, if it does."""
        if audio_bytes and not self._audio.add(audio_bytes, now):
            return "too_much_audio"
        if messages and not self._messages.add(messages, now):
            return "too_many_messages"
        return None

    def take_back(self, *, audio_bytes: int = 0, messages: int = 0) -> None:
        """Do not count what was looked at last."""
        if audio_bytes:
            self._audio.take_back(audio_bytes)
        if messages:
            self._messages.take_back(messages)
