"""The console's pages about the API: keys, shown once, and how each client is pointed here."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.api_keys import MOST_A_MINUTE, MOST_CALLS, create_key, revoke_key
from accounts.exceptions import InvalidKeySetting
from accounts.models import ApiKey, Scope
from accounts.permissions import MemberRequest, admin_required, member_required
from billing.ledger import MICRO
from voice.catalogue.ceilings import used_of_key_micro
from voice.models import CatalogueModel
from voice.views.snippets import snippets_for

_LASTS = [("", "Until it is revoked"), ("30", "30 days"), ("90", "90 days"), ("365", "A year")]
# What stands where a key goes as long as there is none.
_NO_KEY = "sk_parley_…"
_FIELDS = {"monthly_budget": "monthly_credits", "expires_at": "days"}


class KeyForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="Where it is used: a server, a website.")
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=Scope.choices,
        initial=list(Scope.values),
        widget=forms.CheckboxSelectMultiple,
    )
    monthly_credits = forms.IntegerField(
        label="Credits a month", required=False, min_value=0, max_value=10**9, help_text="Empty: as the wallet allows."
    )
    requests_per_minute = forms.IntegerField(
        label="Requests a minute", required=False, min_value=1, max_value=MOST_A_MINUTE
    )
    concurrent_calls = forms.IntegerField(
        label="Calls at the same time", required=False, min_value=1, max_value=MOST_CALLS
    )
    days = forms.ChoiceField(label="How long it is good", choices=_LASTS, required=False)
    allowed_models = forms.MultipleChoiceField(
        label="Models it may use", required=False, widget=forms.CheckboxSelectMultiple, help_text="None chosen: all."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        default = settings.API_REQUESTS_PER_MINUTE
        self.fields["requests_per_minute"].help_text = f"Empty: {default}."
        self.fields["concurrent_calls"].help_text = "Empty: as many as your organisation may."
        models = CatalogueModel.objects.exclude(slug__startswith="parley-").values_list("slug", "name")
        self.fields["allowed_models"].choices = list(models)  # type: ignore[attr-defined]

    def create(self, request: MemberRequest) -> tuple[ApiKey, str]:
        """Raises InvalidKeySetting."""
        typed = self.cleaned_data
        credits = typed["monthly_credits"]
        return create_key(
            request.organisation,
            name=typed["name"],
            scopes=typed["scopes"],
            allowed_models=typed["allowed_models"],
            monthly_budget_micro=None if credits is None else credits * MICRO,
            requests_per_minute=typed["requests_per_minute"],
            concurrent_calls=typed["concurrent_calls"],
            expires_at=timezone.now() + timedelta(days=int(typed["days"])) if typed["days"] else None,
            by=request.user,
        )


@dataclass(frozen=True, slots=True)
class KeyRow:
    key: ApiKey
    used_micro: int
    may: str


@member_required
@require_safe
def keys(request: MemberRequest) -> HttpResponse:
    """Every key of the organisation, those in use first, and the lines that point a client here."""
    now = timezone.now()
    rows = [
        KeyRow(key, used_of_key_micro(key, now), ", ".join(key.scopes))
        for key in sorted(request.organisation.api_keys.all(), key=lambda key: not key.is_usable)
    ]
    newest = next((row.key for row in rows if row.key.is_usable), None)
    context = {
        "rows": rows,
        "snippets": snippets_for(
            host=request.get_host(),
            is_secure=request.is_secure(),
            key=f"{newest.prefix}_…" if newest else _NO_KEY,
            model=settings.DEFAULT_REALTIME_MODEL,
        ),
        "key": newest,
        "is_secure": request.is_secure(),
    }
    return render(request, "voice/keys.html", context)


@never_cache
@admin_required
@require_http_methods(["GET", "POST"])
def create(request: MemberRequest) -> HttpResponse:
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            key, text = form.create(request)
        except InvalidKeySetting as error:
            field = _FIELDS.get(error.field, error.field)
            form.add_error(field if field in form.fields else None, error.message)
        else:
            return render(request, "voice/key_made.html", {"key": key, "text": text})
    return render(request, "voice/key_form.html", {"form": form}, status=422 if form.errors else 200)


@admin_required
@require_POST
def revoke(request: MemberRequest, key_id: UUID) -> HttpResponse:
    key = get_object_or_404(request.organisation.api_keys, pk=key_id)
    revoke_key(key)
    messages.success(request, f"{key.name} is revoked. Its calls have ended.")
    return redirect("console:keys")
