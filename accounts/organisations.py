"""Organisations and who belongs to them: every rule about members, owners, suspension and leaving."""

from uuid import UUID

import structlog
from allauth.account.models import EmailAddress
from django.db import transaction
from django.utils import timezone

from accounts.addresses import person_key_of
from accounts.exceptions import NotAllowed, OwnerNeeded
from accounts.models import Membership, Organisation, Role, User
from accounts.signals import organisation_created, organisation_suspended, person_verified

log = structlog.get_logger(__name__)

CLOSED = "Closed by its owner."
_LONGEST_NAME = 120


def create_organisation(
    name: str, owner: User | None, *, country: str = "", is_house: bool = False, slug: str = ""
) -> Organisation:
    """Create an organisation with `owner` as its first member; the house's own may have none.

    `slug` is its name in commands, if it is to have one: django's IntegrityError when it is taken.
    """
    with transaction.atomic():
        organisation = Organisation.objects.create(
            name=name.strip()[:_LONGEST_NAME], country=country, is_house=is_house, slug=slug or None
        )
        if owner is not None:
            Membership.objects.create(organisation=organisation, user=owner, role=Role.OWNER)
        organisation_created.send(sender=Organisation, organisation_id=organisation.pk)
        if owner is not None and (address := _verified_address_of(owner)):
            announce_person(organisation.pk, address)
    return organisation


def announce_person(organisation_id: UUID, email: str) -> None:
    """Tell the apps above that the owner of a new organisation has proved an address."""
    person_verified.send(sender=Organisation, organisation_id=organisation_id, person_key=person_key_of(email))


def name_from(email: str) -> str:
    """Return a name for the organisation of somebody who gave none: "maria.silva@…" becomes "Maria Silva"."""
    local = email.partition("@")[0].partition("+")[0]
    words = local.replace(".", " ").replace("_", " ").replace("-", " ").split()
    return " ".join(word.capitalize() for word in words)[:_LONGEST_NAME] or "My organisation"


def membership_of(user: User, chosen: str | None = None) -> Membership | None:
    """Return the membership `user` acts through: the chosen organisation's, else the oldest."""
    memberships = list(user.memberships.select_related("organisation").order_by("created_at", "pk"))
    for membership in memberships:
        if str(membership.organisation_id) == chosen:
            return membership
    return memberships[0] if memberships else None


def organisation_of(user: User) -> Organisation | None:
    membership = membership_of(user)
    return membership.organisation if membership else None


def suspend_organisation(organisation: Organisation, reason: str, actor: User | None) -> None:
    """Stop an organisation: its live calls end and none start. `reason` is shown to its members; a repeat renews it."""
    with transaction.atomic():
        organisation.suspended_at = organisation.suspended_at or timezone.now()
        organisation.suspended_reason = reason[:200]
        organisation.save(update_fields=["suspended_at", "suspended_reason"])
        log.info("organisation suspended", organisation_id=str(organisation.pk), actor_id=_id_of(actor))
        organisation_suspended.send(sender=Organisation, organisation_id=organisation.pk)


def resume_organisation(organisation: Organisation, reason: str, actor: User | None) -> None:
    organisation.suspended_at = None
    organisation.suspended_reason = ""
    organisation.save(update_fields=["suspended_at", "suspended_reason"])
    log.info("organisation resumed", organisation_id=str(organisation.pk), actor_id=_id_of(actor), reason=reason)


def change_role(membership: Membership, role: str, by: Membership) -> None:
    """Give a member another role. Raises NotAllowed, or OwnerNeeded for the last owner."""
    with transaction.atomic():
        _lock(membership.organisation_id)
        _check_power(membership, by, touches_owner=Role.OWNER in (role, membership.role))
        if role != Role.OWNER:
            _check_an_owner_remains(membership)
        membership.role = Role(role)
        membership.save(update_fields=["role"])


def remove_member(membership: Membership, by: Membership) -> None:
    """Take a member out; members may always leave. Raises NotAllowed, or OwnerNeeded for the last owner."""
    with transaction.atomic():
        _lock(membership.organisation_id)
        if membership.pk != by.pk:
            _check_power(membership, by, touches_owner=membership.role == Role.OWNER)
        _check_an_owner_remains(membership)
        membership.delete()


def delete_account(user: User) -> None:
    """Delete a person. What only they belonged to is closed; raises OwnerNeeded where others would be left ownerless.

    A closed organisation's books stay, without a name: money that moved must remain accountable.
    """
    with transaction.atomic():
        for membership in user.memberships.select_related("organisation").order_by("organisation_id"):
            _lock(membership.organisation_id)
            if membership.organisation.memberships.count() == 1:
                _close(membership.organisation, user)
            else:
                _check_an_owner_remains(membership)
        user.delete()


def closes_with(user: User) -> list[Organisation]:
    """Return the organisations that nobody else belongs to: they are closed when `user` goes."""
    memberships = user.memberships.select_related("organisation")
    return [each.organisation for each in memberships if each.organisation.memberships.count() == 1]


def is_needed(user: User) -> bool:
    """Say whether other members would be left without an owner if `user` went."""
    closing = closes_with(user)
    owned = user.memberships.filter(role=Role.OWNER).exclude(organisation__in=closing)
    return any(not _has_another_owner(membership) for membership in owned)


def _close(organisation: Organisation, actor: User) -> None:
    suspend_organisation(organisation, CLOSED, actor)
    organisation.name = "Closed organisation"
    organisation.save(update_fields=["name"])
    organisation.invitations.all().delete()


def _lock(organisation_id: UUID) -> None:
    # Two owners leaving at once must not both see the other one still there.
    Organisation.objects.select_for_update().get(pk=organisation_id)


def _check_power(membership: Membership, by: Membership, *, touches_owner: bool) -> None:
    if membership.organisation_id != by.organisation_id or not by.is_admin:
        raise NotAllowed
    if touches_owner and by.role != Role.OWNER:
        raise NotAllowed


def _check_an_owner_remains(leaving: Membership) -> None:
    if leaving.role == Role.OWNER and not _has_another_owner(leaving):
        raise OwnerNeeded


def _has_another_owner(owner: Membership) -> bool:
    owners = Membership.objects.filter(organisation_id=owner.organisation_id, role=Role.OWNER)
    return owners.exclude(pk=owner.pk).exists()


def _verified_address_of(user: User) -> str | None:
    address = EmailAddress.objects.filter(user=user, verified=True).first()
    return str(address.email) if address else None


def _id_of(actor: User | None) -> int | None:
    return actor.pk if actor else None
