"""Delivers events to our own webhook: signed as Stripe signs, in order, and again until they are taken."""

import hashlib
import hmac
import json
import threading
import time

import httpx
import structlog

from billing.development_checkout import buying, webhook_secret, webhook_url
from billing.development_checkout.errors import Json
from billing.development_checkout.store import Books, Delivery, open_books

log = structlog.get_logger(__name__)

# How long to wait after each attempt that failed; after the last the event is given up until a button is pressed.
RETRY_AFTER_S = (1, 3, 10, 30, 120, 600, 3600)
_TIMEOUT_S = 20
# Longer than an attempt can take, so that no second process makes the same one.
_CLAIMED_FOR_S = 60
# A stale signature is older than the five minutes that Stripe's library allows.
_STALE_S = 3600
_AFTER_FAULT_S = 5
# A new checkout may expire sooner than the one that is waited for.
_LONGEST_WAIT_S = 3600


def signature(body: str, secret: str, signed_at: int) -> str:
    """Return the Stripe-Signature header for a body."""
    digest = hmac.new(secret.encode(), f"{signed_at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={signed_at},v1={digest}"


def body_of(event: Json) -> str:
    return json.dumps(event, indent=2)


def deliver_next() -> bool:
    """Make the attempt that is due first; False when none is."""
    with open_books() as books:
        delivery = books.claim_delivery(time.time(), _CLAIMED_FOR_S)
        event = books.find(delivery.event_id, "event") if delivery else None
    if delivery is None:
        return False
    is_taken, outcome = _post(event, delivery.is_stale) if event else (True, "The event is gone.")
    with open_books() as books:
        books.record_delivery(delivery, outcome, None if is_taken else _next_attempt_at(delivery))
    return True


def wait_s(books: Books) -> float | None:
    """How long until there is something to do; None when nothing is foreseen."""
    times = [moment for moment in (books.next_delivery_at(), buying.next_expiry_at(books)) if moment is not None]
    return max(0.0, min(times) - time.time()) if times else None


def _post(event: Json, is_stale: bool) -> tuple[bool, str]:
    """Return whether the event was taken, and the outcome in words."""
    body = body_of(event)
    signed_at = int(time.time()) - (_STALE_S if is_stale else 0)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature(body, webhook_secret(), signed_at),
        "User-Agent": "Stripe/1.0 (development checkout)",
    }
    try:
        answer = httpx.post(webhook_url(), content=body, headers=headers, timeout=_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError as error:
        return False, f"No answer: {type(error).__name__}"
    return answer.is_success, f"Answered {answer.status_code}"


def _next_attempt_at(delivery: Delivery) -> float | None:
    # A stale signature is sent to see it refused: once is enough.
    if delivery.is_stale or delivery.attempts >= len(RETRY_AFTER_S):
        return None
    return time.time() + RETRY_AFTER_S[delivery.attempts]


class Courier:
    """One thread a process that delivers what is due and expires what is over; it ends when nothing is foreseen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Look at once whether there is something to do; starts the thread when there is none (or we were forked)."""
        self._news.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="development-checkout-courier", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                pause_s = self._work()
            except Exception:
                # The thread's boundary: a locked or removed file must not end the deliveries of the whole process.
                log.exception("development_checkout_delivery_failed")
                pause_s = _AFTER_FAULT_S
            if pause_s is None and self._may_end():
                return
            self._news.wait(_LONGEST_WAIT_S if pause_s is None else min(pause_s, _LONGEST_WAIT_S))

    def _work(self) -> float | None:
        while deliver_next():
            pass
        with open_books() as books:
            buying.expire_overdue(books)
            return wait_s(books)

    def _may_end(self) -> bool:
        with self._lock:
            if self._news.is_set():
                return False
            self._thread = None
            return True


courier = Courier()
