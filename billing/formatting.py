"""How amounts are shown to people, and read from them: exact decimals, never a float."""

from decimal import ROUND_HALF_EVEN, Decimal

MICRO_DECIMALS = 6
MICRO = Decimal(10**MICRO_DECIMALS)
# 1 credit = 1 rupee = 1 US cent.
CURRENCIES = {"INR": ("₹", Decimal(1)), "USD": ("$", Decimal("0.01"))}


def credits_of(amount_micro: int) -> Decimal:
    """Return the amount in credits, exactly."""
    return Decimal(amount_micro) / MICRO


def micro_of(amount_credits: Decimal) -> int:
    """Return the amount in micro-credits. Raises ValueError when it is no number of at most six decimals."""
    scaled = amount_credits.scaleb(MICRO_DECIMALS)
    if not scaled.is_finite() or scaled != int(scaled):
        raise ValueError("A credit has six decimals.")
    return int(scaled)


def format_credits(amount_micro: int) -> str:
    """1234.5 credits as `1,234.50`; below one credit as many of the six decimals as it needs, `0.034215`."""
    return _grouped(credits_of(amount_micro))


def format_exact_credits(amount_micro: int) -> str:
    """Every decimal that is not zero, and at least two: for receipts, whose lines must be seen to add up."""
    return _grouped(credits_of(amount_micro), exact=True)


def format_money(amount_micro: int, currency: str) -> str:
    """The amount as `₹1,23,456.00` or `$12.34`. Raises ValueError for a currency that credits have no price in."""
    if currency not in CURRENCIES:
        raise ValueError(f"Credits have no price in {currency!r}.")
    symbol, price = CURRENCIES[currency]
    text = _grouped(credits_of(amount_micro) * price)
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    return f"{sign}{symbol}{_grouped_in_lakhs(text) if currency == 'INR' else text}"


def _grouped(value: Decimal, *, exact: bool = False) -> str:
    decimals = _decimals_needed(value) if exact or abs(value) < 1 else 2
    return f"{value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN):,f}"


def _decimals_needed(value: Decimal) -> int:
    rounded = round(value, MICRO_DECIMALS)
    return max(2, -int(rounded.normalize().as_tuple().exponent))


def _grouped_in_lakhs(text: str) -> str:
    """Group as India does: three digits, then twos."""
    whole, _, decimals = text.replace(",", "").partition(".")
    head, tail = whole[:-3], whole[-3:]
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    return ",".join([*reversed(pairs), tail]) + f".{decimals}"
