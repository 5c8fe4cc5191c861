"""Reading an address that a customer typed, by one parser, into what will be dialled."""

import re
from ipaddress import ip_address

import httpx
from django.conf import settings

from voice.outgoing.addresses import Address, is_loopback, is_public
from voice.outgoing.errors import Refused

URL_CHARS_MAX = 2000

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_CREDENTIALS = re.compile(r"[^/?#]*//[^/?#]*@")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?\.?")
# A last label of digits makes a resolver read the whole as a number: 127.1, 2130706433, 0x7f000001, 0177.0.0.1.
_NUMBER = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)\.?")


def check_url(text: str) -> None:
    """Refuse what can never be dialled, for a form: no name is resolved here. Raises Refused."""
    url = parse(text)
    if address := literal_address(url):
        check_addresses(url, [address])
    elif url.scheme != "https" and not settings.OUTGOING_ALLOW_PRIVATE:
        raise Refused("not_https")


def parse(text: str) -> httpx.URL:
    """Return the address with a scheme, a host and no credentials; raise Refused("bad_url" or "not_https")."""
    if len(text) > URL_CHARS_MAX or _UNPRINTABLE.search(text) or _CREDENTIALS.match(text):
        raise Refused("bad_url")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        raise Refused("bad_url") from None
    if url.scheme == "http" and not settings.OUTGOING_ALLOW_PRIVATE:
        raise Refused("not_https")
    if url.scheme not in ("http", "https") or not url.raw_host or not 0 < port_of(url) < 65_536:
        raise Refused("bad_url")
    if literal_address(url) is None:
        _check_name(url.raw_host.decode("ascii").lower())
    return url.copy_with(fragment=None)


def literal_address(url: httpx.URL) -> Address | None:
    """Return the IP address written in the place of a host name, if one is."""
    try:
        return ip_address(url.raw_host.decode("ascii").strip("[]"))
    except ValueError:
        return None


def port_of(url: httpx.URL) -> int:
    return (443 if url.scheme == "https" else 80) if url.port is None else url.port


def check_addresses(url: httpx.URL, addresses: list[Address]) -> None:
    """Refuse unless every address that the host has may be dialled. Raises Refused.

    Every one, not only the one dialled: a name that also points inside is no customer's server.
    """
    if not addresses:
        raise Refused("unreachable")
    here = settings.OUTGOING_ALLOW_PRIVATE and all(is_loopback(address) for address in addresses)
    if not here and not all(is_public(address) for address in addresses):
        raise Refused("address_not_allowed")
    if not here and url.scheme != "https":
        raise Refused("not_https")


def _check_name(host: str) -> None:
    if not _NAME.fullmatch(host) or _NUMBER.fullmatch(host) or ".." in host:
        raise Refused("bad_url")
