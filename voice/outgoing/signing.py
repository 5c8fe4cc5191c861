"""Standard Webhooks signatures: the receiver knows who sent it, that nobody changed it, and when."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """Return a secret as receivers' libraries take it: `whsec_` and base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def signed_headers(message_id: str, timestamp_s: int, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """Return the headers of one attempt, signed with each of `keys`: receivers accept any one signature."""
    signatures = [f"v1,{_signature(key, message_id, timestamp_s, body)}" for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signatures),
    }


def _signature(key: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    digest = hmac.digest(base64.b64decode(key.removeprefix(_PREFIX)), signed, hashlib.sha256)
    return base64.b64encode(digest).decode("ascii")
