"""What operators and members are told without asking: above the admin's pages, and above the console's."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Q
from django.utils import formats, timezone

from accounts.models import Organisation
from voice.catalogue.breaker import keeps_away
from voice.catalogue.on_offer import is_gone
from voice.models import Agent, CatalogueModel, ModelHealth, ModelStatus, Switches
from voice.status.banner import Banner, banner_of_model, moment_in_words
from voice.status.parts import WORKER, PartNow, look_at_work, worker_now
from voice.status.states import State

SHUTDOWN_SOON_DAYS = 30
_MOST_BANNERS = 3
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Alert:
    """`page` is the admin's page to go to, as a name with its argument, or ""."""

    is_urgent: bool
    sentence: str
    page: str = ""
    argument: int | None = None


def operators_alerts(now: datetime) -> list[Alert]:
    """Return what an operator should look at, the urgent first. Raises DatabaseError."""
    found = [*_of_models(now), *_of_work(now)]
    return sorted(found, key=lambda alert: not alert.is_urgent)


def members_banners(organisation: Organisation, now: datetime) -> list[Banner]:
    """Return what the console says above its pages: paused calls, the organisation's models, work that is late."""
    banners = [*_of_pause(), *_of_agents_models(organisation)]
    if worker_now(now).state == State.OUTAGE:
        sentence = (
            "Notes, webhooks and mails are late at the moment. Nothing is lost: they are done as soon as possible."
        )
        banners.append(Banner("info", sentence, offers_text=False))
    return banners


def _of_models(now: datetime) -> Iterator[Alert]:
    today = timezone.localdate(now)
    soon = today + timedelta(days=SHUTDOWN_SOON_DAYS)
    concerned = Q(health__opened_at__isnull=False) | Q(status=ModelStatus.MAINTENANCE) | Q(shutdown_on__lte=soon)
    models = [
        model
        for model in CatalogueModel.objects.filter(concerned).select_related("health").order_by("shutdown_on", "slug")
        if not is_gone(model, today)
    ]
    for model in models:
        health = getattr(model, "health", None)
        if health is not None and health.opened_at is not None:
            yield Alert(True, _not_answering(model, health), "admin:voice_cataloguemodel_change", model.pk)
        if model.status == ModelStatus.MAINTENANCE:
            yield Alert(False, _maintenance(model, now), "admin:voice_cataloguemodel_change", model.pk)
    ending = [(model.slug, model.shutdown_on) for model in models if model.shutdown_on and model.shutdown_on <= soon]
    if ending:
        yield Alert(False, _shutdowns(ending), "admin:voice_cataloguemodel_changelist")


def _not_answering(model: CatalogueModel, health: ModelHealth) -> str:
    since = moment_in_words(health.opened_at) if health.opened_at else ""
    sentence = f"{model.slug} is not answering ({health.last_failure_code})"
    if keeps_away(health):
        return f"{sentence}; calls keep away since {since}."
    # Nobody has looked: without a worker, or at a model that cannot be looked at.
    return f"{sentence} since {since}; nothing has looked at it for over a minute, so the next call tries it."


def _maintenance(model: CatalogueModel, now: datetime) -> str:
    back_at = model.expected_back_at
    if back_at is None:
        return f"{model.slug} is under maintenance."
    if back_at <= now:
        return f"{model.slug} is still under maintenance; it was expected back at {moment_in_words(back_at)}."
    return f"{model.slug} is under maintenance until about {moment_in_words(back_at)}."


def _shutdowns(ending: list[tuple[str, date]]) -> str:
    named = [f"{slug} on {formats.date_format(day, 'j F')}" for slug, day in ending[:_MOST_NAMED]]
    rest = len(ending) - len(named)
    more = f" and {rest} more" if rest > 0 else ""
    return f"Shut down within {SHUTDOWN_SOON_DAYS} days: {', '.join(named)}{more}."


def _of_work(now: datetime) -> Iterator[Alert]:
    parts: list[PartNow] = [worker_now(now), *look_at_work(now)]
    for part in parts:
        if part.state in (State.OPERATIONAL, State.STARTING):
            continue
        since = f" Since {moment_in_words(part.since)}." if part.since else ""
        is_urgent = part.part is WORKER and part.state == State.OUTAGE
        yield Alert(is_urgent, f"{part.part.name}: {part.detail}{since}")


def _of_pause() -> Iterator[Banner]:
    switches = Switches.objects.filter(pk=1, calls_paused=True).first()
    if switches is not None:
        yield Banner("warning", "All calls are paused: none can start.", offers_text=False, note=switches.pause_message)


def _of_agents_models(organisation: Organisation) -> list[Banner]:
    away = Q(status=ModelStatus.MAINTENANCE) | Q(health__opened_at__isnull=False)
    own = Q(overrides__organisation=organisation, overrides__status=ModelStatus.MAINTENANCE)
    if not CatalogueModel.objects.filter(away | own).exists():
        return []
    agents = Agent.objects.filter(organisation=organisation, is_active=True).order_by("model_slug")
    slugs = agents.values_list("model_slug", flat=True).distinct()
    found = (banner_of_model(slug, organisation, "en") for slug in slugs)
    # Two models that have the same stand-in away say the same.
    return list(dict.fromkeys(banner for banner in found if banner))[:_MOST_BANNERS]
