"""The paid invoice that a checkout with `invoice_creation` leaves: its numbers, and no document."""

from billing.development_checkout.errors import Json
from billing.development_checkout.events import emit
from billing.development_checkout.lists import page_of
from billing.development_checkout.parameters import Parameters
from billing.development_checkout.store import Books


def add_paid(books: Books, session: Json) -> Json:
    total = session["amount_total"]
    number = len(books.newest("invoice", most=100_000)) + 1
    invoice = books.add(
        "in_",
        "invoice",
        {
            "amount_due": total,
            "amount_paid": total,
            "amount_remaining": 0,
            "currency": session["currency"],
            "customer": session["customer"],
            "customer_email": session["customer_details"]["email"],
            "description": None,
            "hosted_invoice_url": None,
            "invoice_pdf": None,
            "metadata": {},
            "number": f"DEVELOPMENT-{number:04}",
            "status": "paid",
            "subtotal": session["amount_subtotal"],
            "total": total,
        },
    )
    emit(books, "invoice.paid", invoice)
    return invoice


def retrieve(books: Books, given: Parameters, identifier: str) -> Json:
    return books.get(identifier, "invoice", "invoice")


def list_all(books: Books, given: Parameters) -> Json:
    customer = given.text("customer")
    return page_of(books, "invoice", given, "/v1/invoices", {"customer": customer} if customer else {})
