"""The permission to rate one call: signed, given to the caller when it ends, good for an hour."""

from uuid import UUID

from django.core import signing

RATING_OPEN_S = 3600
_SALT = "voice.admission.rating_token"
_LONGEST = 300


def rating_token(session_id: UUID) -> str:
    return signing.dumps(session_id.hex, salt=_SALT)


def is_rating_token(token: str, session_id: UUID) -> bool:
    """Return whether the token is for this session and its hour is not over."""
    if len(token) > _LONGEST:
        return False
    try:
        return bool(signing.loads(token, salt=_SALT, max_age=RATING_OPEN_S) == session_id.hex)
    except signing.BadSignature:
        return False
