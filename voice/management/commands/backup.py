"""manage.py backup FOLDER: a consistent copy of the database, taken while calls go on (docs/backup.md)."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.backup import BackupFailed, back_up


class Command(BaseCommand):
    help = "Writes a backup into a new folder inside FOLDER. The keys are not in it: keep them elsewhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, folder: Path, **options: Any) -> None:
        try:
            made, manifest = back_up(folder)
        except BackupFailed as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{made}: {manifest.file}, {manifest.bytes:,} bytes")
        self.stdout.write(
            f"Its secrets are encrypted with key {manifest.keys[0]}, which is not in it: keep it elsewhere."
        )
