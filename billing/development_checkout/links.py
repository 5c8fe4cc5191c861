"""Addresses of the stand-in's own pages."""

from urllib.parse import urlsplit

from django.urls import reverse

from billing.development_checkout import api_base


def page_url(name: str, identifier: str, returns_to: str | None) -> str:
    """Return a page's address on the host that the buyer comes from and returns to: there their browser reaches us.

    On another name of this machine (localhost, a forwarded port) the policy on form targets would stop the way back.
    """
    return origin_of(returns_to or api_base()) + reverse(f"development_checkout:{name}", args=[identifier])


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
