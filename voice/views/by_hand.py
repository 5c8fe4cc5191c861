"""What a person sends to a customer's address by a button is counted: buttons can be pressed by programs."""

from django.contrib import messages
from django_ratelimit.core import is_ratelimited

from accounts.permissions import MemberRequest

RATE = "20/m"


def too_many_by_hand(request: MemberRequest) -> bool:
    """Count one more request of the organisation, and say so on the next page when it is one too many."""
    is_too_many = is_ratelimited(
        request,
        group="voice.by_hand",
        key=lambda _group, _request: str(request.organisation.pk),
        rate=RATE,
        increment=True,
    )
    if is_too_many:
        messages.warning(request, "That was often. Nothing was sent; please wait a minute, and try again.")
    return bool(is_too_many)
