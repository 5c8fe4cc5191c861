"""Turns allauth's signals into ours."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.dispatch import receiver

from accounts.models import Membership, Role
from accounts.organisations import announce_person


@receiver(email_confirmed, dispatch_uid="accounts.person_verified")
def tell_that_a_person_is_verified(email_address: EmailAddress, **_: Any) -> None:
    """Announce the first address a person proves: more addresses of one person are not more persons."""
    others = EmailAddress.objects.filter(user_id=email_address.user_id, verified=True).exclude(pk=email_address.pk)
    if others.exists():
        return
    owned = Membership.objects.filter(user_id=email_address.user_id, role=Role.OWNER)
    for membership in owned.order_by("created_at")[:1]:
        announce_person(membership.organisation_id, email_address.email)
