"""Stripe's lists: newest first, a page at a time."""

from collections.abc import Mapping
from typing import Any

from billing.development_checkout.errors import Json, no_such
from billing.development_checkout.parameters import Parameters
from billing.development_checkout.store import Books

_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_LATEST = 2**40


def list_of(url: str, items: list[Json], *, has_more: bool = False) -> Json:
    return {"object": "list", "data": items, "has_more": has_more, "url": url}


def page_of(books: Books, kind: str, given: Parameters, url: str, where: Mapping[str, Any] | None = None) -> Json:
    """Return the page that `limit`, `starting_after`, `ending_before` and `created` ask for."""
    most = given.integer("limit", least=1, most=100) or 10
    older_than, newer_than = given.text("starting_after") or "", given.text("ending_before") or ""
    conditions = {**(where or {}), **_created(given)}
    given.refuse_others()
    for name, identifier in (("starting_after", older_than), ("ending_before", newer_than)):
        if identifier and books.find(identifier, kind) is None:
            raise no_such(kind, identifier, name)
    found = books.newest(kind, conditions, before=older_than, after=newer_than, most=most + 1)
    has_more = len(found) > most
    # The one too many is the farthest from where the page begins.
    shown = found[-most:] if newer_than else found[:most]
    return list_of(url, shown, has_more=has_more)


def _created(given: Parameters) -> dict[str, int]:
    if not given.has("created"):
        return {}
    if given.is_text("created"):
        return {"created": given.required_integer("created", most=_LATEST)}
    part = given.part("created")
    if part is None:
        return {}
    bounds = {sign: part.integer(name, most=_LATEST) for name, sign in _COMPARISONS.items()}
    return {f"created {sign}": bound for sign, bound in bounds.items() if bound is not None}
