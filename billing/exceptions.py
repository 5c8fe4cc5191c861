"""What can go wrong with money.

LedgerError
    WalletNotOpen         no wallet for this organisation
    HoldNotFound          no hold with this id
    InsufficientCredits   the wallet's available credits do not cover it
    HoldClosed            the hold was settled, released or expired before
    KeyReused             the idempotency key was used for something else
    AmountOutOfRange      an amount, or the sum it leads to, is not one the ledger accepts
    InvalidText           a key, reference, description or name is empty, too long or not one printable line
    AppendOnly            a written row of money was about to be changed or deleted
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
