"""Fill the catalogue at the first start, and add what a new version brings, without touching what is there."""

from dataclasses import asdict

from django.db import transaction

from voice.catalogue.seed_data import MODELS, RATES, RATES_VALID_FROM
from voice.models import CatalogueModel, Rate


@transaction.atomic
def seed_catalogue() -> None:
    """Add the models and rates that are missing. Safe to repeat: a row that exists is the operator's."""
    for model in MODELS:
        CatalogueModel.objects.get_or_create(slug=model.slug, defaults=_columns_of(asdict(model)))
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


def _columns_of(values: dict[str, object]) -> dict[str, object]:
    slug = values.pop("slug")
    lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
    return {**values, **lists, "provider_model": slug}
