"""What a conversation needs to know about itself, read once before it starts; nothing here touches the database."""

from dataclasses import dataclass
from uuid import UUID

from voice.history import WHOLE
from voice.models.rung import RungKind
from voice.tools.spec import ToolSpec
from voice.upstream.base import Endpoint


@dataclass(frozen=True, slots=True)
class CollectedField:
    """One thing a task needs from the caller, for example name="address", description="street and number"."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Call:
    session_id: UUID
    organisation_id: UUID
    client_ip: str
    is_voice: bool

    agent_name: str
    instructions: str
    greeting: str
    language: str
    task_name: str
    collects: tuple[CollectedField, ...]
    shows_prices: bool

    model_asked: str
    # Which model holds the call, what kind it is, and why it is not the one asked for: a sentence, or "".
    model_served: str
    endpoint: Endpoint
    # The provider's name for it, and ours; empty where nothing is written down.
    transcription_model: str
    transcription_slug: str

    max_output_tokens: int
    max_duration_s: int
    silence_timeout_s: int
    # Who decides that the caller has finished (voice.models.TurnDetection).
    turn_detection: str = "server_vad"

    # How much of it is read again before each answer (voice.history).
    history: str = WHOLE

    # Whether the caller's page shows in writing what is said, and whether they agreed to its being kept.
    captions: bool = True
    records_words: bool = False

    rung_kind: RungKind = RungKind.REALTIME
    # Whose servers that model is on (voice.catalogue.on_offer.house_of).
    house: str = ""
    model_reason: str = ""

    # How many processes have held it before this one.
    generation: int = 0

    # The customer's own tools, beside the built-in ones (sessions/tools.py).
    tools: tuple[ToolSpec, ...] = ()
