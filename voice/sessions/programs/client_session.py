"""A Realtime session as its client sees it, beside the one the model is given. Pure.

The model never answers by itself: towards it `create_response` is always off, and every response is asked for once it
is paid for. What a client reads back is what it asked for, as if there were nobody in between.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# How much is kept when the oldest part of a conversation that outgrew its context is dropped.
_RETENTION_RATIO = 0.8
_UNLIMITED = "inf"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the session is held to, whatever its client writes.

    `truncates`: the upstream lets us say where a conversation is cut; else it knows its own limits.
    `transcription_slugs`: the catalogue's name for each transcription model that the upstream takes by its own.
    """

    model: str
    context_tokens: int
    max_output_tokens: int
    expires_at: int
    reasons: bool
    truncates: bool
    transcription_slugs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One session.update: `upstream` is what the model is told, `shown` what the client will see of its own instead.

    `creates_response` is None where turn detection was not touched.
    """

    upstream: Mapping[str, Any]
    shown: Mapping[str, Any]
    creates_response: bool | None


class ClientSession:
    """`creates_response`, `interrupts_response`: whether a caller's turn is answered, and an answer interrupted.

    `hears_pcm`, `speaks_pcm`: the audio is ours, else it is G.711. `transcription_slug` is "" for the call's usual one.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._shown: dict[str, Any] = {"max_output_tokens": _UNLIMITED, "tracing": None, "truncation": "auto"}
        self.creates_response = True
        self.interrupts_response = True
        self.hears_pcm = self.speaks_pcm = True
        self.transcription_slug = ""

    @property
    def max_output_tokens(self) -> Any:
        return self._shown["max_output_tokens"]

    def opening(self, wanted: Mapping[str, Any]) -> Change:
        """Return the first change: the customer's `wanted` over a new session's defaults."""
        audio = _members(wanted.get("audio"))
        audio_input = {"turn_detection": {"type": "server_vad"}, **_members(audio.get("input"))}
        session = {"truncation": "auto", **wanted, "audio": {**audio, "input": audio_input}}
        change = self.change(session)
        upstream = {**change.upstream, "max_output_tokens": self._bounds.max_output_tokens}
        return Change(upstream, change.shown, change.creates_response)

    def change(self, session: Mapping[str, Any]) -> Change:
        """Return what a checked session.update amounts to; nothing changes before `accepted`."""
        upstream = copy.deepcopy(dict(session))
        shown = {}
        upstream.pop("model", None)
        upstream.pop("prompt", None)
        if (most := upstream.pop("max_output_tokens", None)) is not None:
            shown["max_output_tokens"] = most
        if "tracing" in upstream:
            # Traces would go to the account of whoever runs this server.
            shown["tracing"] = upstream.pop("tracing")
        if not self._bounds.reasons and upstream.get("reasoning") is not None:
            shown["reasoning"] = upstream.pop("reasoning")
        if upstream.get("truncation") is not None and self._bounds.truncates:
            shown["truncation"] = upstream["truncation"]
            upstream["truncation"] = self._truncation(upstream["truncation"])
        return Change(upstream, shown, _take_over_answering(upstream))

    def accepted(self, change: Change, session: Mapping[str, Any]) -> None:
        """The model took a change; `session` is what it says is in force now."""
        self._shown |= change.shown
        if change.creates_response is not None:
            self.creates_response = change.creates_response
        audio = _members(session.get("audio"))
        heard, spoken = _members(audio.get("input")), _members(audio.get("output"))
        self.interrupts_response = _members(heard.get("turn_detection")).get("interrupt_response") is not False
        self.hears_pcm, self.speaks_pcm = _is_pcm(heard), _is_pcm(spoken)
        transcription_model = _members(heard.get("transcription")).get("model")
        self.transcription_slug = self._bounds.transcription_slugs.get(str(transcription_model), "")

    def shown(self, session: Mapping[str, Any]) -> dict[str, Any]:
        """Return the session in force as the client is to read it."""
        seen: dict[str, Any] = {**copy.deepcopy(dict(session)), **self._shown, "model": self._bounds.model}
        expires_at = seen.get("expires_at")
        is_earlier = isinstance(expires_at, int) and expires_at < self._bounds.expires_at
        seen["expires_at"] = expires_at if is_earlier else self._bounds.expires_at
        turn_detection = _members(_members(seen.get("audio")).get("input")).get("turn_detection")
        if isinstance(turn_detection, dict):
            turn_detection["create_response"] = self.creates_response
        return seen

    def _truncation(self, wanted: Any) -> Any:
        most = self._bounds.context_tokens - self._bounds.max_output_tokens
        if wanted == "auto":
            wanted = {"type": "retention_ratio", "retention_ratio": _RETENTION_RATIO}
        if not isinstance(wanted, dict):
            return wanted
        limits = _members(wanted.get("token_limits"))
        asked = limits.get("post_instructions")
        keeps = asked if isinstance(asked, int) and 0 <= asked < most else most
        return {**wanted, "token_limits": {**limits, "post_instructions": keeps}}


def _take_over_answering(session: dict[str, Any]) -> bool | None:
    """Turn `create_response` off; return whether the client wants its turns answered, None if it did not say."""
    audio_input = _members(_members(session.get("audio")).get("input"))
    if "turn_detection" not in audio_input:
        return None
    turn_detection = audio_input["turn_detection"]
    if turn_detection is None:
        return False
    wanted = turn_detection.get("create_response") is not False
    turn_detection["create_response"] = False
    return wanted


def _is_pcm(direction: Mapping[str, Any]) -> bool:
    return bool(_members(direction.get("format")).get("type", "audio/pcm") == "audio/pcm")


def _members(value: Any) -> Any:
    return value if isinstance(value, dict) else {}
