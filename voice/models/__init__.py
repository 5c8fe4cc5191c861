"""What voice keeps: agents, the catalogue, sessions with their turns and usage, and the operator's switches."""

from voice.models.agent import Agent, Template, TranscriptPolicy
from voice.models.catalogue import CatalogueModel, ModelStatus, Rate
from voice.models.crm import CrmConnection, CrmDelivery, CrmDeliveryState
from voice.models.note import Note, NoteReason, NoteState, NoteWriter
from voice.models.session import EndReason, Outcome, Session, SessionState, Turn
from voice.models.switches import BlockedNetwork, Switches
from voice.models.transcript import (
    CollectedFields,
    Transcript,
    TranscriptAudit,
    TranscriptSettings,
    TranscriptTurn,
)
from voice.models.usage import UsageRecord
from voice.models.widget import WidgetLook

__all__ = [
    "Agent",
    "BlockedNetwork",
    "CatalogueModel",
    "CollectedFields",
    "CrmConnection",
    "CrmDelivery",
    "CrmDeliveryState",
    "EndReason",
    "ModelStatus",
    "Note",
    "NoteReason",
    "NoteState",
    "NoteWriter",
    "Outcome",
    "Rate",
    "Session",
    "SessionState",
    "Switches",
    "Template",
    "Transcript",
    "TranscriptAudit",
    "TranscriptPolicy",
    "TranscriptSettings",
    "TranscriptTurn",
    "Turn",
    "UsageRecord",
    "WidgetLook",
]
