"""The operator's form for moving a wallet by hand."""

from decimal import Decimal

from django import forms
from django.core.exceptions import ValidationError

from billing.formatting import MICRO_DECIMALS, micro_of
from billing.ledger import MAX_AMOUNT_MICRO, MAX_DESCRIPTION_CHARS


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
