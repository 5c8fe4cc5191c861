"""Secrets at rest: text encrypted with keys that are in the environment and never in the database."""

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

# Part of every key: changing it makes everything that was ever encrypted unreadable.
_LABEL = b"parley encryption at rest 1"


class NotDecryptable(Exception):
    """The stored text was encrypted with a key that is no longer among ENCRYPTION_KEYS, or it was changed."""


def encrypt(text: str) -> str:
    """Encrypt with the newest key; the same text gives another result each time."""
    return _keys().encrypt(text.encode()).decode("ascii")


def decrypt(token: str) -> str:
    """Read what `encrypt` made with any of the keys; raise NotDecryptable."""
    try:
        return _keys().decrypt(token.encode()).decode()
    except (InvalidToken, UnicodeError):
        raise NotDecryptable from None


def _keys() -> MultiFernet:
    # Without keys of its own it follows SECRET_KEY. Naming that one second lets an operator move to another.
    return _derive(tuple(settings.ENCRYPTION_KEYS) or (settings.SECRET_KEY,))


@lru_cache(maxsize=4)
def _derive(secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_fernet_key(secret)) for secret in secrets])


def _fernet_key(secret: str) -> bytes:
    # Derived, so that a key is any long text, and that knowing one use of SECRET_KEY says nothing of another.
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=_LABEL).derive(secret.encode())
    return base64.urlsafe_b64encode(key)
