"""GET captcha/challenge: a fresh proof of work for the ALTCHA widget."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router

from accounts import captcha
from accounts.client_ip import client_ip_of
from voice.admission import ip_limits
from voice.api.answers import answers

router = Router(tags=["Calls"])


@router.get(
    "v1/captcha/challenge",
    url_name="captcha_challenge",
    operation_id="get_captcha_challenge",
    summary="Get a CAPTCHA",
    auth=None,
    response=answers({200: dict[str, Any]}),
)
def challenge(request: HttpRequest) -> HttpResponse:
    """A proof of work for a visitor's browser, in ALTCHA's own form."""
    ip_limits.count_challenge(client_ip_of(request))
    return JsonResponse(captcha.challenge())
