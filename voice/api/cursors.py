"""Pages by cursor: where the last page ended, opaque to whoever holds it."""

import base64
import binascii
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from voice.api.errors import InvalidRequest

_LONGEST = 200


def cursor_after(created_at: datetime, row_id: UUID) -> str:
    return base64.urlsafe_b64encode(f"{created_at.isoformat()} {row_id.hex}".encode()).decode()


def after(cursor: str) -> Q:
    """Return the rows that come after a cursor, newest first. Raises InvalidRequest."""
    if not cursor:
        return Q()
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        moment, _, number = base64.b64decode(cursor, altchars=b"-_", validate=True).decode("ascii").partition(" ")
        created_at, row_id = datetime.fromisoformat(moment), UUID(hex=number)
        if created_at.tzinfo is None:
            raise ValueError
    except (ValueError, binascii.Error, OverflowError):
        raise InvalidRequest("cursor: not one that a page of ours ended with.", param="cursor") from None
    return Q(created_at__lt=created_at) | Q(created_at=created_at, id__lt=row_id)
