"""Tells what happened: stores an event with a snapshot of its object, and plans its delivery to the webhook."""

import time

from billing.development_checkout import API_VERSION
from billing.development_checkout.errors import Json
from billing.development_checkout.lists import page_of
from billing.development_checkout.parameters import Parameters
from billing.development_checkout.store import Books, public

# How events are delivered, as the control page says it.
AT_ONCE, TWICE, LATE, BACKWARDS, HELD = "at_once", "twice", "late", "backwards", "held"
DELIVERY_MODES = {
    AT_ONCE: "At once, in order",
    TWICE: "Each event twice",
    LATE: "Ten seconds late",
    BACKWARDS: "In reverse order",
    HELD: "Not at all, until a button is pressed",
}
LATE_S = 10.0
# What one request tells is delivered from this moment on, the last first, a step apart.
_BACKWARDS_S, _STEP_S = 1.0, 0.02


def delivery_mode(books: Books) -> str:
    return books.switch("delivery", AT_ONCE)


def emit(books: Books, kind: str, body: Json) -> Json:
    """Store that `kind` happened to the object `body`, and plan to tell the webhook."""
    snapshot = public(body)
    event = books.add(
        "evt_",
        "event",
        {
            "api_version": API_VERSION,
            "data": {"object": snapshot},
            "pending_webhooks": 1,
            "request": {"id": books.request_id, "idempotency_key": books.idempotency_key},
            "type": kind,
        },
    )
    for due_at in _due_times(delivery_mode(books), books.emitted):
        books.plan_delivery(event["id"], due_at)
    books.emitted += 1
    return event


def _due_times(mode: str, index: int) -> list[float]:
    now = time.time()
    times = {TWICE: [now, now], LATE: [now + LATE_S], BACKWARDS: [now + _BACKWARDS_S - index * _STEP_S], HELD: []}
    return times.get(mode, [now])


def retrieve(books: Books, given: Parameters, identifier: str) -> Json:
    return books.get(identifier, "event")


def list_all(books: Books, given: Parameters) -> Json:
    kinds = [kind for kind in [given.text("type"), *given.texts("types")] if kind]
    return page_of(books, "event", given, "/v1/events", {"type": kinds} if kinds else {})
