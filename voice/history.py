"""How much of a conversation is read again before each answer: in live calls, and in the worksheet that prices them."""

from typing import Any

WHOLE, RECENT = "whole", "recent"
# RECENT keeps so much of the conversation beside the instructions, and four fifths of it when it is full, because each
# cut makes the provider read everything that is left anew.
RECENT_TOKENS = 4_000
_RECENT_KEPT_PERCENT = 80
RECENT_KEPT_TOKENS = RECENT_TOKENS * _RECENT_KEPT_PERCENT // 100


def truncation_of(history: str) -> str | dict[str, Any]:
    """Return the GA session's `truncation`: "auto" forgets only what no longer fits the model's window."""
    if history != RECENT:
        return "auto"
    return {
        "type": "retention_ratio",
        "retention_ratio": _RECENT_KEPT_PERCENT / 100,
        "token_limits": {"post_instructions": RECENT_TOKENS},
    }
