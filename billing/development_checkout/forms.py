"""What a buyer types into the hosted page."""

from typing import Any

from django import forms

from billing.development_checkout.buying import Buyer, saves_card
from billing.development_checkout.cards import CARDS
from billing.development_checkout.errors import Json

# Enough to try every way that a buyer's country matters: India, its export rules, VAT, and none of these.
COUNTRIES = {
    "": "Choose a country",
    "AU": "Australia",
    "BR": "Brazil",
    "CA": "Canada",
    "FR": "France",
    "DE": "Germany",
    "IN": "India",
    "IE": "Ireland",
    "JP": "Japan",
    "NL": "Netherlands",
    "SG": "Singapore",
    "ZA": "South Africa",
    "ES": "Spain",
    "SE": "Sweden",
    "CH": "Switzerland",
    "AE": "United Arab Emirates",
    "GB": "United Kingdom",
    "US": "United States",
}


class BuyerForm(forms.Form):
    email = forms.EmailField(max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"}))
    name = forms.CharField(max_length=150, label="Full name", widget=forms.TextInput(attrs={"autocomplete": "name"}))
    country = forms.ChoiceField(choices=list(COUNTRIES.items()), widget=forms.Select(attrs={"autocomplete": "country"}))
    line1 = forms.CharField(
        max_length=200, label="Address", required=False, widget=forms.TextInput(attrs={"autocomplete": "address-line1"})
    )
    city = forms.CharField(
        max_length=100, required=False, widget=forms.TextInput(attrs={"autocomplete": "address-level2"})
    )
    state = forms.CharField(
        max_length=100, required=False, widget=forms.TextInput(attrs={"autocomplete": "address-level1"})
    )
    postal_code = forms.CharField(
        max_length=20, required=False, widget=forms.TextInput(attrs={"autocomplete": "postal-code"})
    )
    tax_id = forms.CharField(max_length=50, label="Tax number", required=False)
    card = forms.ChoiceField(
        choices=[(card.slug, card.label) for card in CARDS.values()],
        initial="works",
        label="When it is charged later without you",
        widget=forms.RadioSelect,
    )

    def __init__(self, *args: Any, session: Json, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if session["billing_address_collection"] == "required":
            for name in ("line1", "city"):
                self.fields[name].required = True
        else:
            for name in ("line1", "city", "state"):
                del self.fields[name]
        if not session["tax_id_collection"]["enabled"]:
            del self.fields["tax_id"]
        if not saves_card(session):
            del self.fields["card"]

    def buyer(self) -> Buyer:
        typed = self.cleaned_data
        fields = ("city", "country", "line1", "postal_code", "state")
        address = {name: typed.get(name) or None for name in fields} | {"line2": None}
        return Buyer(typed["email"], typed["name"], address, typed.get("tax_id", ""), typed.get("card", "works"))


class RefundForm(forms.Form):
    amount = forms.IntegerField(
        min_value=1, max_value=99_999_999, required=False, label="Minor units (empty: the rest)"
    )
