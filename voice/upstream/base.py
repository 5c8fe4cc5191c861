"""What an upstream is: something that takes Realtime GA client events and answers with GA server events."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do, and how much of it; taken from the catalogue."""

    audio: bool
    images: bool
    reasoning: bool
    transcribes_input: bool
    context_tokens: int
    max_output_tokens: int


@dataclass(frozen=True, slots=True)
class EntraApplication:
    """Who asks Microsoft Entra for a token; its secret is the endpoint's `api_key`."""

    tenant: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Everything an adapter needs to dial one model.

    `adapter` is a name in registry.py; `model` the name the provider knows; an empty `api_key` means none is needed.
    The fields from `chat_model` on are read by the pipeline only. `costs_nothing`: nobody bills for asking these
    models, so an answer may be begun before it is ordered, and thrown away. `entra` is Azure's; `speech_url` and its
    key are where Sarvam hears and speaks; `language` is the call's, such as hi or hi-IN, "" to find out.
    """

    adapter: str
    model: str
    base_url: str
    api_key: str = field(repr=False)
    capabilities: Capabilities
    safety_identifier: str = ""
    chat_model: str = ""
    speech_to_text_model: str = ""
    text_to_speech_model: str = ""
    voice: str = ""
    costs_nothing: bool = False
    entra: EntraApplication | None = None
    speech_url: str = ""
    speech_api_key: str = field(default="", repr=False)
    language: str = ""


class Upstream(Protocol):
    """One live connection to a model, for one reader and any number of senders on the same event loop."""

    capabilities: Capabilities

    async def send(self, frame: bytes) -> None:
        """Pass on one GA client event; raise UpstreamError when the connection is gone or does not drain."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield GA server events, session.created first.

        Ends after close(). Raises UpstreamError when the connection ends in any other way, after the events that came
        before; only a flood or garbage is raised at once.
        """

    async def close(self) -> None:
        """Hang up. May be called twice, while reading or sending, and takes bounded time."""


@runtime_checkable
class Direct(Protocol):
    """What an upstream can do besides whose frames need not wait: audio then passes without a task being woken."""

    def send_now(self, frame: bytes) -> bool:
        """Send a frame if that needs no waiting and cannot fail; say whether it was sent."""

    def listen(self, take: Callable[[bytes], bool] | None) -> None:
        """Offer every event to `take` first that comes while a reader waits for one: unread, so it must not raise."""
