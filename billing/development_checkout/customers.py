"""Customers, and the cards they have saved."""

from billing.development_checkout import cards
from billing.development_checkout.errors import ApiError, Json
from billing.development_checkout.events import emit
from billing.development_checkout.lists import page_of
from billing.development_checkout.parameters import Parameters
from billing.development_checkout.store import Books, new_id

_TEXTS = ("name", "email", "phone", "description")


def add_customer(books: Books, fields: Json) -> Json:
    customer = books.add(
        "cus_",
        "customer",
        {
            "address": None,
            "balance": 0,
            "currency": None,
            "default_source": None,
            "delinquent": False,
            "description": None,
            "discount": None,
            "email": None,
            "invoice_prefix": new_id("")[:8].upper(),
            "invoice_settings": {
                "custom_fields": None, "default_payment_method": None, "footer": None, "rendering_options": None,
            },
            "metadata": {},
            "name": None,
            "next_invoice_sequence": 1,
            "phone": None,
            "preferred_locales": [],
            "shipping": None,
            "tax_exempt": "none",
            "test_clock": None,
        }
        | fields,
    )  # fmt: skip
    emit(books, "customer.created", customer)
    return customer


def create(books: Books, given: Parameters) -> Json:
    fields = _fields(given)
    given.refuse_others()
    return add_customer(books, fields)


def update(books: Books, given: Parameters, identifier: str) -> Json:
    customer = books.get(identifier, "customer")
    fields = _fields(given)
    given.refuse_others()
    fields["metadata"] = {
        key: value for key, value in (customer["metadata"] | fields.get("metadata", {})).items() if value != ""
    }
    fields["invoice_settings"] = customer["invoice_settings"] | fields.get("invoice_settings", {})
    customer.update(fields)
    books.save(customer)
    emit(books, "customer.updated", customer)
    return customer


def retrieve(books: Books, given: Parameters, identifier: str) -> Json:
    return books.get(identifier, "customer")


def delete(books: Books, given: Parameters, identifier: str) -> Json:
    customer = books.get(identifier, "customer")
    for method in books.newest("payment_method", {"customer": identifier}):
        books.save(method | {"customer": None})
    books.delete(identifier)
    emit(books, "customer.deleted", customer)
    return {"id": identifier, "object": "customer", "deleted": True}


def list_all(books: Books, given: Parameters) -> Json:
    email = given.text("email")
    return page_of(books, "customer", given, "/v1/customers", {"email": email} if email else {})


def list_methods(books: Books, given: Parameters, identifier: str) -> Json:
    books.get(identifier, "customer", "customer")
    return _methods(books, given, f"/v1/customers/{identifier}/payment_methods", identifier)


def list_all_methods(books: Books, given: Parameters) -> Json:
    customer = given.required_text("customer")
    books.get(customer, "customer", "customer")
    return _methods(books, given, "/v1/payment_methods", customer)


def retrieve_method(books: Books, given: Parameters, identifier: str) -> Json:
    return books.get(identifier, "payment_method", "payment_method")


def retrieve_customers_method(books: Books, given: Parameters, identifier: str, method: str) -> Json:
    found = books.get(method, "payment_method", "payment_method")
    if found["customer"] != identifier:
        raise ApiError(
            f"No such PaymentMethod: '{method}'", status=404, code="resource_missing", param="payment_method"
        )
    return found


def attach_method(books: Books, given: Parameters, identifier: str) -> Json:
    """Save a payment method for a customer; the names of Stripe's test methods (`pm_card_visa`) make a new one."""
    customer = books.get(given.required_text("customer"), "customer", "customer")
    given.refuse_others()
    card = cards.card_of_token(identifier)
    method = cards.add_card(books, card) if card else books.get(identifier, "payment_method", "payment_method")
    if method["customer"] not in (None, customer["id"]):
        raise ApiError("The payment method you provided has already been attached to a customer.")
    return save_for(books, customer["id"], method)


def save_for(books: Books, customer: str, method: Json) -> Json:
    method["customer"] = customer
    books.save(method)
    emit(books, "payment_method.attached", method)
    return method


def detach_method(books: Books, given: Parameters, identifier: str) -> Json:
    given.refuse_others()
    method = books.get(identifier, "payment_method", "payment_method")
    if method["customer"] is None:
        raise ApiError("The payment method you provided is not attached to a customer so detachment is impossible.")
    method["customer"] = None
    books.save(method)
    emit(books, "payment_method.detached", method)
    return method


def _methods(books: Books, given: Parameters, url: str, customer: str) -> Json:
    kind = given.text("type")
    where = {"customer": customer} | ({"type": kind} if kind else {})
    given.without_effect("allow_redisplay")
    return page_of(books, "payment_method", given, url, where)


def _fields(given: Parameters) -> Json:
    fields: Json = {name: given.text(name) for name in _TEXTS if given.has(name)}
    if given.has("address"):
        fields["address"] = given.address()
    if given.has("metadata"):
        fields["metadata"] = given.metadata()
    if settings := given.part("invoice_settings"):
        fields["invoice_settings"] = {"default_payment_method": settings.text("default_payment_method")}
    if tax_exempt := given.choice("tax_exempt", "none", "exempt", "reverse"):
        fields["tax_exempt"] = tax_exempt
    if given.has("preferred_locales"):
        fields["preferred_locales"] = given.texts("preferred_locales")
    given.without_effect("tax", "shipping")
    return fields
