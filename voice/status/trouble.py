"""Why a model cannot be had for a while: what an operator or the breaker has said of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.utils import timezone

from voice.catalogue.on_offer import Offers, is_gone
from voice.models import CatalogueModel, ModelStatus


@dataclass(frozen=True, slots=True)
class Trouble:
    """`back_at` is when it is expected back, None when nobody knows; `note` is the operator's own words."""

    kind: Literal["maintenance", "down"]
    back_at: datetime | None = None
    note: str = ""


def trouble_of(model: CatalogueModel, offers: Offers) -> Trouble | None:
    """Return what keeps calls from a model for now; None when nothing does, or when it is gone for good."""
    model = offers.of(model)
    if is_gone(model, offers.today):
        return None
    if model.status == ModelStatus.MAINTENANCE:
        return Trouble("maintenance", _still_ahead(model.expected_back_at), model.status_note)
    return Trouble("down") if model.pk in offers.down_ids else None


def _still_ahead(moment: datetime | None) -> datetime | None:
    return moment if moment is not None and moment > timezone.now() else None
