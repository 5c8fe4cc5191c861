"""manage.py resume_calls: calls may start again."""

from typing import Any

from django.core.management.base import BaseCommand

from voice.sessions.orders.pausing import resume_calls


class Command(BaseCommand):
    help = "Ends the pause of all calls."

    def handle(self, *args: Any, **options: Any) -> None:
        resume_calls()
        self.stdout.write("Calls may start again.")
