"""The operator's forms for moving a wallet by hand."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from billing.formatting import MICRO_DECIMALS, micro_of
from billing.ledger import MAX_AMOUNT_MICRO, MAX_DESCRIPTION_CHARS

_MAX_GRANT_YEARS = 100


class AdjustmentForm(forms.Form):
    credits = forms.DecimalField(
        decimal_places=MICRO_DECIMALS,
        max_digits=len(str(MAX_AMOUNT_MICRO)),
        help_text="With a minus to take credits away: -12.50. The balance may go below zero.",
    )
    reason = forms.CharField(
        max_length=MAX_DESCRIPTION_CHARS,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="The customer can read this in the wallet's history.",
    )
    # Made with the form, so that sending it twice moves the wallet once.
    key = forms.UUIDField(widget=forms.HiddenInput)

    def clean_credits(self) -> Decimal:
        credits: Decimal = self.cleaned_data["credits"]
        if not 0 < abs(micro_of(credits)) <= MAX_AMOUNT_MICRO:
            raise ValidationError("An adjustment moves something, and at most a billion credits.")
        return credits

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        if not reason.isprintable():
            raise ValidationError("One line of printable characters, please.")
        return reason

    @property
    def amount_micro(self) -> int:
        """The signed amount of a valid form."""
        return micro_of(self.cleaned_data["credits"])

    @property
    def ledger_key(self) -> str:
        return f"adjust:{self.cleaned_data['key']}"


class GrantForm(AdjustmentForm):
    """Credits that are given: unlike an adjustment they are never negative, and may expire."""

    credits = forms.DecimalField(
        decimal_places=MICRO_DECIMALS,
        max_digits=len(str(MAX_AMOUNT_MICRO)),
        help_text="They are spent before purchased ones, and never refunded.",
    )
    last_day = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The day after which what is left of them is gone. Empty: never.",
    )
    field_order = ["credits", "last_day", "reason", "key"]

    def clean_credits(self) -> Decimal:
        credits = super().clean_credits()
        if credits < 0:
            raise ValidationError("A grant gives credits. To take some away, adjust.")
        return credits

    def clean_last_day(self) -> date | None:
        last_day: date | None = self.cleaned_data["last_day"]
        today = timezone.localdate()
        if last_day and not today <= last_day <= today + timedelta(days=365 * _MAX_GRANT_YEARS):
            raise ValidationError("A day from today on, and within a hundred years.")
        return last_day

    @property
    def expires_at(self) -> datetime | None:
        """The end of the last day, as the clock of settings.TIME_ZONE has it."""
        last_day: date | None = self.cleaned_data["last_day"]
        return timezone.make_aware(datetime.combine(last_day + timedelta(days=1), time.min)) if last_day else None

    @property
    def ledger_key(self) -> str:
        return f"grant:{self.cleaned_data['key']}"
