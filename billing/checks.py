"""Refuse to start where the ledger's locking would not hold."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from billing.ledger import MAX_AMOUNT_MICRO, MICRO


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
def sign_up_credits_fit(**_: Any) -> list[CheckMessage]:
    if settings.SIGN_UP_CREDITS * MICRO <= MAX_AMOUNT_MICRO:
        return []
    most = MAX_AMOUNT_MICRO // MICRO
    return [Error(f"SIGN_UP_CREDITS is more than the ledger moves at once ({most}).", id="billing.E002")]
