"""What is for sale today: the models with their rates, and the bundles of one currency."""

from django.conf import settings
from django.utils import timezone

from accounts.models import Organisation
from billing import bundles
from voice.catalogue.on_offer import transcription_of
from voice.catalogue.providers import offered_to
from voice.catalogue.rates import prices_of
from voice.models import CatalogueModel, ModelStatus
from voice.models.catalogue import ModelKind
from voice.pricing.bundles import Offer
from voice.pricing.worksheet import ModelPrices

# As long as an agent's answers may be unless its owner says otherwise (Agent.max_output_tokens).
_ANSWER_TOKENS = 1_024
# Prices go by where a buyer is; somebody there stands for whoever asks for prices in that currency.
_A_COUNTRY = {"INR": "IN", "USD": "US"}


def models_for_sale() -> list[CatalogueModel]:
    """Return the realtime models with rates of their own, the default one first; no stand-in, none that is gone.

    Nor one of a provider that has not been set up here.
    """
    realtime = CatalogueModel.objects.filter(kind=ModelKind.REALTIME, rated_as_slug="", rates__isnull=False)
    today = timezone.localdate()
    kept = [
        model
        for model in offered_to(realtime, None).exclude(status=ModelStatus.RETIRED).distinct()
        if model.shutdown_on is None or model.shutdown_on > today
    ]
    return sorted(kept, key=lambda model: (model.slug != settings.DEFAULT_REALTIME_MODEL, model.slug))


def prices_for(model: CatalogueModel) -> ModelPrices:
    """Return what calls on the model are rated by today. Raises RateMissing."""
    today = timezone.localdate()
    transcription = transcription_of(model, today)
    prices = prices_of(model, transcription.slug if transcription else "", today)
    answer_tokens = min(_ANSWER_TOKENS, model.max_output_tokens)
    return ModelPrices(prices.response, prices.transcription, model.context_tokens, answer_tokens)


def bundles_for_sale(currency: str) -> list[Offer]:
    """Return the bundles on sale in INR or USD, smallest first."""
    buyer = Organisation(country=_A_COUNTRY[currency])
    return [
        Offer(offer.bundle.slug, offer.bundle.name, offer.credits_micro, offer.currency, offer.amount_minor)
        for offer in bundles.offers_for(buyer)
    ]
