"""Amounts as the API says them: plain decimals, without a thousands separator."""

_MICRO = 1_000_000


def plain_credits(amount_micro: int) -> str:
    """Return micro-credits as credits: 1_500_000 is "1.5"."""
    whole, rest = divmod(abs(amount_micro), _MICRO)
    decimals = f".{rest:06d}".rstrip("0").rstrip(".")
    return f"{'-' if amount_micro < 0 else ''}{whole}{decimals}"
