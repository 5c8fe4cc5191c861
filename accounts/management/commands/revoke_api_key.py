"""manage.py revoke_api_key PREFIX: make a key useless at once; its live calls end."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.api_keys import key_with_prefix, revoke_key


class Command(BaseCommand):
    help = "Revokes the API key with this prefix (the part of it that stays visible)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("prefix")

    def handle(self, *args: Any, **options: Any) -> None:
        key = key_with_prefix(options["prefix"].strip())
        if key is None:
            raise CommandError("There is no key with that prefix.")
        was_revoked = key.revoked_at is not None
        revoke_key(key)
        done = "was revoked before" if was_revoked else "is revoked"
        self.stdout.write(f"{key.prefix} of {key.organisation.name} {done}.")
