"""The billing page, and buying a bundle: to the payment page, and back from it."""

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from csp.decorators import csp_update
from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_ratelimit.core import is_ratelimited

from accounts.models import Organisation
from accounts.permissions import MemberRequest, admin_required, member_required
from billing import auto_top_up, ledger, purchases
from billing.bundles import Offer, currency_of, offers_for
from billing.exceptions import (
    BundleNotOnSale,
    LedgerError,
    PaymentError,
    PaymentServiceRefused,
    PaymentServiceUnavailable,
    PaymentsOff,
    PurchaseNotFound,
)
from billing.formatting import format_credits
from voice.pricing.averages import averages_of
from voice.pricing.bundles import Offer as PricedOffer
from voice.pricing.bundles import money_of
from voice.pricing.parameters import InvalidParameter
from voice.pricing.quote import NothingForSale, quote_of
from voice.views.billing_usage import USAGE_DAYS, usage_of

# Each opens a page at the payment service; a person who changes their mind needs a few.
CHECKOUTS_PER_ORGANISATION = "10/m"
# A form that leads to the payment service's page may only do so where the policy names it.
PAYMENT_PAGES = {"form-action": [settings.STRIPE_CHECKOUT_ORIGIN]}


@dataclass(frozen=True, slots=True)
class MinutePrice:
    """Micro-credits a minute; `is_measured`: from the organisation's own calls, else from the worksheet."""

    micro: int
    is_measured: bool


@dataclass(frozen=True, slots=True)
class OfferView:
    offer: Offer
    minutes: int | None
    per_minute: Decimal | None
    saved_percent: int


class BuyForm(forms.Form):
    """Which bundle, and whether its card is to be kept."""

    bundle = forms.ChoiceField()
    save_card = forms.BooleanField(required=False)

    def __init__(self, *args: object, offers: list[Offer], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        field = self.fields["bundle"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(offer.bundle.slug, offer.bundle.name) for offer in offers]


@csp_update(PAYMENT_PAGES)
@member_required
@require_safe
def billing(request: MemberRequest) -> HttpResponse:
    organisation = request.organisation
    by = "model" if request.GET.get("by") == "model" else "agent"
    minute = minute_price(organisation)
    offers = offers_for(organisation)
    balance = ledger.balance_of(organisation.pk)
    context = {
        "balance": balance,
        "minutes": max(0, balance.available_micro) // minute.micro if minute else None,
        "minute": minute,
        "lots": ledger.lots_of(organisation.pk),
        "currency": currency_of(organisation),
        "offers": [_offer_view(offer, offers[0], minute) for offer in offers],
        "is_buying_on": settings.PAYMENTS != "off",
        "top_up": auto_top_up.settings_of(organisation.pk),
        "by": by,
        "usage": usage_of(organisation.pk, by),
        "usage_days": USAGE_DAYS,
    }
    return render(request, "billing/billing.html", context)


@admin_required
@require_POST
def buy(request: MemberRequest) -> HttpResponse:
    """Lead to the payment page for one bundle."""
    offers = {offer.bundle.slug: offer for offer in offers_for(request.organisation)}
    if too_many_checkouts(request):
        return redirect("console:billing")
    form = BuyForm(request.POST, offers=list(offers.values()))
    if not form.is_valid():
        messages.warning(request, "Choose one of the bundles.")
        return redirect("console:billing")
    try:
        url = purchases.start_checkout(
            request.organisation,
            offers[form.cleaned_data["bundle"]].bundle,
            request.user,
            success_url=request.build_absolute_uri(reverse("console:bought")),
            cancel_url=request.build_absolute_uri(reverse("console:billing")),
            save_card=form.cleaned_data["save_card"],
        )
    except PaymentError as error:
        messages.error(request, why_not_bought(error))
        return redirect("console:billing")
    return see_other(url)


@admin_required
@require_safe
def bought(request: MemberRequest) -> HttpResponse:
    """Take the buyer back from the payment page: the credits are there at once, webhook or not."""
    try:
        purchase = purchases.apply_checkout(request.GET.get("checkout", "")[:200], request.organisation)
    except PurchaseNotFound as error:
        raise Http404 from error
    except (PaymentError, LedgerError):
        messages.warning(
            request, "We could not yet learn whether you were charged. If so, the credits come by themselves."
        )
        return redirect("console:billing")
    if purchase.is_credited:
        credits = format_credits(purchase.credits_micro).removesuffix(".00")
        messages.success(request, f"{credits} credits are in your balance. The receipt is on its way by mail.")
    return redirect("console:purchase", purchase_id=purchase.pk)


@csp_update(PAYMENT_PAGES)  # type: ignore[arg-type]  # it is typed for views without arguments
@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_top_up(request: MemberRequest, attempt_id: UUID) -> HttpResponse:
    """Let the payer buy what auto top-up could not, because the bank wants its holder to confirm."""
    attempt = auto_top_up.attempt_to_confirm(request.organisation.pk)
    if attempt is None or attempt.pk != attempt_id:
        raise Http404
    if request.method != "POST":
        return render(request, "billing/confirm_top_up.html", {"attempt": attempt})
    if too_many_checkouts(request):
        return redirect("console:billing")
    try:
        url = auto_top_up.confirm(
            attempt_id,
            request.organisation,
            request.user,
            success_url=request.build_absolute_uri(reverse("console:bought")),
            cancel_url=request.build_absolute_uri(reverse("console:billing")),
        )
    except PurchaseNotFound as error:
        raise Http404 from error
    except PaymentError as error:
        messages.error(request, why_not_bought(error))
        return redirect("console:billing")
    return see_other(url)


def too_many_checkouts(request: MemberRequest) -> bool:
    """Count one more checkout of the organisation, and say so on the next page when it is one too many."""
    is_too_many = is_ratelimited(
        request, group="billing.buy", key=_organisation_key, rate=CHECKOUTS_PER_ORGANISATION, increment=True
    )
    if is_too_many:
        messages.warning(request, "That was often. Nothing was charged; please wait a minute, and try again.")
    return bool(is_too_many)


def _organisation_key(_group: str, request: MemberRequest) -> str:
    return str(request.organisation.pk)


def minute_price(organisation: Organisation) -> MinutePrice | None:
    """Return what a minute costs by the organisation's own average, or by the worksheet's defaults; None when free."""
    averages = averages_of(organisation.pk)
    if averages is not None and averages.per_minute_micro:
        return MinutePrice(averages.per_minute_micro, is_measured=True)
    try:
        estimated_micro = quote_of({}, currency=currency_of(organisation)).estimate.spoken.per_minute_micro
    except (NothingForSale, InvalidParameter):
        return None
    return MinutePrice(estimated_micro, is_measured=False) if estimated_micro else None


def why_not_bought(error: PaymentError) -> str:
    """Say what went wrong before anything was charged."""
    match error:
        case BundleNotOnSale():
            return "That bundle is not on sale any more. Nothing was charged."
        case PaymentsOff():
            return "Nothing can be bought on this server: whoever runs it has not set up payments."
        case PaymentServiceUnavailable():
            return "The payment service cannot be reached just now. Nothing was charged; please try again in a minute."
        case PaymentServiceRefused():
            return "The payment service did not accept this. Nothing was charged."
    return "The payment could not be started. Nothing was charged."


def see_other(url: str) -> HttpResponse:
    """Redirect a form that was sent to a page that is only read."""
    response = HttpResponseRedirect(url)
    response.status_code = 303
    return response


def _offer_view(offer: Offer, first: Offer, minute: MinutePrice | None) -> OfferView:
    # What the same credits would cost at the first bundle's price.
    full = first.amount_minor * offer.credits_micro // first.credits_micro
    saved_percent = max(0, (full - offer.amount_minor) * 100 // full) if full else 0
    if minute is None:
        return OfferView(offer, None, None, saved_percent)
    priced = PricedOffer(offer.bundle.slug, offer.bundle.name, offer.credits_micro, offer.currency, offer.amount_minor)
    return OfferView(offer, offer.credits_micro // minute.micro, money_of(priced, minute.micro), saved_percent)
