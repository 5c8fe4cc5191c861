"""What voice keeps: agents, the catalogue, sessions with their turns and usage, and the operator's switches."""

from voice.models.agent import Agent, Template
from voice.models.catalogue import CatalogueModel, ModelStatus, Rate
from voice.models.session import EndReason, Outcome, Session, SessionState, Turn
from voice.models.switches import BlockedNetwork, Switches
from voice.models.usage import UsageRecord

__all__ = [
    "Agent",
    "BlockedNetwork",
    "CatalogueModel",
    "EndReason",
    "ModelStatus",
    "Outcome",
    "Rate",
    "Session",
    "SessionState",
    "Switches",
    "Template",
    "Turn",
    "UsageRecord",
]
