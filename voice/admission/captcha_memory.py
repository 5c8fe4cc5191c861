"""A solved CAPTCHA is remembered for a short while, so that a second call does not ask again."""

from django.conf import settings
from django.core import signing

from accounts import captcha
from voice.admission.networks import network_of
from voice.admission.refusals import Refusal

COOKIE = "parley_person"
_SALT = "voice.admission.captcha_memory"


def remember(client_ip: str) -> str:
    """Return the cookie's value: that somebody in this network solved one now."""
    return signing.dumps(network_of(client_ip), salt=_SALT)


def is_remembered(cookie: str, client_ip: str) -> bool:
    try:
        network = signing.loads(cookie, salt=_SALT, max_age=settings.CAPTCHA_REMEMBERED_S)
    except signing.BadSignature:
        return False
    # Bound to the network: a cookie that is passed around opens no door elsewhere.
    return bool(network == network_of(client_ip))


class PersonCheck:
    """One caller's CAPTCHA. `newly_solved` tells that the answer was used up, and should be remembered."""

    def __init__(self, *, payload: str, cookie: str, client_ip: str) -> None:
        self._payload, self._cookie, self._client_ip = payload, cookie, client_ip
        self.newly_solved = False

    def require(self) -> None:
        """Raises Refusal unless a CAPTCHA was solved now or lately."""
        if self._cookie and is_remembered(self._cookie, self._client_ip):
            return
        if not self._payload:
            raise Refusal("captcha_required")
        try:
            captcha.verify(self._payload, self._client_ip)
        except captcha.CaptchaReused:
            raise Refusal("captcha_reused") from None
        except captcha.CaptchaFailed:
            raise Refusal("captcha_failed") from None
        except captcha.CaptchaUnavailable:
            raise Refusal("captcha_unavailable") from None
        self.newly_solved = True
