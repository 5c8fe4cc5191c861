"""What billing tells the apps above it, which it does not know."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.db import transaction
from django.dispatch import Signal

log = structlog.get_logger(__name__)


class Announcement(Signal):
    """A signal sent inside the transaction of its cause. Each receiver stands alone: see `announce`."""

    def connect(
        self, receiver: Callable[..., Any], sender: Any = None, weak: bool = True, dispatch_uid: Any = None
    ) -> None:
        # What is connected is our wrapper, which nobody else holds: a weak reference to it would be gone at once.
        super().connect(_on_its_own(receiver), sender=sender, weak=False, dispatch_uid=dispatch_uid or receiver)

    def disconnect(
        self, receiver: Callable[..., Any] | None = None, sender: Any = None, dispatch_uid: Any = None
    ) -> bool:
        return super().disconnect(None, sender=sender, dispatch_uid=dispatch_uid or receiver)


def _on_its_own(receiver: Callable[..., Any]) -> Callable[..., None]:
    @wraps(receiver)
    def receive(**facts: Any) -> None:
        try:
            with transaction.atomic():
                receiver(**facts)
        except Exception as error:  # The edge to apps that are not known here: their mistake must not undo the money.
            names = {name: str(fact) for name, fact in facts.items() if name.endswith("_id")}
            log.error("money_receiver_failed", error=type(error).__name__, receiver=receiver.__qualname__, **names)

    return receive


# organisation_id: UUID. Sent after the commit of whatever changed a wallet's balance or held credits. Receivers run on
# the thread that moved the money: they must be quick, and one that fails is logged and changes nothing.
wallet_changed = Signal()

# organisation_id: UUID, needed_micro: int. Sent when a hold could not be opened or extended for want of credits:
# `needed_micro` is what would have had to be available for it. It may be sent inside a transaction that is then rolled
# back, so receivers write nothing there. A receiver answers True when asking again in a moment may succeed.
credits_wanted = Signal()

# purchase_id: UUID. Sent once, inside the transaction that credits the purchase (or records that it failed), so that a
# receiver can write what must not be lost, a receipt or an outbox row, in the same transaction. Receivers write rows
# and do nothing else; when one fails, what it wrote is undone and logged, and the payment and the others' rows stand.
payment_succeeded = Announcement()
payment_failed = Announcement()

# refund_id: UUID. Sent as payment_succeeded is, when the money is known to have gone back.
refund_succeeded = Announcement()

# dispute_id: int. Sent as payment_succeeded is, when the bank has decided for the buyer.
dispute_lost = Announcement()

# organisation_id: UUID, threshold_micro: int, balance_micro: int. Sent once a crossing, as payment_succeeded is: inside
# the transaction that writes down that what is left (`balance_micro`: the balance less what running calls have used)
# fell under the threshold.
credits_low = Announcement()

# organisation_id: UUID, cap_micro: int. Sent once a month and cap, as payment_succeeded is: inside the transaction that
# writes down that the month's spending cap refused credits to a call.
budget_exceeded = Announcement()

# organisation_id: UUID. Sent when the month's cap refuses a hold or an extension, inside a transaction that is then
# rolled back: receivers write nothing, and let a worker write down what follows from it.
cap_refused = Signal()


def announce(signal: Announcement, **facts: Any) -> None:
    """Send inside the caller's transaction; what a receiver that fails wrote is undone and logged, the rest stands."""
    signal.send(sender=None, **facts)
