"""Why a model cannot be had for a while: what an operator or the breaker has said of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from voice.models import CatalogueModel, ModelHealth, ModelOverride, ModelStatus


@dataclass(frozen=True, slots=True)
class Trouble:
    """`back_at` is when it is expected back, None when nobody knows; `note` is the operator's own words."""

    kind: Literal["maintenance", "down"]
    back_at: datetime | None = None
    note: str = ""


def trouble_of(model: CatalogueModel, organisation_id: UUID | None = None) -> Trouble | None:
    """Return what keeps calls from a model for now; None when nothing temporary does.

    An organisation's own override counts before the catalogue.
    """
    override = None
    if organisation_id is not None:
        override = ModelOverride.objects.filter(model=model, organisation_id=organisation_id).first()
    says = override if override is not None and override.status else model
    if says.status == ModelStatus.MAINTENANCE:
        return Trouble("maintenance", _still_ahead(says.expected_back_at), says.status_note)
    if says.status != ModelStatus.RETIRED and ModelHealth.objects.filter(model=model, opened_at__isnull=False).exists():
        return Trouble("down")
    return None


def troubled_models() -> Q:
    """Return what finds the models that anybody might miss just now: few, and mostly none."""
    return (
        Q(status=ModelStatus.MAINTENANCE)
        | Q(health__opened_at__isnull=False)
        | Q(overrides__status=ModelStatus.MAINTENANCE)
    )


def _still_ahead(moment: datetime | None) -> datetime | None:
    return moment if moment is not None and moment > timezone.now() else None
