"""Why a conversation itself came to an end, rather than being ended."""

from enum import Enum


class Stop(Enum):
    """The values are those of EndReason."""

    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"
    SILENCE = "silence"
    MAX_DURATION = "max_duration"
    TOO_SLOW = "connection_too_slow"
