"""Operators: people who run this installation and may use the admin."""

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.db import transaction

from accounts.models import User


def make_operator(email: str, password: str) -> tuple[User, bool]:
    """Make or promote the user with this address and set the password; returns the user and whether it is new.

    The address counts as verified: who can run commands on the server need not prove a mailbox to it.
    Raises ValidationError for a weak password.
    """
    with transaction.atomic():
        user = User.objects.filter(email__iexact=email).first()
        made = user is None
        user = user or User(email=email)
        validate_password(password, user)
        user.set_password(password)
        user.is_staff = user.is_superuser = user.is_active = True
        user.save()
        EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={"verified": True, "primary": True})
    return user, made
