"""What can go wrong with money.

LedgerError
    WalletNotOpen         no wallet for this organisation
    HoldNotFound          no hold with this id
    InsufficientCredits   the wallet's available credits do not cover it
        SpendingCapReached    they do, but the organisation's own cap on the month does not
    HoldClosed            the hold was settled, released or expired before
    KeyReused             the idempotency key was used for something else
    AmountOutOfRange      an amount, or the sum it leads to, is not one the ledger accepts
    InvalidText           a key, reference, description or name is empty, too long or not one printable line
    AppendOnly            a written row of money was about to be changed or deleted
InvalidSetting            what a customer sets about budget or auto top-up is not acceptable

PaymentError              nothing was charged and nothing credited, unless said otherwise
    PaymentsOff           this installation sells nothing
    BundleNotOnSale       not active, not yet or no longer valid, or without a price in the currency
    PurchaseNotFound      no such purchase, or somebody else's
    PaymentDeclined       the card was refused
    PaymentNeedsConfirmation  the card's bank wants its holder to confirm
    PaymentServiceUnavailable  Stripe cannot be reached or is busy: the same call may be made again
    PaymentServiceRefused  Stripe will not do this, however often it is asked
    ObjectRefused         what Stripe holds is not what we sold: another amount, currency or owner, or malformed
    NotRefundable         the purchase is not paid, or less is left of it than was asked for
WebhookRefused            a delivery that is not proven to be Stripe's, or cannot be read
"""

from uuid import UUID


class LedgerError(Exception):
    """Nothing was changed."""


class WalletNotOpen(LedgerError):
    def __init__(self, organisation_id: UUID) -> None:
        super().__init__(organisation_id)
        self.organisation_id = organisation_id


class HoldNotFound(LedgerError):
    def __init__(self, hold_id: UUID) -> None:
        super().__init__(hold_id)
        self.hold_id = hold_id


class InsufficientCredits(LedgerError):
    def __init__(self, *, available_micro: int, needed_micro: int) -> None:
        super().__init__(available_micro, needed_micro)
        self.available_micro = available_micro
        self.needed_micro = needed_micro


class SpendingCapReached(InsufficientCredits):
    """`available_micro` is what the cap still allows."""


class HoldClosed(LedgerError):
    def __init__(self, hold_id: UUID, status: str) -> None:
        super().__init__(hold_id, status)
        self.hold_id = hold_id
        self.status = status


class KeyReused(LedgerError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class AmountOutOfRange(LedgerError):
    def __init__(self, amount_micro: int) -> None:
        super().__init__(amount_micro)
        self.amount_micro = amount_micro


class InvalidText(LedgerError):
    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class AppendOnly(LedgerError):
    def __init__(self, row: str) -> None:
        super().__init__(row)
        self.row = row


class PaymentError(Exception):
    """Money could not be taken, given back or accepted."""


class PaymentsOff(PaymentError):
    pass


class BundleNotOnSale(PaymentError):
    pass


class PurchaseNotFound(PaymentError):
    pass


class PaymentDeclined(PaymentError):
    def __init__(self, purchase_id: UUID, code: str) -> None:
        super().__init__(purchase_id, code)
        self.purchase_id = purchase_id
        self.code = code


class PaymentNeedsConfirmation(PaymentError):
    """The card works, but only with its holder present: a checkout has to follow."""

    def __init__(self, purchase_id: UUID) -> None:
        super().__init__(purchase_id)
        self.purchase_id = purchase_id


class PaymentServiceUnavailable(PaymentError):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class PaymentServiceRefused(PaymentError):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ObjectRefused(PaymentError):
    """`purchase_id` is the purchase that it claims to belong to, if there is one."""

    def __init__(self, reason: str, purchase_id: UUID | None = None) -> None:
        super().__init__(reason, purchase_id)
        self.reason = reason
        self.purchase_id = purchase_id


class NotRefundable(PaymentError):
    def __init__(self, *, refundable_minor: int) -> None:
        super().__init__(refundable_minor)
        self.refundable_minor = refundable_minor


class WebhookRefused(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InvalidSetting(Exception):
    """`message` is a sentence for the customer about `field`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message
