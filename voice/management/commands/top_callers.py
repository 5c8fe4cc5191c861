"""manage.py top_callers [--hours 24] [--most 10]: the networks whose calls cost most, for whoever looks for abuse."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.formatting import format_credits
from voice.admission.top_callers import Caller, top_callers

_MOST_HOURS = 24 * 30
_MOST_LINES = 200
_AGENTS_SHOWN = 3


class Command(BaseCommand):
    help = "Lists the callers' networks by what their calls cost."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=int, default=24, help="how far to look back (default 24)")
        parser.add_argument("--most", type=int, default=10, help="how many to list (default 10)")

    def handle(self, *args: Any, hours: int, most: int, **options: Any) -> None:
        if not 1 <= hours <= _MOST_HOURS or not 1 <= most <= _MOST_LINES:
            raise CommandError(f"--hours is from 1 to {_MOST_HOURS}, --most from 1 to {_MOST_LINES}.")
        found = top_callers(timezone.now() - timedelta(hours=hours), most)
        self.stdout.write(f"{'network':40} {'calls':>6} {'live':>5} {'minutes':>8} {'credits':>10}  agents")
        for caller in found:
            self.stdout.write(_line(caller))


def _line(caller: Caller) -> str:
    agents = sorted(caller.agents)
    more = f" and {len(agents) - _AGENTS_SHOWN} more" if len(agents) > _AGENTS_SHOWN else ""
    minutes, credits = caller.duration_ms // 60_000, format_credits(caller.captured_micro)
    counts = f"{caller.calls:>6} {caller.live:>5} {minutes:>8} {credits:>10}"
    return f"{caller.network:40} {counts}  {', '.join(agents[:_AGENTS_SHOWN])}{more}"
