"""What can go wrong with an upstream, as codes for machines; sessions/connect.py alone decides what to do about it.

UpstreamError
├── UpstreamRefused   it answered, and said no
├── UpstreamDropped   the connection ended and we had not asked for that
└── UpstreamTimeout   it did not answer in time
"""

import json


class UpstreamError(Exception):
    """The upstream failed. `code` is stable; `retryable` says whether dialling again may help."""

    def __init__(self, code: str, *, retryable: bool) -> None:
        super().__init__(code)
        self.code = code
        self.retryable = retryable


class UpstreamRefused(UpstreamError):
    """The upstream turned the connection or the request down."""


class UpstreamDropped(UpstreamError):
    """The upstream hung up. `close_code` is the one of its websocket close frame, None when it sent none."""

    def __init__(self, code: str, *, retryable: bool, close_code: int | None = None) -> None:
        super().__init__(code, retryable=retryable)
        self.close_code = close_code


class UpstreamTimeout(UpstreamError):
    """The upstream took longer than it was given."""


# A provider's words for an account without money.
QUOTA_WORDS = frozenset({"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"})


def refusal_of(status: int, body: bytes = b"") -> UpstreamRefused:
    """Return the refusal that an HTTP status means; 0 stands for an answer that was no HTTP at all.

    `body` is as much of the answer as has come, and may be anything.
    """
    if status in (401, 403):
        # The key is wrong, or not allowed this model: only the operator can change that.
        return UpstreamRefused("upstream_unauthorized", retryable=False)
    if status == 404:
        # No such model or no such address: it will not appear by asking again, though another model may be there.
        return UpstreamRefused("upstream_model_not_found", retryable=False)
    if status == 429 and _tells_of_quota(body):
        # Only the account's owner can change that.
        return UpstreamRefused("upstream_quota", retryable=False)
    if status == 429:
        # The requests or tokens of this minute are used up; the next minute has new ones.
        return UpstreamRefused("upstream_rate_limited", retryable=True)
    if status >= 500:
        # The provider's own trouble, mostly short.
        return UpstreamRefused("upstream_unavailable", retryable=True)
    # A redirect, a 400, something that speaks no such protocol: the address or the request is wrong and stays wrong.
    return UpstreamRefused("upstream_refused", retryable=False)


def _tells_of_quota(body: bytes) -> bool:
    try:
        error = json.loads(body)["error"]
        words = (error.get("code"), error.get("type"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False
    return any(isinstance(word, str) and word in QUOTA_WORDS for word in words)
