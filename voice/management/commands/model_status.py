"""manage.py model_status [SLUG STATUS] [--note TEXT] [--until TIME]: what a model is offered as, for everybody, now."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from voice.catalogue.status_log import NewStatus, set_status
from voice.management.one_line import one_line
from voice.models import CatalogueModel, ModelHealth, ModelStatus
from voice.sessions.orders.control import move_calls_of

ACTOR = "model_status"


class Command(BaseCommand):
    help = "Switches a model, effective with the next call; without a status it lists what is offered as what."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", nargs="?", help="The model.")
        parser.add_argument("status", nargs="?", choices=ModelStatus.values)
        parser.add_argument("--note", default="", help="What callers are told.")
        parser.add_argument("--until", default="", help="When it is expected back: 2026-11-22T18:00, or with +05:30.")
        parser.add_argument("--by", default=ACTOR, help="Who switches it, for the log.")
        parser.add_argument("--move-calls", action="store_true", help="Its live calls go on with what stands in, now.")

    def handle(self, *args: Any, slug: str | None, status: str | None, **options: Any) -> None:
        if slug is None or status is None:
            self._list(slug)
            return
        note = one_line("--note", options["note"])
        if options["move_calls"] and not settings.REDIS_URL:
            # The message would stay in this process.
            raise CommandError("Without REDIS_URL live calls are moved in the admin: Models, “Move live calls now”.")
        model = _find(slug)
        before = model.status
        set_status([model.pk], NewStatus(status, note, _moment(options["until"])), who=options["by"])
        self.stdout.write(f"{slug}: {before} before, {status} now.")
        if options["move_calls"]:
            if not move_calls_of(slug):
                raise CommandError("Its live calls could not be told: Redis does not answer. Its status is changed.")
            self.stdout.write("Its live calls were told to go on with another model.")

    def _list(self, slug: str | None) -> None:
        models = [_find(slug)] if slug else CatalogueModel.objects.order_by("kind", "slug")
        down = {health.model_id: health for health in ModelHealth.objects.exclude(opened_at=None)}
        for model in models:
            self.stdout.write(_line(model, down.get(model.pk)))


def _line(model: CatalogueModel, down: ModelHealth | None) -> str:
    until = f" until {_clock(model.expected_back_at)}" if model.expected_back_at else ""
    shutdown = f"  shut down on {model.shutdown_on}" if model.shutdown_on else ""
    kept_away = f"  NOT ANSWERING since {_clock(down.opened_at)}: {down.last_failure_code}" if down else ""
    return f"{model.slug:28} {model.kind:14} {model.status}{until}{shutdown}{kept_away}"


def _clock(moment: datetime | None) -> str:
    return f"{timezone.localtime(moment):%Y-%m-%d %H:%M}" if moment else "–"


def _find(slug: str) -> CatalogueModel:
    model = CatalogueModel.objects.filter(slug=slug).first()
    if model is None:
        raise CommandError(f"There is no model {slug!r}. Without arguments this lists them.")
    return model


def _moment(text: str) -> datetime | None:
    """Return the moment that `text` names, in the server's time zone unless it names one. Raises CommandError."""
    if not text:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError("--until is a date and a time: 2026-11-22T18:00.")
    moment = moment if timezone.is_aware(moment) else timezone.make_aware(moment)
    if moment <= timezone.now():
        raise CommandError("--until has passed.")
    return moment
