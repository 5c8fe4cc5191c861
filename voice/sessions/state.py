"""Where a conversation stands: whose turn it is, whether a response runs, how large the context has grown.

Fed with GA events, it answers questions; it does nothing by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from voice.audio import BYTES_PER_MS, input_tokens_of

# Special tokens around an item; generous, since the sum only bounds what a response may cost.
ITEM_OVERHEAD_TOKENS = 12
_TOTALS = ("input_tokens", "output_tokens")
# Ten times the largest context there is: a total above it is garbage.
_TOKENS_MAX = 10_000_000


def tokens_at_most(text: str) -> int:
    """Bound the tokens of a text from above: no tokenizer in use makes more than one of two bytes on average."""
    return len(text.encode()) // 2 + 1


class Response(Enum):
    """The conversation's one response."""

    NONE = "none"
    ASKED = "asked"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class FunctionCall:
    name: str
    call_id: str
    arguments: str


@dataclass(slots=True)
class ConversationState:
    """`context_tokens` bounds from above what the next response reads; no more than `context_tokens_max` fits."""

    context_tokens: int
    context_tokens_max: int = _TOKENS_MAX
    response: Response = Response.NONE
    response_id: str = ""
    # Bytes of audio and characters of text of the running response, to estimate it should its usage never come.
    response_audio_bytes: int = 0
    response_text_chars: int = 0
    caller_is_speaking: bool = False
    # Whether an answer to something the caller said was given to its end.
    caller_was_answered: bool = False
    _awaits_answer: bool = False
    _added_tokens: int = 0
    _speech_started_ms: int = 0
    _seen_responses: set[str] = field(default_factory=set)

    def text_added(self, text: str) -> None:
        self._add(tokens_at_most(text) + ITEM_OVERHEAD_TOKENS)

    def tokens_added(self, tokens: int) -> None:
        self._add(tokens)

    def caller_finished_turn(self) -> None:
        self._awaits_answer = True

    def speech_started(self, event: Mapping[str, Any]) -> None:
        self.caller_is_speaking = True
        self._speech_started_ms = int(event.get("audio_start_ms") or 0)

    def speech_stopped(self, event: Mapping[str, Any]) -> None:
        self.caller_is_speaking = False
        speech_ms = max(0, int(event.get("audio_end_ms") or 0) - self._speech_started_ms)
        tokens = input_tokens_of(speech_ms * BYTES_PER_MS)
        # Twice: its transcript is billed beside it.
        self._add(2 * tokens + ITEM_OVERHEAD_TOKENS)

    def moved(self, context_tokens: int) -> None:
        """Another upstream goes on with the conversation, and has been given so much of it at most."""
        self.context_tokens = min(context_tokens, self.context_tokens_max)
        self.response, self.response_id = Response.NONE, ""
        self.caller_is_speaking = False
        self._added_tokens = 0
        # Its ids are its own: one that an earlier upstream used as well is no repeat.
        self._seen_responses.clear()

    def response_asked(self) -> None:
        self.response = Response.ASKED

    def response_created(self, event: Mapping[str, Any]) -> None:
        # Read before anything is changed by it: it may be garbage.
        self.response_id = str(event["response"]["id"])
        self.response = Response.RUNNING
        self.response_audio_bytes = self.response_text_chars = 0
        self._added_tokens = 0

    def response_refused(self) -> None:
        """The upstream answered our response.create with an error."""
        if self.response is Response.ASKED:
            self.response = Response.NONE

    def response_done(self, event: Mapping[str, Any]) -> bool:
        """Close the running response; return False for one that was closed before (a repeat)."""
        response = event["response"]
        response_id = str(response["id"])
        if response_id in self._seen_responses:
            return False
        self._seen_responses.add(response_id)
        self.response, self.response_id = Response.NONE, ""
        if response.get("status") == "completed" and self._awaits_answer:
            self.caller_was_answered, self._awaits_answer = True, False
        if reports_usage(response):
            usage = response["usage"]
            measured = sum(int(usage.get(name) or 0) for name in _TOTALS)
            # What came after the response began was not read by it, and is read by the next.
            if measured:
                self.context_tokens = min(measured + self._added_tokens, self.context_tokens_max)
        # One that failed reports nothing, and the context is then no smaller than it was.
        return True

    def _add(self, tokens: int) -> None:
        self.context_tokens = min(self.context_tokens + tokens, self.context_tokens_max)
        self._added_tokens += tokens


def reports_usage(response: Mapping[str, Any]) -> bool:
    """Say whether a finished response tells what it used, in a way that can be believed."""
    usage = response.get("usage")
    if not isinstance(usage, Mapping):
        return False
    totals = [usage[name] for name in _TOTALS if usage.get(name) is not None]
    return bool(totals) and all(isinstance(total, int | float) and 0 <= total <= _TOKENS_MAX for total in totals)


def function_calls(response: Mapping[str, Any]) -> list[FunctionCall]:
    """Return the tool calls of a finished response, in order; cut-off ones are left out."""
    if response.get("status") != "completed":
        return []
    return [
        FunctionCall(str(item.get("name")), str(item.get("call_id")), str(item.get("arguments") or "{}"))
        for item in response.get("output") or []
        if item.get("type") == "function_call"
    ]
