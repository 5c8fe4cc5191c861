"""Disputes: a buyer's bank takes the money back, and the seller wins or loses it."""

import time

from billing.development_checkout.errors import ApiError, Json
from billing.development_checkout.events import emit
from billing.development_checkout.lists import page_of
from billing.development_checkout.parameters import Parameters
from billing.development_checkout.store import Books, new_id

_DAYS_TO_ANSWER = 7
_OPEN = {"needs_response", "under_review"}


def open_dispute(books: Books, charge: Json) -> Json:
    """Raises ApiError unless the charge succeeded, is not disputed yet, and something of it is left."""
    left = charge["amount_captured"] - charge["amount_refunded"]
    if charge["status"] != "succeeded" or charge["disputed"] or left == 0:
        raise ApiError("This charge cannot be disputed.")
    dispute = books.add("du_", "dispute", _fields(charge, left))
    charge["disputed"] = True
    books.save(charge)
    emit(books, "charge.dispute.created", dispute)
    dispute["balance_transactions"] = [_movement(dispute, -left)]
    books.save(dispute)
    emit(books, "charge.dispute.funds_withdrawn", dispute)
    return dispute


def close_dispute(books: Books, dispute: Json, *, won: bool) -> None:
    """Raises ApiError when it is closed already."""
    if dispute["status"] not in _OPEN:
        raise ApiError("This dispute is already closed.")
    dispute["status"] = "won" if won else "lost"
    books.save(dispute)
    emit(books, "charge.dispute.closed", dispute)
    if won:
        dispute["balance_transactions"].append(_movement(dispute, dispute["amount"]))
        books.save(dispute)
        emit(books, "charge.dispute.funds_reinstated", dispute)


def update(books: Books, given: Parameters, identifier: str) -> Json:
    """Answer a dispute: it is then under review. Raises ApiError when it is closed."""
    dispute = books.get(identifier, "dispute", "dispute")
    if dispute["status"] not in _OPEN:
        raise ApiError("This dispute is already closed.")
    dispute["metadata"] |= given.metadata()
    submits = given.has("evidence") and given.flag("submit") is not False
    given.without_effect("evidence", "submit")
    given.refuse_others()
    if submits:
        dispute["status"] = "under_review"
    books.save(dispute)
    emit(books, "charge.dispute.updated", dispute)
    return dispute


def close(books: Books, given: Parameters, identifier: str) -> Json:
    """Give in: the dispute is lost."""
    given.refuse_others()
    dispute = books.get(identifier, "dispute", "dispute")
    close_dispute(books, dispute, won=False)
    return dispute


def retrieve(books: Books, given: Parameters, identifier: str) -> Json:
    return books.get(identifier, "dispute", "dispute")


def list_all(books: Books, given: Parameters) -> Json:
    where = {name: value for name in ("charge", "payment_intent") if (value := given.text(name))}
    return page_of(books, "dispute", given, "/v1/disputes", where)


def _fields(charge: Json, amount: int) -> Json:
    return {
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {},
        "evidence_details": {
            "due_by": int(time.time()) + _DAYS_TO_ANSWER * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": None,
        "reason": "fraudulent",
        "status": "needs_response",
    }


def _movement(dispute: Json, amount: int) -> Json:
    return {
        "id": new_id("txn_"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": int(time.time()),
        "created": int(time.time()),
        "currency": dispute["currency"],
        "description": f"Dispute {dispute['id']}",
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": amount,
        "reporting_category": "dispute" if amount < 0 else "dispute_reversal",
        "source": dispute["id"],
        "status": "available",
        "type": "adjustment",
    }
