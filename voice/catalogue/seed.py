"""Fill the catalogue at the first start, and add what a new version brings, without touching what is there."""

from dataclasses import asdict
from typing import Any

from django.db import transaction

from voice.catalogue.seed_data import MODELS, PROVIDERS, RATES, RATES_VALID_FROM
from voice.models import CatalogueModel, Provider, Rate


@transaction.atomic
def seed_catalogue() -> None:
    """Add the models and rates that are missing. Safe to repeat: a row that exists is the operator's."""
    seeded = set(CatalogueModel.objects.values_list("slug", flat=True))
    missing = [model for model in MODELS if model.slug not in seeded]
    providers = _providers({model.provider for model in missing})
    CatalogueModel.objects.bulk_create(
        CatalogueModel(slug=model.slug, provider=providers.get(model.provider), **_columns_of(asdict(model)))
        for model in missing
    )
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


def _providers(names: set[str]) -> dict[str, Provider]:
    """Return these providers by name, each made with its first model: later its name is the operator's."""
    seeds = [seed for seed in PROVIDERS if seed.name in names]
    return {seed.name: Provider.objects.get_or_create(name=seed.name, defaults=asdict(seed))[0] for seed in seeds}


def _columns_of(values: dict[str, Any]) -> dict[str, Any]:
    slug, _ = values.pop("slug"), values.pop("provider")
    lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
    return {**values, **lists, "provider_model": values["provider_model"] or slug}
