"""Why a call left one model for another, in words for those who look at it afterwards."""

_WORDS = {
    "upstream_unreachable": "It could not be reached",
    "upstream_connect_timeout": "It could not be reached in time",
    "upstream_unavailable": "It was in trouble itself",
    "upstream_busy": "It was busy",
    "upstream_refused": "It refused the connection",
    "upstream_dropped": "Its connection broke",
    "upstream_closed": "It hung up",
    "upstream_gone": "Its connection broke",
    "upstream_stalled": "It fell silent",
    "upstream_timeout": "It did not answer in time",
    "upstream_slow": "It did not answer in time",
    "upstream_silent": "Its words came without sound",
    "upstream_garbage": "It answered what nobody understands",
    "upstream_flooded": "It answered more than there was room for",
    "upstream_failed": "It could not answer",
    "upstream_unauthorized": "It did not accept the key",
    "upstream_model_not_found": "Its provider knew no such model",
    "upstream_unknown_adapter": "It is set up for what this version does not know",
    "upstream_quota": "Its quota was used up",
    "upstream_rate_limited": "Too much was asked of it at once",
    "session_expired": "Its session was over",
    "session_expiring": "Its session was nearly over",
    "maintenance": "An operator moved its calls",
    "taken_over": "The server that carried the call stopped",
    "voice_wanted": "The caller wanted to talk again",
}


def left_because(code: str) -> str:
    """Return the words for the code of what ended the time of a model; "" for none."""
    return _WORDS.get(code, f"It failed ({code})" if code else "")
