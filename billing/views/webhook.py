"""Where Stripe delivers its events: prove it is Stripe, keep the event, answer, and only then act."""

import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing import event_handlers
from billing.exceptions import WebhookRefused
from billing.stripe.webhook import verify
from billing.tasks import handle_stripe_event

log = structlog.get_logger(__name__)


@csrf_exempt
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """200: the event is in our database, now or since before. 400: it is not Stripe's. Else Stripe tries again."""
    try:
        notice = verify(_body_of(request), request.headers.get("Stripe-Signature", ""))
    except WebhookRefused as error:
        event_handlers.count_refusal(error.reason)
        return HttpResponse(error.reason, status=400, content_type="text/plain")
    with transaction.atomic():
        if event_handlers.store(notice):
            # Robust: when no broker takes the task, the event is kept all the same, and the sweep finds it. No partial:
            # Django names what failed, and a partial has no name.
            transaction.on_commit(lambda: handle_stripe_event.delay(notice.event_id), robust=True)
    return HttpResponse(status=200)


def _body_of(request: HttpRequest) -> bytes:
    try:
        return request.body
    except RequestDataTooBig:
        raise WebhookRefused("too_large") from None
