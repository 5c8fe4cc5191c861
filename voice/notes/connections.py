"""What an organisation does with its connections to CRMs: make, change and remove them."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from voice.models import CrmConnection
from voice.notes.crm.registry import kinds

# Each gets every note: a bound on what one call can set off.
MOST_CONNECTIONS = 10


class TooManyConnections(Exception):
    pass


class NameTaken(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person typed. An empty secret keeps the one there is."""

    name: str
    url: str = ""
    secret: str = ""
    is_active: bool = True


def create_connection(organisation_id: UUID, kind: str, wanted: Wanted) -> CrmConnection:
    """Make a connection; where the secret is ours to make, `.secret` of the result is the only look at it.

    Raises TooManyConnections, NameTaken.
    """
    with transaction.atomic():
        existing = CrmConnection.objects.filter(organisation_id=organisation_id)
        if existing.count() >= MOST_CONNECTIONS:
            raise TooManyConnections
        if existing.filter(name=wanted.name).exists():
            raise NameTaken
        return CrmConnection.objects.create(
            organisation_id=organisation_id,
            kind=kind,
            name=wanted.name,
            is_active=wanted.is_active,
            settings={"url": wanted.url} if wanted.url else {},
            secret=wanted.secret or kinds()[kind].make_secret(),
        )


def change_connection(connection: CrmConnection, wanted: Wanted) -> None:
    """Change a connection; what it was tested for may no longer hold. Raises NameTaken."""
    with transaction.atomic():
        others = CrmConnection.objects.filter(organisation_id=connection.organisation_id).exclude(pk=connection.pk)
        if others.filter(name=wanted.name).exists():
            raise NameTaken
        connection.name, connection.is_active = wanted.name, wanted.is_active
        connection.settings = {"url": wanted.url} if wanted.url else {}
        connection.tested_at, connection.test_problem = None, ""
        changed = ["name", "is_active", "settings", "tested_at", "test_problem", "updated_at"]
        if wanted.secret:
            connection.secret = wanted.secret
            changed.append("secret")
        connection.save(update_fields=changed)


def renew_secret(connection: CrmConnection) -> str:
    """Replace a secret of our making and return the new one, for the only time it is shown."""
    connection.secret = kinds()[connection.kind].make_secret()
    connection.save(update_fields=["secret", "updated_at"])
    return connection.secret
