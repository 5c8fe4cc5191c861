"""How long a model may show no sign of life while it owes an answer."""

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


def stalls_after_s(call: Call, state: ConversationState, *, has_opened: bool) -> float:
    """Return after how many seconds without an event the upstream of a running response has stalled."""
    if not has_opened:
        return STALL_OPENING_S
    if call.rung_kind == RungKind.REALTIME and state.response_audio_bytes:
        return STALL_SPEAKING_S
    return STALL_THINKING_S if call.endpoint.capabilities.reasoning else STALL_S
