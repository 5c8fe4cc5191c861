"""A stand-in for Stripe's API on a developer's own machine: no keys, no network, and no money ever moves.

The real `stripe` library talks to it; only the base address differs. README.md says what it does and what it does not.
"""

import hashlib
import hmac
import os
from urllib.parse import urlsplit

from django.conf import settings

API_KEY = "sk_test_development"
API_VERSION = "2026-10-28.endive"
_MOUNTED_AT = "/dev/stripe"
_WEBHOOK_PATH = "/billing/stripe/webhook"
_DEFAULT_PORT = "8000"


def api_base() -> str:
    """Where the `stripe` library finds the stand-in, as its `base_addresses["api"]`; settings.STRIPE_API_BASE wins."""
    named: str = settings.STRIPE_API_BASE
    return named or f"http://{_own_host()}:{os.environ.get('PORT', '').strip() or _DEFAULT_PORT}{_MOUNTED_AT}"


def webhook_url() -> str:
    """Where the stand-in delivers its events: this server's own webhook."""
    base = urlsplit(api_base())
    return f"{base.scheme}://{base.netloc}{_WEBHOOK_PATH}"


def webhook_secret() -> str:
    """The secret that events are signed with: settings.STRIPE_WEBHOOK_SECRET, or one that only this server can know."""
    named: str = settings.STRIPE_WEBHOOK_SECRET
    if named:
        return named
    key = settings.SECRET_KEY.encode()
    return "whsec_" + hmac.new(key, b"development checkout's webhook", hashlib.sha256).hexdigest()


def _own_host() -> str:
    # A server that listens on the IPv6 loopback only does not answer at 127.0.0.1.
    return "[::1]" if os.environ.get("HOST", "").strip() in {"::1", "::"} else "127.0.0.1"
