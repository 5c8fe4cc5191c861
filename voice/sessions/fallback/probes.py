"""Looking at the models without a caller: those that are kept away when it is their time, all others now and then."""

from datetime import date, datetime

from django.db.models import F
from django.utils import timezone

from voice.catalogue import breaker
from voice.catalogue.on_offer import is_gone
from voice.catalogue.providers import missing_key
from voice.models import CatalogueModel, ModelStatus
from voice.models.catalogue import ModelKind
from voice.sessions.fallback.trial import Trial, try_model, try_models

__all__ = ["probe", "probe_due_models"]

# All are dialled at once, so that a run takes as long as its slowest: what is left is due at the next.
_MOST_AT_ONCE = 20


def probe_due_models(now: datetime) -> list[CatalogueModel]:
    """Dial the models that are due and that no other worker is at, and count what came of it; return those dialled."""
    due = [model for model in _probed(now)[:_MOST_AT_ONCE] if breaker.claim_probe(model, now)]
    for model, trial in zip(due, try_models(due), strict=True):
        _count(model, trial)
    return due


def probe(model: CatalogueModel) -> Trial:
    """Dial a model now, whether it is due or not, and count what came of it."""
    trial = try_model(model)
    _count(model, trial)
    return trial


def _count(model: CatalogueModel, trial: Trial) -> None:
    if trial.code:
        breaker.probe_failed(model, trial.code)
    else:
        breaker.probe_answered(model)


def _probed(now: datetime) -> list[CatalogueModel]:
    """Return the models for calls that may be looked at, those kept away first, then the longest not looked at."""
    realtime = CatalogueModel.objects.filter(kind=ModelKind.REALTIME).exclude(health__next_probe_at__gt=now)
    by_need = realtime.order_by(
        F("health__opened_at").asc(nulls_last=True), F("health__next_probe_at").asc(nulls_first=True)
    )
    today = timezone.localdate(now)
    return [model for model in by_need if _is_offered(model, today)]


def _is_offered(model: CatalogueModel, today: date) -> bool:
    is_switched_off = is_gone(model, today) or model.status == ModelStatus.MAINTENANCE
    return not is_switched_off and not missing_key(model, None)
