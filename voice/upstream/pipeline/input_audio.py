"""The caller's audio that no item has taken yet, addressed by milliseconds since the first of it."""

from voice.audio import bytes_of, ms_of


class InputAudio:
    """A buffer that remembers how much was dropped from its front."""

    def __init__(self) -> None:
        self._pcm = bytearray()
        self._dropped_bytes = 0

    def __len__(self) -> int:
        return len(self._pcm)

    @property
    def end_ms(self) -> int:
        return ms_of(self._dropped_bytes + len(self._pcm))

    def append(self, pcm: bytes) -> None:
        self._pcm += pcm

    def until(self, end_ms: int) -> bytes:
        """Return what is held up to a point in time."""
        return bytes(self._pcm[: max(0, bytes_of(end_ms) - self._dropped_bytes)])

    def take(self, end_ms: int) -> bytes:
        """Return and drop what is held up to a point in time."""
        pcm = self.until(end_ms)
        self._drop(len(pcm))
        return pcm

    def drop_before(self, start_ms: int) -> None:
        self._drop(min(len(self._pcm), max(0, bytes_of(start_ms) - self._dropped_bytes)))

    def _drop(self, n_bytes: int) -> None:
        del self._pcm[:n_bytes]
        self._dropped_bytes += n_bytes
