"""Wallets, the entries that move them, and the holds that promise them. Only billing.ledger writes these."""

from billing.models.entry import Entry, EntryKind
from billing.models.hold import Capture, Hold, HoldStatus
from billing.models.sign_up import SignUpDay, SignUpGrant, SignUpGrantStatus
from billing.models.wallet import Wallet

__all__ = [
    "Capture",
    "Entry",
    "EntryKind",
    "Hold",
    "HoldStatus",
    "SignUpDay",
    "SignUpGrant",
    "SignUpGrantStatus",
    "Wallet",
]
