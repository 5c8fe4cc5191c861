"""What a page says above a call while a model is away: what answers instead, until when, and that one may type."""

from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Literal

from django.conf import settings
from django.utils import timezone

from accounts.models import Organisation
from voice.catalogue.on_offer import Offers, offers_to, text_after
from voice.catalogue.providers import missing_key
from voice.models import Agent, CatalogueModel
from voice.models.catalogue import ModelKind
from voice.status.trouble import Trouble, trouble_of
from voice.words import words_of

Severity = Literal["info", "warning", "danger"]


@dataclass(frozen=True, slots=True)
class Banner:
    """`sentence` is in the language of whoever reads it, `note` in the operator's own words, or empty.

    `offers_text`: a conversation can be had by typing. `offers_voice`: one can be had by talking.
    """

    severity: Severity
    sentence: str
    offers_text: bool
    note: str = ""
    offers_voice: bool = True


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
    asked = CatalogueModel.objects.filter(slug=slug, kind=ModelKind.REALTIME).first()
    if asked is None:
        return None
    offers = offers_to(organisation.pk if organisation else None)
    served = next(offers.on_offer(asked), None)
    if served is not None and served.slug == asked.slug:
        return None
    missed = _missed(asked, served, offers)
    if served is None:
        return _without_voice(missed, asked, offers, language)
    return _stood_in(missed, served, language) if missed else None


def _missed(asked: CatalogueModel, served: CatalogueModel | None, offers: Offers) -> _Missed | None:
    """Return the first model on the way to the one that serves which would be back: one that is gone is not missed."""
    before = takewhile(lambda model: served is None or model.slug != served.slug, offers.ladder_of(asked))
    for model in before:
        trouble = trouble_of(model, offers)
        # What has no key here never answered; the one that was chosen is named all the same.
        if trouble and (model.slug == asked.slug or not missing_key(model, offers.organisation_id)):
            return _Missed(model, trouble)
    return None


def _stood_in(missed: _Missed, served: CatalogueModel, language: str) -> Banner:
    trouble = missed.trouble
    key = "down" if trouble.kind == "down" else _with_until("maintenance", trouble)
    sentence = _filled(key, language, trouble, asked=missed.model.name, served=served.name)
    return Banner("info" if trouble.kind == "down" else "warning", sentence, offers_text=True, note=trouble.note)


def _without_voice(missed: _Missed | None, asked: CatalogueModel, offers: Offers, language: str) -> Banner:
    trouble = missed.trouble if missed else None
    can_type = text_after(asked.slug, offers.organisation_id, (), offers.today) is not None
    key = _with_until("no_voice" if can_type else "nothing", trouble)
    note = trouble.note if trouble else ""
    sentence = _filled(key, language, trouble)
    return Banner("warning" if can_type else "danger", sentence, can_type, note, offers_voice=False)


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
    at = f"{local:%H:%M %Z}"
    if local.date() == timezone.localdate():
        return at
    # Our own names of months: Django's in Hindi are misspelt.
    return f"{local.day} {words_of(language)['months'][local.month - 1]}, {at}"
