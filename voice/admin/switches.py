"""The operator's switches: pause all calls, keep networks out. Each ends the live calls it concerns at once."""

from ipaddress import ip_network
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.client_ip import client_ip_of
from accounts.models import User
from config.model_admin import PAGE_ROWS, ModelAdmin, ModelForm
from voice.admin.base import confirmation_page, is_confirmed, log_changes
from voice.admin.fields import MomentField
from voice.admin.networks import includes
from voice.admission.networks import is_too_large
from voice.models import BlockedNetwork, Session, SessionState, Switches
from voice.sessions.orders.pausing import pause_calls, resume_calls


class PauseForm(forms.Form):
    message = forms.CharField(
        label="What callers are told",
        max_length=200,
        required=False,
        help_text="For example: We are back at about 14:00. Empty: a general sentence.",
    )


@admin.register(Switches)
class SwitchesAdmin(ModelAdmin[Switches]):
    """One row, so no list: its page is where a pause is worded; pausing itself asks first."""

    fields = ["calls_paused", "pause_message"]
    readonly_fields = ["calls_paused"]
    change_form_template = "admin/parley/switches.html"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("pause/", wrap(self.pause_view), name="voice_switches_pause"),
            path("resume/", wrap(self.resume_view), name="voice_switches_resume"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        Switches.objects.get_or_create(pk=1)
        return HttpResponseRedirect(reverse("admin:voice_switches_change", args=[1]))

    def pause_view(self, request: HttpRequest) -> HttpResponse:
        self._check_may_switch(request)
        form = PauseForm(request.POST if is_confirmed(request) else None)
        if not form.is_valid():
            live_calls = Session.objects.filter(state=SessionState.LIVE).count()
            return confirmation_page(
                self,
                request,
                title="Pause all calls?",
                explanation="No call can start, for any organisation, until you resume. "
                f"Live calls end now: {live_calls}. What they used is charged.",
                button="Pause all calls",
                back_url=reverse("admin:index"),
                form=form,
            )
        self._switch(request, calls_paused=True, message=form.cleaned_data["message"])
        self.message_user(request, "All calls are paused.", messages.WARNING)
        return HttpResponseRedirect(reverse("admin:index"))

    def resume_view(self, request: HttpRequest) -> HttpResponse:
        self._check_may_switch(request)
        if not is_confirmed(request):
            return confirmation_page(
                self,
                request,
                title="Let calls start again?",
                explanation="Every active agent takes calls from now on.",
                button="Resume calls",
                back_url=reverse("admin:index"),
                is_destructive=False,
            )
        self._switch(request, calls_paused=False)
        self.message_user(request, "Calls may start again.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:index"))

    def _check_may_switch(self, request: HttpRequest) -> None:
        if not self.has_change_permission(request):
            raise PermissionDenied

    def _switch(self, request: HttpRequest, *, calls_paused: bool, message: str = "") -> None:
        with transaction.atomic():
            switches = pause_calls(message) if calls_paused else resume_calls()
            self.log_change(request, switches, "Paused all calls." if calls_paused else "Resumed calls.")


class BlockedNetworkForm(ModelForm[BlockedNetwork]):
    expires_at = MomentField(label="Expires at", help_text="Empty: until an operator lifts it.")

    class Meta:
        model = BlockedNetwork
        fields = ["network", "reason", "expires_at"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        expires_at = cleaned.get("expires_at")
        if "network" in self.fields and expires_at and expires_at <= timezone.now():
            self.add_error("expires_at", "This time has passed.")
        return cleaned

    def clean_network(self) -> str:
        try:
            network = str(ip_network(self.cleaned_data["network"].strip(), strict=False))
        except ValueError:
            raise ValidationError("Not an address or network.") from None
        if is_too_large(network):
            raise ValidationError("That is half a country. Block what the callers share, or pause all calls.")
        return network


class InForceFilter(admin.SimpleListFilter):
    title = "in force"
    parameter_name = "in_force"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "In force"), ("no", "Expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        expired = {"expires_at__lte": timezone.now()}
        if self.value() == "yes":
            return queryset.exclude(**expired)
        return queryset.filter(**expired) if self.value() == "no" else queryset


@admin.register(BlockedNetwork)
class BlockedNetworkAdmin(ModelAdmin[BlockedNetwork]):
    form = BlockedNetworkForm
    list_display = ["network", "status", "reason", "expires_at", "created_at", "created_by"]
    list_filter = [InForceFilter]
    list_select_related = ["created_by"]
    list_per_page = PAGE_ROWS
    search_fields = ["network", "reason"]
    date_hierarchy = "created_at"
    actions = ["lift"]

    def get_readonly_fields(self, request: HttpRequest, obj: BlockedNetwork | None = None) -> list[str]:
        return ["network", "created_by", "created_at"] if obj else []

    def get_fields(self, request: HttpRequest, obj: BlockedNetwork | None = None) -> Any:
        return ["network", "reason", "expires_at", *(["created_by", "created_at"] if obj else [])]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # A block is lifted, not removed: who was kept out, when and why must stay answerable.
        return False

    def save_model(self, request: HttpRequest, obj: BlockedNetwork, form: Any, change: bool) -> None:
        if not change and isinstance(request.user, User):
            obj.created_by = request.user
        super().save_model(request, obj, form, change)
        if includes(obj.network, client_ip_of(request)):
            self.message_user(request, "You are in this network yourself.", messages.WARNING)

    @admin.display(description="state")
    def status(self, blocked: BlockedNetwork) -> SafeString:
        if blocked.expires_at is None or blocked.expires_at > timezone.now():
            return format_html('<span class="tag tag-danger">{}</span>', "Kept out")
        return format_html('<span class="tag tag-quiet">{}</span>', "Expired")

    @admin.action(description="Lift the block now", permissions=["change"])
    def lift(self, request: HttpRequest, queryset: QuerySet[BlockedNetwork]) -> None:
        now = timezone.now()
        in_force = list(queryset.exclude(expires_at__lte=now))
        # Past the signal on purpose: saving a block ends the calls from its network.
        BlockedNetwork.objects.filter(pk__in=[blocked.pk for blocked in in_force]).update(expires_at=now)
        log_changes(request, in_force, "Lifted.")
        self.message_user(request, f"{len(in_force)} lifted.", messages.SUCCESS)
