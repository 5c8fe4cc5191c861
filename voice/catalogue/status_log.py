"""Every change of what a model is offered as: who or what changed it, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from voice.models import CatalogueModel, ModelStatusChange

__all__ = ["BREAKER", "DOWN", "SHUTDOWN_DATE", "UP", "NewStatus", "note_change", "save_model", "set_status"]

# Who it was when it was nobody, and the breaker's own two words beside the statuses.
BREAKER, SHUTDOWN_DATE = "breaker", "shutdown date"
UP, DOWN = "up", "down"
# The status before a model was in the catalogue.
ADDED = "not there"
_LONGEST_WHO, _LONGEST_WHY = 254, 300


@dataclass(frozen=True, slots=True)
class NewStatus:
    """`note` is what callers are told and what the log keeps as the reason."""

    status: str
    note: str = ""
    expected_back_at: datetime | None = None


def note_change(
    model_id: int, *, before: str, after: str, who: str, why: str = "", organisation_id: UUID | None = None
) -> ModelStatusChange:
    """Write down one change, for one organisation or (None) for everybody."""
    return ModelStatusChange.objects.create(
        model_id=model_id,
        organisation_id=organisation_id,
        before=before,
        after=after,
        who=who[:_LONGEST_WHO],
        why=why[:_LONGEST_WHY],
    )


@transaction.atomic
def save_model(model: CatalogueModel, *, who: str) -> None:
    """Keep a row of the catalogue, new or changed; a change of its status is written down."""
    row = CatalogueModel.objects.select_for_update().filter(pk=model.pk)
    before = row.values_list("status", flat=True).first()
    model.save()
    if before != model.status:
        note_change(model.pk, before=before or ADDED, after=model.status, who=who, why=model.status_note)


@transaction.atomic
def set_status(model_ids: Iterable[int], new: NewStatus, *, who: str) -> list[CatalogueModel]:
    """Offer models as `new` says from now on; return those whose status changed, each written down."""
    changed = []
    for model in CatalogueModel.objects.select_for_update().filter(pk__in=list(model_ids)).order_by("pk"):
        before = model.status
        model.status, model.status_note, model.expected_back_at = new.status, new.note, new.expected_back_at
        model.save(update_fields=["status", "status_note", "expected_back_at"])
        if before != new.status:
            note_change(model.pk, before=before, after=new.status, who=who, why=new.note)
            changed.append(model)
    return changed
