"""manage.py create_organisation --name NAME --slug SLUG: an organisation with an empty wallet, for scripts."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_slug
from django.db import IntegrityError

from accounts.organisations import create_organisation

_LONGEST_NAME = 120
_LONGEST_SLUG = 60


class Command(BaseCommand):
    help = "Makes an organisation. Credits come from grant_credits, keys from create_api_key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        parser.add_argument("--slug", required=True, help="Its name in other commands: letters, digits, hyphens.")

    def handle(self, *args: Any, **options: Any) -> None:
        name, slug = options["name"].strip(), options["slug"].strip()
        if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
            raise CommandError("--name is one line of 1 to 120 characters.")
        try:
            validate_slug(slug)
        except ValidationError:
            raise CommandError("--slug has letters, digits, hyphens and underscores only.") from None
        if len(slug) > _LONGEST_SLUG:
            raise CommandError(f"--slug has at most {_LONGEST_SLUG} characters.")
        try:
            organisation = create_organisation(name, None, slug=slug)
        except IntegrityError:
            raise CommandError(f"There is an organisation with the slug {slug} already.") from None
        self.stdout.write(f"Made {organisation.name}: {organisation.pk}")
