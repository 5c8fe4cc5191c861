"""Amounts in minor units, for people."""

_SYMBOLS = {"inr": "₹", "usd": "$", "eur": "€", "gbp": "£"}
# Currencies without a smaller unit that a form here may meet.
_WHOLE = {"jpy", "krw", "vnd"}


def in_words(amount_minor: int, currency: str) -> str:
    """1250 of usd as `$12.50`."""
    sign = "−" if amount_minor < 0 else ""
    whole, cents = divmod(abs(amount_minor), 100)
    number = f"{abs(amount_minor):,}" if currency in _WHOLE else f"{whole:,}.{cents:02}"
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{number} {currency.upper()}"
