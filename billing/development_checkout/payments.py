"""What becomes of a payment: it succeeds, is refused, waits for the bank or for the money."""

from billing.development_checkout.cards import Refusal, card_of
from billing.development_checkout.errors import Json, doc_url
from billing.development_checkout.events import emit
from billing.development_checkout.store import Books, new_id, public

# Below these Stripe charges nothing (minor units); elsewhere the smallest is taken as 50 as well.
SMALLEST_AMOUNT = {"usd": 50, "inr": 50}


def smallest_amount(currency: str) -> int:
    return SMALLEST_AMOUNT.get(currency, 50)


def add_intent(books: Books, amount: int, currency: str, fields: Json) -> Json:
    """Make a payment intent that has no payment method yet."""
    identifier = new_id("pi_")
    intent = books.add(
        "pi_",
        "payment_intent",
        {
            "id": identifier,
            "amount": amount,
            "amount_capturable": 0,
            "amount_details": {"tip": {}},
            "amount_received": 0,
            "application": None,
            "application_fee_amount": None,
            "automatic_payment_methods": None,
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": "automatic_async",
            "client_secret": f"{identifier}_secret_{new_id('')}",
            "confirmation_method": "automatic",
            "currency": currency,
            "customer": None,
            "description": None,
            "last_payment_error": None,
            "latest_charge": None,
            "metadata": {},
            "next_action": None,
            "on_behalf_of": None,
            "payment_method": None,
            "payment_method_options": {},
            "payment_method_types": ["card"],
            "processing": None,
            "receipt_email": None,
            "review": None,
            "setup_future_usage": None,
            "shipping": None,
            "source": None,
            "statement_descriptor": None,
            "statement_descriptor_suffix": None,
            "status": "requires_payment_method",
            "transfer_data": None,
            "transfer_group": None,
        }
        | fields,
    )
    emit(books, "payment_intent.created", intent)
    return intent


def succeed(books: Books, intent: Json, method: Json) -> None:
    charge = _add_charge(books, intent, method, None)
    intent.update(
        amount_received=intent["amount"],
        last_payment_error=None,
        latest_charge=charge["id"],
        next_action=None,
        payment_method=method["id"],
        processing=None,
        status="succeeded",
    )
    books.save(intent)
    emit(books, "charge.succeeded", charge)
    emit(books, "payment_intent.succeeded", intent)


def refuse(books: Books, intent: Json, method: Json, refusal: Refusal) -> Json:
    """Refuse the payment; returns the error as `last_payment_error` has it."""
    charge = _add_charge(books, intent, method, refusal) if refusal.decline_code else None
    error: Json = {
        "code": refusal.code,
        "doc_url": doc_url(refusal.code),
        "message": refusal.message,
        "payment_method": public(method),
        "type": "card_error" if refusal.decline_code else "invalid_request_error",
    }
    if charge is not None:
        error |= {"charge": charge["id"], "decline_code": refusal.decline_code}
        intent["latest_charge"] = charge["id"]
    intent.update(
        last_payment_error=error,
        next_action=None,
        payment_method=None,
        processing=None,
        status="requires_payment_method",
    )
    books.save(intent)
    if charge is not None:
        emit(books, "charge.failed", charge)
    emit(books, "payment_intent.payment_failed", intent)
    return error


def ask_owner(books: Books, intent: Json, method: Json, next_action: Json) -> None:
    """Let the payment wait until the card's owner has confirmed it to the bank (3-D Secure)."""
    intent.update(
        last_payment_error=None, next_action=next_action, payment_method=method["id"], status="requires_action"
    )
    books.save(intent)
    emit(books, "payment_intent.requires_action", intent)


def wait_for_money(books: Books, intent: Json, method: Json) -> None:
    intent.update(
        last_payment_error=None,
        payment_method=method["id"],
        payment_method_types=[method["type"]],
        status="processing",
    )
    books.save(intent)
    emit(books, "payment_intent.processing", intent)


def _add_charge(books: Books, intent: Json, method: Json, refusal: Refusal | None) -> Json:
    passed = refusal is None
    return books.add(
        "ch_",
        "charge",
        {
            "amount": intent["amount"],
            "amount_captured": intent["amount"] if passed else 0,
            "amount_refunded": 0,
            "application": None,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": None,
            "billing_details": method["billing_details"],
            "calculated_statement_descriptor": "DEVELOPMENT CHECKOUT",
            "captured": passed,
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "disputed": False,
            "failure_balance_transaction": None,
            "failure_code": refusal.code if refusal else None,
            "failure_message": refusal.message if refusal else None,
            "fraud_details": {},
            "metadata": intent["metadata"],
            "on_behalf_of": None,
            "outcome": _outcome(refusal),
            "paid": passed,
            "payment_intent": intent["id"],
            "payment_method": method["id"],
            "payment_method_details": {"type": method["type"], method["type"]: method[method["type"]]},
            "receipt_email": intent["receipt_email"],
            "receipt_number": None,
            "receipt_url": None,
            "refunded": False,
            "review": None,
            "shipping": None,
            "source": None,
            "source_transfer": None,
            "statement_descriptor": None,
            "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
            "status": "succeeded" if passed else "failed",
            "transfer_data": None,
            "transfer_group": None,
        },
    )


def _outcome(refusal: Refusal | None) -> Json:
    return {
        "network_status": "declined_by_network" if refusal else "approved_by_network",
        "reason": refusal.decline_code if refusal else None,
        "risk_level": "normal",
        "seller_message": "The bank declined." if refusal else "Payment complete.",
        "type": "issuer_declined" if refusal else "authorized",
    }


def refusal_in_absence(method: Json) -> Refusal | None:
    """What charging a saved payment method without its owner brings; None: the money."""
    card = card_of(method)
    return card.later if card else None
