"""The operator's view of the money: everything can be read and searched, nothing edited.

The ways to move a wallet from here are "Adjust with a reason" and "Grant credits", which call the ledger.
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing import ledger, lots
from billing.audit_admin import AuditPages
from billing.exceptions import AmountOutOfRange, KeyReused
from billing.formatting import format_exact_credits
from billing.forms import AdjustmentForm, GrantForm
from billing.models import (
    Capture,
    Draw,
    Entry,
    Hold,
    HoldStatus,
    Lot,
    SignUpDay,
    SignUpGrant,
    SignUpGrantStatus,
    Wallet,
)
from billing.sign_up_grants import expiry_of_grants, grant_refused
from config.model_admin import PAGE_ROWS, ModelAdmin, ReadOnly, TabularInline

RECENT_ENTRIES = 20
OPEN_HOLDS_SHOWN = 50
LOTS_SHOWN = 50
RECENT_DRAWS = 20
MAY_ADJUST = "billing.adjust_wallet"


class BalanceFilter(admin.SimpleListFilter):
    title = "balance"
    parameter_name = "balance"
    _CHOICES: Mapping[str, tuple[str, Q]] = {
        "negative": ("Below zero", Q(balance_micro__lt=0)),
        "spent": ("Nothing available", Q(balance_micro__lte=F("held_micro"))),
        "held": ("With open holds", Q(held_micro__gt=0)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, label) for value, (label, _) in self._CHOICES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Wallet]) -> QuerySet[Wallet]:
        chosen = self._CHOICES.get(self.value() or "")
        return queryset.filter(chosen[1]) if chosen else queryset


class UncollectedFilter(admin.SimpleListFilter):
    title = "usage beyond the hold"
    parameter_name = "uncollected"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Some"), ("no", "None")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Hold]) -> QuerySet[Hold]:
        match self.value():
            case "yes":
                return queryset.filter(uncollected_micro__gt=0)
            case "no":
                return queryset.filter(uncollected_micro=0)
        return queryset


class OverdueFilter(admin.SimpleListFilter):
    title = "overdue"
    parameter_name = "overdue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Open though its time is up")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Hold]) -> QuerySet[Hold]:
        overdue = queryset.filter(status=HoldStatus.OPEN, expires_at__lt=timezone.now())
        return overdue if self.value() == "yes" else queryset


class LeftFilter(admin.SimpleListFilter):
    title = "what is left"
    parameter_name = "left"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Some"), ("expiring", "Some, which will expire"), ("no", "Nothing")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Lot]) -> QuerySet[Lot]:
        match self.value():
            case "yes":
                return queryset.filter(remaining_micro__gt=0)
            case "expiring":
                return queryset.filter(remaining_micro__gt=0, expires_at__isnull=False)
            case "no":
                return queryset.filter(remaining_micro=0)
        return queryset


@admin.register(Wallet)
class WalletAdmin(ReadOnly, AuditPages):
    list_display = ["organisation", "balance", "held", "available", "created_at"]
    list_filter = [BalanceFilter, "organisation__is_house"]
    list_select_related = ["organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["organisation__name", "=organisation__id", "organisation__memberships__user__email"]
    search_help_text = "Organisation's name or id, or a member's e-mail address."
    date_hierarchy = "created_at"
    fields = ["organisation", "balance", "held", "available", "created_at"]
    change_form_template = "admin/billing/wallet/change_form.html"
    change_list_template = "admin/billing/wallet/change_list.html"

    @admin.display(description="balance", ordering="balance_micro")
    def balance(self, wallet: Wallet) -> str:
        return format_exact_credits(wallet.balance_micro)

    @admin.display(description="held", ordering="held_micro")
    def held(self, wallet: Wallet) -> str:
        return format_exact_credits(wallet.held_micro)

    @admin.display(description="available", ordering=F("balance_micro") - F("held_micro"))
    def available(self, wallet: Wallet) -> str:
        return format_exact_credits(wallet.available_micro)

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("<int:wallet_id>/adjust/", self._guarded(self.adjust_view), name="billing_wallet_adjust"),
            path("<int:wallet_id>/grant/", self._guarded(self.grant_view), name="billing_wallet_grant"),
        ]
        return [*own, *super().get_urls()]

    def _guarded(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        return self.admin_site.admin_view(view)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        wallet_id = int(object_id) if object_id.isdecimal() else 0
        shown = {
            "recent_entries": Entry.objects.filter(wallet_id=wallet_id).order_by("-id")[:RECENT_ENTRIES],
            "open_holds": Hold.objects.filter(wallet_id=wallet_id, status=HoldStatus.OPEN)[:OPEN_HOLDS_SHOWN],
            "lots": lots.spendable(wallet_id)[:LOTS_SHOWN],
            "may_adjust": request.user.has_perm(MAY_ADJUST),
        }
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    def adjust_view(self, request: HttpRequest, wallet_id: int) -> HttpResponse:
        """Ask for an amount and a reason, show what would become of the balance, and then call the ledger."""
        form = AdjustmentForm(request.POST or None, initial={"key": uuid.uuid4()})

        def adjust(wallet: Wallet) -> ledger.EntryView:
            return ledger.adjust(
                wallet.organisation_id,
                form.amount_micro,
                key=form.ledger_key,
                reason=form.cleaned_data["reason"],
                actor=request.user.get_username(),
            )

        return self._move(request, wallet_id, form, adjust, title="Adjust with a reason", verb="adjust")

    def grant_view(self, request: HttpRequest, wallet_id: int) -> HttpResponse:
        """As adjusting: for credits that are given, and may expire."""
        expires_at = expiry_of_grants(timezone.now())
        initial = {"key": uuid.uuid4(), "last_day": expires_at and timezone.localdate(expires_at)}
        form = GrantForm(request.POST or None, initial=initial)

        def grant(wallet: Wallet) -> ledger.EntryView:
            return ledger.grant(
                wallet.organisation_id,
                form.amount_micro,
                key=form.ledger_key,
                description=form.cleaned_data["reason"],
                expires_at=form.expires_at,
                actor=request.user.get_username(),
            )

        return self._move(request, wallet_id, form, grant, title="Grant credits", verb="grant")

    def _move(
        self,
        request: HttpRequest,
        wallet_id: int,
        form: AdjustmentForm,
        move: Callable[[Wallet], ledger.EntryView],
        *,
        title: str,
        verb: str,
    ) -> HttpResponse:
        if not request.user.has_perm(MAY_ADJUST):
            raise PermissionDenied
        wallet = get_object_or_404(Wallet.objects.select_related("organisation"), pk=wallet_id)
        is_valid = form.is_valid()
        if is_valid and request.POST.get("confirmed") == "yes" and self._has_moved(request, wallet, form, move):
            return redirect(reverse("admin:billing_wallet_change", args=[wallet.pk]))
        # The ledger may have added an error of its own: then the form is shown again, not the question.
        is_valid = is_valid and not form.errors
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "verb": verb,
            "url": reverse(f"admin:billing_wallet_{verb}", args=[wallet.pk]),
            "back_url": reverse("admin:billing_wallet_change", args=[wallet.pk]),
            "wallet": wallet,
            "form": form,
            "asks_to_confirm": is_valid,
            "after_micro": wallet.balance_micro + form.amount_micro if is_valid else None,
            "amount_micro": form.amount_micro if is_valid else None,
        }
        return TemplateResponse(request, "admin/billing/wallet/adjust.html", context)

    def _has_moved(
        self, request: HttpRequest, wallet: Wallet, form: AdjustmentForm, move: Callable[[Wallet], ledger.EntryView]
    ) -> bool:
        try:
            entry = move(wallet)
        except KeyReused:
            form.add_error(None, "This form was sent before with another amount. Open a new one.")
            return False
        except AmountOutOfRange:
            form.add_error("credits", "The balance would become larger than a wallet can hold.")
            return False
        balance = format_exact_credits(entry.balance_after_micro)
        done = "Granted" if isinstance(form, GrantForm) else "Adjusted"
        self.message_user(request, f"{done}. The balance became {balance} credits.", messages.SUCCESS)
        return True


class DrawInline(ReadOnly, TabularInline[Draw, Entry]):
    model = Draw
    verbose_name_plural = "what it took of which lots"
    readonly_fields = fields = ("lot_link", "kind", "amount")
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Draw]:
        return super().get_queryset(request).select_related("lot")

    @admin.display(description="lot")
    def lot_link(self, draw: Draw) -> SafeString:
        return _link("lot", draw.lot_id, str(draw.lot))

    @admin.display(description="kind")
    def kind(self, draw: Draw) -> str:
        return draw.lot.get_kind_display()

    @admin.display(description="amount")
    def amount(self, draw: Draw) -> str:
        return format_exact_credits(draw.amount_micro)


@admin.register(Entry)
class EntryAdmin(ReadOnly, ModelAdmin[Entry]):
    list_display = [
        "created_at",
        "organisation",
        "kind",
        "amount",
        "balance_after",
        "reference",
        "description",
        "actor",
    ]
    list_filter = ["kind", "created_at"]
    list_select_related = ["wallet__organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["wallet__organisation__name", "=wallet__organisation__id", "=reference", "=key", "description"]
    search_help_text = "Organisation's name or id, reference (voice_session:<id>), key or description."
    date_hierarchy = "created_at"
    ordering = ["-id"]
    inlines = [DrawInline]
    fields = [
        "organisation",
        "kind",
        "amount",
        "balance_before",
        "balance_after",
        "held_after",
        "hold",
        "reference",
        "description",
        "actor",
        "key",
        "created_at",
    ]

    @admin.display(description="organisation", ordering="wallet__organisation__name")
    def organisation(self, entry: Entry) -> SafeString:
        return _wallet_link(entry.wallet)

    @admin.display(description="amount", ordering="amount_micro")
    def amount(self, entry: Entry) -> str:
        return format_exact_credits(entry.amount_micro)

    @admin.display(description="balance before")
    def balance_before(self, entry: Entry) -> str:
        return format_exact_credits(entry.balance_before_micro)

    @admin.display(description="balance after")
    def balance_after(self, entry: Entry) -> str:
        return format_exact_credits(entry.balance_after_micro)

    @admin.display(description="held after")
    def held_after(self, entry: Entry) -> str:
        return format_exact_credits(entry.held_after_micro)


@admin.register(Lot)
class LotAdmin(ReadOnly, ModelAdmin[Lot]):
    list_display = ["created_at", "organisation", "kind", "amount", "remaining", "expires_at", "reference"]
    list_filter = ["kind", LeftFilter, "expires_at"]
    list_select_related = ["wallet__organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["wallet__organisation__name", "=wallet__organisation__id", "=reference"]
    search_help_text = "Organisation's name or id, or reference."
    date_hierarchy = "created_at"
    fields = [
        "organisation",
        "kind",
        "amount",
        "remaining",
        "expires_at",
        "entry_link",
        "reference",
        "created_at",
        "latest_draws",
    ]

    @admin.display(description="organisation", ordering="wallet__organisation__name")
    def organisation(self, lot: Lot) -> SafeString:
        return _wallet_link(lot.wallet)

    @admin.display(description="amount", ordering="amount_micro")
    def amount(self, lot: Lot) -> str:
        return format_exact_credits(lot.amount_micro)

    @admin.display(description="remaining", ordering="remaining_micro")
    def remaining(self, lot: Lot) -> str:
        return format_exact_credits(lot.remaining_micro)

    @admin.display(description="brought by")
    def entry_link(self, lot: Lot) -> SafeString:
        return _link("entry", lot.entry_id, str(lot.entry))

    @admin.display(description=f"latest {RECENT_DRAWS} that took of it")
    def latest_draws(self, lot: Lot) -> SafeString:
        draws = lot.draws.select_related("entry").order_by("-id")[:RECENT_DRAWS]
        lines = [
            (_link("entry", draw.entry_id, draw.entry.get_kind_display()), format_exact_credits(draw.amount_micro))
            for draw in draws
        ]
        return format_html_join("", "<div>{}: {}</div>", lines)


class CaptureInline(ReadOnly, TabularInline[Capture, Hold]):
    model = Capture
    readonly_fields = fields = ("created_at", "key", "used", "captured", "uncollected")
    extra = 0

    @admin.display(description="used")
    def used(self, capture: Capture) -> str:
        return format_exact_credits(capture.amount_micro)

    @admin.display(description="captured")
    def captured(self, capture: Capture) -> str:
        return format_exact_credits(capture.captured_micro)

    @admin.display(description="uncollected")
    def uncollected(self, capture: Capture) -> str:
        return format_exact_credits(capture.uncollected_micro)


@admin.register(Hold)
class HoldAdmin(ReadOnly, ModelAdmin[Hold]):
    list_display = [
        "created_at",
        "organisation",
        "status",
        "amount",
        "captured",
        "uncollected",
        "expires_at",
        "reference",
    ]
    list_filter = ["status", OverdueFilter, UncollectedFilter, "created_at"]
    list_select_related = ["wallet__organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["wallet__organisation__name", "=wallet__organisation__id", "=reference", "=key", "=id"]
    search_help_text = "Organisation's name or id, reference (voice_session:<id>), key or hold's id."
    date_hierarchy = "created_at"
    inlines = [CaptureInline]
    fields = [
        "id",
        "organisation",
        "status",
        "amount",
        "captured",
        "uncollected",
        "available_after",
        "reference",
        "key",
        "created_at",
        "expires_at",
        "settled_at",
    ]

    @admin.display(description="organisation", ordering="wallet__organisation__name")
    def organisation(self, hold: Hold) -> SafeString:
        return _wallet_link(hold.wallet)

    @admin.display(description="amount", ordering="amount_micro")
    def amount(self, hold: Hold) -> str:
        return format_exact_credits(hold.amount_micro)

    @admin.display(description="captured", ordering="captured_micro")
    def captured(self, hold: Hold) -> str:
        return format_exact_credits(hold.captured_micro)

    @admin.display(description="uncollected", ordering="uncollected_micro")
    def uncollected(self, hold: Hold) -> str:
        return format_exact_credits(hold.uncollected_micro)

    @admin.display(description="available after it was opened or extended")
    def available_after(self, hold: Hold) -> str:
        return format_exact_credits(hold.available_after_micro)


@admin.register(SignUpGrant)
class SignUpGrantAdmin(ReadOnly, ModelAdmin[SignUpGrant]):
    list_display = ["created_at", "organisation_id", "status", "amount", "granted_at"]
    list_filter = ["status", "created_at"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["=organisation_id", "=person_key"]
    search_help_text = "Organisation's id or person's key."
    date_hierarchy = "created_at"
    fields = ["organisation_id", "status", "amount", "created_at", "granted_at", "person_key"]
    actions = ["grant_now"]

    @admin.display(description="amount", ordering="amount_micro")
    def amount(self, row: SignUpGrant) -> str:
        return format_exact_credits(row.amount_micro)

    def has_adjust_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_ADJUST)

    @admin.action(description="Grant what the day's ceiling refused", permissions=["adjust"])
    def grant_now(self, request: HttpRequest, queryset: QuerySet[SignUpGrant]) -> None:
        refused = queryset.filter(status=SignUpGrantStatus.REFUSED).values_list("person_key", flat=True)
        count = sum(grant_refused(person_key) for person_key in refused)
        self.message_user(request, f"{count} granted.", messages.SUCCESS if count else messages.WARNING)


@admin.register(SignUpDay)
class SignUpDayAdmin(ReadOnly, ModelAdmin[SignUpDay]):
    list_display = ["day", "granted"]
    list_per_page = PAGE_ROWS
    date_hierarchy = "day"
    fields = ["day", "granted"]

    @admin.display(description="granted to sign-ups", ordering="granted_micro")
    def granted(self, row: SignUpDay) -> str:
        return format_exact_credits(row.granted_micro)


def _wallet_link(wallet: Wallet) -> SafeString:
    return _link("wallet", wallet.pk, wallet.organisation.name)


def _link(model: str, pk: int, text: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse(f"admin:billing_{model}_change", args=[pk]), text)


# The admin's autodiscovery reads this module only.
from billing import paper_admin, purchase_admin, top_up_admin  # noqa: E402, F401
