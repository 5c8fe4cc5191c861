"""Refuse to start where the ledger's locking would not hold."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from billing.ledger import MAX_AMOUNT_MICRO, MICRO


@register
def ledger_can_lock(**_: Any) -> list[CheckMessage]:
    """SQLite knows no row locks: only IMMEDIATE transactions keep two writers from reading the same balance."""
    database = settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3"):
        return []
    mode = str(database.get("OPTIONS", {}).get("transaction_mode", "")).upper()
    if mode in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    return [
        Error(
            "The ledger needs IMMEDIATE transactions on SQLite.",
            hint='Set OPTIONS = {"transaction_mode": "IMMEDIATE"} in DATABASES.',
            id="billing.E001",
        )
    ]


@register
def sign_up_credits_fit(**_: Any) -> list[CheckMessage]:
    if settings.SIGN_UP_CREDITS * MICRO <= MAX_AMOUNT_MICRO:
        return []
    most = MAX_AMOUNT_MICRO // MICRO
    return [Error(f"SIGN_UP_CREDITS is more than the ledger moves at once ({most}).", id="billing.E002")]
