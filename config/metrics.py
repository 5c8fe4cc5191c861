"""/metrics: what an operator watches, as gauges in Prometheus' text, read from the database at each look.

Nothing is counted in this process: every web server gives the same numbers, and none is lost when one dies.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from billing.audit import stale_holds
from billing.audit_runs import last_finished
from billing.models import Hold, HoldStatus, StripeEvent, StripeEventState, Wallet
from outbox.status import backlogs
from voice.models import (
    BlockedNetwork,
    CatalogueModel,
    ComponentBeat,
    CrmDelivery,
    CrmDeliveryState,
    EndReason,
    ModelStatus,
    Rung,
    Session,
    SessionState,
    Switches,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookState,
)
from voice.models.availability import ModelHealth
from voice.status.parts import cache_answers

_REALM = {"WWW-Authenticate": "Bearer"}
# A live call's process says every few seconds that it lives; the sweep settles a silent one after a minute.
_SILENT_AFTER = timedelta(minutes=2)
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer whoever shows METRICS_TOKEN; there is no such page where it is not set."""
    if not settings.METRICS_TOKEN:
        return HttpResponseNotFound()
    wanted = f"Bearer {settings.METRICS_TOKEN}"
    if not secrets.compare_digest(request.headers.get("Authorization", "").encode(), wanted.encode()):
        return HttpResponse(status=401, headers=_REALM)
    registry = CollectorRegistry()
    try:
        registry.register(_Gauges(timezone.now()))
        text = generate_latest(registry)
    except DatabaseError:
        # Not half the numbers: a scrape that failed is an alert of its own.
        return HttpResponse("The database cannot be reached.\n", status=503, content_type="text/plain")
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


class _Gauges(Collector):
    def __init__(self, now: datetime) -> None:
        self._now = now
        self._day = timezone.localdate(now)
        self._midnight = timezone.make_aware(datetime.combine(self._day, time.min))

    def describe(self) -> Iterable[Metric]:
        # Asked at registration, which would otherwise read everything twice.
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._calls()
        yield from self._money()
        yield from self._work()
        yield from self._models()
        yield _gauge(
            "parley_cache_up", "1 when the cache (Redis, where it is set) keeps what it is given.", int(cache_answers())
        )

    def _calls(self) -> Iterator[Metric]:
        live = Session.objects.filter(state=SessionState.LIVE)
        silent = live.filter(seen_at__lt=self._now - _SILENT_AFTER)
        ended = _by(Session.objects.filter(ended_at__gte=self._now - _HOUR), "end_reason")
        today = Session.objects.filter(created_at__gte=self._midnight)
        paused = Switches.objects.filter(pk=1, calls_paused=True)
        blocked = BlockedNetwork.objects.exclude(expires_at__lte=self._now)
        yield _gauge("parley_calls_live", "Calls going on.", live.count())
        yield _gauge(
            "parley_calls_silent", "Live calls whose process is gone and that no sweep settles.", silent.count()
        )
        yield _gauge("parley_calls_admitted_today", "Calls admitted since midnight.", today.count())
        yield _gauge("parley_calls_paused", "1 while an operator has paused all calls.", int(paused.exists()))
        yield _gauge("parley_networks_blocked", "Networks that are kept out.", blocked.count())
        yield _labelled(
            "parley_calls_ended_last_hour", "Calls that ended within an hour, by reason.", "reason",
            dict.fromkeys(EndReason.values, 0) | ended,
        )  # fmt: skip
        moved = Rung.objects.filter(session__created_at__gte=self._now - _HOUR).exclude(reason="")
        yield _labelled(
            "parley_calls_moved_last_hour", "How often calls went on with another model, by why.", "reason",
            _by(moved, "reason"),
        )  # fmt: skip

    def _money(self) -> Iterator[Metric]:
        sums = Session.objects.filter(ended_at__gte=self._midnight).aggregate(
            captured=Sum("captured_micro"), uncollected=Sum("uncollected_micro")
        )
        holds = Hold.objects.filter(status=HoldStatus.OPEN).count()
        audit = last_finished()
        failed = StripeEvent.objects.filter(state__in=[StripeEventState.FAILED, StripeEventState.REFUSED])
        below_zero = Wallet.objects.filter(balance_micro__lt=0).count()
        yield _gauge("parley_captured_today_micro", "Micro-credits of the calls ended today.", sums["captured"] or 0)
        yield _gauge(
            "parley_uncollected_today_micro", "Used today and not covered by a hold.", sums["uncollected"] or 0
        )
        yield _gauge("parley_holds_open", "Holds that calls have open.", holds)
        yield _gauge("parley_holds_overdue", "Open holds that no sweep closed.", stale_holds(self._now - _HOUR).count())
        yield _gauge("parley_wallets_below_zero", "Wallets in debt, after refunds and disputes.", below_zero)
        yield _gauge("parley_stripe_events_failed", "Events of Stripe that failed or were refused.", failed.count())
        if audit is not None and audit.finished_at is not None:
            age_s = (self._now - audit.finished_at).total_seconds()
            yield _gauge("parley_audit_findings", "What the last audit found wrong.", len(audit.findings))
            yield _gauge("parley_audit_age_seconds", "How long ago the books were audited.", age_s)

    def _work(self) -> Iterator[Metric]:
        found = backlogs(self._now)
        late_s = max((backlog.late_s for backlog in found), default=0)
        webhooks = WebhookDelivery.objects.filter(state=WebhookState.FAILED, created_at__gte=self._now - _DAY)
        endpoints = WebhookEndpoint.objects.filter(is_active=False).exclude(disabled_because="paused")
        notes = CrmDelivery.objects.filter(state=CrmDeliveryState.DEAD)
        yield _gauge(
            "parley_outbox_pending", "Work that must not be lost, not done yet.", sum(b.pending for b in found)
        )
        yield _gauge("parley_outbox_late_seconds", "For how long the oldest could have been done.", late_s)
        yield _gauge("parley_outbox_given_up", "Work that was given up.", sum(b.given_up for b in found))
        yield _gauge("parley_webhooks_failed_last_day", "Webhooks of a day that were given up.", webhooks.count())
        yield _gauge(
            "parley_webhook_endpoints_off", "Customers' addresses switched off for failing.", endpoints.count()
        )
        beats = {beat.name: (self._now - beat.seen_at).total_seconds() for beat in ComponentBeat.objects.all()}
        yield _labelled("parley_part_silent_seconds", "For how long nothing was heard of a part.", "part", beats)
        yield _gauge("parley_crm_deliveries_dead", "Notes that no CRM would take.", notes.count())

    def _models(self) -> Iterator[Metric]:
        models = list(CatalogueModel.objects.exclude(status=ModelStatus.RETIRED))
        is_open = set(ModelHealth.objects.exclude(opened_at=None).values_list("model__slug", flat=True))
        upkeep = {model.slug: int(model.status == ModelStatus.MAINTENANCE) for model in models}
        days = {model.slug: _days_until(model.shutdown_on, self._day) for model in models if model.shutdown_on}
        breakers = {model.slug: int(model.slug in is_open) for model in models}
        yield _labelled("parley_model_breaker_open", "1 while calls keep away from a model.", "model", breakers)
        yield _labelled("parley_model_under_maintenance", "1 while an operator says so.", "model", upkeep)
        yield _labelled("parley_model_shutdown_days", "Days until a model is shut down.", "model", days)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([str(key)], value)
    return family


def _by(rows: QuerySet[Any], column: str) -> dict[str, int]:
    return dict(rows.order_by().values_list(column).annotate(count=Count("pk")))


def _days_until(day: date, today: date) -> int:
    return (day - today).days
