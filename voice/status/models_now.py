"""How each model that can be had here is doing, and what answers in its place."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Max

from voice.catalogue.on_offer import Offers, is_gone, offers_to, text_after
from voice.catalogue.providers import is_set_up, offered_to
from voice.models import CatalogueModel, ModelStatusChange
from voice.models.catalogue import ModelKind
from voice.status.states import State
from voice.status.trouble import Trouble, trouble_of

# What a caller meets first comes first.
_ORDER = [ModelKind.REALTIME, ModelKind.CHAT, ModelKind.TRANSCRIPTION, ModelKind.SPEECH]
_STATES = {"maintenance": State.MAINTENANCE, "down": State.OUTAGE}


@dataclass(frozen=True, slots=True)
class ModelNow:
    """`served_by` is the name of what answers instead, and `served_slug` its slug; "" when nothing does or has to."""

    slug: str
    name: str
    kind: str
    state: State
    note: str = ""
    back_at: datetime | None = None
    since: datetime | None = None
    served_by: str = ""
    served_slug: str = ""


@dataclass(frozen=True, slots=True)
class ModelsNow:
    """`is_planned`: no voice is missing for any other reason than that an operator said so."""

    models: tuple[ModelNow, ...]
    has_voice: bool
    has_text: bool
    is_planned: bool


def models_now() -> ModelsNow:
    """Return the models that are set up here and not gone, as anybody is offered them. Raises DatabaseError."""
    offers = offers_to(None)
    rows = [
        model
        for model in offered_to(CatalogueModel.objects.order_by("slug"), None)
        if is_set_up(model) and not is_gone(model, offers.today)
    ]
    rows.sort(key=lambda model: _ORDER.index(ModelKind(model.kind)))
    troubles = {model.slug: trouble for model in rows if (trouble := trouble_of(model, offers))}
    since = _last_changes([model for model in rows if model.slug in troubles])
    models = tuple(_now(model, troubles.get(model.slug), since.get(model.pk), offers) for model in rows)
    voices = [model for model in models if model.kind == ModelKind.REALTIME]
    return ModelsNow(
        models,
        has_voice=any(voice.state == State.OPERATIONAL for voice in voices),
        has_text=text_after(settings.DEFAULT_REALTIME_MODEL, None, (), offers.today) is not None,
        is_planned=bool(voices) and all(voice.state == State.MAINTENANCE for voice in voices),
    )


def _now(model: CatalogueModel, trouble: Trouble | None, since: datetime | None, offers: Offers) -> ModelNow:
    if trouble is None:
        return ModelNow(model.slug, model.name, model.kind, State.OPERATIONAL)
    served = next((each for each in offers.on_offer(model) if is_set_up(each)), None)
    return ModelNow(
        model.slug,
        model.name,
        model.kind,
        _STATES[trouble.kind],
        note=trouble.note,
        back_at=trouble.back_at,
        since=since,
        served_by=served.name if served else "",
        served_slug=served.slug if served else "",
    )


def _last_changes(models: list[CatalogueModel]) -> dict[int, datetime]:
    if not models:
        return {}
    changes = ModelStatusChange.objects.filter(model__in=models, organisation=None).order_by()
    return dict(changes.values_list("model_id").annotate(Max("at")))
