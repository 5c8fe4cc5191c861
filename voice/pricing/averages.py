"""What an organisation's calls really cost, from what was captured for them."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Sum
from django.utils import timezone

from voice.models import Session, SessionState

AVERAGE_DAYS = 30
# Fewer say little: one long call would be the average.
_FEWEST_CALLS = 5


@dataclass(frozen=True, slots=True)
class Averages:
    """Spoken calls of the last AVERAGE_DAYS days; `amount_micro` is what they used, charged or not."""

    calls: int
    duration_ms: int
    amount_micro: int

    @property
    def per_minute_micro(self) -> int:
        return self.amount_micro * 60_000 // self.duration_ms

    @property
    def per_call_micro(self) -> int:
        return self.amount_micro // self.calls

    @property
    def call_ms(self) -> int:
        return self.duration_ms // self.calls

    @property
    def minutes_per_call(self) -> int:
        """The average call in whole minutes, at least one, as the worksheet asks for it."""
        return max(1, round(self.call_ms / 60_000))


def averages_of(organisation_id: UUID) -> Averages | None:
    """Return the organisation's averages; None while there are too few calls to speak of."""
    since = timezone.now() - timedelta(days=AVERAGE_DAYS)
    sums = Session.objects.filter(
        organisation_id=organisation_id,
        is_voice=True,
        state=SessionState.ENDED,
        duration_ms__gt=0,
        captured_micro__gt=0,
        created_at__gte=since,
    ).aggregate(
        calls=Count("id"), duration=Sum("duration_ms"), captured=Sum("captured_micro"), beyond=Sum("uncollected_micro")
    )
    if sums["calls"] < _FEWEST_CALLS:
        return None
    return Averages(sums["calls"], sums["duration"], sums["captured"] + sums["beyond"])
