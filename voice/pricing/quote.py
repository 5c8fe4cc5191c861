"""One question answered whole: the estimate, the bundles and what they make of it; for the page and the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from voice.catalogue.rate_card import RateMissing
from voice.models import CatalogueModel
from voice.pricing.bundles import Choice, Offer, choose_bundle, money_of
from voice.pricing.offers import bundles_for_sale, models_for_sale, prices_for
from voice.pricing.parameters import PARAMETERS, InvalidParameter, Question, question_of
from voice.pricing.worksheet import Estimate, estimate

CURRENCIES = ("USD", "INR")
_NAMES = {*(parameter.name for parameter in PARAMETERS), "history", "model", "currency"}


class NothingForSale(Exception):
    """No realtime model has the rates that a call needs."""


@dataclass(frozen=True, slots=True)
class BundleQuote:
    offer: Offer
    minutes: int
    per_minute: Decimal
    is_choice: bool


@dataclass(frozen=True, slots=True)
class Quote:
    question: Question
    model: CatalogueModel
    models: list[CatalogueModel]
    currency: str
    estimate: Estimate
    choice: Choice | None
    bundles: list[BundleQuote]


def quote_of(values: Mapping[str, str], *, currency: str) -> Quote:
    """Answer a query; `currency` unless it names one. Raises InvalidParameter, NothingForSale."""
    for name in values:
        if name not in _NAMES:
            raise InvalidParameter(name[:40], "is not known")
    question = question_of(values)
    currency = values.get("currency") or currency
    if currency not in CURRENCIES:
        raise InvalidParameter("currency", f"must be one of {', '.join(CURRENCIES)}")
    models = models_for_sale()
    model = _model(models, values.get("model", ""))
    try:
        answer = estimate(question, prices_for(model))
    except RateMissing as error:
        raise NothingForSale from error
    offers = bundles_for_sale(currency)
    choice = choose_bundle(offers, answer.month_micro)
    bundles = [_bundle_quote(offer, answer, choice) for offer in offers]
    return Quote(question, model, models, currency, answer, choice, bundles)


def _model(models: list[CatalogueModel], slug: str) -> CatalogueModel:
    if not models:
        raise NothingForSale
    if not slug:
        return models[0]
    for model in models:
        if model.slug == slug:
            return model
    raise InvalidParameter("model", f"must be one of {', '.join(model.slug for model in models)}")


def _bundle_quote(offer: Offer, answer: Estimate, choice: Choice | None) -> BundleQuote:
    per_minute_micro = answer.spoken.per_minute_micro
    minutes = offer.credits_micro // per_minute_micro if per_minute_micro else 0
    is_choice = choice is not None and choice.offer == offer
    return BundleQuote(offer, minutes, money_of(offer, per_minute_micro), is_choice)
