"""manage.py restore FOLDER: put a backup in the place of the database, and keep what was there (docs/backup.md)."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.backup import BackupFailed, key_fingerprints, read_manifest, restore


class Command(BaseCommand):
    help = "Restores what `backup` made. Stop every web server, worker and beat first. Nothing is overwritten."
    # They would ask the very database that is to be replaced.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="One that `backup` made: it holds manifest.json.")
        parser.add_argument(
            "--without-its-key", action="store_true", help="although the secrets in it cannot be read here"
        )

    def handle(self, *args: Any, folder: Path, without_its_key: bool, **options: Any) -> None:
        try:
            manifest = read_manifest(folder)
            if not without_its_key and manifest.keys[0] not in key_fingerprints():
                raise CommandError(
                    f"Its secrets are encrypted with key {manifest.keys[0]}, which is not among those here: set "
                    "SECRET_KEY or ENCRYPTION_KEYS as they were, or lose these secrets with --without-its-key."
                )
            kept = restore(folder)
        except BackupFailed as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Restored what was there at {manifest.made_at}.")
        if kept:
            self.stdout.write(f"The database that was there before is kept: {kept}")
        self.stdout.write("Next: manage.py migrate, then manage.py audit_ledger.")
