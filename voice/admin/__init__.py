"""The operator's tool for voice: live calls and their cost, agents, the catalogue, and the switches."""

from voice.admin import (
    agents,
    api_keys,
    availability,
    catalogue,
    notes,
    providers,
    sessions,
    status,
    switches,
    transcripts,
    webhooks,
)

__all__ = [
    "agents",
    "api_keys",
    "availability",
    "catalogue",
    "notes",
    "providers",
    "sessions",
    "status",
    "switches",
    "transcripts",
    "webhooks",
]
