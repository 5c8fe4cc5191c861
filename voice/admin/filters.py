"""Filters of the list of sessions, whose choices stay few however many rows there are."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Organisation
from billing.ledger import MICRO
from voice.models import Agent, CatalogueModel, Session
from voice.models.catalogue import ModelKind

_MOST_CHOICES = 20
_RECENT = timedelta(days=30)


class _BusiestFilter(admin.SimpleListFilter):
    """The rows most called in the last month, and whichever is chosen already; search finds the others."""

    model: type[Model]
    column: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        ids = set(self._busiest())
        if chosen := self._chosen():
            ids.add(chosen)
        rows = self.model._default_manager.filter(pk__in=ids)
        return sorted(((str(row.pk), str(row)) for row in rows), key=lambda choice: choice[1].casefold())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self._chosen()
        return queryset.filter(**{self.column: chosen}) if chosen else queryset

    def _busiest(self) -> list[UUID]:
        recent = Session.objects.filter(created_at__gte=timezone.now() - _RECENT).exclude(**{self.column: None})
        by_calls = recent.order_by().values(self.column).annotate(calls=Count("pk")).order_by("-calls")
        return [row[self.column] for row in by_calls[:_MOST_CHOICES]]

    def _chosen(self) -> UUID | None:
        try:
            return UUID(self.value() or "")
        except ValueError:
            return None


class OrganisationFilter(_BusiestFilter):
    title = "organisation"
    parameter_name = column = "organisation_id"
    model = Organisation


class AgentFilter(_BusiestFilter):
    title = "agent"
    parameter_name = column = "agent_id"
    model = Agent


class CostFilter(admin.SimpleListFilter):
    """What a call cost, in steps of ten."""

    title = "credits"
    parameter_name = "credits"
    # By the choice's name: at least, and less than, so many credits.
    steps = {"0-1": (0, 1), "1-10": (1, 10), "10-100": (10, 100), "100-": (100, None)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("0-1", "Under 1"), ("1-10", "1 to 10"), ("10-100", "10 to 100"), ("100-", "100 and more")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in self.steps:
            return queryset
        least, below = self.steps[str(self.value())]
        found = queryset.filter(captured_micro__gte=least * MICRO)
        return found if below is None else found.filter(captured_micro__lt=below * MICRO)


class ModelServedFilter(admin.SimpleListFilter):
    """Every realtime model of the catalogue: reading them off the sessions would read the whole table."""

    title = "model served"
    parameter_name = "model_served"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        slugs = CatalogueModel.objects.filter(kind=ModelKind.REALTIME).values_list("slug", flat=True)
        return [(slug, slug) for slug in slugs]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(model_served=self.value()) if self.value() else queryset
