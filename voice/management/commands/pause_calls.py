"""manage.py pause_calls [--message TEXT]: no call starts, and live ones end."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from voice.models import Session, SessionState
from voice.sessions.pausing import pause_calls

_LONGEST_MESSAGE = 200


class Command(BaseCommand):
    help = "Pauses all calls, as the admin's button does. Live calls end within seconds; what they used is charged."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--message", default="", help="What callers are told. Default: a general sentence.")

    def handle(self, *args: Any, message: str, **options: Any) -> None:
        message = message.strip()
        if len(message) > _LONGEST_MESSAGE or not message.isprintable():
            raise CommandError(f"--message is one line of at most {_LONGEST_MESSAGE} characters.")
        live = Session.objects.filter(state=SessionState.LIVE).count()
        pause_calls(message)
        self.stdout.write(f"All calls are paused. Live calls told to end: {live}.")
