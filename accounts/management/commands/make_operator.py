"""manage.py make_operator EMAIL: make or promote an operator, who may use the admin."""

import os
from getpass import getpass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from accounts.operators import make_operator


class Command(BaseCommand):
    help = "Makes an operator, or promotes somebody. The password is asked for, or read from PARLEY_OPERATOR_PASSWORD."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].strip().lower()
        try:
            validate_email(email)
            _, made = make_operator(email, self._password())
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.stdout.write(f"{email} is {'a new' if made else 'an'} operator. Log in at /admin/.")

    def _password(self) -> str:
        given = os.environ.get("PARLEY_OPERATOR_PASSWORD", "")
        if given:
            return given
        try:
            password = getpass("Password: ")
            if getpass("Once more: ") != password:
                raise CommandError("The two passwords differ.")
        except (EOFError, KeyboardInterrupt):
            raise CommandError("No password was given. Set PARLEY_OPERATOR_PASSWORD where nobody can type.") from None
        return password
