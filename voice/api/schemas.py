"""What the API takes and gives, as types: requests are checked by them, and the OpenAPI document is made of them."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from voice.catalogue.seed_data import REALTIME_VOICES

_LANGUAGE = r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,6})?)?$"
_METADATA_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_METADATA = 16
_LONGEST_METADATA = 512

RealtimeVoice = Literal["alloy", "echo", "shimmer", "ash", "ballad", "coral", "sage", "verse", "marin", "cedar"]
assert set(RealtimeVoice.__args__) == set(REALTIME_VOICES)  # type: ignore[attr-defined]


class Given(BaseModel):
    """A request's body: no other fields, and no guessing at types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ErrorDetail(BaseModel):
    code: str
    message: str
    type: str
    param: str | None = Field(description="The field that is wrong, where one is.")


class Error(BaseModel):
    error: ErrorDetail


def _web_address(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be an address such as https://example.com/hook") from None
    schemes = {"https", "http"} if settings.OUTGOING_ALLOW_PRIVATE else {"https"}
    if parts.scheme not in schemes or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be an address such as https://example.com/hook")
    return url


def _voice(value: Any) -> Any:
    if isinstance(value, bool) or value in REALTIME_VOICES:
        return value
    raise ValueError(f"choose true, false or one of: {', '.join(RealtimeVoice.__args__)}")  # type: ignore[attr-defined]


def _metadata(values: dict[str, str]) -> dict[str, str]:
    if len(values) > _MOST_METADATA:
        raise ValueError(f"has at most {_MOST_METADATA} pairs")
    for name, value in values.items():
        if not _METADATA_KEY.fullmatch(name):
            raise ValueError("names have 1 to 64 letters, digits, underscores, dots or hyphens")
        if len(value) > _LONGEST_METADATA:
            raise ValueError(f"values have at most {_LONGEST_METADATA} characters")
    return values


Language = Annotated[str, StringConstraints(max_length=10, pattern=_LANGUAGE)]
Metadata = Annotated[dict[str, str], AfterValidator(_metadata)]
WebhookUrl = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_web_address)]


class SessionStart(Given):
    """Ask for a call. A page's visitor sends `agent` and `captcha`; code with an API key whatever it wants to set."""

    agent: Annotated[str, Field(min_length=1, max_length=64, description="An agent's public key or id.")] | None = None
    captcha: str = Field("", max_length=8192, description="Visitors only: the solved challenge.")
    voice: Annotated[bool | RealtimeVoice, BeforeValidator(_voice)] = Field(
        True, description="The voice to speak with. true: the agent's own; false: a typed conversation."
    )
    language: Language = Field("", description="A tag such as en or pt-BR.")
    consent: bool | None = Field(None, description="The caller's answer about keeping their words.")
    consent_version: str = Field("", max_length=40)
    llm_model: str = Field("", max_length=80, description="A realtime model of the catalogue.")
    turn_detection: Literal["realtime_llm", "server_vad"] | None = Field(
        None, description="Who decides that the caller has finished: the model, or a silence."
    )
    system_prompt: str = Field("", max_length=8000)
    max_duration_seconds: Annotated[int, Field(ge=30, le=3600)] | None = None
    webhook_url: WebhookUrl | None = Field(None, description="Told how this call starts and ends.")
    metadata: Metadata = Field(default_factory=dict, description="Yours; given back as it was.")


class Rating(Given):
    token: str = Field(max_length=300)
    stars: int = Field(ge=1, le=5)
    comment: str = Field("", max_length=1000)


class RatingKept(BaseModel):
    stars: int
    comment: str


class SessionOut(BaseModel):
    id: UUID
    object: Literal["voice.session"] = "voice.session"
    status: Literal["created", "live", "ended"]
    source: Literal["widget", "api", "realtime"]
    agent: UUID | None
    llm_model: str = Field(description="What was asked for.")
    model_served: str
    model_reason: str = Field(description="Why another model serves than was asked for; empty when it is the same.")
    voice: str
    language: str
    turn_detection: str
    max_duration_seconds: int | None
    webhook_url: str | None
    metadata: dict[str, str]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int
    end_reason: str | None
    outcome: str | None
    captured_micro: int = Field(description="What it has cost, in millionths of a credit.")


class SessionStarted(BaseModel):
    id: UUID
    ticket: str = Field(description="Opens the websocket, once and within a minute.")
    websocket_url: str
    model_asked: str
    model_served: str
    model_reason: str
    is_voice: bool = Field(description="false: typed, by wish or because nothing can be talked to now.")
    expires_at: datetime
    session: SessionOut | None = Field(None, description="With an API key.")


class SessionPage(BaseModel):
    object: Literal["list"] = "list"
    data: list[SessionOut]
    has_more: bool
    next_cursor: str | None


class TranscriptTurn(BaseModel):
    index: int
    speaker: Literal["caller", "agent"]
    text: str = Field(description="As it was heard: an answer that was interrupted ends where it was.")
    started_ms: int
    ended_ms: int
    latency_ms: int | None
    interrupted: bool


class TranscriptOut(BaseModel):
    object: Literal["voice.session.transcript"] = "voice.session.transcript"
    session_id: UUID
    is_redacted: bool
    turns: list[TranscriptTurn]


class CostLine(BaseModel):
    label: str
    quantity: int
    unit: str
    amount_micro: int


class CostOut(BaseModel):
    object: Literal["voice.session.cost"] = "voice.session.cost"
    session_id: UUID
    is_final: bool
    lines: list[CostLine]
    total_micro: int = Field(description="The lines add up to it. A credit has a million.")
    uncollected_micro: int
    total_credits: str


class ExpiresAfter(Given):
    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(600, ge=10, le=7200)


class ClientSecretWanted(Given):
    """OpenAI's own request, and what bounds the secret beside its seconds."""

    expires_after: ExpiresAfter = Field(default_factory=lambda: ExpiresAfter(anchor="created_at", seconds=600))
    session: dict[str, Any] = Field(default_factory=dict, description="The GA session that calls begin with.")
    max_credits: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="What all calls opened with it may cost together."
    )
    max_duration_seconds: Annotated[int, Field(ge=30, le=3600)] | None = Field(None, description="The longest call.")
    origins: list[Annotated[str, Field(max_length=300)]] = Field(
        default_factory=list, max_length=20, description="Pages that may use it, as https://example.com; empty: any."
    )


class ClientSecretOut(BaseModel):
    value: str = Field(description="ek_…, shown once.")
    expires_at: int = Field(description="Unix time, in seconds.")
    session: dict[str, Any]


class ModelEntry(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    name: str
    kind: Literal["realtime", "transcription", "chat", "speech"]
    status: Literal["available", "preview", "maintenance", "retired"]
    status_note: str
    expected_back_at: datetime | None
    available: bool = Field(description="Whether it answers itself now; where not, `served_by` does.")
    shutdown_date: str | None = Field(description="YYYY-MM-DD, where it is known.")
    successor: str | None
    served_by: str | None = Field(description="What answers today; null when nothing can.")
    served_reason: str = Field(description="Why it does not answer itself; empty where it does.")
    context_tokens: int
    max_output_tokens: int
    input_modalities: list[str]
    output_modalities: list[str]
    voices: list[str]
    prices: dict[str, str] = Field(description="Credits a million units, by kind; seconds are priced a million, too.")


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelEntry]
