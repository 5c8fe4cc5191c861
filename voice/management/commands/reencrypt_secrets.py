"""manage.py reencrypt_secrets: move every secret at rest to the newest of ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.encryption import NotDecryptable
from config.reencryption import reencrypt_everything


class Command(BaseCommand):
    help = "Encrypts every stored secret with the newest of ENCRYPTION_KEYS; the older ones can be dropped afterwards."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = reencrypt_everything()
        except NotDecryptable as error:
            raise CommandError("A secret needs a key that is not among ENCRYPTION_KEYS any more.") from error
        self.stdout.write(f"{count} rows encrypted with the newest key.")
