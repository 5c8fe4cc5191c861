"""What goes wrong with a model's connections, drawn at random."""

import random
from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    DROP = "drop"
    STALL = "stall"
    GARBAGE = "garbage"
    RATE_LIMITED = "429 in an answer"
    NO_QUOTA = "quota used up"


class Moment(Enum):
    """When it happens to an answer."""

    ASKED = "before its first sound"
    SPEAKING = "in the middle of it"
    OVER = "after it"


@dataclass(frozen=True, slots=True)
class Plan:
    """A connection breaks so at its `answer`-th answer."""

    fault: Fault
    moment: Moment
    answer: int


# Of all connections so many break by themselves; whole providers go away besides.
_BREAKS = 0.9
_FAULTS = (Fault.DROP, Fault.DROP, Fault.STALL, Fault.GARBAGE, Fault.RATE_LIMITED, Fault.NO_QUOTA)
_ANSWERS_MAX = 2
GARBAGE = (
    "{this is no event",
    "[]",
    '{"event_id":"event_1"}',
    '{"type":"response.output_audio.delta","event_id":"event_1","delta":42}',
    '{"type":"response.done","event_id":"event_1","response":"over"}',
    b"\x00\x01",
)


class Faults:
    """Draws the plan of each connection while `are_on`."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.are_on = False

    def next_plan(self) -> Plan | None:
        if self._rng.random() > _BREAKS:
            return None
        fault = self._rng.choice(_FAULTS)
        moments = list(Moment) if fault is Fault.DROP else [Moment.ASKED, Moment.SPEAKING]
        return Plan(fault, self._rng.choice(moments), self._rng.randint(1, _ANSWERS_MAX))

    def garbage(self) -> str | bytes:
        return self._rng.choice(GARBAGE)

    def latency_s(self) -> float:
        """How long a model thinks before it speaks."""
        return self._rng.uniform(0.1, 0.3)
