"""Refunds: whole or in part, at once or pending, and those that fail after all."""

from billing.development_checkout.errors import ApiError, Json
from billing.development_checkout.events import emit
from billing.development_checkout.lists import page_of
from billing.development_checkout.parameters import Parameters
from billing.development_checkout.store import Books

AT_ONCE, PENDING = "at_once", "pending"
REFUND_MODES = {AT_ONCE: "Succeed at once", PENDING: "Stay pending, until a button is pressed"}


def refund_mode(books: Books) -> str:
    return books.switch("refunds", AT_ONCE)


def create(books: Books, given: Parameters) -> Json:
    """Raises ApiError when there is no such charge, it is disputed, or less of it is left."""
    charge_id, intent_id = given.text("charge"), given.text("payment_intent")
    amount = given.integer("amount", least=1)
    reason = given.choice("reason", "duplicate", "fraudulent", "requested_by_customer")
    metadata = given.metadata()
    given.refuse_others()
    return add_refund(books, _charge(books, charge_id, intent_id), amount, reason, metadata)


def add_refund(
    books: Books, charge: Json, amount: int | None, reason: str | None = None, metadata: Json | None = None
) -> Json:
    """Give back `amount` minor units of the charge, or whatever is left of it. Raises ApiError."""
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = left if amount is None else amount
    _check(charge, amount, left)
    is_pending = refund_mode(books) == PENDING
    refund = books.add(
        "re_",
        "refund",
        {
            "amount": amount,
            "balance_transaction": None,
            "charge": charge["id"],
            "currency": charge["currency"],
            "customer": charge["customer"],
            "destination_details": {"card": {"type": "refund"}, "type": "card"},
            "failure_reason": None,
            "metadata": metadata or {},
            "payment_intent": charge["payment_intent"],
            "payment_method": charge["payment_method"],
            "pending_reason": "processing" if is_pending else None,
            "reason": reason,
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": "pending" if is_pending else "succeeded",
            "transfer_reversal": None,
        },
    )
    _count(books, charge, amount)
    emit(books, "refund.created", refund)
    emit(books, "charge.refunded", charge)
    return refund


def settle(books: Books, refund: Json, *, succeeds: bool) -> None:
    """A pending refund succeeds; a pending one, or one that had succeeded, fails. Raises ApiError otherwise."""
    if refund["status"] not in ({"pending"} if succeeds else {"pending", "succeeded"}):
        raise ApiError(f"The refund has a status of {refund['status']}.")
    refund.update(status="succeeded" if succeeds else "failed", pending_reason=None)
    if not succeeds:
        refund["failure_reason"] = "lost_or_stolen_card"
        _count(books, books.get(refund["charge"], "charge"), -refund["amount"])
    books.save(refund)
    emit(books, "refund.updated", refund)
    if not succeeds:
        emit(books, "refund.failed", refund)


def update(books: Books, given: Parameters, identifier: str) -> Json:
    refund = books.get(identifier, "refund", "refund")
    refund["metadata"] |= given.metadata()
    given.refuse_others()
    books.save(refund)
    emit(books, "refund.updated", refund)
    return refund


def retrieve(books: Books, given: Parameters, identifier: str) -> Json:
    return books.get(identifier, "refund", "refund")


def list_all(books: Books, given: Parameters) -> Json:
    where = {name: value for name in ("charge", "payment_intent") if (value := given.text(name))}
    return page_of(books, "refund", given, "/v1/refunds", where)


def _charge(books: Books, charge_id: str | None, intent_id: str | None) -> Json:
    if charge_id:
        return books.get(charge_id, "charge", "charge")
    if not intent_id:
        raise ApiError("One of the following params should be provided for this request: payment_intent or charge.")
    intent = books.get(intent_id, "payment_intent", "payment_intent")
    if intent["status"] != "succeeded":
        raise ApiError("This PaymentIntent does not have a successful charge to refund.", param="payment_intent")
    return books.get(intent["latest_charge"], "charge", "charge")


def _check(charge: Json, amount: int, left: int) -> None:
    if charge["disputed"]:
        raise ApiError(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if charge["status"] != "succeeded":
        raise ApiError(f"Charge {charge['id']} did not succeed; cannot issue a refund.")
    if left == 0:
        raise ApiError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount > left:
        raise ApiError(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}), in minor units.",
            param="amount",
        )


def _count(books: Books, charge: Json, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    books.save(charge)
