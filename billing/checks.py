"""Refuse to start where the ledger's locking would not hold."""

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from billing.ledger import MAX_AMOUNT_MICRO, MICRO

_ORIGIN = re.compile(r"https://[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?")
_TAX_CODE = re.compile(r"[0-9]{4,8}")


def can_lock(database: Mapping[str, Any]) -> bool:
    """SQLite knows no row locks: only IMMEDIATE transactions keep two writers from reading the same balance."""
    if not database["ENGINE"].endswith("sqlite3"):
        return True
    return str(database.get("OPTIONS", {}).get("transaction_mode")).upper() in ("IMMEDIATE", "EXCLUSIVE")


@register
def ledger_can_lock(**_: Any) -> list[CheckMessage]:
    if can_lock(settings.DATABASES["default"]):
        return []
    hint = 'Set OPTIONS = {"transaction_mode": "IMMEDIATE"} in DATABASES.'
    return [Error("The ledger needs IMMEDIATE transactions on SQLite.", hint=hint, id="billing.E001")]


@register
def seller_tax_code_is_one(**_: Any) -> list[CheckMessage]:
    if not settings.SELLER_TAX_CODE or _TAX_CODE.fullmatch(settings.SELLER_TAX_CODE):
        return []
    return [Error("SELLER_TAX_CODE is an HSN or SAC code: four to eight digits.", id="billing.E003")]


@register
def checkout_origin_is_one(**_: Any) -> list[CheckMessage]:
    if _ORIGIN.fullmatch(settings.STRIPE_CHECKOUT_ORIGIN):
        return []
    return [Error("STRIPE_CHECKOUT_ORIGIN is https:// and a host, nothing more.", id="billing.E004")]


@register
def sign_up_credits_fit(**_: Any) -> list[CheckMessage]:
    if settings.SIGN_UP_CREDITS * MICRO <= MAX_AMOUNT_MICRO:
        return []
    most = MAX_AMOUNT_MICRO // MICRO
    return [Error(f"SIGN_UP_CREDITS is more than the ledger moves at once ({most}).", id="billing.E002")]
