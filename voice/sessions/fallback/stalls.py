"""How long a model may show no sign of life while it owes an answer."""

from dataclasses import dataclass

from voice.models.rung import RungKind
from voice.sessions.call import Call
from voice.sessions.state import ConversationState, Response

# Realtime models begin to speak within a second or two.
STALL_S = 4.0
# What hears, thinks and speaks one after the other takes longer, and so does what is far from here.
STALL_PIPELINE_S = 8.0
# One that thinks first may take longer still.
STALL_THINKING_S = 20.0
# Once realtime models speak, they send speech faster than it plays: after five seconds without a piece of it there is
# hardly anything left to hear, and where nothing is left, the caller hears a sentence break off. A pipeline makes its
# speech clause by clause, each as slowly as a first one, and whoever thinks may do so between two sentences.
STALL_SPEAKING_S = 5.0
STALL_SILENT_S = 1.5
# A connection on which not even the session was announced is none.
STALL_OPENING_S = 3.0
# Nobody is speaking of whom nothing was heard for so long.
PAUSE_S = 0.7


@dataclass(slots=True)
class SignsOfLife:
    """Of the upstream at hand: when it last sent anything (monotonic clock), and whether it has opened its session."""

    seen_at: float
    has_opened: bool = False
    # What `seen_at` was in the pause that was noticed last.
    paused_at: float = 0.0

    def has_stalled(self, call: Call, state: ConversationState, now: float, *, is_playing: bool) -> bool:
        """Say whether an upstream that owes an answer has been silent for too long; `is_playing`: not yet to be heard.

        What is heard is what the caller's side has reported.
        """
        return now - self.seen_at > _patience_s(call, state, has_opened=self.has_opened, is_playing=is_playing)

    def begins_to_pause(self, state: ConversationState, now: float, *, is_playing: bool) -> bool:
        """Say, once a pause, whether an answer has fallen silent in the middle of its speech."""
        if not _speaks(state) or is_playing or now - self.seen_at <= PAUSE_S or self.paused_at == self.seen_at:
            return False
        self.paused_at = self.seen_at
        return True


def _speaks(state: ConversationState) -> bool:
    return state.response is Response.RUNNING and state.response_audio_bytes > 0


def _patience_s(call: Call, state: ConversationState, *, has_opened: bool, is_playing: bool) -> float:
    is_realtime, thinks = call.rung_kind == RungKind.REALTIME, call.endpoint.capabilities.reasoning
    if not has_opened:
        return STALL_OPENING_S
    if is_realtime and _speaks(state):
        return STALL_SPEAKING_S if is_playing or thinks else STALL_SILENT_S
    if thinks:
        return STALL_THINKING_S
    return STALL_S if is_realtime else STALL_PIPELINE_S
