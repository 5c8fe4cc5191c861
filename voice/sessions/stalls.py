"""How long a model may show no sign of life while it owes an answer."""

from dataclasses import dataclass

from voice.models.rung import RungKind
from voice.sessions.call import Call
from voice.sessions.state import ConversationState

# Realtime models begin to speak within a second or two.
STALL_S = 8.0
# One that thinks first may take longer.
STALL_THINKING_S = 20.0
# Once they speak, they send speech faster than it plays: after five seconds without a piece of it there is hardly
# anything left to hear. A pipeline makes its speech clause by clause, each as slowly as a first one.
STALL_SPEAKING_S = 5.0
# A connection on which not even the session was announced is none.
STALL_OPENING_S = 3.0


@dataclass(slots=True)
class SignsOfLife:
    """Of the upstream at hand: when it last sent anything (monotonic clock), and whether it has opened its session."""

    seen_at: float
    has_opened: bool = False

    def has_stalled(self, call: Call, state: ConversationState, now: float) -> bool:
        """Say whether an upstream that owes an answer has been silent for too long."""
        return now - self.seen_at > _patience_s(call, state, has_opened=self.has_opened)


def _patience_s(call: Call, state: ConversationState, *, has_opened: bool) -> float:
    if not has_opened:
        return STALL_OPENING_S
    if call.rung_kind == RungKind.REALTIME and state.response_audio_bytes:
        return STALL_SPEAKING_S
    return STALL_THINKING_S if call.endpoint.capabilities.reasoning else STALL_S
