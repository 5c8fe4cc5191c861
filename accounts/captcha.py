"""One question for both CAPTCHA providers: is this solution right and fresh? Whatever goes wrong, the answer is no."""

import base64
import hashlib
import json
import secrets
import time
from http.client import HTTPException
from typing import Any

import altcha
import structlog
from django.conf import settings
from django.core.cache import cache
from django.utils.crypto import salted_hmac

from accounts.exceptions import CaptchaError, CaptchaFailed, CaptchaReused, CaptchaUnavailable

__all__ = ["CaptchaError", "CaptchaFailed", "CaptchaReused", "CaptchaUnavailable", "challenge", "verify"]

log = structlog.get_logger(__name__)

# Long enough to fill in a form; a solution is remembered as used for as long as it could be used.
CHALLENGE_LIFETIME_S = 900
LONGEST_PAYLOAD = 8192
# Each try costs the visitor this many PBKDF2 rounds (about 2 ms). The counter is drawn from a range rather than left to
# chance, so that nobody's telephone is the unlucky one in a hundred that works five times as long.
_ROUNDS = 5000
_COUNTER_FROM, _COUNTER_TO = 100, 400

# What Google answers when the visitor is to blame; anything else is our configuration or Google's trouble.
_VISITORS_FAULT = {"missing-input-response", "invalid-input-response"}


def challenge() -> dict[str, Any]:
    """Return a new ALTCHA (v2) challenge, ready to be sent as JSON to the widget."""
    made = altcha.create_challenge(
        algorithm="PBKDF2/SHA-256",
        cost=_ROUNDS,
        counter=_COUNTER_FROM + secrets.randbelow(_COUNTER_TO - _COUNTER_FROM),
        expires_at=int(time.time()) + CHALLENGE_LIFETIME_S,
        hmac_secret=_hmac_secret(),
    )
    return dict(made.to_dict())


def verify(payload: str, remote_ip: str) -> None:
    """Return if `payload` solves the CAPTCHA in force, and use it up.

    Raises CaptchaFailed, CaptchaReused, or CaptchaUnavailable when the provider could not be asked.
    """
    if not payload or len(payload) > LONGEST_PAYLOAD:
        raise CaptchaFailed
    if settings.CAPTCHA == "recaptcha":
        _verify_recaptcha(payload, remote_ip)
    else:
        _verify_altcha(payload)


def _verify_altcha(payload: str) -> None:
    result = altcha.verify_solution(payload, _hmac_secret())
    if not result.verified:
        raise CaptchaFailed
    # By the challenge, not the payload: one solution can be spelled as base64 in many ways.
    nonce = json.loads(_decoded(payload))["challenge"]["parameters"]["nonce"]
    used = "captcha:" + hashlib.sha256(str(nonce).encode()).hexdigest()
    if not cache.add(used, 1, CHALLENGE_LIFETIME_S + 60):
        raise CaptchaReused


def _verify_recaptcha(payload: str, remote_ip: str) -> None:
    from django_recaptcha import client  # importable only where it is installed as an app

    try:
        answer = client.submit(payload, settings.RECAPTCHA_PRIVATE_KEY, remote_ip)
    except (OSError, HTTPException, ValueError, KeyError) as error:
        log.warning("captcha provider did not answer", error=type(error).__name__)
        raise CaptchaUnavailable from error
    if answer.is_valid is True:
        return
    codes = set(answer.error_codes)
    if codes == {"timeout-or-duplicate"}:
        raise CaptchaReused
    if not codes or codes <= _VISITORS_FAULT | {"timeout-or-duplicate"}:
        raise CaptchaFailed
    log.error("captcha provider refused the question", codes=sorted(map(str, codes)))
    raise CaptchaUnavailable


def _hmac_secret() -> str:
    return salted_hmac("accounts.captcha", "altcha", algorithm="sha256").hexdigest()


def _decoded(payload: str) -> str:
    return base64.b64decode(payload).decode()
