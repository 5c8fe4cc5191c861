"""The public pricing page: a worksheet that is computed by the code that bills."""

from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Organisation
from billing.bundles import currency_of
from voice.pricing.averages import AVERAGE_DAYS, averages_of
from voice.pricing.offers import models_for_sale
from voice.pricing.parameters import PARAMETERS, History
from voice.pricing.quote import CURRENCIES, NothingForSale, Quote, quote_of
from voice.views.billing_chart import Bar, stacked_bars
from voice.views.receipt import ReceiptLine

_HISTORIES = [(History.WHOLE, "The whole call"), (History.RECENT, "What was said lately")]
# What is asked first; the rest is folded away.
_FIRST = ("minutes_per_call", "calls_a_month", "peak_calls", "agent_talk_percent")


class WorksheetForm(forms.Form):
    """The worksheet's questions; what is left empty has its default."""

    def __init__(self, *args: Any, models: list[tuple[str, str]], currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for parameter in PARAMETERS:
            self.fields[parameter.name] = forms.IntegerField(
                label=parameter.label,
                help_text=parameter.help,
                initial=parameter.default,
                min_value=parameter.least,
                max_value=parameter.most,
            )
        self.fields["history"] = forms.ChoiceField(
            label="Read again before each answer",
            choices=_HISTORIES,
            help_text="Each agent has this choice, under Remembers; the whole call unless you change it.",
        )
        self.fields["model"] = forms.ChoiceField(label="Model", choices=models)
        self.fields["currency"] = forms.ChoiceField(
            label="Currency", choices=[(code, code) for code in CURRENCIES], initial=currency
        )

    @property
    def first(self) -> list[forms.BoundField]:
        return [self[name] for name in _FIRST]

    @property
    def rest(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name not in _FIRST]


@require_safe
def pricing(request: HttpRequest) -> HttpResponse:
    """Show the worksheet; for a member also what the organisation's calls really cost."""
    organisation: Organisation | None = getattr(request, "organisation", None)
    currency = currency_of(organisation or Organisation())
    form = _form(request, currency)
    quote = _quote(form, currency)
    context = {
        "form": form,
        "quote": quote,
        "bars": quote and _bars(quote),
        "items": quote and _items(quote),
        "averages": organisation and averages_of(organisation.pk),
        "captions_micro": quote and sum(line.amount_micro for line in quote.estimate.spoken.caption_lines),
        "average_days": AVERAGE_DAYS,
        "most_calls": settings.CONCURRENT_CALLS_PER_ORGANISATION,
        "sign_up_credits_micro": settings.SIGN_UP_CREDITS * 1_000_000,
    }
    return render(request, "voice/pricing.html", context)


def _form(request: HttpRequest, currency: str) -> WorksheetForm:
    models = [(model.slug, model.name) for model in models_for_sale()]
    blank = WorksheetForm(models=models, currency=currency)
    defaults = {name: blank.get_initial_for_field(field, name) for name, field in blank.fields.items()}
    defaults |= {"history": History.WHOLE, "model": models[0][0] if models else ""}
    answers = {name: value for name in defaults if (value := request.GET.get(name, ""))}
    return WorksheetForm(defaults | answers, models=models, currency=currency)


def _quote(form: WorksheetForm, currency: str) -> Quote | None:
    if not form.is_valid():
        return None
    try:
        return quote_of({name: str(value) for name, value in form.cleaned_data.items()}, currency=currency)
    except NothingForSale:
        return None


def _items(quote: Quote) -> list[ReceiptLine]:
    return [
        ReceiptLine(quote.model.slug, line.kind, line.quantity, line.micro_per_million, line.amount_micro)
        for line in quote.estimate.spoken.lines
    ]


def _bars(quote: Quote) -> list[Bar]:
    minutes = quote.estimate.spoken.minutes_micro
    return stacked_bars([(f"Minute {number}", [micro]) for number, micro in enumerate(minutes, start=1)])
