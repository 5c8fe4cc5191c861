"""Checkout sessions through the API; what a buyer does with one is in buying.py."""

import time
from urllib.parse import urlsplit

from billing.development_checkout import buying, payments, promotion_codes
from billing.development_checkout.errors import ApiError, Json
from billing.development_checkout.links import page_url
from billing.development_checkout.lists import list_of, page_of
from billing.development_checkout.parameters import MOST_AMOUNT, Parameters
from billing.development_checkout.store import Books, new_id

_SHORTEST_S, _LONGEST_S = 30 * 60, 24 * 3600
# A little room, for a caller that asks for exactly half an hour or a day and a clock that ticks meanwhile.
_SLACK_S = 60
_LATEST = 2**40
_MOST_QUANTITY = 10_000
_UNSEEN = (
    "adaptive_pricing", "branding_settings", "consent_collection", "custom_text", "integration_identifier", "locale",
    "name_collection", "origin_context", "payment_method_options", "phone_number_collection", "submit_type",
    "wallet_options",
)  # fmt: skip


def create(books: Books, given: Parameters) -> Json:
    """Open a checkout. Raises ApiError as Stripe does for parameters that contradict each other."""
    given.choice("mode", "payment")
    given.choice("ui_mode", "hosted_page")
    success_url = given.required_text("success_url", most=2048)
    _check_page(success_url)
    session = _blank() | {
        "allow_promotion_codes": given.flag("allow_promotion_codes"),
        "billing_address_collection": given.choice("billing_address_collection", "auto", "required"),
        "cancel_url": given.address_of_page("cancel_url"),
        "client_reference_id": given.text("client_reference_id", most=200),
        "customer_email": given.text("customer_email", most=800),
        "expires_at": _expiry(given),
        "metadata": given.metadata(),
        "payment_method_types": given.texts("payment_method_types") or ["card"],
        "success_url": success_url,
        "_lines": _lines(given),
        "_intent": _intent_data(given),
    }
    session |= _customer(books, given, session["customer_email"])
    session["automatic_tax"] = _automatic_tax(given)
    session["tax_id_collection"] = _switch(given, "tax_id_collection") | {"required": "never"}
    session["invoice_creation"] = _switch(given, "invoice_creation")
    session["saved_payment_method_options"] = _saved_options(given)
    session["currency"] = _one_currency(given, session["_lines"])
    session["discounts"] = _discounts(books, given, session)
    given.without_effect(*_UNSEEN)
    given.refuse_others()
    customer = books.get(session["customer"], "customer", "customer") if session["customer"] else None
    _check_agreement(session, customer)
    buying.add_up(books, session, _country_of(customer))
    if 0 < session["amount_total"] < payments.smallest_amount(session["currency"]):
        message = "The Checkout Session's total amount due must add up to at least the minimum charge amount"
        raise ApiError(message, code="amount_too_small")
    if session["amount_total"] > MOST_AMOUNT:
        raise ApiError(
            f"The Checkout Session's total amount must be no more than {MOST_AMOUNT}.", code="amount_too_large"
        )
    identifier = new_id("cs_test_")
    session |= {"id": identifier, "url": page_url("pay", identifier, success_url)}
    return books.add("", "checkout.session", session)


def retrieve(books: Books, given: Parameters, identifier: str) -> Json:
    return buying.current(books, identifier)


def update(books: Books, given: Parameters, identifier: str) -> Json:
    session = buying.current(books, identifier)
    session["metadata"] |= given.metadata()
    given.refuse_others()
    books.save(session)
    return session


def expire(books: Books, given: Parameters, identifier: str) -> Json:
    given.refuse_others()
    session = buying.current(books, identifier)
    if session["status"] != "open":
        raise ApiError(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of'
            f" `{session['status']}`."
        )
    buying.expire(books, session)
    return session


def list_all(books: Books, given: Parameters) -> Json:
    names = ("payment_intent", "customer", "status")
    where = {name: value for name in names if (value := given.text(name))}
    return page_of(books, "checkout.session", given, "/v1/checkout/sessions", where)


def list_lines(books: Books, given: Parameters, identifier: str) -> Json:
    most = given.integer("limit", least=1, most=100) or 10
    after = given.text("starting_after")
    given.refuse_others()
    lines = buying.current(books, identifier)["_lines"]
    places = [index for index, line in enumerate(lines) if line["id"] == after]
    first = places[0] + 1 if places else 0
    shown = lines[first : first + most]
    return list_of(lines_url(identifier), shown, has_more=first + most < len(lines))


def lines_url(identifier: str) -> str:
    return f"/v1/checkout/sessions/{identifier}/line_items"


def _blank() -> Json:
    return {
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None, "shipping_address": None, "submit": None, "terms_of_service_acceptance": None,
        },
        "customer_account": None,
        "customer_details": None,
        "invoice": None,
        "locale": None,
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": None,
        "subscription": None,
        "ui_mode": "hosted_page",
        "wallet_options": None,
    }  # fmt: skip


def _check_page(url: str) -> None:
    # {CHECKOUT_SESSION_ID} stands in it, so that it is no address yet.
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ApiError("Not a valid URL", code="url_invalid", param="success_url")


def _lines(given: Parameters) -> list[Json]:
    parts = given.parts("line_items")
    if not parts:
        raise ApiError("Missing required param: line_items.", code="parameter_missing", param="line_items")
    return [_line(part) for part in parts]


def _line(part: Parameters) -> Json:
    price = part.part("price_data")
    if price is None:
        raise ApiError(
            "The development checkout knows no stored prices: give each line its price_data.",
            code="parameter_missing",
            param="line_items[0][price_data]",
        )
    currency, unit_amount = price.currency(), price.required_integer("unit_amount")
    tax_behavior = price.choice("tax_behavior", "inclusive", "exclusive", "unspecified") or "unspecified"
    product = price.part("product_data")
    name = product.required_text("name", most=250) if product else price.required_text("product_data")
    if product:
        product.metadata()
        product.text("description", most=1000)
        product.without_effect("images", "tax_code", "unit_label")
    quantity = part.integer("quantity", least=1, most=_MOST_QUANTITY) or 1
    return {
        "id": new_id("li_"),
        "object": "item",
        "amount_subtotal": unit_amount * quantity,
        "currency": currency,
        "description": name,
        "metadata": part.metadata(),
        "price": _price(currency, unit_amount, tax_behavior),
        "quantity": quantity,
    }


def _price(currency: str, unit_amount: int, tax_behavior: str) -> Json:
    return {
        "id": new_id("price_"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": int(time.time()),
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": new_id("prod_"),
        "recurring": None,
        "tax_behavior": tax_behavior,
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": unit_amount,
        "unit_amount_decimal": str(unit_amount),
    }


def _one_currency(given: Parameters, lines: list[Json]) -> str:
    currencies = {line["currency"] for line in lines} | ({given.currency()} if given.has("currency") else set())
    if len(currencies) != 1:
        raise ApiError("All line items must have the same currency.", param="line_items")
    return str(currencies.pop())


def _intent_data(given: Parameters) -> Json:
    part = given.part("payment_intent_data")
    if part is None:
        return {}
    part.choice("capture_method", "automatic", "automatic_async")
    return {
        "description": part.text("description", most=1000),
        "metadata": part.metadata(),
        "receipt_email": part.text("receipt_email"),
        "setup_future_usage": part.choice("setup_future_usage", "on_session", "off_session"),
        "statement_descriptor_suffix": part.text("statement_descriptor_suffix", most=22),
    }


def _customer(books: Books, given: Parameters, email: str | None) -> Json:
    customer = given.text("customer")
    creation = given.choice("customer_creation", "always", "if_required")
    update = given.part("customer_update")
    if customer and email:
        raise ApiError("You may only specify one of these parameters: customer, customer_email.", param="customer")
    if customer and creation:
        raise ApiError("`customer_creation` can only be used when `customer` is not set.", param="customer_creation")
    if update is not None and not customer:
        raise ApiError("`customer_update` can only be used with `customer`.", param="customer_update")
    updates = {name: update.choice(name, "auto", "never") for name in ("address", "name", "shipping")} if update else {}
    return {
        "customer": customer,
        "customer_creation": None if customer else creation or "if_required",
        "_updates": [name for name, value in updates.items() if value == "auto"],
    }


def _automatic_tax(given: Parameters) -> Json:
    enabled = _switch(given, "automatic_tax")["enabled"]
    return {
        "enabled": enabled,
        "liability": {"type": "self"} if enabled else None,
        "provider": "stripe" if enabled else None,
        "status": "requires_location_inputs" if enabled else None,
    }


def _switch(given: Parameters, name: str) -> Json:
    part = given.part(name)
    if part is None:
        return {"enabled": False}
    part.without_effect("liability", "required", "invoice_data")
    return {"enabled": bool(part.flag("enabled"))}


def _saved_options(given: Parameters) -> Json | None:
    part = given.part("saved_payment_method_options")
    if part is None:
        return None
    save = part.choice("payment_method_save", "enabled", "disabled")
    shown = part.texts("allow_redisplay_filters")
    return {"allow_redisplay_filters": shown or ["always"], "payment_method_remove": None, "payment_method_save": save}


def _discounts(books: Books, given: Parameters, session: Json) -> list[Json]:
    discounts = given.parts("discounts")
    if discounts and session["allow_promotion_codes"]:
        raise ApiError("You may only specify one of these parameters: allow_promotion_codes, discounts.")
    if len(discounts) > 1:
        raise ApiError("You can only add one discount.", param="discounts")
    codes = [part.required_text("promotion_code") for part in discounts]
    for code in codes:
        promotion_codes.retrieve(books, given, code)
    return [{"coupon": None, "promotion_code": code} for code in codes]


def _expiry(given: Parameters) -> int:
    now = int(time.time())
    expires_at = given.integer("expires_at", most=_LATEST)
    if expires_at is None:
        return now + _LONGEST_S
    if not now + _SHORTEST_S - _SLACK_S <= expires_at <= now + _LONGEST_S + _SLACK_S:
        raise ApiError(
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.",
            param="expires_at",
        )
    return expires_at


def _country_of(customer: Json | None) -> str | None:
    return (customer["address"] or {}).get("country") if customer else None


def _check_agreement(session: Json, customer: Json | None) -> None:
    """Raise ApiError where an existing customer lacks what tax needs and the checkout may not write it."""
    if customer is None:
        return
    if session["automatic_tax"]["enabled"] and not _country_of(customer) and "address" not in session["_updates"]:
        raise ApiError(
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to"
            " the Customer or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to"
            " 'auto' to save the address entered in Checkout to the Customer.",
            code="customer_tax_location_invalid",
        )
    if session["tax_id_collection"]["enabled"] and "name" not in session["_updates"]:
        raise ApiError(
            "Tax ID collection requires updating business name on the customer. To enable tax ID collection for an"
            " existing customer, please set `customer_update[name]` to `auto`.",
        )
