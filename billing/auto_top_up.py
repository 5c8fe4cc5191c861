"""Buy credits before they run out, with a saved card: one attempt at a time, never more than the customer allowed.

A wallet that moved, or a hold that was refused, asks `consider`; nothing is polled. An attempt is a row, with an outbox
message in the same transaction; the message charges the card, with the attempt's key, as often as it takes to have an
answer, and the answer closes the attempt. So a crash at any step is followed by the same charge again, not by another.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from accounts.models import Organisation, User
from billing import bundles, emails, purchases
from billing.exceptions import (
    BundleNotOnSale,
    InvalidSetting,
    ObjectRefused,
    PaymentDeclined,
    PaymentNeedsConfirmation,
    PaymentServiceRefused,
    PaymentsOff,
    PurchaseNotFound,
)
from billing.ledger import MICRO
from billing.models import (
    AttemptState,
    AutoTopUp,
    AutoTopUpAttempt,
    Bundle,
    OffReason,
    Purchase,
    Wallet,
)
from billing.spending_cap import start_of_month
from billing.stripe import payments
from outbox import messages as outbox

CHARGE = "auto_top_up.charge"
REMEMBER_CARD = "auto_top_up.remember_card"
# Whatever its state, an organisation has no more than so many attempts within the window: a fault of ours, or a
# threshold that no bundle reaches, must not become a storm on somebody's card.
BURST_ATTEMPTS = 5
BURST_WINDOW = timedelta(hours=1)
# After the first decline, the second and so on; after one more, auto top-up is switched off.
BACK_OFF = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24), timedelta(hours=72))
# The payer has a day to confirm before the card is asked again.
CONFIRMATION_PAUSE = timedelta(hours=24)
# Stripe knows a charge by its key for 24 hours; a repeat after that could be a second charge.
KEEP_ASKING = timedelta(hours=20)
# A charge whose bank has not decided yet is asked about again after this long.
UNDECIDED_S = 15
MIN_THRESHOLD_MICRO = MICRO
MAX_THRESHOLD_MICRO = 10**13
MAX_CEILING_MINOR = 10**10
MAX_CONSIDERED = 500
MAX_FAILURE_CHARS = 100
# What has been spent, or may have been.
_COUNTED = (AttemptState.OPEN, AttemptState.SUCCEEDED, AttemptState.UNKNOWN)

log = structlog.get_logger(__name__)


class Outlook(StrEnum):
    """Whether credits are on their way to an organisation that runs out of them."""

    NONE = "none"
    DUE = "due"
    UNDER_WAY = "under_way"
    ARRIVED = "arrived"


class Obstacle(StrEnum):
    """Why no attempt is made now."""

    SUSPENDED = "suspended"
    PAYMENTS_OFF = "payments_off"
    ENOUGH = "enough"
    IN_PROGRESS = "in_progress"
    BACKING_OFF = "backing_off"
    BURST = "burst"
    NOT_ON_SALE = "not_on_sale"
    CEILING = "ceiling"


def consider(organisation_id: UUID, *, needed_micro: int = 0) -> AutoTopUpAttempt | None:
    """Begin an attempt if less is available than the threshold, or than `needed_micro`, and nothing forbids it.

    Safe to call at any time and any number of times at once: under the row's lock one call begins the attempt, and
    the others find it.
    """
    top_up = _switched_on(organisation_id)
    if top_up is None or _obstacle(top_up, needed_micro) not in (None, Obstacle.CEILING):
        return None
    with transaction.atomic():
        top_up = AutoTopUp.objects.select_for_update().filter(organisation_id=organisation_id, is_on=True).first()
        if top_up is None:
            return None
        obstacle = _obstacle(top_up, needed_micro)
        if obstacle is Obstacle.CEILING:
            _tell_of_ceiling(top_up)
        if obstacle is not None:
            return None
        return _begin(top_up)


def outlook(organisation_id: UUID, *, needed_micro: int = 0) -> Outlook:
    """Return whether an attempt is under way, or has just brought what was missing, or `consider` would begin one now.

    Writes nothing.
    """
    top_up = _switched_on(organisation_id)
    if top_up is None:
        return Outlook.NONE
    match _obstacle(top_up, needed_micro):
        case None:
            return Outlook.DUE
        case Obstacle.IN_PROGRESS:
            return Outlook.UNDER_WAY
        case Obstacle.ENOUGH:
            return Outlook.ARRIVED
    return Outlook.NONE


def consider_everyone(now: datetime) -> int:
    """Consider each organisation that is under its threshold: what a process that died did not get to."""
    low = AutoTopUp.objects.filter(
        is_on=True,
        organisation__wallet__balance_micro__lt=F("threshold_micro") + F("organisation__wallet__held_micro"),
    )
    waiting = low.exclude(next_attempt_at__gt=now).order_by("pk").values_list("organisation_id", flat=True)
    return sum(consider(organisation_id) is not None for organisation_id in list(waiting[:MAX_CONSIDERED]))


def charge(payload: outbox.Payload) -> None:
    """Charge the card for one attempt, or learn what became of it; the outbox calls this until there is an answer.

    Raises Postpone while the bank has not decided, and PaymentServiceUnavailable.
    """
    attempt = AutoTopUpAttempt.objects.select_related("top_up__organisation", "bundle").get(id=payload["attempt_id"])
    if not attempt.is_open:
        return
    top_up = attempt.top_up
    try:
        purchase = purchases.charge_off_session(
            top_up.organisation,
            attempt.bundle,
            attempt.key,
            customer_id=top_up.customer_id,
            payment_method_id=top_up.payment_method_id,
        )
    except PaymentDeclined as error:
        _close(attempt.id, AttemptState.DECLINED, failure=error.code, purchase_id=error.purchase_id)
    except PaymentNeedsConfirmation as error:
        _close(attempt.id, AttemptState.NEEDS_CONFIRMATION, purchase_id=error.purchase_id)
    except (PaymentServiceRefused, BundleNotOnSale, PaymentsOff) as error:
        _close(attempt.id, AttemptState.DECLINED, failure=getattr(error, "code", type(error).__name__))
    except ObjectRefused as error:
        # Something was charged that is not what was asked for: a person has to look.
        _close(attempt.id, AttemptState.UNKNOWN, failure=error.reason)
    else:
        if not purchase.is_credited:
            raise outbox.Postpone(UNDECIDED_S)
        _close(attempt.id, AttemptState.SUCCEEDED, purchase_id=purchase.id)
        consider(top_up.organisation_id)


def charge_given_up(payload: outbox.Payload) -> None:
    """Stop asking: what became of the charge is unknown, and only a person or a late webhook can tell."""
    _close(UUID(payload["attempt_id"]), AttemptState.UNKNOWN, failure="no_answer")


def purchase_succeeded(purchase: Purchase) -> None:
    """Close the attempt that this purchase was made for, in the transaction that credits it."""
    # Found by its key: whoever charges a card for another reason has attempts of another kind.
    mine = AutoTopUpAttempt.objects.filter(top_up__organisation_id=purchase.organisation_id)
    for attempt in mine.filter(state__in=[AttemptState.OPEN, AttemptState.UNKNOWN]):
        if attempt.key == purchase.attempt_key:
            _close(attempt.id, AttemptState.SUCCEEDED, purchase_id=purchase.id)


def settings_of(organisation_id: UUID) -> AutoTopUp:
    """Return the organisation's settings; switched off, not stored, when it never had any."""
    found = AutoTopUp.objects.select_related("bundle").filter(organisation_id=organisation_id).first()
    return found or AutoTopUp(organisation_id=organisation_id)


def save_auto_top_up(
    organisation_id: UUID, *, is_on: bool, threshold_micro: int, bundle: Bundle | None, monthly_ceiling_minor: int
) -> AutoTopUp:
    """Set what is to be bought and when; switching on, or changing anything, forgets earlier declines.

    Raises InvalidSetting, whose `field` is one of these parameters.
    """
    with transaction.atomic():
        top_up = _lock(organisation_id)
        top_up.is_on, top_up.off_reason = is_on, OffReason.NONE
        top_up.threshold_micro, top_up.bundle = threshold_micro, bundle
        top_up.monthly_ceiling_minor = monthly_ceiling_minor
        top_up.currency = bundles.currency_of(top_up.organisation)
        top_up.declines_in_a_row, top_up.next_attempt_at = 0, None
        _check_amounts(top_up)
        if is_on:
            _check_complete(top_up)
        top_up.save()
        transaction.on_commit(lambda: consider(organisation_id), robust=True)
    return top_up


def remember_card(organisation_id: UUID, card: payments.SavedCard) -> None:
    """Keep the card that a checkout saved with its owner's consent; the last one counts.

    One that may not be charged without its owner (Indian cards first of all) switches auto top-up off, and it cannot be
    switched on while that card is the one we have.
    """
    with transaction.atomic():
        top_up = _lock(organisation_id)
        if (top_up.payment_method_id, top_up.customer_id) == (card.payment_method_id, card.customer_id):
            return
        top_up.customer_id, top_up.payment_method_id = card.customer_id, card.payment_method_id
        top_up.card_label, top_up.can_charge_off_session = card.label[:80], card.can_charge_off_session
        top_up.declines_in_a_row, top_up.next_attempt_at = 0, None
        if top_up.is_on and not card.can_charge_off_session:
            top_up.is_on, top_up.off_reason = False, OffReason.CARD
        top_up.save()


def put_card_to_remember(purchase: Purchase) -> None:
    """Look up, later and for as long as it takes, the card that a checkout may have saved."""
    if purchase.stripe_payment_method_id:
        outbox.put(REMEMBER_CARD, f"card_of:{purchase.id}", {"purchase_id": str(purchase.id)})


def fetch_card(payload: outbox.Payload) -> None:
    """Raises PaymentServiceUnavailable and the other PaymentErrors, after which the outbox asks again."""
    purchase = Purchase.objects.get(id=payload["purchase_id"])
    card = payments.fetch_saved_card(purchase.stripe_payment_method_id)
    # A card that belongs to no customer was used once and not kept.
    if card.customer_id:
        remember_card(purchase.organisation_id, card)


def switch_off(organisation_id: UUID) -> bool:
    """Make no further attempts until the customer switches it on again; True when it was on."""
    return AutoTopUp.objects.filter(organisation_id=organisation_id, is_on=True).update(is_on=False) == 1


def forget_card(organisation_id: UUID) -> None:
    """Forget the card, and with it switch auto top-up off."""
    with transaction.atomic():
        top_up = _lock(organisation_id)
        top_up.is_on, top_up.off_reason = False, OffReason.NONE
        top_up.customer_id = top_up.payment_method_id = top_up.card_label = ""
        top_up.can_charge_off_session = False
        top_up.save()


def last_attempt(organisation_id: UUID) -> AutoTopUpAttempt | None:
    """Return the newest attempt, which may still be open."""
    attempts = AutoTopUpAttempt.objects.select_related("bundle", "purchase")
    return attempts.filter(top_up__organisation_id=organisation_id).first()


def attempt_to_confirm(organisation_id: UUID) -> AutoTopUpAttempt | None:
    """Return the attempt whose payment the bank wants confirmed, while nothing has been tried since."""
    attempt = last_attempt(organisation_id)
    return attempt if attempt and attempt.state == AttemptState.NEEDS_CONFIRMATION else None


def confirm(attempt_id: UUID, organisation: Organisation, user: User, *, success_url: str, cancel_url: str) -> str:
    """Return the address of a checkout in which the payer buys what the attempt could not, bank's question included.

    Raises PurchaseNotFound for an attempt of somebody else's or one that needs no confirmation, and what
    purchases.start_checkout raises.
    """
    attempt = attempt_to_confirm(organisation.id)
    if attempt is None or attempt.id != attempt_id:
        raise PurchaseNotFound(str(attempt_id))
    return purchases.start_checkout(
        organisation, attempt.bundle, user, success_url=success_url, cancel_url=cancel_url, save_card=True
    )


def confirmation_path(attempt_id: UUID) -> str:
    return f"{emails.BILLING_PATH}top-up/{attempt_id}/confirm/"


def spent_this_month_minor(top_up: AutoTopUp, now: datetime) -> int:
    """What auto top-up has spent in this calendar month or may still be spending, in the minor unit of its currency."""
    attempts = AutoTopUpAttempt.objects.filter(
        top_up=top_up, state__in=_COUNTED, currency=top_up.currency, started_at__gte=start_of_month(now)
    )
    return attempts.aggregate(total=Sum("amount_minor"))["total"] or 0


def _switched_on(organisation_id: UUID) -> AutoTopUp | None:
    return AutoTopUp.objects.filter(organisation_id=organisation_id, is_on=True).first()


def _obstacle(top_up: AutoTopUp, needed_micro: int) -> Obstacle | None:
    """The policy, from what is cheapest to ask. Each row is read anew: what was read before a lock may be stale."""
    now = timezone.now()
    if settings.PAYMENTS == "off":
        return Obstacle.PAYMENTS_OFF
    if _available_micro(top_up.organisation_id) >= max(top_up.threshold_micro, needed_micro):
        return Obstacle.ENOUGH
    attempts = AutoTopUpAttempt.objects.filter(top_up=top_up)
    if attempts.filter(state=AttemptState.OPEN).exists():
        return Obstacle.IN_PROGRESS
    if top_up.next_attempt_at is not None and now < top_up.next_attempt_at:
        return Obstacle.BACKING_OFF
    if attempts.filter(started_at__gt=now - BURST_WINDOW).count() >= BURST_ATTEMPTS:
        return Obstacle.BURST
    if Organisation.objects.filter(id=top_up.organisation_id, suspended_at__isnull=False).exists():
        return Obstacle.SUSPENDED
    price_minor = _price_minor(top_up)
    if price_minor is None:
        return Obstacle.NOT_ON_SALE
    if spent_this_month_minor(top_up, now) + price_minor > top_up.monthly_ceiling_minor:
        return Obstacle.CEILING
    return None


def _available_micro(organisation_id: UUID) -> int:
    wallet = Wallet.objects.filter(organisation_id=organisation_id).first()
    return wallet.available_micro if wallet else 0


def _price_minor(top_up: AutoTopUp) -> int | None:
    """What the bundle costs now; None when it is not on sale."""
    if top_up.bundle is None:
        return None
    try:
        return bundles.offer_of(top_up.bundle, top_up.currency).amount_minor
    except BundleNotOnSale:
        return None


def _begin(top_up: AutoTopUp) -> AutoTopUpAttempt:
    bundle, price_minor = top_up.bundle, _price_minor(top_up)
    if bundle is None or price_minor is None:
        raise BundleNotOnSale
    attempt = AutoTopUpAttempt.objects.create(
        top_up=top_up,
        bundle=bundle,
        credits_micro=bundle.credits * MICRO,
        currency=top_up.currency,
        amount_minor=price_minor,
    )
    outbox.put(CHARGE, attempt.key, {"attempt_id": str(attempt.id)})
    log.info("auto_top_up_began", organisation_id=str(top_up.organisation_id), attempt_id=str(attempt.id))
    return attempt


def _close(attempt_id: UUID, state: AttemptState, *, failure: str = "", purchase_id: UUID | None = None) -> None:
    """Write down what became of an attempt, once, with everything that follows from it in the same transaction.

    An attempt of unknown end may still turn out to have succeeded.
    """
    with transaction.atomic():
        # In the order in which billing.purchases comes here: purchase, wallet, auto top-up.
        if purchase_id is not None:
            Purchase.objects.select_for_update().get(id=purchase_id)
        top_up = AutoTopUp.objects.select_for_update(of=("self",)).get(attempts__id=attempt_id)
        attempt = AutoTopUpAttempt.objects.get(id=attempt_id)
        was_unknown = attempt.state == AttemptState.UNKNOWN and state == AttemptState.SUCCEEDED
        if not attempt.is_open and not was_unknown:
            return
        attempt.state, attempt.failure, attempt.ended_at = state, failure[:MAX_FAILURE_CHARS], timezone.now()
        if purchase_id is not None:
            attempt.purchase_id = purchase_id
        attempt.save()
        _FOLLOW_UPS[state](top_up, attempt)
        top_up.save()
    log.info("auto_top_up_ended", organisation_id=str(top_up.organisation_id), attempt_id=str(attempt_id), state=state)


def _succeeded(top_up: AutoTopUp, attempt: AutoTopUpAttempt) -> None:
    top_up.declines_in_a_row, top_up.next_attempt_at = 0, None
    emails.put_top_up_done(
        top_up.organisation_id,
        attempt.id,
        credits_micro=attempt.credits_micro,
        amount_minor=attempt.purchase.amount_minor if attempt.purchase else attempt.amount_minor,
        currency=attempt.currency,
    )


def _declined(top_up: AutoTopUp, attempt: AutoTopUpAttempt) -> None:
    _count_failure(top_up)
    emails.put_top_up_failed(
        top_up.organisation_id,
        attempt.id,
        amount_minor=attempt.amount_minor,
        currency=attempt.currency,
        next_attempt_at=top_up.next_attempt_at if top_up.is_on else None,
    )


def _needs_confirmation(top_up: AutoTopUp, attempt: AutoTopUpAttempt) -> None:
    _count_failure(top_up)
    top_up.next_attempt_at = max(top_up.next_attempt_at or timezone.now(), timezone.now() + CONFIRMATION_PAUSE)
    emails.put_confirmation_needed(
        top_up.organisation_id,
        attempt.id,
        amount_minor=attempt.amount_minor,
        currency=attempt.currency,
        path=confirmation_path(attempt.id),
    )


def _unknown(top_up: AutoTopUp, attempt: AutoTopUpAttempt) -> None:
    top_up.is_on, top_up.off_reason = False, OffReason.UNKNOWN
    emails.put_top_up_unknown(
        top_up.organisation_id, attempt.id, amount_minor=attempt.amount_minor, currency=attempt.currency
    )
    log.error("auto_top_up_unknown", organisation_id=str(top_up.organisation_id), attempt_id=str(attempt.id))


_FOLLOW_UPS = {
    AttemptState.SUCCEEDED: _succeeded,
    AttemptState.DECLINED: _declined,
    AttemptState.NEEDS_CONFIRMATION: _needs_confirmation,
    AttemptState.UNKNOWN: _unknown,
}


def _count_failure(top_up: AutoTopUp) -> None:
    """Wait longer after each failure in a row, and stop after the last one that is waited for."""
    if top_up.declines_in_a_row >= len(BACK_OFF):
        top_up.is_on, top_up.off_reason, top_up.next_attempt_at = False, OffReason.DECLINED, None
    else:
        top_up.next_attempt_at = timezone.now() + BACK_OFF[top_up.declines_in_a_row]
    top_up.declines_in_a_row += 1


def _tell_of_ceiling(top_up: AutoTopUp) -> None:
    emails.put_ceiling_reached(
        top_up.organisation_id,
        month=start_of_month(timezone.now()).strftime("%Y-%m"),
        ceiling_minor=top_up.monthly_ceiling_minor,
        currency=top_up.currency,
    )


def _lock(organisation_id: UUID) -> AutoTopUp:
    AutoTopUp.objects.get_or_create(organisation_id=organisation_id)
    return AutoTopUp.objects.select_for_update().get(organisation_id=organisation_id)


def _check_amounts(top_up: AutoTopUp) -> None:
    if not 0 <= top_up.threshold_micro <= MAX_THRESHOLD_MICRO:
        raise InvalidSetting("threshold_micro", "Name an amount of credits.")
    if not 0 <= top_up.monthly_ceiling_minor <= MAX_CEILING_MINOR:
        raise InvalidSetting("monthly_ceiling_minor", "Name an amount of money.")


def _check_complete(top_up: AutoTopUp) -> None:
    """What must be true before a card is charged without its owner. Raises InvalidSetting."""
    if not top_up.payment_method_id:
        raise InvalidSetting("is_on", "Buy a bundle once and let the card be saved, so that there is one to charge.")
    if not top_up.can_charge_off_session:
        raise InvalidSetting(
            "is_on", "This card's bank lets nobody charge it without you, so auto top-up cannot use it."
        )
    price_minor = _price_minor(top_up)
    if top_up.bundle is None or price_minor is None:
        raise InvalidSetting("bundle", "Choose one of the bundles on sale.")
    if top_up.threshold_micro < MIN_THRESHOLD_MICRO:
        raise InvalidSetting("threshold_micro", "Name at least one credit.")
    # Otherwise one purchase would not lift the balance over the threshold, and the next would follow at once.
    if top_up.threshold_micro >= top_up.bundle.credits * MICRO:
        raise InvalidSetting("threshold_micro", "Choose an amount that is less than the bundle holds.")
    if top_up.monthly_ceiling_minor < price_minor:
        raise InvalidSetting("monthly_ceiling_minor", "The limit is less than one bundle costs.")


outbox.register(CHARGE, charge, keep_trying=KEEP_ASKING, given_up=charge_given_up)
outbox.register(REMEMBER_CARD, fetch_card, keep_trying=timedelta(days=2))
