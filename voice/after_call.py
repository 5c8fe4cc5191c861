"""What follows a conversation of which something was kept, off the live path: each step in one transaction, once."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from outbox import messages as outbox
from voice.transcripts.store import CONVERSATION_ENDED

# The database is all that the steps need: what talks to the world is a message of its own.
_KEEP_TRYING = timedelta(days=1)

Step = Callable[[UUID], None]
_steps: list[Step] = []


def then(step: Step) -> Step:
    """Have `step(session_id)` done after every such conversation; it writes rows and messages, and may be repeated."""
    _steps.append(step)
    return step


def follow_up(payload: Mapping[str, Any]) -> None:
    """Do every step for a conversation: all of them, or none and again later."""
    session_id = UUID(payload["session_id"])
    with transaction.atomic():
        for step in _steps:
            step(session_id)


outbox.register(CONVERSATION_ENDED, follow_up, keep_trying=_KEEP_TRYING)
