"""The mails accounts sends of its own; allauth renders and sends the rest from templates/account/email/."""

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.models import Invitation


def public_link(name: str, *args: object) -> str:
    """Return an absolute address for a mail: from PUBLIC_URL, never from a request's Host header."""
    return settings.PUBLIC_URL + reverse(name, args=args)


def send_invitation(invitation: Invitation, secret: str) -> None:
    """Mail the only copy of the invitation's secret. Raises OSError (SMTPException included) when it cannot be sent."""
    context = {"invitation": invitation, "link": public_link("accounts:invitation", secret)}
    subject = " ".join(render_to_string("accounts/email/invitation_subject.txt", context).split())
    body = render_to_string("accounts/email/invitation_message.txt", context)
    send_mail(subject, body, settings.DEFAULT_FROM_EMAIL, [invitation.email])
