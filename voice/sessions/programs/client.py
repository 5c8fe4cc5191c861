"""A customer's own Realtime program as the conversation sees it: what it asked for, read and checked by the edge."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from voice.sessions.caller import Waiting


@dataclass(frozen=True, slots=True)
class Appended:
    """Audio for the input buffer, passed on as it came; `n_bytes` of it, in the session's input format."""

    frame: bytes
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Said:
    """Any other event that is passed on as it came; `tokens` bounds from above what it adds to the context."""

    frame: bytes
    event: Mapping[str, Any]
    tokens: int = 0

    @property
    def kind(self) -> str:
        return str(self.event["type"])


@dataclass(frozen=True, slots=True)
class SessionWanted:
    """A session.update whose members were checked. `tokens` bounds the instructions and tools it names."""

    session: Mapping[str, Any]
    event_id: str | None
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class ResponseWanted:
    """A response.create whose members were checked. `tokens` bounds what it reads beside the conversation."""

    response: Mapping[str, Any]
    event_id: str | None
    output_tokens: int | None = None
    tokens: int = 0

    @property
    def is_out_of_band(self) -> bool:
        return self.response.get("conversation") == "none"


ClientEvent = Appended | Said | SessionWanted | ResponseWanted


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one event was not done; becomes an `error` event and changes nothing."""

    code: str
    message: str
    param: str | None = None
    event_id: str | None = None


class Client(Waiting, Protocol):
    def __aiter__(self) -> AsyncIterator[ClientEvent]:
        """Yield what the client asks for; raise CallerGone or CallerBrokeProtocol."""
        ...

    async def send(self, frame: bytes) -> None:
        """Hand over one GA server event."""
        ...

    def send_now(self, frame: bytes) -> bool:
        """Hand over one GA server event if that needs no waiting and cannot fail; say whether it was handed over."""
        ...

    def listen(self, take: Callable[[Appended], bool] | None) -> None:
        """Offer audio to `take` first that comes while the next event is waited for: it must not raise."""
        ...

    async def refuse(self, refusal: Refusal) -> None:
        """Answer an event that cannot be done."""
        ...

    @property
    def waits_since(self) -> float | None:
        """Since when the client has not taken what it was sent, on the monotonic clock; None when it has."""
        ...
