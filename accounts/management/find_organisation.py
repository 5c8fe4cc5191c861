"""The organisation that an operator names on the command line."""

import uuid

from django.core.management.base import CommandError

from accounts.models import Organisation


def find_organisation(word: str) -> Organisation:
    """Return the one organisation with this id, slug or exact name, whatever its case. Raises CommandError."""
    try:
        found = list(Organisation.objects.filter(pk=uuid.UUID(word)))
    except ValueError:
        found = list(Organisation.objects.filter(slug=word) or Organisation.objects.filter(name__iexact=word)[:10])
    match found:
        case [organisation]:
            return organisation
        case []:
            raise CommandError(f"There is no organisation {word!r}.")
    raise CommandError("Several are called so, name one by its id: " + ", ".join(str(each.pk) for each in found))
