"""What a browser was sent and has not said to have received, so that it can be sent again after a break. Pure.

A steady call keeps a tenth of a second of frames, and those only by reference: what a report says was received goes.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from voice.gateway.widget_protocol import serialise
from voice.realtime_events import AudioDelta

# As far behind as a browser may be (sessions/playback.py), and what an answer's captions may take meanwhile.
_AUDIO_BYTES_MAX = 4_000_000
_TEXT_CHARS_MAX = 64_000
_AUDIO_BEGIN = '{"type":"audio.begin"'
_AUDIO_CLEAR = '{"type":"audio.clear"'


@dataclass(frozen=True, slots=True)
class _Message:
    """`number`: how many messages of the call came before it."""

    number: int
    text: str


Piece = str | AudioDelta


class Unheard:
    """Messages and audio in the order in which they were sent. Bytes and messages are counted over a whole call.

    `before_bytes` and `before_messages` came from another process; of them nothing can be sent again.
    """

    def __init__(self, before_bytes: int = 0, before_messages: int = 0) -> None:
        self._kept: deque[_Message | AudioDelta] = deque()
        self._kept_bytes = self._kept_chars = 0
        # Of the bytes sent: those the browser counts as received, and those it will never be sent, so never count.
        self._before_bytes = self._received_bytes = before_bytes
        self._skipped_bytes = 0
        self._next_number = before_messages
        self._number_at_break: int | None = None

    @property
    def owes_audio(self) -> bool:
        """Whether a browser that is there has a reason to report."""
        return self._kept_bytes > 0

    def add_message(self, text: str) -> None:
        self._kept.append(_Message(self._next_number, text))
        self._next_number += 1
        self._kept_chars += len(text)
        while self._kept_chars > _TEXT_CHARS_MAX:
            self._drop_oldest(_Message)

    def add_audio(self, delta: AudioDelta) -> None:
        self._kept.append(delta)
        self._kept_bytes += len(delta.pcm)
        while self._kept_bytes > _AUDIO_BYTES_MAX:
            self._drop_oldest(AudioDelta)

    def received(self, received_bytes: int) -> int:
        """Take a browser's count of audio bytes; return how many of those sent here that accounts for.

        Everything that was sent before a piece that has come has come, too: a connection keeps its order.
        """
        end = self._received_bytes
        arrived = 0
        for index, piece in enumerate(self._kept):
            if isinstance(piece, AudioDelta):
                end += len(piece.pcm)
                if end > received_bytes:
                    break
                arrived = index + 1
        for _ in range(arrived):
            piece = self._kept.popleft()
            self._forget(piece)
            if isinstance(piece, AudioDelta):
                self._received_bytes += len(piece.pcm)
        received_bytes = min(received_bytes, self._received_bytes + self._kept_bytes)
        return max(0, received_bytes - self._before_bytes) + self._skipped_bytes

    def messages(self) -> list[tuple[int, str]]:
        """Return the messages that may not have come, each with its number."""
        return [(piece.number, piece.text) for piece in self._kept if isinstance(piece, _Message)]

    def broke(self) -> None:
        """The connection is known to be lost: a browser that counts no messages has had what came before."""
        self._number_at_break = self._next_number

    def missed(self, received_bytes: int, received_messages: int | None) -> list[Piece]:
        """Return what a browser that has received so much is to be sent again, in order; from now on it counts anew."""
        self.received(received_bytes)
        before = self._surely_missed() if received_messages is None else min(received_messages, self._next_number)
        wanted = list(self._worth_sending(before))
        self._kept.clear()
        self._kept_bytes = self._kept_chars = 0
        self._next_number = self._number_at_break = before
        for piece in wanted:
            if isinstance(piece, AudioDelta):
                self.add_audio(piece)
            else:
                self.add_message(piece)
        return wanted

    def _surely_missed(self) -> int:
        """Return the first message that cannot have come: it was sent after audio that has not, or after the break."""
        number = self._next_number if self._number_at_break is None else self._number_at_break
        is_behind_audio = False
        for piece in self._kept:
            if isinstance(piece, AudioDelta):
                is_behind_audio = True
            elif is_behind_audio:
                return min(number, piece.number)
        return number

    def _worth_sending(self, before: int) -> Iterator[Piece]:
        cleared = {piece.text for piece in self._kept if isinstance(piece, _Message) and _is_clear(piece)}
        announced = ""
        for piece in self._kept:
            if isinstance(piece, _Message):
                if piece.number >= before:
                    announced = piece.text if piece.text.startswith(_AUDIO_BEGIN) else announced
                    yield piece.text
            elif serialise("audio.clear", item_id=piece.item_id) in cleared:
                self._skipped_bytes += len(piece.pcm)
            else:
                begin = serialise("audio.begin", item_id=piece.item_id)
                if begin != announced:
                    yield begin
                announced = begin
                yield piece

    def _drop_oldest(self, kind: type[_Message] | type[AudioDelta]) -> None:
        oldest = next(piece for piece in self._kept if isinstance(piece, kind))
        self._kept.remove(oldest)
        self._forget(oldest)
        if isinstance(oldest, AudioDelta):
            self._skipped_bytes += len(oldest.pcm)

    def _forget(self, piece: _Message | AudioDelta) -> None:
        if isinstance(piece, AudioDelta):
            self._kept_bytes -= len(piece.pcm)
        else:
            self._kept_chars -= len(piece.text)


def _is_clear(message: _Message) -> bool:
    return message.text.startswith(_AUDIO_CLEAR)
