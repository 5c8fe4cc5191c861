"""The breaker of each model: what calls and probes find keeps further calls away, and lets them back.

Three failures in a row open it, one that no second try can mend opens it at once, and an answer closes it. While it is
open it is looked at after 15 s, then ever more rarely, up to every five minutes (sessions/fallback/probes.py). Nobody
probing, because no worker runs, must not keep a model away for ever: once a look is a minute overdue, calls try it
themselves.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from voice.catalogue.check_days import count_checks
from voice.catalogue.status_log import BREAKER, DOWN, UP, note_change
from voice.models import CatalogueModel, ModelHealth, ProviderKey

__all__ = [
    "PROBE_AGAIN_S",
    "answered",
    "claim_probe",
    "close_by_hand",
    "failed",
    "keeps_away",
    "models_kept_away",
    "probe_answered",
    "probe_failed",
]

log = structlog.get_logger(__name__)

# Asking again changes nothing: only somebody who mends the key, the name or the account does.
_HOPELESS = {"upstream_unauthorized", "upstream_model_not_found", "model_not_found", "upstream_quota"}
# An organisation that brings its own key meets these by itself.
_OF_THE_KEY = {"upstream_unauthorized", "upstream_rate_limited", "upstream_quota"}

_FIRST_PROBE_S, _RAREST_PROBE_S = 15, 300
# A model that answers is asked this often, whether anybody calls or not.
PROBE_AGAIN_S = 300
# A probe takes ten seconds at most: whoever has claimed one and is not back after this died of it.
_PROBE_LEASE_S = 30
_OVERDUE_S = 60
# How old the last success that is kept may grow before it is written again: not at every call.
_SUCCESS_KEPT_S = 10
_LONGEST_CODE = 80


def failed(slug: str, code: str, organisation_id: UUID | None = None) -> None:
    """Count a call that a model did not hold, for a reason of the model's; unknown names are ignored.

    With an organisation, what goes wrong with its own key at the provider is its own and keeps nobody else away.
    """
    model = CatalogueModel.objects.filter(slug=slug).first()
    if model is not None and not _is_own_trouble(model, code, organisation_id):
        _count_failure(model, code)


def answered(slug: str) -> None:
    """Count a call that a model held; unknown names are ignored. An open breaker closes."""
    now = timezone.now()
    # Nearly always so, and then there is nothing to write of it: a look at one narrow row for every call.
    well = ModelHealth.objects.filter(model__slug=slug, opened_at=None, failures_in_a_row=0, failed_probes=0)
    if well.filter(last_success_at__gt=now - timedelta(seconds=_SUCCESS_KEPT_S)).exists():
        count_checks(f"model:{slug}", timezone.localdate(now))
    elif model := CatalogueModel.objects.filter(slug=slug).first():
        _count_success(model, "A call was answered.")


def models_kept_away() -> frozenset[int]:
    """Return the ids of the models that no call is given to now."""
    is_open = ModelHealth.objects.filter(opened_at__isnull=False, next_probe_at__gt=_overdue())
    return frozenset(is_open.values_list("model_id", flat=True))


def keeps_away(health: ModelHealth) -> bool:
    """Say whether no call is given to the model now; one that is open may be left to the next call to try."""
    return health.opened_at is not None and health.next_probe_at is not None and health.next_probe_at > _overdue()


def claim_probe(model: CatalogueModel, now: datetime) -> bool:
    """Say whether the caller may look at a model now: it is due, and nobody else is at it."""
    health = _health_of(model)
    is_due = Q(next_probe_at=None) | Q(next_probe_at__lte=now)
    lease = now + timedelta(seconds=_PROBE_LEASE_S)
    return bool(ModelHealth.objects.filter(is_due, pk=health.pk).update(next_probe_at=lease))


def probe_failed(model: CatalogueModel, code: str) -> None:
    """Count a look at a model that found it wanting."""
    _count_failure(model, code, is_probe=True)


def probe_answered(model: CatalogueModel) -> None:
    """Count a look at a model that found it well.

    Whether it can hold a call, only a call shows: given up again before one was answered or another look found it well,
    it is looked at later than the last time.
    """
    _count_success(model, "A probe was answered.", is_probe=True)
    ModelHealth.objects.filter(model=model, opened_at=None).update(
        next_probe_at=timezone.now() + timedelta(seconds=PROBE_AGAIN_S)
    )


def close_by_hand(model: CatalogueModel, who: str) -> bool:
    """Let calls to a model again because an operator says so; return whether it was kept away."""
    with transaction.atomic():
        health = _locked(model)
        was_open = health.opened_at is not None
        _close(health, who=who, why="Closed by hand.", is_proven=True)
    return was_open


def _overdue() -> datetime:
    return timezone.now() - timedelta(seconds=_OVERDUE_S)


def _count_failure(model: CatalogueModel, code: str, *, is_probe: bool = False) -> None:
    now, code = timezone.now(), code[:_LONGEST_CODE]
    with transaction.atomic():
        health = _locked(model)
        window = timedelta(seconds=settings.BREAKER_WINDOW_S)
        is_in_a_row = health.last_failure_at is not None and now - health.last_failure_at <= window
        health.failures_in_a_row = health.failures_in_a_row + 1 if is_in_a_row else 1
        health.last_failure_at, health.last_failure_code = now, code
        if health.opened_at is not None:
            _look_later(health, now, is_probe=is_probe)
        elif code in _HOPELESS or health.failures_in_a_row >= settings.BREAKER_FAILURES:
            _open(health, now)
        elif is_probe:
            health.next_probe_at = now + timedelta(seconds=_FIRST_PROBE_S)
        health.save()
    count_checks(f"model:{model.slug}", timezone.localdate(now), failed=1)


def _count_success(model: CatalogueModel, why: str, *, is_probe: bool = False) -> None:
    now, health = timezone.now(), _health_of(model)
    if health.opened_at is not None or health.failures_in_a_row or health.failed_probes:
        with transaction.atomic():
            health = _locked(model)
            health.last_success_at = now
            _close(health, who=BREAKER, why=why, is_proven=not is_probe or health.opened_at is None)
    elif health.last_success_at is None or now - health.last_success_at > timedelta(seconds=_SUCCESS_KEPT_S):
        ModelHealth.objects.filter(pk=health.pk).update(last_success_at=now)
    count_checks(f"model:{model.slug}", timezone.localdate(now))


def _open(health: ModelHealth, now: datetime) -> None:
    health.opened_at, health.next_probe_at = now, now + _wait(health)
    why = f"{health.last_failure_code}, {health.failures_in_a_row} in a row"
    note_change(health.model_id, before=UP, after=DOWN, who=BREAKER, why=why)
    log.warning("a model is kept away from calls", model=health.model.slug, code=health.last_failure_code)


def _look_later(health: ModelHealth, now: datetime, *, is_probe: bool) -> None:
    """Wait longer for the next look; a call that was still with the model when it was given up says nothing new."""
    is_a_look = is_probe or health.next_probe_at is None or health.next_probe_at <= now
    if is_a_look:
        health.failed_probes += 1
        health.next_probe_at = now + _wait(health)


def _wait(health: ModelHealth) -> timedelta:
    return timedelta(seconds=min(_FIRST_PROBE_S * 2 ** min(health.failed_probes, 10), _RAREST_PROBE_S))


def _close(health: ModelHealth, *, who: str, why: str, is_proven: bool) -> None:
    if health.opened_at is not None:
        note_change(health.model_id, before=DOWN, after=UP, who=who, why=why)
        log.info("a model takes calls again", model=health.model.slug)
        health.next_probe_at = timezone.now() + timedelta(seconds=PROBE_AGAIN_S)
    health.opened_at, health.failures_in_a_row = None, 0
    health.failed_probes = 0 if is_proven else health.failed_probes + 1
    health.save()


def _is_own_trouble(model: CatalogueModel, code: str, organisation_id: UUID | None) -> bool:
    if organisation_id is None or model.provider_id is None or code not in _OF_THE_KEY:
        return False
    return ProviderKey.objects.filter(provider=model.provider_id, organisation=organisation_id).exists()


def _health_of(model: CatalogueModel) -> ModelHealth:
    return ModelHealth.objects.get_or_create(model=model)[0]


def _locked(model: CatalogueModel) -> ModelHealth:
    """Return a model's breaker, which nobody else changes until the transaction ends."""
    _health_of(model)
    return ModelHealth.objects.select_for_update(of=("self",)).select_related("model").get(model=model)
