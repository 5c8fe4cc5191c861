"""Invitations by mail: made, looked up by their secret, accepted once, withdrawn."""

import hashlib
import secrets
from datetime import timedelta

from allauth.account.models import EmailAddress
from django.db import transaction
from django.utils import timezone

from accounts.exceptions import InvitationRefused, NotAllowed
from accounts.models import Invitation, Membership, Organisation, Role, User

LIFETIME = timedelta(days=7)
MOST_OPEN = 50


def invite(by: Membership, email: str, role: str) -> tuple[Invitation, str]:
    """Make an invitation and return it with its secret, which is stored nowhere; an older one to the address ends.

    Raises NotAllowed, or InvitationRefused with already_member or too_many.
    """
    if not by.is_admin or (role == Role.OWNER and by.role != Role.OWNER):
        raise NotAllowed
    email = email.strip().lower()
    with transaction.atomic():
        organisation = Organisation.objects.select_for_update().get(pk=by.organisation_id)
        if organisation.memberships.filter(user__email__iexact=email).exists():
            raise InvitationRefused("already_member")
        organisation.invitations.filter(email=email, accepted_at=None).delete()
        if organisation.invitations.filter(accepted_at=None, expires_at__gt=timezone.now()).count() >= MOST_OPEN:
            raise InvitationRefused("too_many")
        secret = secrets.token_urlsafe(32)
        invitation = organisation.invitations.create(
            email=email,
            role=Role(role),
            secret_hash=_hash(secret),
            invited_by=by.user,
            expires_at=timezone.now() + LIFETIME,
        )
    return invitation, secret


def open_invitation(secret: str) -> Invitation:
    """Return the invitation a secret opens. Raises InvitationRefused: unknown, used, or expired."""
    invitation = Invitation.objects.select_related("organisation").filter(secret_hash=_hash(secret)).first()
    if invitation is None or not invitation.organisation.is_active:
        raise InvitationRefused("unknown")
    if invitation.accepted_at is not None:
        raise InvitationRefused("used")
    if not invitation.is_open:
        raise InvitationRefused("expired")
    return invitation


def accept(secret: str, user: User) -> Membership:
    """Make `user` a member. The invited address must be one that `user` has proved; raises InvitationRefused."""
    invitation = open_invitation(secret)
    if not has_proved(user, invitation.email):
        raise InvitationRefused("other_address")
    return _join(invitation, user)


def accept_at_sign_up(secret: str, user: User) -> Membership:
    """Make a person who signs up right now a member: the secret came by mail, so it proves the address itself."""
    invitation = open_invitation(secret)
    if user.email.lower() != invitation.email:
        raise InvitationRefused("other_address")
    return _join(invitation, user)


def withdraw(invitation: Invitation, by: Membership) -> None:
    if invitation.organisation_id != by.organisation_id or not by.is_admin:
        raise NotAllowed
    invitation.delete()


def has_proved(user: User, email: str) -> bool:
    return bool(EmailAddress.objects.filter(user=user, email__iexact=email, verified=True).exists())


def _join(invitation: Invitation, user: User) -> Membership:
    with transaction.atomic():
        # The update is the lock: of two who press at once, one finds nothing left to accept.
        taken = Invitation.objects.filter(pk=invitation.pk, accepted_at=None).update(accepted_at=timezone.now())
        if not taken:
            raise InvitationRefused("used")
        membership, made = Membership.objects.get_or_create(
            organisation=invitation.organisation, user=user, defaults={"role": invitation.role}
        )
        if not made:
            raise InvitationRefused("already_member")
    return membership


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
