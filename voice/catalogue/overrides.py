"""What one organisation is offered otherwise than everybody else, laid over the catalogue's rows."""

import copy
from uuid import UUID

from django.db import transaction

from voice.catalogue.status_log import note_change
from voice.models import CatalogueModel, ModelOverride

__all__ = ["AS_EVERYBODY", "overridden", "overrides_of", "remove_override", "save_override"]

# The status of an organisation that has none of its own.
AS_EVERYBODY = "as for everybody"
_BESIDE_STATUS = ("expected_back_at", "fallback_slugs", "max_output_tokens")


def overrides_of(organisation_id: UUID | None) -> dict[int, ModelOverride]:
    """Return an organisation's overrides by their model's id; none for nobody in particular."""
    if organisation_id is None:
        return {}
    return {override.model_id: override for override in ModelOverride.objects.filter(organisation=organisation_id)}


def overridden(model: CatalogueModel, override: ModelOverride | None) -> CatalogueModel:
    """Lay an override over its model: a copy, so that nobody writes it into the catalogue. Empty fields change nothing.

    A status of its own comes with its own note and time: those of the catalogue explain another one.
    """
    if override is None:
        return model
    own = copy.copy(model)
    if override.status:
        own.status, own.status_note = override.status, override.status_note
        own.expected_back_at = override.expected_back_at
    own.status_note = override.status_note or own.status_note
    own.expected_back_at = override.expected_back_at or own.expected_back_at
    own.fallback_slugs = override.fallback_slugs or own.fallback_slugs
    if override.max_output_tokens is not None:
        own.max_output_tokens = override.max_output_tokens
    return own


@transaction.atomic
def save_override(override: ModelOverride, *, who: str) -> None:
    """Keep an override, new or changed, and write down what changed for the organisation."""
    before = ModelOverride.objects.select_for_update().filter(pk=override.pk).first() or ModelOverride()
    override.save()
    _note(override, before.status, override.status, who=who, why=_why(before, override))


@transaction.atomic
def remove_override(override: ModelOverride, *, who: str) -> None:
    """Offer the organisation what everybody is offered, and write that down."""
    _note(override, override.status, "", who=who, why="The override was removed.")
    override.delete()


def _note(override: ModelOverride, before: str, after: str, *, who: str, why: str) -> None:
    if why or before != after:
        note_change(
            override.model_id,
            before=before or AS_EVERYBODY,
            after=after or AS_EVERYBODY,
            who=who,
            why=why,
            organisation_id=override.organisation_id,
        )


def _why(before: ModelOverride, after: ModelOverride) -> str:
    """Return the note, and what else changed."""
    changed = [name.replace("_", " ") for name in _BESIDE_STATUS if getattr(before, name) != getattr(after, name)]
    is_news = before.status != after.status or before.status_note != after.status_note
    return "; ".join(
        filter(None, [after.status_note if is_news else "", f"{', '.join(changed)} changed" if changed else ""])
    )
