"""manage.py pause_calls [--message TEXT]: no call starts, and live ones end."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from voice.management.one_line import one_line
from voice.models import Session, SessionState
from voice.sessions.orders.pausing import pause_calls


class Command(BaseCommand):
    help = "Pauses all calls, as the admin's button does. Live calls end within seconds; what they used is charged."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--message", default="", help="What callers are told. Default: a general sentence.")

    def handle(self, *args: Any, message: str, **options: Any) -> None:
        message = one_line("--message", message)
        live = Session.objects.filter(state=SessionState.LIVE).count()
        pause_calls(message)
        self.stdout.write(f"All calls are paused. Live calls told to end: {live}.")
