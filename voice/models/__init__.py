"""What voice keeps: agents, the catalogue, sessions with their turns and usage, and the operator's switches."""

from voice.models.agent import Agent, Template, TranscriptPolicy
from voice.models.api_request import ApiRequest
from voice.models.availability import ModelHealth, ModelOverride, ModelStatusChange, ShutdownWarning
from voice.models.catalogue import CatalogueModel, ModelStatus, Rate
from voice.models.client_secret import ClientSecret
from voice.models.crm import CrmConnection, CrmDelivery, CrmDeliveryState
from voice.models.idempotency import IdempotentRequest
from voice.models.note import Note, NoteReason, NoteState, NoteWriter
from voice.models.provider import Provider, ProviderAdapter, ProviderKey
from voice.models.rung import Rung, RungKind
from voice.models.session import EndReason, Outcome, Session, SessionState, Source, Turn, TurnDetection
from voice.models.status import CheckDay, ComponentBeat, Incident
from voice.models.switches import BlockedNetwork, Switches
from voice.models.tool import AgentTool
from voice.models.transcript import (
    CollectedFields,
    Transcript,
    TranscriptAudit,
    TranscriptSettings,
    TranscriptTurn,
)
from voice.models.usage import UsageRecord
from voice.models.webhook import (
    DisabledBecause,
    EventType,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookState,
)
from voice.models.widget import WidgetLook

__all__ = [
    "Agent",
    "AgentTool",
    "ApiRequest",
    "BlockedNetwork",
    "CatalogueModel",
    "CheckDay",
    "ClientSecret",
    "CollectedFields",
    "ComponentBeat",
    "CrmConnection",
    "CrmDelivery",
    "CrmDeliveryState",
    "DisabledBecause",
    "EndReason",
    "EventType",
    "IdempotentRequest",
    "Incident",
    "ModelHealth",
    "ModelOverride",
    "ModelStatus",
    "ModelStatusChange",
    "Note",
    "NoteReason",
    "NoteState",
    "NoteWriter",
    "Outcome",
    "Provider",
    "ProviderAdapter",
    "ProviderKey",
    "Rate",
    "Rung",
    "RungKind",
    "Session",
    "SessionState",
    "ShutdownWarning",
    "Source",
    "Switches",
    "Template",
    "Transcript",
    "TranscriptAudit",
    "TranscriptPolicy",
    "TranscriptSettings",
    "TranscriptTurn",
    "Turn",
    "TurnDetection",
    "UsageRecord",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookState",
    "WidgetLook",
]
