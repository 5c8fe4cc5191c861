"""How a widget connection may end: one close code, one stable word and one sentence for each cause."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Closing:
    close_code: int
    code: str
    message: str


_ALL = (
    Closing(4400, "invalid_message", "The page sent something this server does not understand. Please reload it."),
    Closing(4401, "invalid_ticket", "This permission to call is no longer valid. Please start again."),
    Closing(4403, "origin_not_allowed", "This assistant may not be called from this page."),
    Closing(4408, "start_timeout", "The call was not started in time. Please start again."),
    Closing(4409, "connection_too_slow", "Your connection is too slow for this call."),
    Closing(4410, "resume_too_late", "The call ended while you were away. Please start again."),
    Closing(4411, "resumed_elsewhere", "This call goes on in another place."),
    Closing(4413, "message_too_large", "The page sent a message that is too large."),
    Closing(4429, "too_much_audio", "The page sent more audio than a microphone makes."),
    Closing(4429, "too_many_messages", "The page sent too many messages."),
    Closing(4429, "too_many_resumes", "Too many calls that do not exist were asked for from this network."),
    Closing(4503, "upstream_unavailable", "The assistant cannot be reached right now. Nothing was charged."),
    Closing(4500, "internal_error", "Something went wrong on our side. You pay only for what was used."),
)
_BY_CODE = {closing.code: closing for closing in _ALL}


def closing_for(code: str) -> Closing:
    """Return how to close for a stable word; a word we do not know is a fault of ours."""
    return _BY_CODE.get(code, _BY_CODE["internal_error"])
