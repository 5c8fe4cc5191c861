"""Which of an upstream's own words mean that it cannot go on with the call, and what that means for the next try."""

from collections.abc import Mapping
from typing import Any

from voice.upstream.errors import QUOTA_WORDS, UpstreamError, UpstreamRefused

# Of the account: only its owner can change that.
_REFUSALS = {
    **dict.fromkeys(QUOTA_WORDS, "upstream_quota"),
    "account_deactivated": "upstream_unauthorized",
    "invalid_api_key": "upstream_unauthorized",
    "model_not_found": "upstream_model_not_found",
    "rate_limit_exceeded": "upstream_rate_limited",
    "inference_rate_limit_exceeded": "upstream_rate_limited",
}
_CODE_CHARS_MAX = 80

# What a fresh connection to the same model may mend. A stall and a used-up quota it would not, or not in time.
TRY_AGAIN = {
    "upstream_closed",
    "upstream_dropped",
    "upstream_failed",
    "upstream_gone",
    "upstream_unavailable",
    "upstream_unreachable",
    "session_expired",
}
# Asking again within seconds changes nothing.
HOPELESS = {"upstream_unauthorized", "upstream_model_not_found", "upstream_quota", "upstream_refused"}
# What ends a connection though nothing is wrong with the model.
PLANNED = {"session_expired", "session_expiring", "maintenance", "voice_wanted", "upstream_flooded"}


def failure_of_response(response: Mapping[str, Any]) -> UpstreamError | None:
    """Return why a response that is over means that its upstream cannot answer; None when it does not."""
    if response.get("status") != "failed":
        return None
    details = response.get("status_details")
    error = details.get("error") if isinstance(details, Mapping) else None
    if not isinstance(error, Mapping):
        return None
    if refusal := _refusal(error):
        return refusal
    code = str(error.get("code"))
    if code.startswith("upstream_"):
        return UpstreamError(code[:_CODE_CHARS_MAX], retryable=True)
    # What is wrong with the request stays wrong wherever it is sent; what is wrong with the server need not.
    return UpstreamError("upstream_failed", retryable=True) if error.get("type") == "server_error" else None


def failure_of_error(error: Mapping[str, Any]) -> UpstreamError | None:
    """Return why an `error` event means that the session is over, or as good as over; None when it does not."""
    if error.get("code") == "session_expired":
        return UpstreamError("session_expired", retryable=True)
    return _refusal(error)


def _refusal(error: Mapping[str, Any]) -> UpstreamError | None:
    for word in (error.get("code"), error.get("type")):
        if isinstance(word, str) and word in _REFUSALS:
            return UpstreamRefused(_REFUSALS[word], retryable=False)
    return None
