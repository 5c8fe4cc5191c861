"""What the caller really heard: audio sent is not audio played, and the browser says how far it is."""

from dataclasses import dataclass

from voice.audio import ms_of

# How far a browser may be behind in receiving before it is given up: 4 MB is about 85 s of speech.
_BEHIND_BYTES_MAX = 4_000_000
_BEHIND_S_MAX = 15.0
# A browser that stops reporting is believed to play for as long as the audio lasts, and this much more.
_REPORT_GRACE_S = 3.0


@dataclass(slots=True)
class _Item:
    started_at: float
    sent_bytes: int = 0
    played_ms: int = 0
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """How an interrupted item ended: heard_ms of sent_ms were played."""

    item_id: str
    heard_ms: int
    sent_ms: int


class Playback:
    """Follow every item from sent to heard. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._items: dict[str, _Item] = {}
        self._current: str | None = None
        # The item that the browser last said it was playing, which may be one before the current one.
        self._last_played = ""
        self._awaiting_report: tuple[str, float] | None = None
        self._sent_bytes = 0
        self._received_bytes = 0
        self._caught_up_at: float | None = None

    def sent(self, item_id: str, n_bytes: int, now: float) -> None:
        item = self._items.get(item_id)
        if item is None:
            item = self._items[item_id] = _Item(started_at=now)
        item.sent_bytes += n_bytes
        self._current = item_id
        if self._sent_bytes == self._received_bytes:
            self._caught_up_at = now
        self._sent_bytes += n_bytes

    @property
    def sent_bytes(self) -> int:
        """How much audio was sent, of all items."""
        return self._sent_bytes

    @property
    def awaits_report(self) -> bool:
        """Whether the next report tells what was heard of an item that was interrupted."""
        return self._awaiting_report is not None

    def reported(self, item_id: str | None, played_ms: int, received_bytes: int, now: float) -> Heard | None:
        """Take a browser's report; return what was heard when it answers an interruption."""
        received = min(received_bytes, self._sent_bytes)
        if received > self._received_bytes:
            self._received_bytes, self._caught_up_at = received, now
        item = self._items.get(item_id or "")
        if item is None:
            return None
        # A browser may be wrong or lying: nothing can be heard that was not sent, or unheard again.
        item.played_ms = max(item.played_ms, min(played_ms, ms_of(item.sent_bytes)))
        if item_id and item.played_ms:
            self._last_played = item_id
        if self._awaiting_report and self._awaiting_report[0] == item_id:
            return self._resolve()
        return None

    def interrupt(self, now: float) -> str | None:
        """Stop the item being played, if one is; return its id. What was heard of it is known a little later."""
        item_id = self.playing(now)
        if item_id is None:
            return None
        self._items[item_id].is_interrupted = True
        self._awaiting_report = (item_id, now)
        self._current = None
        return item_id

    def cut_before(self, item_id: str) -> Heard | None:
        """Return what was heard of an item that was still playing when the one after it, `item_id`, was interrupted."""
        before = self._items.get(self._last_played)
        if before is None or self._last_played == item_id or self.heard_ms(item_id):
            return None
        sent_ms = ms_of(before.sent_bytes)
        if before.is_interrupted or before.played_ms >= sent_ms:
            return None
        before.is_interrupted = True
        return Heard(self._last_played, before.played_ms, sent_ms)

    def overdue(self, now: float, patience_s: float = 0.5) -> Heard | None:
        """Return what was heard by the last report when an interrupted browser does not answer."""
        if self._awaiting_report and now - self._awaiting_report[1] >= patience_s:
            return self._resolve()
        return None

    def playing(self, now: float) -> str | None:
        """Return the item the caller is hearing now."""
        if self._current is None:
            return None
        item = self._items[self._current]
        sent_ms = ms_of(item.sent_bytes)
        if item.played_ms >= sent_ms or now > item.started_at + sent_ms / 1000 + _REPORT_GRACE_S:
            return None
        return self._current

    def is_interrupted(self, item_id: str) -> bool:
        item = self._items.get(item_id)
        return item is not None and item.is_interrupted

    def heard_ms(self, item_id: str) -> int:
        item = self._items.get(item_id)
        return item.played_ms if item else 0

    def sent_ms(self, item_id: str) -> int:
        item = self._items.get(item_id)
        return ms_of(item.sent_bytes) if item else 0

    def came_back(self, now: float, away_s: float) -> None:
        """The browser is there again after a break; it is sent now what it missed."""
        if self._current is not None:
            self._items[self._current].started_at += away_s
        if self._caught_up_at is not None:
            self._caught_up_at = now

    def is_too_slow(self, now: float, *, is_away: bool = False) -> bool:
        """Say whether the browser is too far behind in receiving: in bytes, or in time, unless it could not receive."""
        behind_bytes = self._sent_bytes - self._received_bytes
        if behind_bytes == 0 or self._caught_up_at is None:
            return False
        return behind_bytes > _BEHIND_BYTES_MAX or (not is_away and now - self._caught_up_at > _BEHIND_S_MAX)

    def _resolve(self) -> Heard:
        assert self._awaiting_report is not None
        item_id, _ = self._awaiting_report
        self._awaiting_report = None
        item = self._items[item_id]
        return Heard(item_id, item.played_ms, ms_of(item.sent_bytes))
