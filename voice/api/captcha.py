"""GET captcha/challenge: a fresh proof of work for the ALTCHA widget."""

from django.http import HttpRequest, HttpResponse, JsonResponse

from accounts import captcha
from accounts.client_ip import client_ip_of
from voice.admission import ip_limits
from voice.api.endpoints import endpoint


@endpoint("GET")
def challenge(request: HttpRequest) -> HttpResponse:
    ip_limits.count_challenge(client_ip_of(request))
    return JsonResponse(captcha.challenge())
