"""Payment intents through the API: a saved card charged in its owner's absence, or with its owner at hand."""

from billing.development_checkout import cards, payments
from billing.development_checkout.errors import CARD_ERROR, ApiError, Json
from billing.development_checkout.events import emit
from billing.development_checkout.links import page_url
from billing.development_checkout.lists import page_of
from billing.development_checkout.parameters import Parameters
from billing.development_checkout.store import Books, public

_OPEN = {"requires_payment_method", "requires_confirmation", "requires_action"}


def create(books: Books, given: Parameters) -> Json:
    """Make a payment intent and, with `confirm`, charge it. Raises ApiError: 402 when the card is refused."""
    amount, currency = given.required_integer("amount"), given.currency()
    fields = _fields(given)
    confirms, off_session = bool(given.flag("confirm")), bool(given.flag("off_session"))
    method_id, return_url = given.text("payment_method"), given.address_of_page("return_url")
    refuses_action = bool(given.flag("error_on_requires_action"))
    given.without_effect("confirmation_method", "use_stripe_sdk", "payment_method_options", "mandate")
    given.refuse_others()
    if amount < payments.smallest_amount(currency):
        raise ApiError("Amount must be no less than the minimum charge amount", code="amount_too_small", param="amount")
    if off_session and not confirms:
        raise ApiError("`off_session` can only be passed with `confirm=true`.", param="off_session")
    if fields["customer"]:
        books.get(fields["customer"], "customer", "customer")
    method = _method(books, method_id, fields["customer"]) if method_id else None
    intent = payments.add_intent(books, amount, currency, fields)
    if method is not None:
        intent.update(payment_method=method["id"], status="requires_confirmation")
        books.save(intent)
    if not confirms:
        return intent
    return _confirm(books, intent, method, off_session or refuses_action, return_url)


def confirm(books: Books, given: Parameters, identifier: str) -> Json:
    """Raises ApiError: 402 when the card is refused, 400 when the intent is past that."""
    intent = _open(books, identifier, "confirm")
    method_id = given.text("payment_method") or intent["payment_method"]
    in_absence = bool(given.flag("off_session")) | bool(given.flag("error_on_requires_action"))
    return_url = given.address_of_page("return_url")
    given.without_effect("use_stripe_sdk", "payment_method_options", "mandate")
    given.refuse_others()
    method = _method(books, method_id, intent["customer"]) if method_id else None
    return _confirm(books, intent, method, in_absence, return_url)


def update(books: Books, given: Parameters, identifier: str) -> Json:
    intent = books.get(identifier, "payment_intent", "intent")
    if given.has("metadata"):
        intent["metadata"] |= given.metadata()
    if given.has("description"):
        intent["description"] = given.text("description", most=1000)
    given.refuse_others()
    books.save(intent)
    return intent


def cancel(books: Books, given: Parameters, identifier: str) -> Json:
    intent = _open(books, identifier, "cancel")
    reason = given.choice("cancellation_reason", "abandoned", "duplicate", "fraudulent", "requested_by_customer")
    given.refuse_others()
    intent.update(status="canceled", cancellation_reason=reason, next_action=None)
    books.save(intent)
    emit(books, "payment_intent.canceled", intent)
    return intent


def retrieve(books: Books, given: Parameters, identifier: str) -> Json:
    given.without_effect("client_secret")
    return books.get(identifier, "payment_intent", "intent")


def list_all(books: Books, given: Parameters) -> Json:
    customer = given.text("customer")
    return page_of(books, "payment_intent", given, "/v1/payment_intents", {"customer": customer} if customer else {})


def retrieve_charge(books: Books, given: Parameters, identifier: str) -> Json:
    return books.get(identifier, "charge", "charge")


def list_charges(books: Books, given: Parameters) -> Json:
    where = {name: value for name in ("payment_intent", "customer") if (value := given.text(name))}
    return page_of(books, "charge", given, "/v1/charges", where)


def _confirm(books: Books, intent: Json, method: Json | None, in_absence: bool, return_url: str | None) -> Json:
    if method is None:
        raise ApiError(
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    card = cards.card_of(method)
    refusal = payments.refusal_in_absence(method) if in_absence or (card and card.always_declined) else None
    if refusal is not None:
        error = payments.refuse(books, intent, method, refusal)
        more = {name: value for name, value in error.items() if name not in {"message", "type", "code"}}
        more["payment_intent"] = public(intent)
        raise ApiError(refusal.message, status=CARD_ERROR, kind="card_error", code=refusal.code, more=more)
    if card and card.asks:
        redirect = {"return_url": return_url, "url": page_url("authenticate", intent["id"], return_url)}
        payments.ask_owner(books, intent, method, {"redirect_to_url": redirect, "type": "redirect_to_url"})
        return intent
    payments.succeed(books, intent, method)
    return intent


def _open(books: Books, identifier: str, verb: str) -> Json:
    intent = books.get(identifier, "payment_intent", "intent")
    if intent["status"] not in _OPEN:
        raise ApiError(
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
            more={"payment_intent": public(intent)},
        )
    return intent


def _method(books: Books, identifier: str, customer: str | None) -> Json:
    card = cards.card_of_token(identifier)
    if card is not None:
        return cards.add_card(books, card, customer)
    method = books.get(identifier, "payment_method", "payment_method")
    if method["customer"] != customer:
        raise ApiError(
            f"The customer does not have a payment method with the ID {identifier}. The payment method must be"
            " attached to the customer.",
            param="payment_method",
        )
    return method


def _fields(given: Parameters) -> Json:
    automatic = given.part("automatic_payment_methods")
    enabled = bool(automatic and automatic.flag("enabled"))
    redirects = automatic.choice("allow_redirects", "always", "never") if automatic else None
    given.choice("capture_method", "automatic", "automatic_async")
    return {
        "automatic_payment_methods": {"allow_redirects": redirects or "always", "enabled": True} if enabled else None,
        "customer": given.text("customer"),
        "description": given.text("description", most=1000),
        "metadata": given.metadata(),
        "payment_method_types": given.texts("payment_method_types") or ["card"],
        "receipt_email": given.text("receipt_email"),
        "setup_future_usage": given.choice("setup_future_usage", "on_session", "off_session"),
        "statement_descriptor_suffix": given.text("statement_descriptor_suffix", most=22),
    }
