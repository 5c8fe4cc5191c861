"""What the caller's side, the model's side and the clock of one conversation share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from voice.sessions.call import Call
from voice.sessions.caller import Caller
from voice.sessions.customer_tools import CustomerTools
from voice.sessions.fallback.line import Line
from voice.sessions.fallback.moving import Moving
from voice.sessions.fallback.spoken import Spoken
from voice.sessions.fallback.stalls import SignsOfLife
from voice.sessions.gate import ResponseGate
from voice.sessions.limits import Limits
from voice.sessions.playback import Playback
from voice.sessions.state import ConversationState
from voice.sessions.turns import Turns
from voice.sessions.words import Words


@dataclass(eq=False, slots=True, kw_only=True)
class Parts:
    """One a call, put together by the relay, `moving` last. `notices` are sentences for the caller, by their code.

    `goodbye_since` is when the model hung up, on the monotonic clock: what it said last may still be playing.
    """

    caller: Caller
    line: Line
    state: ConversationState
    gate: ResponseGate
    playback: Playback
    turns: Turns
    words: Words
    spoken: Spoken
    tools: CustomerTools
    limits: Limits
    alive: SignsOfLife
    notices: Mapping[str, str]
    moving: Moving = field(init=False)
    goodbye_since: float | None = None

    @property
    def call(self) -> Call:
        """The call as the model that holds it now serves it."""
        return self.moving.call
