"""The mails about money: each is an outbox message a payer, put with its cause and rendered when it is sent.

A payload holds ids and amounts only; names and addresses are read when the mail goes out, to whoever is a payer then.
"""

import hashlib
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.models import Membership, Role
from billing.formatting import CURRENCIES, MICRO, format_credits, format_money
from outbox import messages as outbox

KIND = "mail"
# A mail server may be away over a long weekend; news about money older than that is no longer news.
_KEEP_TRYING = timedelta(days=4)
BILLING_PATH = "/console/billing/"


def put_receipt_issued(
    organisation_id: UUID, *, purchase_id: UUID, number: str, amount_minor: int, currency: str, path: str
) -> None:
    """`path` is the receipt's page, from PUBLIC_URL's root."""
    values = {"number": number, "amount_minor": amount_minor, "currency": currency, "path": path}
    _put(organisation_id, "receipt_issued", f"receipt:{purchase_id}", values)


def put_credit_note_issued(
    organisation_id: UUID, *, cause: str, number: str, amount_minor: int, currency: str, path: str
) -> None:
    """`cause` is what there is one credit note for; `path` is the note's page, from PUBLIC_URL's root."""
    values = {"number": number, "amount_minor": amount_minor, "currency": currency, "path": path}
    _put(organisation_id, "credit_note_issued", f"credit_note:{cause}", values)


def put_payment_failed(organisation_id: UUID, *, purchase_id: UUID, amount_minor: int, currency: str) -> None:
    values = {"amount_minor": amount_minor, "currency": currency}
    _put(organisation_id, "payment_failed", f"payment_failed:{purchase_id}", values)


def put_low_balance(organisation_id: UUID, *, crossing: int, threshold_micro: int) -> None:
    values = {"credits_micro": threshold_micro}
    _put(organisation_id, "low_balance", f"low_balance:{organisation_id}:{crossing}", values)


def put_top_up_done(
    organisation_id: UUID, attempt_id: UUID, *, credits_micro: int, amount_minor: int, currency: str
) -> None:
    values = {"credits_micro": credits_micro, "amount_minor": amount_minor, "currency": currency}
    _put(organisation_id, "top_up_done", f"top_up_done:{attempt_id}", values)


def put_top_up_failed(
    organisation_id: UUID, attempt_id: UUID, *, amount_minor: int, currency: str, next_attempt_at: datetime | None
) -> None:
    """`next_attempt_at` is None when auto top-up was switched off."""
    values: dict[str, Any] = {"amount_minor": amount_minor, "currency": currency}
    if next_attempt_at is not None:
        values["next_attempt_at"] = next_attempt_at.isoformat()
    _put(organisation_id, "top_up_failed", f"top_up_failed:{attempt_id}", values)


def put_top_up_unknown(organisation_id: UUID, attempt_id: UUID, *, amount_minor: int, currency: str) -> None:
    values = {"amount_minor": amount_minor, "currency": currency}
    _put(organisation_id, "top_up_unknown", f"top_up_unknown:{attempt_id}", values)


def put_confirmation_needed(
    organisation_id: UUID, attempt_id: UUID, *, amount_minor: int, currency: str, path: str
) -> None:
    """`path` is the page on which the payer confirms with the bank, from PUBLIC_URL's root."""
    values = {"amount_minor": amount_minor, "currency": currency, "path": path}
    _put(organisation_id, "confirmation_needed", f"confirmation:{attempt_id}", values)


def put_ceiling_reached(organisation_id: UUID, *, month: str, ceiling_minor: int, currency: str) -> None:
    """Told once a month, `2026-01`, for each ceiling: raising it starts anew."""
    values = {"ceiling_minor": ceiling_minor, "currency": currency}
    _put(organisation_id, "ceiling_reached", f"ceiling:{organisation_id}:{month}:{ceiling_minor}", values)


def put_cap_reached(organisation_id: UUID, *, month: str, cap_micro: int) -> None:
    """Told once a month, `2026-01`, for each cap."""
    _put(organisation_id, "cap_reached", f"cap:{organisation_id}:{month}:{cap_micro}", {"credits_micro": cap_micro})


def send(payload: outbox.Payload) -> None:
    """Render and send one mail; nothing when its reader is no payer any more.

    Raises OSError (SMTPException included) when it cannot be sent.
    """
    organisation_id = UUID(payload["organisation_id"])
    payer = _payers(organisation_id).filter(user_id=payload["user_id"]).first()
    if payer is None:
        return
    context = {
        "organisation": payer.organisation,
        "link": settings.PUBLIC_URL + payload.get("path", BILLING_PATH),
        "billing_link": settings.PUBLIC_URL + BILLING_PATH,
        "seller": settings.SELLER_NAME,
        **payload,
        **_formatted(payload),
    }
    template = f"billing/email/{payload['mail']}"
    subject = " ".join(render_to_string(f"{template}_subject.txt", context).split())
    body = render_to_string(f"{template}_message.txt", context)
    headers = {"Message-ID": _message_id(payload)}
    EmailMessage(subject, body, settings.DEFAULT_FROM_EMAIL, [payer.user.email], headers=headers).send()


def money(amount_minor: int, currency: str) -> str:
    """An amount in paise or cents as `₹1,23,456.00` or `$12.34`."""
    _, price_of_credit = CURRENCIES[currency]
    return format_money(int(Decimal(amount_minor).scaleb(-2) / price_of_credit * MICRO), currency)


def _put(organisation_id: UUID, mail: str, key: str, values: dict[str, Any]) -> None:
    for user_id in _payers(organisation_id).values_list("user_id", flat=True):
        payload = {"mail": mail, "key": key, "organisation_id": str(organisation_id), "user_id": user_id, **values}
        outbox.put(KIND, f"mail:{key}:{user_id}", payload)


def _payers(organisation_id: UUID) -> QuerySet[Membership]:
    """Owners and admins: those who may buy."""
    memberships = Membership.objects.select_related("user", "organisation").order_by("pk")
    return memberships.filter(organisation_id=organisation_id, role__in=[Role.OWNER, Role.ADMIN], user__is_active=True)


def _formatted(values: outbox.Payload) -> dict[str, str]:
    """What the templates show of the payload's raw amounts and moments."""
    texts = {}
    if "amount_minor" in values:
        texts["amount"] = money(values["amount_minor"], values["currency"])
    if "ceiling_minor" in values:
        texts["ceiling"] = money(values["ceiling_minor"], values["currency"])
    if "credits_micro" in values:
        texts["credits"] = format_credits(values["credits_micro"])
    if "next_attempt_at" in values:
        texts["next_attempt"] = _moment(values["next_attempt_at"])
    return texts


def _moment(text: str) -> str:
    return timezone.localtime(datetime.fromisoformat(text)).strftime("%-d %B at %H:%M %Z")


def _message_id(payload: outbox.Payload) -> str:
    # The same for a repeat after a crash between sending and noting it: mail programs show one of the two.
    digest = hashlib.sha256(f"{payload['key']}:{payload['user_id']}".encode()).hexdigest()[:32]
    host = settings.PUBLIC_URL.partition("://")[2].partition("/")[0].partition(":")[0]
    return f"<{digest}@{host}>"


outbox.register(KIND, send, keep_trying=_KEEP_TRYING)
