"""What voice's admin pages share: the page that asks "are you sure?", and the history of who did it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model
from django.http import HttpRequest
from django.template.response import TemplateResponse

from config.model_admin import ModelAdmin


def log_changes(request: HttpRequest, rows: Sequence[Model], message: str) -> None:
    """Write down who did it, for the rows' history and the front page."""
    assert request.user.pk is not None  # the admin lets nobody else in
    LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, change_message=message)


def is_confirmed(request: HttpRequest) -> bool:
    """Say whether the request comes from the page below rather than from the list."""
    return request.method == "POST" and request.POST.get("confirmed") == "yes"


def confirmation_page(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    *,
    title: str,
    explanation: str,
    button: str,
    back_url: str,
    is_destructive: bool = True,
    listed: Iterable[object] = (),
    warning: str = "",
    form: forms.Form | None = None,
    action: str = "",
    selected: Iterable[Model] = (),
) -> TemplateResponse:
    """Ask before an action. `action` and `selected` repeat what the list posted; empty for a page of its own."""
    context: Mapping[str, object] = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "explanation": explanation,
        "button": button,
        "back_url": back_url,
        "is_destructive": is_destructive,
        "listed": list(listed),
        "warning": warning,
        "form": form,
        "action": action,
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "selected_ids": [row.pk for row in selected],
    }
    return TemplateResponse(request, "admin/parley/confirm.html", dict(context))
