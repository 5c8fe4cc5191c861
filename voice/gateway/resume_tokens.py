"""Resume tokens: who has one may go on with its call, in any process of ours, and read what was handed over with it.

A token names its session and its page and says by itself that it is ours, so that no process has to keep it.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from uuid import UUID

from django.utils.crypto import salted_hmac

_ID_BYTES, _SECRET_BYTES, _PAGE_BYTES, _SIGN_BYTES = 16, 32, 16, 32
_BODY_BYTES = _ID_BYTES + _SECRET_BYTES + _PAGE_BYTES


@dataclass(frozen=True, slots=True)
class ResumeToken:
    """`secret` is random, and kept by the browser alone once the process that made it is gone."""

    session_id: UUID
    secret: bytes = field(repr=False)
    page: bytes

    def is_of(self, origin: str) -> bool:
        """Say whether the call began on a page of this origin."""
        return hmac.compare_digest(self.page, _page(origin))

    @property
    def text(self) -> str:
        """The token as its browser is given it."""
        body = self.session_id.bytes + self.secret + self.page
        return base64.urlsafe_b64encode(body + _sign(body)).rstrip(b"=").decode()


def new_token(session_id: UUID, origin: str) -> ResumeToken:
    return ResumeToken(session_id, secrets.token_bytes(_SECRET_BYTES), _page(origin))


def read_token(text: str) -> ResumeToken | None:
    """Return the token that a browser shows; None for what we have not made."""
    try:
        token = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    body, sign = token[:_BODY_BYTES], token[_BODY_BYTES:]
    if not hmac.compare_digest(sign, _sign(body)):
        return None
    return ResumeToken(UUID(bytes=body[:_ID_BYTES]), body[_ID_BYTES:-_PAGE_BYTES], body[-_PAGE_BYTES:])


def _page(origin: str) -> bytes:
    return hashlib.sha256(origin.encode()).digest()[:_PAGE_BYTES]


def _sign(body: bytes) -> bytes:
    return salted_hmac("voice.gateway.resume_tokens", body.hex(), algorithm="sha256").digest()
