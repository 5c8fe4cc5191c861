"""The days on which providers shut models down: operators are told in time, and the day itself is written down.

Calls move by themselves (on_offer.is_gone); nothing here has to run for that.
"""

from datetime import date, timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.utils import timezone

from accounts.emails import public_link
from accounts.models import User
from outbox import messages as outbox
from voice.catalogue.on_offer import offers_to
from voice.catalogue.providers import missing_key
from voice.catalogue.status_log import SHUTDOWN_DATE, note_change
from voice.models import Agent, CatalogueModel, ModelStatus, ProviderKey, ShutdownWarning
from voice.models.catalogue import ModelKind

__all__ = ["DAYS_BEFORE", "after_shutdown", "note_shutdowns", "send", "warn_of_shutdowns"]

# Time to try the successor, time to hurry, and the last call.
DAYS_BEFORE = (60, 30, 7)
KIND = "shutdown_mail"
_KEEP_TRYING = timedelta(days=4)
# A row of ShutdownWarning for the day itself, of which the log is told and nobody mailed.
_THE_DAY = 0


@transaction.atomic
def note_shutdowns(today: date) -> None:
    """Write down, once a model and date, that calls have moved because its day has come. Safe to repeat."""
    for model in _ending().filter(shutdown_on__lte=today):
        assert model.shutdown_on is not None
        if _mark(model, model.shutdown_on, _THE_DAY):
            stand_in = after_shutdown(model)
            why = f"Calls go to {stand_in.slug}." if stand_in else "Nothing stands in for it."
            note_change(model.pk, before=model.status, after=ModelStatus.RETIRED, who=SHUTDOWN_DATE, why=why)


@transaction.atomic
def warn_of_shutdowns(today: date) -> None:
    """Have every operator told of the models that end soon: once 60, once 30 and once 7 days before each one's date.

    Of models that somebody here has a key for. A model found late gets the nearest of them only. Without an operator to
    tell, whoever becomes one is told.
    """
    operators = User.objects.filter(is_staff=True, is_active=True).order_by("pk")
    if not operators.exists():
        return
    soon = _ending().filter(shutdown_on__gt=today, shutdown_on__lte=today + timedelta(days=max(DAYS_BEFORE)))
    warned = [warning for model in soon if _may_be_asked(model) and (warning := _new_warning(model, today))]
    if warned:
        # One mail tells of all: models end together.
        ids = [warning.pk for warning in warned]
        for user_id in operators.values_list("pk", flat=True):
            outbox.put(KIND, f"{KIND}:{ids[0]}:{user_id}", {"user_id": user_id, "warning_ids": ids})


def after_shutdown(model: CatalogueModel) -> CatalogueModel | None:
    """Return what serves from a model's last day on, as things stand; None: nothing."""
    return next((found for found in offers_to(None, model.shutdown_on).on_offer(model) if found.pk != model.pk), None)


def send(payload: outbox.Payload) -> None:
    """Render and send one mail; nothing to somebody who is no operator any more, nor of dates that were moved.

    Raises OSError (SMTPException included) when it cannot be sent.
    """
    user = User.objects.filter(pk=payload["user_id"], is_staff=True, is_active=True).first()
    warnings = ShutdownWarning.objects.filter(pk__in=payload["warning_ids"]).select_related("model")
    standing = [warning for warning in warnings if warning.model.shutdown_on == warning.shutdown_on]
    if user is None or not standing:
        return
    rows = [_told(warning.model) for warning in sorted(standing, key=lambda each: each.shutdown_on)]
    context = {"rows": rows, "first": rows[0], "link": public_link("admin:voice_cataloguemodel_changelist")}
    subject = " ".join(render_to_string("voice/email/model_shuts_down_subject.txt", context).split())
    body = render_to_string("voice/email/model_shuts_down_message.txt", context)
    send_mail(subject, body, settings.DEFAULT_FROM_EMAIL, [user.email])


def _ending() -> QuerySet[CatalogueModel]:
    return CatalogueModel.objects.exclude(status=ModelStatus.RETIRED).exclude(shutdown_on=None).order_by("slug")


def _may_be_asked(model: CatalogueModel) -> bool:
    """Say whether there is a key for a model, be it an organisation's own; without one its end changes nothing."""
    if model.provider_id is None:
        # Those that run beside us have no day: it is OpenAI as the settings know it.
        return bool(settings.OPENAI_API_KEY or (model.kind == ModelKind.CHAT and settings.NOTES_API_KEY))
    own = ProviderKey.objects.filter(provider=model.provider_id).values_list("organisation_id", flat=True)
    return any(not missing_key(model, organisation_id) for organisation_id in (None, *own))


def _new_warning(model: CatalogueModel, today: date) -> ShutdownWarning | None:
    """Return the warning that is due of a model and was not given before."""
    assert model.shutdown_on is not None
    left = (model.shutdown_on - today).days
    nearest = min(days for days in DAYS_BEFORE if left <= days)
    return _mark(model, model.shutdown_on, nearest)


def _mark(model: CatalogueModel, day: date, days_before: int) -> ShutdownWarning | None:
    """Return the row that says this was done, None when it had been done before."""
    row, is_new = ShutdownWarning.objects.get_or_create(model=model, shutdown_on=day, days_before=days_before)
    return row if is_new else None


def _told(model: CatalogueModel) -> dict[str, object]:
    assert model.shutdown_on is not None
    return {
        "model": model,
        "days": (model.shutdown_on - timezone.localdate()).days,
        "stand_in": after_shutdown(model),
        "agents": Agent.objects.filter(model_slug=model.slug, is_active=True).count(),
    }


outbox.register(KIND, send, keep_trying=_KEEP_TRYING)
