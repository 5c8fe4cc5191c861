"""What billing tells the apps above it, which it does not know."""

from django.dispatch import Signal

# organisation_id: UUID. Sent after the commit of whatever changed a wallet's balance or held credits. Receivers run on
# the thread that moved the money: they must be quick, and one that fails is logged and changes nothing.
wallet_changed = Signal()
