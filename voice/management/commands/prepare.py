"""manage.py prepare: all that a new version, or a new installation, needs done before it is started. Safe to repeat.

In one process, because whoever restarts it has callers waiting: to load the program takes longer than all of this.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Migrates the database and seeds it. Repeating it changes nothing that is there."
    # They are made by migrate, of the database too.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--static", action="store_true", help="collect the pages' static files, too")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, skip_checks=False, stdout=self.stdout)
        call_command("seed", stdout=self.stdout)
        if options["static"]:
            call_command("collectstatic", interactive=False, stdout=self.stdout)
