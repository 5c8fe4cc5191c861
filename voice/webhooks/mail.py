"""The mail that tells owners and admins that an endpoint was switched off."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string

from accounts.emails import public_link
from accounts.models import Membership, Role
from outbox import messages as outbox
from voice.models import WebhookEndpoint

KIND = "webhook_mail"
_KEEP_TRYING = timedelta(days=4)
_TOLD = (Role.OWNER, Role.ADMIN)


def put_switched_off(endpoint: WebhookEndpoint) -> None:
    """Have everybody told who can switch it on again; in the caller's transaction. `endpoint` is as it is stored."""
    endpoint.refresh_from_db()
    when = endpoint.disabled_at.isoformat() if endpoint.disabled_at else ""
    members = Membership.objects.filter(
        organisation_id=endpoint.organisation_id, role__in=_TOLD, user__is_active=True
    ).order_by("pk")
    for member_id in members.values_list("pk", flat=True):
        payload = {"endpoint_id": str(endpoint.pk), "membership_id": member_id}
        outbox.put(KIND, f"webhook_mail:{endpoint.pk}:{when}:{member_id}", payload)


def send(payload: outbox.Payload) -> None:
    """Render and send one mail; nothing when its reader has left or the endpoint is gone or on again.

    Raises OSError (SMTPException included) when it cannot be sent.
    """
    endpoint = WebhookEndpoint.objects.select_related("organisation").filter(pk=UUID(payload["endpoint_id"])).first()
    member = Membership.objects.select_related("user").filter(pk=payload["membership_id"], role__in=_TOLD).first()
    if endpoint is None or endpoint.is_active or member is None:
        return
    context = {
        "endpoint": endpoint,
        "organisation": endpoint.organisation,
        "link": public_link("console:webhook", endpoint.pk),
    }
    subject = " ".join(render_to_string("voice/email/webhook_switched_off_subject.txt", context).split())
    body = render_to_string("voice/email/webhook_switched_off_message.txt", context)
    send_mail(subject, body, settings.DEFAULT_FROM_EMAIL, [member.user.email])


outbox.register(KIND, send, keep_trying=_KEEP_TRYING)
