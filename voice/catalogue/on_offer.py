"""Which model serves a call: the one asked for, or what stands in for it and why.

What an operator switches, what the breaker finds and what shuts down today counts for the next call on every process:
nothing here is kept between two questions, or for a moment (catalogue/moments.py) where calls ask them.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from uuid import UUID

from django.conf import settings
from django.utils import formats, timezone

from accounts.models import Organisation
from voice.catalogue import breaker
from voice.catalogue.embedded import EMBEDDED_SLUGS
from voice.catalogue.moments import once_a_moment
from voice.catalogue.overrides import overridden, overrides_of
from voice.catalogue.providers import is_set_up, missing_key
from voice.catalogue.seed_data import EMBEDDED_CHAT
from voice.models import CatalogueModel, ModelOverride, ModelStatus
from voice.models.catalogue import ModelKind

__all__ = [
    "ModelNotOffered",
    "Offers",
    "Resolved",
    "house_of",
    "is_gone",
    "models_now",
    "offers_now",
    "offers_to",
    "reason_for",
    "resolve_model",
    "stand_ins_for",
    "text_after",
    "transcription_of",
    "writers_of",
]

# The catalogue is an operator's: lists may be long, and may lead in circles.
_MOST_TRIED = 20
# Session.model_reason's length.
_LONGEST_REASON = 200

# Says of a provider, by its house (house_of), whether it turned calls away a moment ago.
IsDoubted = Callable[[str], bool]


def _nobody(house: str) -> bool:
    return False


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


@dataclass(frozen=True, slots=True)
class Offers:
    """The catalogue as one organisation is offered it on one day. For one question only: it ages.

    `models` is every model by its slug; None: each is looked up when it is asked for.
    """

    today: date
    organisation_id: UUID | None
    overrides: Mapping[int, ModelOverride]
    down_ids: frozenset[int]
    models: Mapping[str, CatalogueModel] | None = None

    def resolve(self, slug: str) -> Resolved:
        """Return what serves a call that asks for `slug`. Raises ModelNotOffered."""
        asked = self._named([slug], ModelKind.REALTIME).get(slug)
        if asked is None:
            raise ModelNotOffered("model_unknown", slug)
        for model in self.on_offer(asked):
            return Resolved(self.of(asked), model, reason_for(asked, model, self.why_not(asked)))
        raise ModelNotOffered("model_unavailable", slug)

    def transcription_of(self, served: CatalogueModel) -> CatalogueModel | None:
        """Return the model that writes down what callers say to `served`; None when nothing does.

        A transcription model that is gone is replaced by its successors, as realtime models are.
        """
        slug = served.transcription_slug
        model = self._named([slug], ModelKind.TRANSCRIPTION).get(slug)
        if model is None:
            return None
        # A provider's key has been looked at for whoever calls; what hears beside the model is asked with the same.
        return next(
            (
                candidate
                for candidate in self.ladder_of(model)
                if not (self.why_down(candidate) if _is_beside(candidate, served) else self.why_not(candidate))
            ),
            None,
        )

    def ladder_of(self, asked: CatalogueModel) -> Iterator[CatalogueModel]:
        """Yield the model and then what stands in for it: a gone one's successor first, then the fallbacks in order."""
        seen, queue = {asked.slug}, deque([self.of(asked)])
        while queue and len(seen) <= _MOST_TRIED:
            model = queue.popleft()
            yield model
            successors = [model.successor_slug] if is_gone(model, self.today) and model.successor_slug else []
            slugs = dict.fromkeys([*successors, *(str(slug) for slug in model.fallback_slugs)])
            new = [slug for slug in slugs if slug not in seen]
            seen.update(new)
            found = self._named(new, asked.kind)
            queue.extend(self.of(found[slug]) for slug in new if slug in found)

    def on_offer(self, asked: CatalogueModel) -> Iterator[CatalogueModel]:
        return (model for model in self.ladder_of(asked) if not self.why_not(model))

    def why_not(self, model: CatalogueModel) -> str:
        """Return why a model cannot serve, as the end of a sentence that begins with its name; "" when it can."""
        return self.why_down(model) or missing_key(model, self.organisation_id)

    def why_down(self, model: CatalogueModel) -> str:
        """As why_not, whatever keys there are."""
        model = self.of(model)
        if is_gone(model, self.today):
            return "has been shut down"
        if model.status == ModelStatus.MAINTENANCE:
            return f"is under maintenance{_until(model)}"
        return "is not answering" if model.pk in self.down_ids else ""

    def of(self, model: CatalogueModel) -> CatalogueModel:
        """Return the model with the organisation's override, if it has one."""
        return overridden(model, self.overrides.get(model.pk))

    def _named(self, slugs: Sequence[str], kind: str) -> dict[str, CatalogueModel]:
        if self.models is None:
            # Django asks the database nothing where there is nothing to look for.
            return {model.slug: model for model in CatalogueModel.objects.filter(slug__in=slugs, kind=kind)}
        found = {slug: self.models[slug] for slug in slugs if slug in self.models}
        return {slug: model for slug, model in found.items() if model.kind == kind}


def offers_to(organisation_id: UUID | None, today: date | None = None) -> Offers:
    """Return what an organisation (None: anybody) is offered now, or on another day."""
    return Offers(
        today or timezone.localdate(), organisation_id, overrides_of(organisation_id), breaker.models_kept_away()
    )


def offers_now(organisation_id: UUID | None, today: date | None = None) -> Offers:
    """As `offers_to`, as it was a moment ago: for calls that begin, of which many may in the same moment."""
    return Offers(
        today or timezone.localdate(), organisation_id, _overrides_now(organisation_id), _down_now(), models_now()
    )


@once_a_moment
def models_now() -> Mapping[str, CatalogueModel]:
    """Return every model by its slug, in their order, as it was a moment ago: to be read, never saved."""
    return {model.slug: model for model in CatalogueModel.objects.all()}


@once_a_moment
def _overrides_now(organisation_id: UUID | None) -> Mapping[int, ModelOverride]:
    return overrides_of(organisation_id)


@once_a_moment
def _down_now() -> frozenset[int]:
    return breaker.models_kept_away()


def resolve_model(slug: str, organisation: Organisation | None, today: date | None = None) -> Resolved:
    """Return what serves a call that asks for `slug`. Raises ModelNotOffered.

    What differs between organisations is their own keys at a provider and their overrides; None: anybody.
    """
    return offers_to(organisation.pk if organisation else None, today).resolve(slug)


@dataclass(frozen=True, slots=True)
class StandIns:
    """What may hold a call, best first: to be talked to, and to be written to.

    `why_not` is why the model that was asked for cannot, as the end of a sentence; "" when it can.
    """

    asked: CatalogueModel
    why_not: str
    voices: Sequence[CatalogueModel]
    texts: Sequence[CatalogueModel]

    def after(self, tried: Collection[str], is_doubted: IsDoubted = _nobody) -> Iterator[CatalogueModel]:
        """Yield those that were not tried, voices first; of each, those of providers that are doubted come last."""
        for models in (self.voices, self.texts):
            left = [model for model in models if model.slug not in tried]
            yield from sorted(left, key=lambda model: is_doubted(house_of(model)))


@once_a_moment
def stand_ins_for(asked_slug: str, organisation_id: UUID | None, today: date | None = None) -> StandIns | None:
    """Return what may hold a call that asked for one model, that one among them; None for names that nobody knows."""
    asked = _realtime(asked_slug)
    if asked is None:
        return None
    offers = offers_to(organisation_id, today)
    return StandIns(asked, offers.why_not(asked), list(offers.on_offer(asked)), list(_texts(asked_slug, offers)))


def text_after(
    asked_slug: str, organisation_id: UUID | None, tried: Collection[str], today: date | None = None
) -> CatalogueModel | None:
    """Return the text model that holds a call when no voice is left; None when there is none either."""
    texts = _texts(asked_slug, offers_to(organisation_id, today))
    return next((model for model in texts if model.slug not in tried), None)


def _texts(asked_slug: str, offers: Offers) -> Iterator[CatalogueModel]:
    """Yield what may be written to when no voice is left: TEXT_FALLBACK_MODEL's ladder, then the embedded model.

    Who asked for the embedded model stays on this machine: nothing that was said goes to a provider.
    """
    asked = _realtime(asked_slug)
    is_embedded = asked is not None and asked.adapter == "pipeline" and asked.provider_id is None
    slugs = [EMBEDDED_CHAT] if is_embedded else [settings.TEXT_FALLBACK_MODEL, EMBEDDED_CHAT]
    first = {model.slug: model for model in CatalogueModel.objects.filter(slug__in=slugs, kind=ModelKind.CHAT)}
    ladders = (offers.on_offer(first[slug]) for slug in slugs if slug in first)
    return (model for model in chain.from_iterable(ladders) if is_set_up(model))


def house_of(model: CatalogueModel) -> str:
    """Return whose servers answer for a model: where one of them cannot be reached, all of them cannot.

    A provider's models that are written to are served by others than those that are talked to.
    """
    is_here = model.adapter == "pipeline" or model.slug in EMBEDDED_SLUGS
    house = f"provider {model.provider_id}" if model.provider_id is not None else "here" if is_here else "openai"
    return f"{house}, in writing" if model.kind == ModelKind.CHAT else house


def transcription_of(
    served: CatalogueModel, today: date | None = None, organisation_id: UUID | None = None
) -> CatalogueModel | None:
    """As `Offers.transcription_of`, for an organisation (None: anybody), now or on another day."""
    return offers_to(organisation_id, today).transcription_of(served)


def writers_of(slug: str, today: date | None = None, organisation_id: UUID | None = None) -> list[CatalogueModel]:
    """Return the text models that may write what `slug` is asked for, in the order in which they are tried.

    With an organisation, its own keys and overrides count beside the operator's.
    """
    model = CatalogueModel.objects.filter(slug=slug, kind=ModelKind.CHAT).first()
    return list(offers_to(organisation_id, today).on_offer(model)) if model else []


def is_gone(model: CatalogueModel, today: date) -> bool:
    """Say whether a model has been retired, or its provider's day has come."""
    return model.status == ModelStatus.RETIRED or (model.shutdown_on is not None and model.shutdown_on <= today)


def reason_for(asked: CatalogueModel, served: CatalogueModel, why: str) -> str:
    """Return the sentence that says why another model serves than the one asked for; "" when it is the same."""
    if served.slug == asked.slug:
        return ""
    return f"{asked.name} {why}: {served.name} answers instead."[:_LONGEST_REASON]


def _realtime(slug: str) -> CatalogueModel | None:
    return CatalogueModel.objects.filter(slug=slug, kind=ModelKind.REALTIME).first()


def _is_beside(model: CatalogueModel, served: CatalogueModel) -> bool:
    return model.provider_id is not None and model.provider_id == served.provider_id


def _until(model: CatalogueModel) -> str:
    if model.expected_back_at is None:
        return ""
    return f" until about {formats.date_format(timezone.localtime(model.expected_back_at), 'j F, H:i')}"
