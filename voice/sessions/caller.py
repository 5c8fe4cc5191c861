"""The caller's end of a conversation as the runner sees it, whichever edge the caller came in by."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, Protocol

from voice.realtime_events import AudioDelta


class Audio(NamedTuple):
    """A piece of the caller's microphone: 24 kHz mono PCM16."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Text:
    """A turn the caller typed."""

    text: str


@dataclass(frozen=True, slots=True)
class Played:
    """What the caller's side has rendered of an item, and received of everything, so far."""

    item_id: str | None
    played_ms: int
    received_bytes: int


@dataclass(frozen=True, slots=True)
class Muted:
    muted: bool


@dataclass(frozen=True, slots=True)
class ModeChosen:
    """The caller wants to talk (`voice`), or to type and read from now on."""

    voice: bool


@dataclass(frozen=True, slots=True)
class HungUp:
    pass


@dataclass(frozen=True, slots=True)
class CameBack:
    """The caller is there again after a break of their connection that was `away_s` seconds long."""

    away_s: float


CallerEvent = Audio | Text | Played | Muted | ModeChosen | CameBack | HungUp


class CallerHungUp(Exception):
    """The caller said goodbye while they waited for a model."""


class CallerGone(Exception):
    """The caller's connection ended without a goodbye."""


class ServerStopping(CallerGone):
    """The caller's connection was ended by the server, which is being stopped."""


class CallerBrokeProtocol(Exception):
    """The caller's side sent what the protocol does not allow; `code` is a stable word of the edge's error table."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Waiting(Protocol):
    """Whoever is at the other end of a call that has no model yet: a caller, or a customer's program."""

    async def until_gone(self) -> NoReturn:
        """Keep what they do, as much as a person can in that time, for whoever reads it next; cancelling loses nothing.

        Raises CallerHungUp, CallerGone or CallerBrokeProtocol.
        """
        ...


class Listener(Protocol):
    """Takes what needs no waiting as soon as it comes, and must not raise; what it leaves is yielded in its turn."""

    def take_audio(self, pcm: bytes) -> bool: ...

    def take_report(self, report: Played) -> bool: ...


class Caller(Waiting, Protocol):
    def __aiter__(self) -> AsyncIterator[CallerEvent]:
        """Yield what the caller does; raise CallerGone or CallerBrokeProtocol."""
        ...

    @property
    def is_away(self) -> bool:
        """Whether nobody hears what is handed over now; it is kept for them, and CameBack will tell of their return."""
        ...

    async def send(self, frame: bytes, event: Mapping[str, Any] | None = None) -> None:
        """Hand over one GA server event, or one of ours (`parley.*`, see own_events.py); `event` where it was read."""
        ...

    async def send_audio(self, delta: AudioDelta, frame: bytes) -> None:
        """Hand over a piece of the assistant's speech, read already, beside the frame it came in."""
        ...

    def listen(self, listener: Listener | None) -> None:
        """Offer audio and reports to the listener first that come while the next event is waited for."""
        ...

    def send_now(self, frame: bytes, event: Mapping[str, Any]) -> bool:
        """As `send`, if that needs no waiting and cannot fail; say whether it was handed over."""
        ...

    def send_audio_now(self, delta: AudioDelta) -> bool:
        """Hand over a piece of speech if that needs no waiting and cannot fail; say whether it was handed over."""
        ...
