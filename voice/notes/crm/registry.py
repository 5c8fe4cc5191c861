"""Every CRM there is: each module beside this one that holds a subclass of Crm."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from uuid import UUID

from config.encryption import NotDecryptable
from voice.models import CrmConnection
from voice.notes import crm
from voice.notes.crm.base import Crm, Permanent


@cache
def kinds() -> dict[str, type[Crm]]:
    """Return the classes by their kind, in the order of their names."""
    for module in iter_modules(crm.__path__):
        import_module(f"{crm.__name__}.{module.name}")
    return {each.kind: each for each in sorted(Crm.__subclasses__(), key=lambda each: each.label)}


def crm_of(connection_id: UUID) -> Crm:
    """Return the CRM that a connection leads to. Raises Permanent when it cannot be used."""
    try:
        connection = CrmConnection.objects.get(pk=connection_id)
    except NotDecryptable:
        raise Permanent("secret_unreadable") from None
    made = kinds().get(connection.kind)
    if made is None:
        raise Permanent("unknown_kind")
    return made(connection.settings, connection.secret)
