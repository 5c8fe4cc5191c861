"""What providers charge for usage, by their list prices; told to billing, which shows margins and knows no models."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from functools import cache
from typing import Any

from django.utils import timezone

from billing import margin
from billing.margin import Margin
from voice.models import ApiRequest, Note, Rate, UsageRecord

# 1 credit is a US cent: a millionth of a dollar is a hundred micro-credits.
MICRO_PER_USD_MICRO = 100
_UNITS_PER_RATE = 1_000_000
_CHUNK = 2000

ListPrices = Mapping[tuple[str, str], int]


def provider_cost_micro(usage: Iterable[tuple[str, list[dict[str, Any]]]], prices: ListPrices) -> int:
    """Return what providers charge for usage rows (model slug, lines), in micro-credits, rounded up once.

    A model without rates of its own (the embedded one, billed as the model it stands in for) costs nothing.
    """
    units = sum(units_of(model_slug, lines, prices) for model_slug, lines in usage)
    return -(-units * MICRO_PER_USD_MICRO // _UNITS_PER_RATE)


def units_of(model_slug: str, lines: Iterable[Mapping[str, Any]], prices: ListPrices) -> int:
    """Return quantity times price, not yet divided by the million units that prices are for."""
    return sum(int(line["quantity"]) * prices.get((model_slug, line["kind"]), 0) for line in lines)


def list_prices(on: date) -> dict[tuple[str, str], int]:
    """Return the providers' prices that hold on a day, in millionths of a dollar per million units."""
    rates = Rate.objects.filter(valid_from__lte=on).order_by("valid_from")
    rows = rates.values_list("model__slug", "kind", "list_price_usd_micro_per_million")
    return {(slug, kind): price for slug, kind, price in rows}


@margin.register
def margins_since(since: datetime) -> list[Margin]:
    """Return each model's margin over all usage since then, by the prices of the day it was used on."""
    prices_on = cache(list_prices)
    sums: dict[str, list[int]] = {}
    for model_slug, lines, charged_micro, uncollected_micro, used_at in _usage_since(since):
        row = sums.setdefault(model_slug, [0, 0, 0])
        row[0] += charged_micro
        row[1] += uncollected_micro
        row[2] += units_of(model_slug, lines, prices_on(timezone.localdate(used_at)))
    return [
        Margin(model_slug, charged, uncollected, -(-units * MICRO_PER_USD_MICRO // _UNITS_PER_RATE))
        for model_slug, (charged, uncollected, units) in sums.items()
    ]


def _usage_since(since: datetime) -> Iterator[tuple[str, list[dict[str, Any]], int, int, datetime]]:
    money = ("lines", "captured_micro", "uncollected_micro", "created_at")
    calls = UsageRecord.objects.filter(created_at__gte=since).order_by()
    yield from calls.values_list("model_slug", *money).iterator(chunk_size=_CHUNK)
    requests = ApiRequest.objects.filter(created_at__gte=since).order_by()
    yield from requests.values_list("model_served", *money).iterator(chunk_size=_CHUNK)
    notes = Note.objects.filter(created_at__gte=since).exclude(usage=[]).order_by()
    for answers, charged_micro, created_at in notes.values_list("usage", "charged_micro", "created_at").iterator(
        chunk_size=_CHUNK
    ):
        for number, answer in enumerate(answers, start=1):
            # The answer that became the note is the last one, and the only one that is ever charged.
            is_charged = number == len(answers)
            yield answer["model_slug"], answer["lines"], charged_micro if is_charged else 0, 0, created_at
