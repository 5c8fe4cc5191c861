"""What billing tells the apps above it, which it does not know."""

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
