"""Which providers turned calls away a moment ago, as this process found out: not written down, and soon forgotten.

When a provider goes down all its calls look for another model at once. What the first of them finds out need not be
found out by each; the breakers, which all processes share, know of models only, and a moment later.
"""

import time
from uuid import UUID

# A provider that is back is found out by whoever has no other, and by the next who comes after this.
DOUBTED_S = 5.0
# More than there are providers, and organisations that call within seconds of another.
_KEPT_MAX = 10_000

# What a provider says to the owner of a key: others' keys may still be good.
_OF_THE_KEY = {"upstream_unauthorized", "upstream_quota", "upstream_rate_limited"}
# What one of its models is or lacks: the others may be well.
_OF_THE_MODEL = {"upstream_model_not_found", "upstream_refused", "upstream_unknown_adapter"}


class Doubts:
    """Until when whose servers are doubted, for one organisation or for all (None)."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, UUID | None], float] = {}

    def note(self, provider: str, organisation_id: UUID, code: str) -> None:
        """A provider turned a call away, for this reason."""
        if code in _OF_THE_MODEL:
            return
        now = time.monotonic()
        if len(self._until) >= _KEPT_MAX:
            self._until = {who: until for who, until in self._until.items() if until > now}
        self._until[provider, organisation_id if code in _OF_THE_KEY else None] = now + DOUBTED_S

    def forget(self, provider: str, organisation_id: UUID) -> None:
        """The provider has taken a call of this organisation's."""
        self._until.pop((provider, organisation_id), None)
        self._until.pop((provider, None), None)

    def clear(self) -> None:
        self._until.clear()

    def are_had(self, provider: str, organisation_id: UUID) -> bool:
        now = time.monotonic()
        return any(self._until.get((provider, who), now) > now for who in (organisation_id, None))


# Of all calls of this process.
DOUBTS = Doubts()
