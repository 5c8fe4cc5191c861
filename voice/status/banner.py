"""What a page says above a call while a model is away: what answers instead, until when, and that one may type."""

from dataclasses import dataclass
from datetime import date, datetime
from itertools import takewhile
from typing import Literal

from django.conf import settings
from django.utils import formats, timezone, translation

from accounts.models import Organisation
from voice.catalogue.http_models import resolve_http_model
from voice.catalogue.on_offer import ModelNotOffered, ladder_of, resolve_model
from voice.catalogue.providers import missing_key
from voice.catalogue.rates import RateMissing
from voice.models import Agent, CatalogueModel
from voice.models.catalogue import ModelKind
from voice.status.temporary import Trouble, trouble_of
from voice.words import words_of

Severity = Literal["info", "warning", "danger"]


@dataclass(frozen=True, slots=True)
class Banner:
    """`sentence` is in the language of whoever reads it, `note` in the operator's own words, or empty.

    `offers_text`: a conversation can be had by typing.
    """

    severity: Severity
    sentence: str
    offers_text: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Missed:
    model: CatalogueModel
    trouble: Trouble


def banner_for(agent: Agent | None, language: str = "") -> Banner | None:
    """Return what callers of an agent are told before they call; None while all is as it should be.

    `language` is a tag, by default the agent's. Without an agent: of the model that new agents have.
    """
    slug = agent.model_slug if agent else settings.DEFAULT_REALTIME_MODEL
    organisation = agent.organisation if agent else None
    return banner_of_model(slug, organisation, language or (agent.language if agent else ""))


def banner_of_model(slug: str, organisation: Organisation | None, language: str = "") -> Banner | None:
    """Return the banner of calls that ask for the model `slug`, in the words of `language`."""
    today = timezone.localdate()
    asked = CatalogueModel.objects.filter(slug=slug, kind=ModelKind.REALTIME).first()
    if asked is None:
        return None
    served = _served(asked, organisation, today)
    if served is not None and served.slug == asked.slug:
        return None
    missed = _missed(asked, served, organisation, today)
    if served is None:
        return _without_voice(missed, organisation, today, language)
    return _stood_in(missed, served, language) if missed else None


def _served(asked: CatalogueModel, organisation: Organisation | None, today: date) -> CatalogueModel | None:
    try:
        return resolve_model(asked.slug, organisation, today).served
    except ModelNotOffered:
        return None


def _missed(
    asked: CatalogueModel, served: CatalogueModel | None, organisation: Organisation | None, today: date
) -> _Missed | None:
    """Return the first model on the way to the one that serves which would be back: one that is gone is not missed."""
    organisation_id = organisation.pk if organisation else None
    before = takewhile(lambda model: served is None or model.slug != served.slug, ladder_of(asked, today))
    for model in before:
        trouble = trouble_of(model, organisation_id)
        # What has no key here never answered; the one that was chosen is named all the same.
        if trouble and (model.slug == asked.slug or not missing_key(model, organisation_id)):
            return _Missed(model, trouble)
    return None


def _stood_in(missed: _Missed, served: CatalogueModel, language: str) -> Banner:
    trouble = missed.trouble
    key = "down" if trouble.kind == "down" else _with_until("maintenance", trouble)
    sentence = _filled(key, language, trouble, asked=missed.model.name, served=served.name)
    return Banner("info" if trouble.kind == "down" else "warning", sentence, offers_text=True, note=trouble.note)


def _without_voice(missed: _Missed | None, organisation: Organisation | None, today: date, language: str) -> Banner:
    trouble = missed.trouble if missed else None
    can_type = _can_type(today)
    key = _with_until("no_voice" if can_type else "nothing", trouble)
    note = trouble.note if trouble else ""
    return Banner("warning" if can_type else "danger", _filled(key, language, trouble), can_type, note)


def _can_type(today: date) -> bool:
    try:
        resolve_http_model("gpt-4.1", ModelKind.CHAT, today)
    except (ModelNotOffered, RateMissing):
        return False
    return True


def _with_until(key: str, trouble: Trouble | None) -> str:
    return f"{key}_until" if trouble and trouble.back_at else key


def _filled(key: str, language: str, trouble: Trouble | None, **values: str) -> str:
    words = words_of(language)
    if trouble and trouble.back_at:
        values["until"] = moment_in_words(trouble.back_at, str(words["language"]))
    sentence = str(words["banner"][key])
    for name, value in values.items():
        sentence = sentence.replace(f"{{{name}}}", value)
    return sentence


def moment_in_words(moment: datetime, language: str = "en") -> str:
    """Return "14:30 UTC" of today, and "22 November, 14:30 UTC" of any other day, in this server's time zone."""
    local = timezone.localtime(moment)
    form = "H:i T" if local.date() == timezone.localdate() else "j F, H:i T"
    with translation.override(language):
        return formats.date_format(local, form, use_l10n=False)
