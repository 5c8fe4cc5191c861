"""Fill the catalogue at the first start, and add what a new version brings, without touching what is there."""

from dataclasses import asdict
from typing import Any

from django.db import transaction

from voice.catalogue.seed_data import MODELS, PROVIDERS, RATES, RATES_VALID_FROM, SeedModel
from voice.models import CatalogueModel, Provider, Rate


@transaction.atomic
def seed_catalogue() -> None:
    """Add the models and rates that are missing. Safe to repeat: a row that exists is the operator's."""
    seeded = set(CatalogueModel.objects.values_list("slug", flat=True))
    for model in MODELS:
        if model.slug not in seeded:
            CatalogueModel.objects.create(slug=model.slug, provider=_provider(model), **_columns_of(asdict(model)))
    ids = dict(CatalogueModel.objects.values_list("slug", "id"))
    # By model and kind, whatever the date: an operator may have moved a rate to another day.
    rated = set(Rate.objects.values_list("model_id", "kind"))
    Rate.objects.bulk_create(
        Rate(
            model_id=ids[rate.slug],
            kind=rate.kind,
            micro_per_million=rate.micro_per_million,
            list_price_usd_micro_per_million=rate.list_price_usd_micro_per_million,
            valid_from=RATES_VALID_FROM,
        )
        for rate in RATES
        if (ids[rate.slug], rate.kind) not in rated
    )


def _provider(model: SeedModel) -> Provider | None:
    """Return a model's provider, made with its first model: later its name is the operator's."""
    seed = next((provider for provider in PROVIDERS if provider.name == model.provider), None)
    if seed is None:
        return None
    return Provider.objects.get_or_create(name=seed.name, defaults=asdict(seed))[0]


def _columns_of(values: dict[str, Any]) -> dict[str, Any]:
    slug, _ = values.pop("slug"), values.pop("provider")
    lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
    return {**values, **lists, "provider_model": values["provider_model"] or slug}
