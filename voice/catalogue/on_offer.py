"""Which model serves a call: the one asked for, or what stands in for it and why."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.utils import formats, timezone

from accounts.models import Organisation
from voice.catalogue.providers import missing_key
from voice.models import CatalogueModel, ModelStatus
from voice.models.catalogue import ModelKind

# The catalogue is an operator's: lists may be long, and may lead in circles.
_MOST_TRIED = 20
# Session.model_reason's length.
_LONGEST_REASON = 200


class ModelNotOffered(Exception):
    """`code`: model_unknown (no such realtime model) or model_unavailable (neither it nor what stands in for it)."""

    def __init__(self, code: str, slug: str) -> None:
        super().__init__(code, slug)
        self.code = code
        self.slug = slug


@dataclass(frozen=True, slots=True)
class Resolved:
    """`reason` is a sentence for the caller when `served` is not what was asked for, else empty."""

    asked: CatalogueModel
    served: CatalogueModel
    reason: str


def resolve_model(slug: str, organisation: Organisation | None, today: date | None = None) -> Resolved:
    """Return what serves a call that asks for `slug`. Raises ModelNotOffered.

    What differs between organisations is their own keys at a provider; None: anybody.
    """
    today = today or timezone.localdate()
    asked = CatalogueModel.objects.filter(slug=slug, kind=ModelKind.REALTIME).first()
    if asked is None:
        raise ModelNotOffered("model_unknown", slug)
    organisation_id = organisation.pk if organisation else None
    for model in ladder_of(asked, today):
        if not why_not(model, today, organisation_id):
            return Resolved(asked, model, reason_for(asked, model, why_not(asked, today, organisation_id)))
    raise ModelNotOffered("model_unavailable", slug)


def transcription_of(served: CatalogueModel, today: date | None = None) -> CatalogueModel | None:
    """Return the model that writes down what callers say to `served`; None when nothing does.

    A transcription model that is gone is replaced by its successors, as realtime models are.
    """
    today = today or timezone.localdate()
    model = CatalogueModel.objects.filter(slug=served.transcription_slug, kind=ModelKind.TRANSCRIPTION).first()
    if model is None:
        return None
    # A provider's key has been looked at for whoever calls; what hears beside the model is asked with the same.
    return next(
        (
            candidate
            for candidate in ladder_of(model, today)
            if not (_why_down(candidate, today) if _is_beside(candidate, served) else why_not(candidate, today))
        ),
        None,
    )


def writers_of(slug: str, today: date | None = None, organisation_id: UUID | None = None) -> list[CatalogueModel]:
    """Return the text models that may write what `slug` is asked for, in the order in which they are tried.

    With an organisation, its own keys count beside the operator's.
    """
    today = today or timezone.localdate()
    model = CatalogueModel.objects.filter(slug=slug, kind=ModelKind.CHAT).first()
    if model is None:
        return []
    return [candidate for candidate in ladder_of(model, today) if not why_not(candidate, today, organisation_id)]


def why_not(model: CatalogueModel, today: date, organisation_id: UUID | None = None) -> str:
    """Return why a model cannot serve today, as the end of a sentence that begins with its name; "" when it can.

    With an organisation, its own keys count beside the operator's.
    """
    return _why_down(model, today) or missing_key(model, organisation_id)


def _why_down(model: CatalogueModel, today: date) -> str:
    if _is_gone(model, today):
        return "has been shut down"
    if model.status == ModelStatus.MAINTENANCE:
        return f"is under maintenance{_until(model)}"
    return ""


def _is_beside(model: CatalogueModel, served: CatalogueModel) -> bool:
    return model.provider_id is not None and model.provider_id == served.provider_id


def ladder_of(asked: CatalogueModel, today: date) -> Iterator[CatalogueModel]:
    """Yield the model and then what stands in for it: a gone one's successor first, then the fallbacks in order."""
    seen, queue = {asked.slug}, deque([asked])
    while queue and len(seen) <= _MOST_TRIED:
        model = queue.popleft()
        yield model
        successors = [model.successor_slug] if _is_gone(model, today) and model.successor_slug else []
        for slug in [*successors, *(str(slug) for slug in model.fallback_slugs)]:
            if slug in seen:
                continue
            seen.add(slug)
            if found := CatalogueModel.objects.filter(slug=slug, kind=asked.kind).first():
                queue.append(found)


def _is_gone(model: CatalogueModel, today: date) -> bool:
    return model.status == ModelStatus.RETIRED or (model.shutdown_on is not None and model.shutdown_on <= today)


def _until(model: CatalogueModel) -> str:
    if model.expected_back_at is None:
        return ""
    return f" until about {formats.date_format(timezone.localtime(model.expected_back_at), 'j F, H:i')}"


def reason_for(asked: CatalogueModel, served: CatalogueModel, why: str) -> str:
    """Return the sentence that says why another model serves than the one asked for; "" when it is the same."""
    if served.slug == asked.slug:
        return ""
    return f"{asked.name} {why}: {served.name} answers instead."[:_LONGEST_REASON]
