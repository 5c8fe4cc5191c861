"""Who called before, without knowing who: a first-party cookie, of which only a keyed hash is kept."""

import secrets
from datetime import date

from django.utils.crypto import salted_hmac

COOKIE = "parley_visitor"
COOKIE_AGE_S = 365 * 24 * 3600
_LONGEST = 64


def cookie_value(given: str) -> str:
    """Return the visitor's cookie, a new one when there is none that could be ours."""
    if 20 <= len(given) <= _LONGEST and given.isascii() and given.replace("-", "").replace("_", "").isalnum():
        return given
    return secrets.token_urlsafe(24)


def visitor_id(cookie: str, today: date) -> str:
    """Return the pseudonym (64 hex digits) of a cookie's owner for this month.

    The salt changes each month, so that nobody can be followed for longer; it comes from SECRET_KEY, so that nobody
    without it can tell whose pseudonym it is.
    """
    return salted_hmac(f"voice.visitors.{today:%Y-%m}", cookie, algorithm="sha256").hexdigest()
