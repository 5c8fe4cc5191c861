"""manage.py queue_status [--late-after-s 300]: what waits for the worker; exits 1 when something is late."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from outbox.status import Backlog, backlogs, tasks_in_broker


class Command(BaseCommand):
    help = "Shows what waits for the worker, kind by kind. Exits 1 when something is late, or the broker is away."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--late-after-s", type=int, default=300, help="what counts as late (default 300)")

    def handle(self, *args: Any, late_after_s: int, **options: Any) -> None:
        found = backlogs(timezone.now())
        if found:
            self.stdout.write(f"{'kind':40} {'pending':>8} {'late':>8} {'given up':>9}  last error")
        for backlog in found:
            self.stdout.write(_line(backlog))
        if not found:
            self.stdout.write("Nothing is pending, nothing was given up.")
        self.stdout.write(f"Tasks in the broker: {self._tasks()}.")
        if any(backlog.late_s > late_after_s for backlog in found):
            raise CommandError("The worker is behind, or away.")

    def _tasks(self) -> int:
        try:
            return tasks_in_broker()
        except OSError as error:
            raise CommandError(f"The broker cannot be reached: {error}.") from None


def _line(backlog: Backlog) -> str:
    counts = f"{backlog.pending:>8} {f'{backlog.late_s} s':>8} {backlog.given_up:>9}"
    return f"{backlog.kind:40} {counts}  {backlog.error}".rstrip()
