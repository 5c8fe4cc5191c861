"""The ledger page: every movement of the wallet, filtered, in pages, and as a CSV file."""

import codecs
import csv
from datetime import date
from itertools import islice

from django import forms
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.permissions import MemberRequest, member_required
from billing.bundles import currency_of
from billing.statements import KINDS, EntryFilter, csv_rows, entries_matching

_ENTRIES_A_PAGE = 50
# About ten megabytes; who has more asks for a year at a time.
_MOST_ROWS = 100_000
_FIRST_YEAR, _LAST_YEAR = 2000, 2999


class LedgerFilter(forms.Form):
    """What the ledger is narrowed to; a value that means nothing narrows nothing."""

    kind = forms.ChoiceField(choices=[("", "Any kind"), *KINDS], required=False)
    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def chosen(self) -> EntryFilter:
        self.is_valid()
        days = {name: self.cleaned_data.get(name) for name in ("since", "until")}
        return EntryFilter(
            kind=self.cleaned_data.get("kind", ""),
            **{name: day for name, day in days.items() if day and _FIRST_YEAR <= day.year <= _LAST_YEAR},
        )


@member_required
@require_safe
def ledger_page(request: MemberRequest) -> HttpResponse:
    form = LedgerFilter(request.GET)
    narrowed = form.chosen()
    page = Paginator(entries_matching(request.organisation.pk, narrowed), _ENTRIES_A_PAGE).get_page(
        request.GET.get("page")
    )
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "form": form,
        "page": page,
        "is_filtered": narrowed.is_on,
        "query": query.urlencode(),
        "currency": currency_of(request.organisation),
    }
    return render(request, "billing/ledger.html", context)


@member_required
@require_safe
def ledger_csv(request: MemberRequest) -> HttpResponse:
    """Hand over the entries that the filter lets through, latest first, at most _MOST_ROWS."""
    narrowed = LedgerFilter(request.GET).chosen()
    # A spreadsheet that is not told by these bytes reads UTF-8 as something else.
    response = HttpResponse(codecs.BOM_UTF8, content_type="text/csv; charset=utf-8")
    csv.writer(response).writerows(islice(csv_rows(request.organisation.pk, narrowed), _MOST_ROWS + 1))
    response["Content-Disposition"] = f'attachment; filename="{_file_name(timezone.localdate())}"'
    response["Cache-Control"] = "no-store"
    return response


def _file_name(today: date) -> str:
    return f"parley-ledger-{today:%Y-%m-%d}.csv"
