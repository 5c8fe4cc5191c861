"""The console's pages about webhooks: where events go, whether they arrive, and sending again what did not."""

import json
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Max, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.permissions import MemberRequest, admin_required
from voice import outgoing
from voice.models import DisabledBecause, EventType, WebhookDelivery, WebhookEndpoint, WebhookState
from voice.views.by_hand import too_many_by_hand
from voice.webhooks import endpoints
from voice.webhooks.delivery import replay, replay_failed, send_test
from voice.webhooks.endpoints import MOST_ENDPOINTS, TooManyEndpoints
from voice.webhooks.events import body_of

_DELIVERIES_A_PAGE = 25


class EndpointForm(forms.Form):
    """Where to, and which events."""

    url = forms.CharField(
        label="Address",
        max_length=2000,
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
        help_text="We post events there as JSON, signed. It must answer with a 2xx within 15 seconds.",
    )
    description = forms.CharField(max_length=80, required=False, help_text="What you call it, if you have several.")
    event_types = forms.MultipleChoiceField(
        label="Events",
        choices=[(type.value, type.value) for type in EventType],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one."},
    )

    def clean_url(self) -> str:
        return checked_url(self.cleaned_data["url"])

    def event_choices(self) -> list[tuple[EventType, bool]]:
        """Every event, and whether it is ticked."""
        ticked = self["event_types"].value() or []
        return [(type, type.value in ticked) for type in EventType]


def checked_url(url: str) -> str:
    """Return the address a customer typed; raise ValidationError when nothing could ever be sent there."""
    try:
        outgoing.check_url(url)
    except outgoing.Refused as refused:
        raise forms.ValidationError(refused.sentence) from None
    return url


@admin_required
@require_safe
def webhooks(request: MemberRequest) -> HttpResponse:
    waiting = Count("deliveries", filter=Q(deliveries__state=WebhookState.PENDING))
    found = (
        WebhookEndpoint.objects.filter(organisation=request.organisation)
        .annotate(waiting=waiting, last_at=Max("deliveries__created_at"))
        .order_by("created_at")
    )
    context = {
        "endpoints": [endpoint for endpoint in found if not endpoint.for_sessions],
        "for_sessions": next((endpoint for endpoint in found if endpoint.for_sessions), None),
    }
    return render(request, "voice/webhooks.html", context)


@admin_required
@require_http_methods(["GET", "POST"])
def create(request: MemberRequest) -> HttpResponse:
    form = EndpointForm(request.POST or None, initial={"event_types": [EventType.SESSION_ENDED]})
    if request.method == "POST" and form.is_valid():
        try:
            made, secret = endpoints.add_endpoint(request.organisation, **form.cleaned_data)
        except TooManyEndpoints:
            form.add_error(None, f"An organisation may have {MOST_ENDPOINTS} endpoints.")
        else:
            return _secret_page(request, made, secret, is_new=True)
    return _form_page(request, form, None)


@admin_required
@require_safe
def webhook(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    found = _endpoint_of(request, endpoint_id)
    state = request.GET.get("state", "")
    deliveries = found.deliveries.annotate(tries=Count("attempts")).order_by("-created_at")
    if state in WebhookState.values:
        deliveries = deliveries.filter(state=state)
    context = {
        "endpoint": found,
        "both_sign": len(found.secrets(timezone.now())) > 1,
        "page": Paginator(deliveries, _DELIVERIES_A_PAGE).get_page(request.GET.get("page")),
        "state": state,
        "states": WebhookState.choices,
        "lost": found.deliveries.filter(state__in=[WebhookState.FAILED, WebhookState.CANCELLED]).count(),
    }
    return render(request, "voice/webhook.html", context)


@admin_required
@require_http_methods(["GET", "POST"])
def edit(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    found = get_object_or_404(_endpoints(request), pk=endpoint_id, for_sessions=False)
    saved = {"url": found.url, "description": found.description, "event_types": found.event_types}
    form = EndpointForm(request.POST or None, initial=saved)
    if request.method == "POST" and form.is_valid():
        endpoints.change_endpoint(found, **form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("console:webhook", found.pk)
    return _form_page(request, form, found)


@admin_required
@require_POST
def new_secret(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    found = _endpoint_of(request, endpoint_id)
    return _secret_page(request, found, endpoints.new_secret_of(found), is_new=False)


@admin_required
@require_POST
def session_secret(request: MemberRequest) -> HttpResponse:
    """Show a secret for the addresses that calls bring with them: the first one, or a new one."""
    found = endpoints.session_endpoint(request.organisation.pk)
    return _secret_page(request, found, endpoints.new_secret_of(found), is_new=False)


@admin_required
@require_POST
def test(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    found = get_object_or_404(_endpoints(request), pk=endpoint_id, for_sessions=False)
    if too_many_by_hand(request):
        return redirect("console:webhook", found.pk)
    return redirect("console:webhook_delivery", send_test(found).pk)


@admin_required
@require_POST
def pause(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    found = _endpoint_of(request, endpoint_id)
    endpoints.switch_off(found, DisabledBecause.PAUSED)
    messages.success(request, "Paused: nothing is sent there until you switch it on.")
    return redirect("console:webhook", found.pk)


@admin_required
@require_POST
def resume(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    found = _endpoint_of(request, endpoint_id)
    endpoints.switch_on(found)
    messages.success(request, "Switched on. What was not sent meanwhile can be sent again below.")
    return redirect("console:webhook", found.pk)


@admin_required
@require_POST
def delete(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    found = get_object_or_404(_endpoints(request), pk=endpoint_id, for_sessions=False)
    found.delete()
    messages.success(request, "Deleted, with its log.")
    return redirect("console:webhooks")


@admin_required
@require_POST
def replay_lost(request: MemberRequest, endpoint_id: UUID) -> HttpResponse:
    found = _endpoint_of(request, endpoint_id)
    if not too_many_by_hand(request):
        messages.success(request, f"{replay_failed(found)} sent again.")
    return redirect("console:webhook", found.pk)


@admin_required
@require_safe
def delivery(request: MemberRequest, delivery_id: UUID) -> HttpResponse:
    found = _delivery_of(request, delivery_id)
    body = json.dumps(json.loads(body_of(found)), indent=2, ensure_ascii=False)
    return render(request, "voice/webhook_delivery.html", {"delivery": found, "endpoint": found.endpoint, "body": body})


@admin_required
@require_POST
def replay_delivery(request: MemberRequest, delivery_id: UUID) -> HttpResponse:
    found = _delivery_of(request, delivery_id)
    if not too_many_by_hand(request):
        message = "It is on its way again." if replay(found.pk) else "It is on its way already."
        messages.info(request, message)
    return redirect("console:webhook_delivery", found.pk)


def _form_page(request: MemberRequest, form: EndpointForm, endpoint: WebhookEndpoint | None) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "endpoint": endpoint}
    return render(request, "voice/webhook_form.html", context, status=422 if form.errors else 200)


def _secret_page(request: MemberRequest, endpoint: WebhookEndpoint, secret: str, *, is_new: bool) -> HttpResponse:
    """Show a secret, this once: the answer to the request that made it, which nothing may keep."""
    context = {"endpoint": endpoint, "secret": secret, "is_new": is_new}
    response = render(request, "voice/webhook_secret.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _endpoints(request: MemberRequest) -> Any:
    return WebhookEndpoint.objects.filter(organisation=request.organisation)


def _endpoint_of(request: MemberRequest, endpoint_id: UUID) -> WebhookEndpoint:
    return get_object_or_404(WebhookEndpoint, organisation=request.organisation, pk=endpoint_id)


def _delivery_of(request: MemberRequest, delivery_id: UUID) -> WebhookDelivery:
    found = WebhookDelivery.objects.select_related("endpoint").prefetch_related("attempts")
    return get_object_or_404(found, organisation=request.organisation, pk=delivery_id)
