"""How much a call may still try, and how long its caller may wait: a share, which every answer makes whole again."""

import time
from collections import deque
from dataclasses import dataclass, field

from voice.sessions.fallback.failures import HOPELESS, PLANNED

# So many models are dialled at most, the last of them one that is written to; and so many seconds may a caller wait, of
# which the last are kept for that one.
TRIES_MAX = 5
WAIT_S_MAX = 30.0
_KEPT_FOR_TEXT_S = 5.0
# A call whose models answer, but break again and again, is not worth going on with: each reads all of it anew.
BREAKS_MAX, BREAKS_WITHIN_S = 60, 600.0


@dataclass(slots=True)
class Share:
    """What a call has tried and waited since the last answer. `left` are models that are not tried again.

    `hopeless` are those that are not tried again in a second round either. Searches begin on the monotonic clock.
    """

    tries: int = 0
    waited_s: float = 0.0
    left: set[str] = field(default_factory=set)
    hopeless: set[str] = field(default_factory=set)
    is_second_try: bool = False
    is_second_round: bool = False

    def left_s(self, began_at: float) -> float:
        """Return how long a search that began then may still take."""
        return WAIT_S_MAX - self.waited_s - (time.monotonic() - began_at)

    def is_used_up(self, began_at: float) -> bool:
        return self.tries >= TRIES_MAX or self.left_s(began_at) <= 0

    def is_kept_for_text(self, began_at: float) -> bool:
        """Whether what is left of it is for a model that is written to."""
        return self.tries == TRIES_MAX - 1 or self.left_s(began_at) < _KEPT_FOR_TEXT_S

    def dialled(self, model: str) -> None:
        self.tries += 1
        self.left.add(model)

    def failed(self, model: str, code: str) -> None:
        if code in HOPELESS:
            self.hopeless.add(model)

    def begin_second_round(self) -> bool:
        """Let those that may be well again be tried once more; False where there are none, or that was done already."""
        if self.is_second_round or not self.left - self.hopeless:
            return False
        self.is_second_round = True
        self.left &= self.hopeless
        return True


class Breaks:
    """When a call's models broke though nobody had planned that; one a call."""

    def __init__(self) -> None:
        self._at: deque[float] = deque(maxlen=BREAKS_MAX)

    def are_too_many(self, code: str, now: float) -> bool:
        """Count one, and say whether the call is to be given up for it."""
        if code in PLANNED:
            return False
        are_too_many = len(self._at) == BREAKS_MAX and now - self._at[0] < BREAKS_WITHIN_S
        self._at.append(now)
        return are_too_many
