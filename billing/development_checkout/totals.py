"""What a checkout comes to: lines, discount and tax, in minor units."""

from billing.development_checkout.errors import Json

# The stand-in's whole tax law: a buyer in India pays this, everybody else nothing.
TAX_COUNTRY, TAX_PERCENT = "IN", 18


def add_up(session: Json, *, percent_off: int, country: str | None) -> None:
    """Write the lines' amounts and the session's totals; tax only with automatic tax and a buyer's country."""
    lines = session["_lines"]
    is_taxed = session["automatic_tax"]["enabled"] and country == TAX_COUNTRY
    for line, discount in zip(lines, _discounts(lines, percent_off), strict=True):
        _add_up_line(line, discount, TAX_PERCENT if is_taxed else 0)
    session["amount_subtotal"] = sum(line["amount_subtotal"] for line in lines)
    session["amount_total"] = sum(line["amount_total"] for line in lines)
    session["total_details"] = {
        "amount_discount": sum(line["amount_discount"] for line in lines),
        "amount_shipping": 0,
        "amount_tax": sum(line["amount_tax"] for line in lines),
    }
    if session["automatic_tax"]["enabled"]:
        session["automatic_tax"]["status"] = "complete" if country else "requires_location_inputs"


def _add_up_line(line: Json, discount: int, tax_percent: int) -> None:
    net = line["amount_subtotal"] - discount
    is_inclusive = line["price"]["tax_behavior"] == "inclusive"
    tax = _rounded(net * tax_percent, 100 + tax_percent) if is_inclusive else _rounded(net * tax_percent, 100)
    line.update(amount_discount=discount, amount_tax=tax, amount_total=net if is_inclusive else net + tax)


def _discounts(lines: list[Json], percent: int) -> list[int]:
    """Split the whole discount over the lines; the last takes what rounding left."""
    total = sum(line["amount_subtotal"] for line in lines)
    discounts = [_rounded(line["amount_subtotal"] * percent, 100) for line in lines[:-1]]
    return [*discounts, _rounded(total * percent, 100) - sum(discounts)]


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
