"""The operator's form for giving money back."""

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

REASON_CHARS = 300
MINOR_DECIMALS = 2


class RefundForm(forms.Form):
    amount = forms.DecimalField(decimal_places=MINOR_DECIMALS, max_digits=14, min_value=Decimal("0.01"))
    reason = forms.CharField(
        max_length=REASON_CHARS,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Kept here for you; the customer sees only that it was refunded.",
    )
    # Made with the form, so that sending it twice refunds once.
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, refundable_minor: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._refundable_minor = refundable_minor

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        if amount.scaleb(MINOR_DECIMALS) > self._refundable_minor:
            raise ValidationError("That is more than is left of what was paid.")
        return amount

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        if not reason.isprintable():
            raise ValidationError("One line of printable characters, please.")
        return reason

    @property
    def amount_minor(self) -> int:
        """The amount of a valid form in paise or cents."""
        return int(self.cleaned_data["amount"].scaleb(MINOR_DECIMALS))
