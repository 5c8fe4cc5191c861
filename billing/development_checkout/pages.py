"""The hosted page, the bank's page, and the control page where a developer plays Stripe's part."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from billing.development_checkout import buying, disputes, events, refunds, totals, webhook_url
from billing.development_checkout.errors import ApiError, Json
from billing.development_checkout.forms import BuyerForm, RefundForm
from billing.development_checkout.guard import development_only
from billing.development_checkout.links import origin_of
from billing.development_checkout.money import in_words
from billing.development_checkout.store import Books, open_books
from billing.development_checkout.webhooks import courier

_TEMPLATES = "billing/development_checkout"
_MOST_SHOWN = 20
_MOST_RESENT = 20
_BUY: dict[str, Callable[[Books, Json, buying.Buyer], None]] = {
    "pay": buying.pay,
    "decline": buying.be_declined,
    "authenticate": buying.be_asked,
    "later": buying.pay_later,
}


@development_only
@never_cache
@require_http_methods(["GET", "POST"])
def pay(request: HttpRequest, identifier: str) -> HttpResponse:
    """The hosted page: what Stripe's Checkout shows, with a button for each way it can end."""
    with open_books() as books:
        session = _session(books, identifier)
        form = BuyerForm(session=session, initial=_known_of(books, session))
        problem, is_done = "", False
        if request.method == "POST" and session["status"] == "open":
            form, problem, is_done = _press(books, session, request)
        intent = buying.intent_of(books, session)
    courier.wake()
    if is_done:
        return _seen_to(session, intent)
    return _allow(request, _hosted_page(request, session, intent, form, problem), buying.return_page(session))


@development_only
@never_cache
@require_http_methods(["GET", "POST"])
def authenticate(request: HttpRequest, identifier: str) -> HttpResponse:
    """The bank's page (3-D Secure): the card's owner confirms the payment, or does not."""
    with open_books() as books:
        intent = _object(books, identifier, "payment_intent")
        session = buying.checkout_of(books, intent)
        target = _return_of(intent, session)
        if request.method == "POST" and intent["status"] == "requires_action":
            buying.answer_bank(books, intent, confirms=request.POST.get("action") == "confirm")
            session = buying.checkout_of(books, intent)
    courier.wake()
    if request.method == "POST":
        return _seen_to(session, intent) if session else _back_to_caller(intent, target)
    context = {"amount": in_words(intent["amount"], intent["currency"]), "waits": intent["status"] == "requires_action"}
    return _allow(request, render(request, f"{_TEMPLATES}/authenticate.html", context | {"target": target}), target)


@development_only
@never_cache
def control(request: HttpRequest) -> HttpResponse:
    with open_books() as books:
        buying.expire_overdue(books)
        context = _control_context(books)
    courier.wake()
    return render(request, f"{_TEMPLATES}/control.html", context)


@development_only
@require_POST
def act(request: HttpRequest, action: str, identifier: str) -> HttpResponse:
    """A button of the control page that concerns one object."""
    kind, perform = _ACTIONS.get(action, ("", None))
    if perform is None:
        raise Http404
    try:
        with open_books() as books:
            perform(books, _object(books, identifier, kind), request)
    except ApiError as error:
        messages.error(request, error.message)
    courier.wake()
    return redirect("development_checkout:control")


@development_only
@require_POST
def set_switches(request: HttpRequest) -> HttpResponse:
    with open_books() as books:
        for name, allowed in (("delivery", events.DELIVERY_MODES), ("refunds", refunds.REFUND_MODES)):
            if request.POST.get(name) in allowed:
                books.set_switch(name, request.POST[name])
    return redirect("development_checkout:control")


@development_only
@require_POST
def send_all_again(request: HttpRequest) -> HttpResponse:
    """Send the latest events once more, newest first: the worst order there is."""
    with open_books() as books:
        now = time.time()
        for event in books.newest("event", most=_MOST_RESENT):
            books.plan_delivery(event["id"], now)
    courier.wake()
    return redirect("development_checkout:control")


def _press(books: Books, session: Json, request: HttpRequest) -> tuple[BuyerForm, str, bool]:
    """Do what the pressed button says; returns the form, what the buyer must be told, and whether to go on."""
    action = request.POST.get("action", "")
    if action in _BUY:
        form = BuyerForm(request.POST, session=session)
        if not form.is_valid():
            return form, "", False
        if total := _other_total(books, session, form, request.POST.get("total", "")):
            return form, f"With tax the total is {total}. Press again if you agree.", False
        # What is free takes no card, so that none can be declined.
        _BUY[action if session["amount_total"] else "pay"](books, session, form.buyer())
        return form, "", True
    form = BuyerForm(session=session, initial=request.POST.dict())
    typed = request.POST.get("promotion_code", "")[:100]
    if action != "promotion" or not session["allow_promotion_codes"]:
        return form, "Press one of the buttons.", False
    return form, "" if buying.use_promotion_code(books, session, typed) else "This code is invalid.", False


def _other_total(books: Books, session: Json, form: BuyerForm, seen: str) -> str:
    """The new total in words, if the buyer's country has changed it: nobody pays another sum than the page showed."""
    buying.record_buyer(books, session, form.buyer())
    books.save(session)
    is_as_seen = seen in ("", str(session["amount_total"]))
    return "" if is_as_seen else in_words(session["amount_total"], session["currency"])


def _hosted_page(
    request: HttpRequest, session: Json, intent: Json | None, form: BuyerForm, problem: str
) -> HttpResponse:
    if session["status"] != "open":
        return render(request, f"{_TEMPLATES}/over.html", {"session": session, "target": _way_back(session)})
    error = (intent or {}).get("last_payment_error") or {}
    context = {
        "session": session,
        "form": form,
        "problem": problem or ("" if form.is_bound else error.get("message", "")),
        "lines": [{**line, "words": in_words(line["amount_subtotal"], line["currency"])} for line in session["_lines"]],
        "totals": _totals(session),
        "code": request.POST.get("promotion_code", "")[:100],
        "total": in_words(session["amount_total"], session["currency"]),
        "cancel": session["cancel_url"] or origin_of(session["success_url"]),
        "saves_card": buying.saves_card(session),
        "tax_percent": totals.TAX_PERCENT,
    }
    return render(request, f"{_TEMPLATES}/pay.html", context)


def _totals(session: Json) -> list[tuple[str, str]]:
    details, currency = session["total_details"], session["currency"]
    rows = [("Discount", -details["amount_discount"]), ("Tax", details["amount_tax"])]
    return [(label, in_words(amount, currency)) for label, amount in rows if amount]


def _known_of(books: Books, session: Json) -> Json:
    details = session["customer_details"] or books.find(session["customer"] or "", "customer") or {}
    address = {name: value for name, value in (details.get("address") or {}).items() if value}
    return {
        "email": details.get("email") or session["customer_email"] or "",
        "name": details.get("name") or "",
    } | address


def _seen_to(session: Json, intent: Json | None) -> HttpResponse:
    """Send the buyer where they belong now: back to the seller, to the bank, or to the page again."""
    if session["status"] != "open":
        return HttpResponseRedirect(_way_back(session), status=303)
    if intent is not None and intent["status"] == "requires_action":
        return redirect("development_checkout:authenticate", intent["id"])
    return redirect("development_checkout:pay", session["id"])


def _way_back(session: Json) -> str:
    if session["status"] == "complete":
        return buying.return_page(session)
    return session["cancel_url"] or origin_of(session["success_url"])


def _return_of(intent: Json, session: Json | None) -> str:
    if session is not None:
        return _way_back(session)
    action = intent["next_action"] or {}
    return (action.get("redirect_to_url") or {}).get("return_url") or ""


def _back_to_caller(intent: Json, target: str) -> HttpResponse:
    if not target:
        return redirect("development_checkout:control")
    outcome = "succeeded" if intent["status"] == "succeeded" else "failed"
    separator = "&" if "?" in target else "?"
    return HttpResponseRedirect(
        f"{target}{separator}payment_intent={intent['id']}&redirect_status={outcome}", status=303
    )


def _allow(request: HttpRequest, response: HttpResponse, target: str) -> HttpResponse:
    # Browsers apply the policy on form targets to where a posted form is redirected, too.
    if target and origin_of(target) != origin_of(request.build_absolute_uri()):
        response._csp_update = {"form-action": [origin_of(target)]}  # type: ignore[attr-defined]
    return response


def _session(books: Books, identifier: str) -> Json:
    _object(books, identifier, "checkout.session")
    return buying.current(books, identifier)


def _object(books: Books, identifier: str, kind: str) -> Json:
    found = books.find(identifier, kind)
    if found is None:
        raise Http404
    return found


def _control_context(books: Books) -> dict[str, Any]:
    return {
        "webhook_url": webhook_url(),
        "delivery_modes": events.DELIVERY_MODES.items(),
        "delivery": events.delivery_mode(books),
        "refund_modes": refunds.REFUND_MODES.items(),
        "refunds": refunds.refund_mode(books),
        "checkouts": [_row(books, item) for item in books.newest("checkout.session", most=_MOST_SHOWN)],
        "charges": [_charge_row(item) for item in books.newest("charge", {"status": "succeeded"}, most=_MOST_SHOWN)],
        "given_back": [_money_row(item) for item in books.newest("refund", most=_MOST_SHOWN)],
        "disputed": [_money_row(item) for item in books.newest("dispute", most=_MOST_SHOWN)],
        "events": [_event_row(books, event) for event in books.newest("event", most=2 * _MOST_SHOWN)],
        "most_resent": _MOST_RESENT,
        "late_s": int(events.LATE_S),
    }


def _row(books: Books, session: Json) -> Json:
    intent = buying.intent_of(books, session)
    return {
        "id": session["id"],
        "words": in_words(session["amount_total"], session["currency"]),
        "status": session["status"],
        "payment_status": session["payment_status"],
        "url": session["url"],
        "intent": intent["id"] if intent else "",
        "waits": bool(intent and intent["status"] == "processing"),
        "at": _moment(session),
    }


def _charge_row(charge: Json) -> Json:
    left = charge["amount_captured"] - charge["amount_refunded"]
    return _money_row(charge) | {
        "left": in_words(left, charge["currency"]),
        "may_be_refunded": left > 0 and not charge["disputed"],
        "may_be_disputed": left > 0 and not charge["disputed"],
    }


def _money_row(body: Json) -> Json:
    return {
        "id": body["id"],
        "words": in_words(body["amount"], body["currency"]),
        "status": body["status"],
        "intent": body["payment_intent"],
        "at": _moment(body),
        "is_open": body["status"] in {"needs_response", "under_review"},
    }


def _event_row(books: Books, event: Json) -> Json:
    return {
        "id": event["id"],
        "type": event["type"],
        "about": event["data"]["object"]["id"],
        "at": _moment(event),
        "deliveries": [
            {
                "outcome": delivery.outcome or "Waiting",
                "attempts": delivery.attempts,
                "again": delivery.due_at is not None,
            }
            for delivery in books.deliveries_of(event["id"])
        ],
    }


def _moment(body: Json) -> datetime:
    return datetime.fromtimestamp(body["created"], UTC)


def _refund(books: Books, charge: Json, request: HttpRequest) -> None:
    form = RefundForm(request.POST)
    if not form.is_valid():
        raise ApiError("The amount is a whole number of minor units.")
    refunds.add_refund(books, charge, form.cleaned_data["amount"], "requested_by_customer")


# Each button of the control page: the kind of object it is about, and what it does.
_ACTIONS: dict[str, tuple[str, Callable[[Books, Json, HttpRequest], object]]] = {
    "expire": ("checkout.session", lambda books, session, request: _expire(books, session)),
    "money-came": ("payment_intent", lambda books, intent, request: buying.settle(books, intent, comes=True)),
    "money-did-not-come": ("payment_intent", lambda books, intent, request: buying.settle(books, intent, comes=False)),
    "refund": ("charge", _refund),
    "dispute": ("charge", lambda books, charge, request: disputes.open_dispute(books, charge)),
    "refund-succeeds": ("refund", lambda books, refund, request: refunds.settle(books, refund, succeeds=True)),
    "refund-fails": ("refund", lambda books, refund, request: refunds.settle(books, refund, succeeds=False)),
    "dispute-won": ("dispute", lambda books, dispute, request: disputes.close_dispute(books, dispute, won=True)),
    "dispute-lost": ("dispute", lambda books, dispute, request: disputes.close_dispute(books, dispute, won=False)),
    "send-again": ("event", lambda books, event, request: books.plan_delivery(event["id"], time.time())),
    "send-late": (
        "event",
        lambda books, event, request: books.plan_delivery(event["id"], time.time() + events.LATE_S),
    ),
    "send-stale": (
        "event",
        lambda books, event, request: books.plan_delivery(event["id"], time.time(), is_stale=True),
    ),
}


def _expire(books: Books, session: Json) -> None:
    if session["status"] != "open":
        raise ApiError("This checkout is no longer open.")
    buying.expire(books, session)
