"""What a buyer does with a checkout: pays, is declined, is asked by the bank, pays later, or lets it expire."""

import time
from dataclasses import dataclass

from billing.development_checkout import cards, customers, invoices, payments, promotion_codes, totals
from billing.development_checkout.errors import ApiError, Json
from billing.development_checkout.events import emit
from billing.development_checkout.store import Books

_EU = {
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
}  # fmt: skip
_TAX_ID_KINDS = {"IN": "in_gst", "GB": "gb_vat", "US": "us_ein", "AU": "au_abn", "CA": "ca_bn", "SG": "sg_gst"}


@dataclass(frozen=True, slots=True)
class Buyer:
    """What somebody typed into the page. `address` has Stripe's six fields; `card` is a key of cards.CARDS."""

    email: str
    name: str
    address: Json
    tax_id: str = ""
    card: str = "works"


def current(books: Books, identifier: str) -> Json:
    """Return the checkout as of now: one whose time is over is expired. Raises ApiError (404)."""
    session = books.get(identifier, "checkout.session")
    if session["status"] == "open" and session["expires_at"] <= time.time():
        expire(books, session)
    return session


def expire_overdue(books: Books) -> None:
    for session in books.newest("checkout.session", {"status": "open", "expires_at <=": int(time.time())}):
        expire(books, session)


def next_expiry_at(books: Books) -> float | None:
    return books.least("checkout.session", "expires_at", {"status": "open"})


def expire(books: Books, session: Json) -> None:
    session.update(status="expired", url=None)
    _cancel_intent(books, session)
    books.save(session)
    emit(books, "checkout.session.expired", session)


def use_promotion_code(books: Books, session: Json, typed: str) -> bool:
    """Take the code a buyer typed, or take the old one off when it is empty; False if there is no such code."""
    found = promotion_codes.by_code(books, typed) if typed else None
    if typed and found is None:
        return False
    session["discounts"] = [{"coupon": None, "promotion_code": found["id"]}] if found else []
    add_up(books, session, _known_country(books, session))
    books.save(session)
    return True


def record_buyer(books: Books, session: Json, buyer: Buyer) -> None:
    """Write down who buys, and what it comes to where they live."""
    country = buyer.address.get("country")
    kind = "eu_vat" if country in _EU else _TAX_ID_KINDS.get(country or "", "unknown")
    session["customer_details"] = {
        "address": buyer.address,
        "business_name": None,
        "email": buyer.email,
        "individual_name": None,
        "name": buyer.name or None,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [{"type": kind, "value": buyer.tax_id}] if buyer.tax_id else [],
    }
    add_up(books, session, country)


def pay(books: Books, session: Json, buyer: Buyer) -> None:
    record_buyer(books, session, buyer)
    if session["amount_total"] == 0:
        _complete(books, session, "no_payment_required")
        return
    intent, method = _intent(books, session), _card(books, session, buyer)
    _succeed(books, session, intent, method)


def be_declined(books: Books, session: Json, buyer: Buyer) -> None:
    """The card is declined; the checkout stays open for another try."""
    record_buyer(books, session, buyer)
    payments.refuse(books, _intent(books, session), _card(books, session, buyer), cards.DECLINED)
    books.save(session)


def be_asked(books: Books, session: Json, buyer: Buyer) -> None:
    """The bank wants 3-D Secure: the payment waits for `answer_bank`."""
    record_buyer(books, session, buyer)
    action = {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect"}}
    payments.ask_owner(books, _intent(books, session), _card(books, session, buyer), action)
    books.save(session)


def answer_bank(books: Books, intent: Json, *, confirms: bool) -> None:
    """The owner confirms the payment to the bank, or fails to; completes the checkout the payment belongs to."""
    if intent["status"] != "requires_action":
        raise ApiError("The bank asks nothing about this payment.", code="payment_intent_unexpected_state")
    method = books.get(intent["payment_method"], "payment_method")
    if not confirms:
        payments.refuse(books, intent, method, cards.AUTHENTICATION_FAILED)
    elif (session := checkout_of(books, intent)) is not None:
        _succeed(books, session, intent, method)
    else:
        payments.succeed(books, intent, method)


def pay_later(books: Books, session: Json, buyer: Buyer) -> None:
    """Pay by a method that says later whether the money came: the checkout is complete, and unpaid."""
    record_buyer(books, session, buyer)
    _make_customer(books, session)
    intent = _intent(books, session) | {"customer": session["customer"]}
    payments.wait_for_money(books, intent, cards.add_delayed_method(books, session["currency"], _details(buyer)))
    session["payment_method_types"] = intent["payment_method_types"]
    _complete(books, session, "unpaid")


def settle(books: Books, intent: Json, *, comes: bool) -> None:
    """The money of a payment by a delayed method comes, or does not."""
    session = checkout_of(books, intent)
    if intent["status"] != "processing" or session is None:
        raise ApiError("No money is on its way for this payment.", code="payment_intent_unexpected_state")
    method = books.get(intent["payment_method"], "payment_method")
    if comes:
        payments.succeed(books, intent, method)
        session["payment_status"] = "paid"
    else:
        payments.refuse(books, intent, method, cards.DEBIT_FAILED)
    books.save(session)
    emit(books, f"checkout.session.async_payment_{'succeeded' if comes else 'failed'}", session)


def checkout_of(books: Books, intent: Json) -> Json | None:
    found = books.newest("checkout.session", {"payment_intent": intent["id"]}, most=1)
    return found[0] if found else None


def intent_of(books: Books, session: Json) -> Json | None:
    return books.find(session["payment_intent"], "payment_intent") if session["payment_intent"] else None


def add_up(books: Books, session: Json, country: str | None) -> None:
    percents = [promotion_codes.percent_off(books, discount["promotion_code"]) for discount in session["discounts"]]
    totals.add_up(session, percent_off=sum(percents), country=country)


def saves_card(session: Json) -> bool:
    return bool(session["_intent"].get("setup_future_usage") == "off_session")


def return_page(session: Json) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _known_country(books: Books, session: Json) -> str | None:
    """Where the buyer lives, as they said on the page, or as the customer's record has it."""
    details = session["customer_details"] or books.find(session["customer"] or "", "customer") or {}
    return (details.get("address") or {}).get("country")


def _succeed(books: Books, session: Json, intent: Json, method: Json) -> None:
    _make_customer(books, session)
    intent["customer"] = session["customer"]
    if saves_card(session) and session["customer"]:
        customers.save_for(books, session["customer"], method)
    payments.succeed(books, intent, method)
    _complete(books, session, "paid")


def _complete(books: Books, session: Json, payment_status: str) -> None:
    _make_customer(books, session)
    _update_customer(books, session)
    for discount in session["discounts"]:
        promotion_codes.count_redemption(books, discount["promotion_code"])
    session.update(status="complete", payment_status=payment_status, url=None)
    session["collected_information"] = {"business_name": None, "individual_name": None, "shipping_details": None}
    if session["invoice_creation"]["enabled"]:
        session["invoice"] = invoices.add_paid(books, session)["id"]
    books.save(session)
    emit(books, "checkout.session.completed", session)


def _intent(books: Books, session: Json) -> Json:
    """The checkout's payment intent, made at the first try as at Stripe."""
    intent = intent_of(books, session)
    if intent is None:
        fields = {"customer": session["customer"]} | session["_intent"]
        intent = payments.add_intent(books, session["amount_total"], session["currency"], fields)
        session["payment_intent"] = intent["id"]
        books.save(session)
    intent["amount"] = session["amount_total"]
    return intent


def _card(books: Books, session: Json, buyer: Buyer) -> Json:
    return cards.add_card(books, cards.CARDS[buyer.card], details=_details(buyer))


def _details(buyer: Buyer) -> Json:
    return {"address": buyer.address, "email": buyer.email, "name": buyer.name or None}


def _make_customer(books: Books, session: Json) -> None:
    if session["customer"] or not (session["customer_creation"] == "always" or saves_card(session)):
        return
    details = session["customer_details"]
    fields = {name: details[name] for name in ("email", "name", "address")}
    session["customer"] = customers.add_customer(books, fields)["id"]


def _update_customer(books: Books, session: Json) -> None:
    names = [name for name in session["_updates"] if name in {"address", "name"}]
    customer = books.find(session["customer"] or "", "customer")
    if customer is None or not names:
        return
    customer.update({name: session["customer_details"][name] for name in names})
    books.save(customer)
    emit(books, "customer.updated", customer)


def _cancel_intent(books: Books, session: Json) -> None:
    intent = intent_of(books, session)
    if intent is not None and intent["status"] in {"requires_payment_method", "requires_action"}:
        intent.update(status="canceled", canceled_at=int(time.time()), next_action=None)
        books.save(intent)
        emit(books, "payment_intent.canceled", intent)
