"""Whether what Stripe tells us is acted upon: asked by the status page, without a word about anybody's purchase."""

from datetime import datetime, timedelta

from billing.models import StripeEvent, StripeEventState

# The sweep takes what was left after half a minute; later than this, something is in its way.
_LATE_AFTER = timedelta(minutes=5)
# What has failed for longer than this is one purchase's trouble, and on the operator's list.
_RECENT = timedelta(hours=24)


def events_in_trouble(now: datetime) -> int:
    """Return how many of a day's events wait although they could have been acted upon."""
    unhandled = StripeEvent.objects.filter(
        state__in=[StripeEventState.RECEIVED, StripeEventState.FAILED], next_attempt_at__isnull=False
    )
    return unhandled.filter(received_at__gt=now - _RECENT, received_at__lte=now - _LATE_AFTER).count()
