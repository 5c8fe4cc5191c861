"""Wallets, the entries that move them, and the holds that promise them. Only billing.ledger writes these."""

from billing.models.audit_run import AuditRun
from billing.models.auto_top_up import AttemptState, AutoTopUp, AutoTopUpAttempt, OffReason
from billing.models.budget import BudgetSettings
from billing.models.bundle import Bundle, BundlePrice, Currency
from billing.models.entry import Entry, EntryKind
from billing.models.hold import Capture, Hold, HoldStatus
from billing.models.lot import Draw, Lot, LotKind
from billing.models.purchase import Dispute, DisputeStatus, Origin, Purchase, PurchaseStatus, Refund, RefundStatus
from billing.models.receipt import CreditNote, Receipt, ReceiptSeries
from billing.models.sign_up import SignUpDay, SignUpGrant, SignUpGrantStatus
from billing.models.stripe_event import RefusedDelivery, StripeEvent, StripeEventState
from billing.models.wallet import Wallet

__all__ = [
    "AttemptState",
    "AuditRun",
    "AutoTopUp",
    "AutoTopUpAttempt",
    "BudgetSettings",
    "Bundle",
    "BundlePrice",
    "Capture",
    "CreditNote",
    "Currency",
    "Dispute",
    "DisputeStatus",
    "Draw",
    "Entry",
    "EntryKind",
    "Hold",
    "HoldStatus",
    "Lot",
    "LotKind",
    "OffReason",
    "Origin",
    "Purchase",
    "PurchaseStatus",
    "Receipt",
    "ReceiptSeries",
    "Refund",
    "RefundStatus",
    "RefusedDelivery",
    "SignUpDay",
    "SignUpGrant",
    "SignUpGrantStatus",
    "StripeEvent",
    "StripeEventState",
    "Wallet",
]
