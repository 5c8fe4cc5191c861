"""The operator's view of what is sold: bundles are edited here, purchases refunded, Stripe's events replayed."""

import uuid
from decimal import Decimal
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing import ledger, refunds
from billing.event_handlers import replay
from billing.exceptions import NotRefundable, ObjectRefused, PaymentError, PaymentServiceRefused
from billing.formatting import format_exact_credits
from billing.models import (
    Bundle,
    BundlePrice,
    Dispute,
    Purchase,
    Refund,
    RefusedDelivery,
    StripeEvent,
    StripeEventState,
)
from billing.purchase_forms import MINOR_DECIMALS, RefundForm
from config.model_admin import PAGE_ROWS, ModelAdmin, ReadOnly, TabularInline

MAY_REFUND = "billing.refund_purchase"
MAY_REPLAY = "billing.replay_stripeevent"
# One action waits for Stripe once an event.
MAX_REPLAYED = 50


def money(amount_minor: int, currency: str) -> str:
    """`1,234.50 INR`: exact, and the same for every currency with hundredths."""
    return f"{Decimal(amount_minor).scaleb(-MINOR_DECIMALS):,.2f} {currency}"


class BundlePriceInline(TabularInline[BundlePrice, Bundle]):
    model = BundlePrice
    extra = 0
    min_num = 1


@admin.register(Bundle)
class BundleAdmin(ModelAdmin[Bundle]):
    list_display = ["name", "slug", "credits", "prices_now", "is_active", "valid_from", "valid_until", "sort"]
    list_filter = ["is_active"]
    search_fields = ["name", "=slug"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [BundlePriceInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bundle]:
        return super().get_queryset(request).prefetch_related("prices")

    @admin.display(description="prices")
    def prices_now(self, bundle: Bundle) -> str:
        return ", ".join(money(price.amount_minor, price.currency) for price in bundle.prices.all())


class RefundInline(ReadOnly, TabularInline[Refund, Purchase]):
    model = Refund
    extra = 0
    readonly_fields = fields = ("created_at", "amount", "credits", "status", "reason", "actor", "failure")

    @admin.display(description="amount")
    def amount(self, refund: Refund) -> str:
        return money(refund.amount_minor, refund.purchase.currency)

    @admin.display(description="credits")
    def credits(self, refund: Refund) -> str:
        return format_exact_credits(refund.credits_micro)


class DisputeInline(ReadOnly, TabularInline[Dispute, Purchase]):
    model = Dispute
    extra = 0
    readonly_fields = fields = ("created_at", "amount", "credits", "status", "reason", "stripe_dispute_id")

    @admin.display(description="amount")
    def amount(self, dispute: Dispute) -> str:
        return money(dispute.amount_minor, dispute.purchase.currency)

    @admin.display(description="credits")
    def credits(self, dispute: Dispute) -> str:
        return format_exact_credits(dispute.credits_micro)


@admin.register(Purchase)
class PurchaseAdmin(ReadOnly, ModelAdmin[Purchase]):
    list_display = [
        "created_at",
        "organisation",
        "bundle_name",
        "credits",
        "charged",
        "refunded",
        "status",
        "origin",
        "failure",
    ]
    list_filter = ["status", "origin", "currency", "created_at"]
    list_select_related = ["organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = [
        "organisation__name",
        "=organisation__id",
        "=id",
        "=stripe_checkout_id",
        "=stripe_payment_intent_id",
        "=refunds__stripe_refund_id",
        "=disputes__stripe_dispute_id",
        "=buyer_email",
    ]
    search_help_text = "Organisation's name or id, purchase's id, buyer's e-mail address, or any id of Stripe's."
    date_hierarchy = "created_at"
    inlines = [RefundInline, DisputeInline]
    change_form_template = "admin/billing/purchase/change_form.html"
    fields = [
        "id",
        "organisation",
        "status",
        "failure",
        "origin",
        "bundle_name",
        "credits",
        "price",
        "discount",
        "tax",
        "charged",
        "refunded",
        "buyer_name",
        "buyer_email",
        "buyer_address",
        "buyer_tax_id",
        "created_by",
        "created_at",
        "paid_at",
        "next_check_at",
        "attempt_key",
        "stripe_checkout_id",
        "stripe_payment_intent_id",
        "stripe_customer_id",
    ]

    @admin.display(description="credits", ordering="credits_micro")
    def credits(self, purchase: Purchase) -> str:
        return format_exact_credits(purchase.credits_micro)

    @admin.display(description="price")
    def price(self, purchase: Purchase) -> str:
        return money(purchase.price_minor, purchase.currency)

    @admin.display(description="discount")
    def discount(self, purchase: Purchase) -> str:
        return money(purchase.discount_minor, purchase.currency)

    @admin.display(description="tax")
    def tax(self, purchase: Purchase) -> str:
        return money(purchase.tax_minor, purchase.currency)

    @admin.display(description="charged", ordering="amount_minor")
    def charged(self, purchase: Purchase) -> str:
        return money(purchase.amount_minor, purchase.currency) if purchase.is_credited else "-"

    @admin.display(description="refunded", ordering="refunded_minor")
    def refunded(self, purchase: Purchase) -> str:
        return money(purchase.refunded_minor, purchase.currency) if purchase.refunded_minor else "-"

    def get_urls(self) -> list[URLPattern]:
        refund = path(
            "<uuid:purchase_id>/refund/", self.admin_site.admin_view(self.refund_view), name="billing_purchase_refund"
        )
        return [refund, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        purchase = self.get_object(request, object_id)
        can_be_refunded = purchase is not None and refunds.refundable_minor(purchase) > 0
        shown = {"may_refund": can_be_refunded and request.user.has_perm(MAY_REFUND)}
        return super().change_view(request, object_id, form_url, shown | (extra_context or {}))

    def refund_view(self, request: HttpRequest, purchase_id: uuid.UUID) -> HttpResponse:
        """Ask how much and why, show what the wallet would have left, and then send the money back."""
        if not request.user.has_perm(MAY_REFUND):
            raise PermissionDenied
        purchase = get_object_or_404(Purchase.objects.select_related("organisation"), pk=purchase_id)
        form = self._refund_form(request, purchase)
        is_valid = form.is_valid()
        if is_valid and request.POST.get("confirmed") == "yes" and self._refund(request, purchase, form):
            return redirect(reverse("admin:billing_purchase_change", args=[purchase.pk]))
        # Stripe may have refused: then the form is shown again, not the question.
        context = self._refund_context(purchase, form, asks_to_confirm=is_valid and not form.errors)
        context |= {**self.admin_site.each_context(request), "opts": self.opts, "title": "Refund"}
        return TemplateResponse(request, "admin/billing/purchase/refund.html", context)

    def _refund_form(self, request: HttpRequest, purchase: Purchase) -> RefundForm:
        left_minor = refunds.refundable_minor(purchase)
        # Sent again after it worked, the same form finds less left: then the first refund is what it gets.
        key = _uuid(request.POST.get("key", ""))
        made = purchase.refunds.filter(pk=key).first() if key else None
        initial = {"key": uuid.uuid4(), "amount": Decimal(left_minor).scaleb(-MINOR_DECIMALS)}
        most_minor = left_minor + (made.amount_minor if made else 0)
        return RefundForm(request.POST or None, initial=initial, refundable_minor=most_minor)

    def _refund_context(self, purchase: Purchase, form: RefundForm, *, asks_to_confirm: bool) -> dict[str, Any]:
        balance_micro = ledger.balance_of(purchase.organisation_id).balance_micro
        context: dict[str, Any] = {
            "purchase": purchase,
            "verb": "refund",
            "url": reverse("admin:billing_purchase_refund", args=[purchase.pk]),
            "back_url": reverse("admin:billing_purchase_change", args=[purchase.pk]),
            "form": form,
            "asks_to_confirm": asks_to_confirm,
            "balance_micro": balance_micro,
            "paid": money(purchase.amount_minor, purchase.currency),
            "refundable": money(refunds.refundable_minor(purchase), purchase.currency),
        }
        if asks_to_confirm:
            taken_micro = purchase.share_micro(form.amount_minor)
            context |= {"taken_micro": taken_micro, "after_micro": balance_micro - taken_micro}
            context["amount"] = money(form.amount_minor, purchase.currency)
        return context

    def _refund(self, request: HttpRequest, purchase: Purchase, form: RefundForm) -> bool:
        try:
            made = refunds.refund(
                purchase,
                form.amount_minor,
                reason=form.cleaned_data["reason"],
                actor=request.user.get_username(),
                key=form.cleaned_data["key"],
            )
        except NotRefundable:
            form.add_error("amount", "Less than that is left of what was paid.")
            return False
        except (PaymentServiceRefused, ObjectRefused) as error:
            form.add_error(None, f"Stripe refused: {error.args[0]}. Open a new form to try again.")
            return False
        except PaymentError:
            text = "Stripe cannot be reached. The refund is noted, and will be sent within minutes."
            self.message_user(request, text, messages.WARNING)
            return True
        self.message_user(request, f"Refund {made.get_status_display().lower()}.", messages.SUCCESS)
        return True


class MoneyBack(ReadOnly):
    """How refunds and disputes show what they have in common."""

    @admin.display(description="organisation", ordering="purchase__organisation__name")
    def organisation(self, row: Refund | Dispute) -> SafeString:
        url = reverse("admin:billing_purchase_change", args=[row.purchase_id])
        return format_html('<a href="{}">{}</a>', url, row.purchase.organisation.name)

    @admin.display(description="amount", ordering="amount_minor")
    def amount(self, row: Refund | Dispute) -> str:
        return money(row.amount_minor, row.purchase.currency)

    @admin.display(description="credits", ordering="credits_micro")
    def credits(self, row: Refund | Dispute) -> str:
        return format_exact_credits(row.credits_micro)


@admin.register(Refund)
class RefundAdmin(MoneyBack, ModelAdmin[Refund]):
    list_display = ["created_at", "organisation", "amount", "credits", "status", "reason", "actor", "failure"]
    list_filter = ["status", "created_at"]
    search_fields = ["purchase__organisation__name", "=stripe_refund_id", "=purchase__id", "reason"]
    search_help_text = "Organisation's name, Stripe's id, purchase's id or reason."
    list_select_related = ["purchase__organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    date_hierarchy = "created_at"
    fields = [
        "created_at",
        "organisation",
        "amount",
        "credits",
        "status",
        "reason",
        "actor",
        "failure",
        "stripe_refund_id",
    ]


@admin.register(Dispute)
class DisputeAdmin(MoneyBack, ModelAdmin[Dispute]):
    list_display = ["created_at", "organisation", "amount", "credits", "status", "reason"]
    list_filter = ["status", "created_at"]
    search_fields = ["purchase__organisation__name", "=stripe_dispute_id", "=purchase__id"]
    search_help_text = "Organisation's name, Stripe's id or purchase's id."
    list_select_related = ["purchase__organisation"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    date_hierarchy = "created_at"
    fields = ["created_at", "organisation", "amount", "credits", "status", "reason", "stripe_dispute_id"]


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnly, ModelAdmin[StripeEvent]):
    list_display = ["received_at", "type", "object_id", "state", "error", "attempts", "next_attempt_at", "event_id"]
    list_filter = ["state", "type", "received_at"]
    list_per_page = PAGE_ROWS
    show_full_result_count = False
    search_fields = ["=event_id", "=object_id"]
    search_help_text = "Stripe's id of the event, or of what it is about."
    date_hierarchy = "received_at"
    fields = [
        "event_id",
        "type",
        "object_id",
        "state",
        "error",
        "received_at",
        "handled_at",
        "attempts",
        "next_attempt_at",
        "payload",
    ]
    actions = ["replay"]

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_REPLAY)

    @admin.action(description="Act upon these again", permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: QuerySet[StripeEvent]) -> None:
        """Repeating is harmless: what was credited is not credited twice."""
        events = [replay(event_id) for event_id in queryset.values_list("event_id", flat=True)[:MAX_REPLAYED]]
        finished = (StripeEventState.HANDLED, StripeEventState.IGNORED)
        done = sum(event.state in finished for event in events)
        for event in events:
            if event.state not in finished:
                self.message_user(request, f"{event.event_id}: {event.state}, {event.error}", messages.ERROR)
        self.message_user(request, f"{done} of {len(events)} done.", messages.SUCCESS if done else messages.WARNING)


@admin.register(RefusedDelivery)
class RefusedDeliveryAdmin(ReadOnly, ModelAdmin[RefusedDelivery]):
    list_display = ["day", "reason", "count", "last_at"]
    list_filter = ["reason"]
    list_per_page = PAGE_ROWS
    date_hierarchy = "day"
    fields = ["day", "reason", "count", "last_at"]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
