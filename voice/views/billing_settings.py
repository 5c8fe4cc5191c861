"""The page on which payers say when more is bought by itself, when they are told, and how much a month may cost."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Organisation
from accounts.permissions import MemberRequest, admin_required, member_required
from billing import auto_top_up, low_balance
from billing.bundles import Offer, currency_of, offers_for
from billing.exceptions import InvalidSetting
from billing.formatting import credits_of, micro_of
from billing.receipts import money
from billing.spending_cap import used_this_month_micro

_MOST_CREDITS = Decimal(10_000_000)
_MOST_MONEY = Decimal(10_000_000)


class AutoTopUpForm(forms.Form):
    """Buy this bundle when less than that is left, for at most so much a month."""

    is_on = forms.BooleanField(label="Buy credits automatically", required=False)
    threshold = forms.DecimalField(
        label="When fewer credits are left than", min_value=0, max_value=_MOST_CREDITS, decimal_places=2
    )
    bundle = forms.ChoiceField(label="Buy")
    monthly_ceiling = forms.DecimalField(
        label="For at most, in a calendar month", min_value=0, max_value=_MOST_MONEY, decimal_places=2
    )

    def __init__(self, *args: Any, offers: list[Offer], currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        bundle = self.fields["bundle"]
        assert isinstance(bundle, forms.ChoiceField)
        bundle.choices = [(offer.bundle.slug, _label_of(offer)) for offer in offers]
        self.fields["monthly_ceiling"].help_text = f"In {currency}, before tax."


class BudgetForm(forms.Form):
    """When to be told, and how much calls may cost in a month."""

    thresholds = forms.CharField(
        label="Mail us when fewer credits are left than",
        max_length=200,
        required=False,
        help_text="Up to five amounts, separated by commas. Empty: no mail.",
    )
    monthly_cap = forms.DecimalField(
        label="Calls may cost in a month, in credits",
        required=False,
        min_value=0,
        max_value=_MOST_CREDITS,
        decimal_places=2,
        help_text="Then no call starts until the next month. Empty: no cap.",
    )

    def clean_thresholds(self) -> list[int]:
        words = [word.strip() for word in self.cleaned_data["thresholds"].split(",") if word.strip()]
        return [_threshold_micro(word) for word in words]


# The names that the functions below give their settings, and the fields that they come from.
_FIELDS = {
    "is_on": "is_on",
    "threshold_micro": "threshold",
    "bundle": "bundle",
    "monthly_ceiling_minor": "monthly_ceiling",
    "low_balance_thresholds_micro": "thresholds",
    "monthly_cap_micro": "monthly_cap",
}


@member_required
@require_http_methods(["GET", "HEAD"])
def settings_page(request: MemberRequest) -> HttpResponse:
    return _page(request)


@admin_required
@require_POST
def save_auto_top_up(request: MemberRequest) -> HttpResponse:
    form = _auto_top_up_form(request.organisation, request.POST)
    if form.is_valid():
        chosen = next(
            offer for offer in offers_for(request.organisation) if offer.bundle.slug == form.cleaned_data["bundle"]
        )
        try:
            auto_top_up.save_auto_top_up(
                request.organisation.pk,
                is_on=form.cleaned_data["is_on"],
                threshold_micro=micro_of(form.cleaned_data["threshold"]),
                bundle=chosen.bundle,
                monthly_ceiling_minor=int(form.cleaned_data["monthly_ceiling"] * 100),
            )
            messages.success(request, "Auto top-up is on." if form.cleaned_data["is_on"] else "Auto top-up is off.")
            return redirect("console:billing_settings")
        except InvalidSetting as error:
            form.add_error(_FIELDS.get(error.field), error.message)
    return _page(request, auto_top_up_form=form)


@admin_required
@require_POST
def save_budget(request: MemberRequest) -> HttpResponse:
    form = BudgetForm(request.POST)
    if form.is_valid():
        cap = form.cleaned_data["monthly_cap"]
        try:
            low_balance.save_budget(
                request.organisation.pk,
                low_balance_thresholds_micro=form.cleaned_data["thresholds"],
                monthly_cap_micro=None if cap is None else micro_of(cap),
            )
            messages.success(request, "Saved.")
            return redirect("console:billing_settings")
        except InvalidSetting as error:
            form.add_error(_FIELDS.get(error.field), error.message)
    return _page(request, budget_form=form)


@admin_required
@require_POST
def forget_card(request: MemberRequest) -> HttpResponse:
    auto_top_up.forget_card(request.organisation.pk)
    messages.success(request, "The card is forgotten, and auto top-up is off.")
    return redirect("console:billing_settings")


def _page(
    request: MemberRequest, *, auto_top_up_form: AutoTopUpForm | None = None, budget_form: BudgetForm | None = None
) -> HttpResponse:
    organisation = request.organisation
    context = {
        "top_up": auto_top_up.settings_of(organisation.pk),
        "attempt": auto_top_up.last_attempt(organisation.pk),
        "to_confirm": auto_top_up.attempt_to_confirm(organisation.pk),
        "auto_top_up_form": auto_top_up_form or _auto_top_up_form(organisation),
        "budget": low_balance.budget_of(organisation.pk),
        "budget_form": budget_form or _budget_form(organisation),
        "used_micro": used_this_month_micro(organisation.pk),
        "currency": currency_of(organisation),
    }
    is_wrong = auto_top_up_form is not None or budget_form is not None
    return render(request, "billing/settings.html", context, status=422 if is_wrong else 200)


def _auto_top_up_form(organisation: Organisation, data: Any = None) -> AutoTopUpForm:
    saved = auto_top_up.settings_of(organisation.pk)
    offers = offers_for(organisation)
    smallest = offers[0] if offers else None
    initial = {
        "is_on": saved.is_on,
        "threshold": _number(saved.threshold_micro or 100 * 1_000_000),
        "bundle": saved.bundle.slug if saved.bundle else smallest and smallest.bundle.slug,
        "monthly_ceiling": (saved.monthly_ceiling_minor or (smallest.amount_minor * 4 if smallest else 0)) // 100,
    }
    return AutoTopUpForm(
        data, initial=initial, offers=offers, currency=currency_of(organisation), prefix="top_up", auto_id="top-up-%s"
    )


def _budget_form(organisation: Organisation) -> BudgetForm:
    saved = low_balance.budget_of(organisation.pk)
    thresholds = [_number(int(micro)) for micro in saved.low_balance_thresholds_micro]
    cap = saved.monthly_cap_micro
    return BudgetForm(
        initial={"thresholds": ", ".join(thresholds), "monthly_cap": None if cap is None else _number(cap)}
    )


def _label_of(offer: Offer) -> str:
    return f"{offer.bundle.name}: {offer.bundle.credits:,} credits for {money(offer.amount_minor, offer.currency)}"


def _threshold_micro(word: str) -> int:
    try:
        amount = Decimal(word.replace(" ", ""))
        if not 0 < amount <= _MOST_CREDITS:
            raise ValueError
        return micro_of(amount)
    except (ArithmeticError, ValueError):
        raise forms.ValidationError("Write amounts of credits, separated by commas: 200, 50") from None


def _number(amount_micro: int) -> str:
    """The amount in credits as it would be typed: `200`, `0.5`."""
    return f"{credits_of(amount_micro).normalize():f}"
