"""What billing tells the apps above it, which it does not know."""

from typing import Any

import structlog
from django.db import transaction
from django.dispatch import Signal

# organisation_id: UUID. Sent after the commit of whatever changed a wallet's balance or held credits. Receivers run on
# the thread that moved the money: they must be quick, and one that fails is logged and changes nothing.
wallet_changed = Signal()

# organisation_id: UUID, needed_micro: int. Sent when a hold could not be opened or extended for want of credits:
# `needed_micro` is what would have had to be available for it. It may be sent inside a transaction that is then rolled
# back, so receivers write nothing there. A receiver answers True when asking again in a moment may succeed.
credits_wanted = Signal()

# purchase_id: UUID. Sent once, inside the transaction that credits the purchase (or records that it failed), so that a
# receiver can write what must not be lost, a receipt or an outbox row, in the same transaction. Receivers write rows
# and do nothing else; when one fails, what they all wrote is undone and logged, and the payment stands.
payment_succeeded = Signal()
payment_failed = Signal()

# refund_id: UUID. Sent as payment_succeeded is, when the money is known to have gone back.
refund_succeeded = Signal()

# dispute_id: int. Sent as payment_succeeded is, when the bank has decided for the buyer.
dispute_lost = Signal()

# organisation_id: UUID, threshold_micro: int, balance_micro: int. Sent once a crossing, as payment_succeeded is: inside
# the transaction that writes down that what is left (`balance_micro`: the balance less what running calls have used)
# fell under the threshold.
credits_low = Signal()

# organisation_id: UUID, cap_micro: int. Sent once a month and cap, as payment_succeeded is: inside the transaction that
# writes down that the month's spending cap refused credits to a call.
budget_exceeded = Signal()

# organisation_id: UUID. Sent when the month's cap refuses a hold or an extension, inside a transaction that is then
# rolled back: receivers write nothing, and let a worker write down what follows from it.
cap_refused = Signal()

log = structlog.get_logger(__name__)


def announce(signal: Signal, **facts: Any) -> None:
    """Send inside the caller's transaction; what the receivers wrote is undone and logged when one of them fails."""
    try:
        with transaction.atomic():
            signal.send(sender=None, **facts)
    except Exception as error:  # The edge to apps that are not known here: their mistake must not undo the money.
        names = {name: str(fact) for name, fact in facts.items() if name.endswith("_id")}
        log.error("money_receiver_failed", error=type(error).__name__, **names)
