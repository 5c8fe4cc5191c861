"""GET pricing/estimate: what calls of a given shape cost, by the rates that bill them."""

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router

from accounts.models import Organisation
from billing.bundles import currency_of
from voice.api.answers import answers
from voice.api.errors import InvalidRequest
from voice.pricing.averages import Averages, averages_of
from voice.pricing.parameters import PARAMETERS, History, InvalidParameter
from voice.pricing.quote import CURRENCIES, BundleQuote, NothingForSale, Quote, quote_of
from voice.pricing.worksheet import CallCost

router = Router(tags=["Models"])


def _choice(name: str, values: list[str]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": {"type": "string", "enum": values}}


# The names and bounds are pricing's own (voice/pricing/parameters.py), which says what is wrong with a value.
_PARAMETERS = [
    *(
        {
            "name": each.name,
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": each.least, "maximum": each.most, "default": each.default},
            "description": each.label,
        }
        for each in PARAMETERS
    ),
    _choice("history", [str(each) for each in History]),
    _choice("currency", list(CURRENCIES)),
    {"name": "model", "in": "query", "required": False, "schema": {"type": "string"}},
]


@router.get(
    "v1/pricing/estimate",
    url_name="pricing_estimate",
    operation_id="estimate_price",
    summary="Estimate what calls will cost",
    auth=None,
    response=answers({200: dict[str, Any]}),
    openapi_extra={"parameters": _PARAMETERS},
)
def estimate(request: HttpRequest) -> HttpResponse:
    """Answer 200 with an estimate; for a member also with what the organisation's calls really cost."""
    organisation: Organisation | None = getattr(request, "organisation", None)
    try:
        quote = quote_of(request.GET.dict(), currency=currency_of(organisation or Organisation()))
    except InvalidParameter as error:
        raise InvalidRequest(f"{error.name} {error.problem}.", code="invalid_parameter", param=error.name) from error
    except NothingForSale as error:
        raise InvalidRequest("No model is for sale.", code="nothing_for_sale", status=503) from error
    measured = averages_of(organisation.pk) if organisation else None
    return JsonResponse(_body(quote, measured))


def _body(quote: Quote, measured: Averages | None) -> dict[str, Any]:
    answer, question = quote.estimate, quote.question
    return {
        "question": {**asdict(question), "model": quote.model.slug, "currency": quote.currency},
        "call": _call(answer.spoken) | {"without_history_micro": answer.flat_micro, "hold_micro": answer.hold_micro},
        "text_chat": _call(answer.typed),
        "month": {
            "calls": question.calls_a_month,
            "minutes": question.calls_a_month * question.minutes_per_call,
            "amount_micro": answer.month_micro,
        },
        "peak": {"calls": question.peak_calls, "hold_micro": answer.peak_hold_micro},
        "bundle": quote.choice and {"slug": quote.choice.offer.slug, "count": quote.choice.count},
        "bundles": [_bundle(each) for each in quote.bundles],
        "measured": measured and _measured(measured),
    }


def _call(call: CallCost) -> dict[str, Any]:
    return {
        "amount_micro": call.amount_micro,
        "per_minute_micro": call.per_minute_micro,
        "minutes_micro": call.minutes_micro,
        "context_tokens": call.context_tokens,
        "lines": [asdict(line) for line in call.lines],
        "caption_lines": [asdict(line) for line in call.caption_lines],
    }


def _bundle(bundle: BundleQuote) -> dict[str, Any]:
    return {**asdict(bundle.offer), "minutes": bundle.minutes, "per_minute": str(bundle.per_minute)}


def _measured(averages: Averages) -> dict[str, int]:
    return {**asdict(averages), "per_minute_micro": averages.per_minute_micro}
