"""How often calls may be started: counters by caller's network and by agent, in django-ratelimit's windows."""

from uuid import UUID

from django.conf import settings
from django_ratelimit.core import get_usage

from voice.admission.networks import network_of
from voice.admission.refusals import Refusal

# Resume tokens that are none.
_RESUMES = ["60/m"]
# Every request, also those refused before they count as a start: a CAPTCHA to check costs work of ours or Google's.
_ATTEMPTS = ["60/m"]
_CHALLENGES = ["60/m"]


def count_attempt(client_ip: str) -> None:
    """Raises Refusal when a network asks too often, whatever it asks."""
    _count("call_attempts", network_of(client_ip), _ATTEMPTS, "too_many_attempts")


def count_challenge(client_ip: str) -> None:
    """Raises Refusal when a network wants too many CAPTCHAs."""
    _count("captcha_challenges", network_of(client_ip), _CHALLENGES, "too_many_attempts")


def count_wrong_resume(client_ip: str) -> None:
    """Raises Refusal when a network tries too many resume tokens that are none."""
    _count("wrong_resumes", network_of(client_ip), _RESUMES, "too_many_attempts")


def count_start(client_ip: str, agent_id: UUID) -> None:
    """Count a call that is about to start; raises Refusal when its network or its agent has too many."""
    _count("call_starts", network_of(client_ip), settings.CALL_STARTS_PER_IP, "too_many_calls")
    _count("agent_call_starts", agent_id.hex, settings.CALL_STARTS_PER_AGENT, "agent_too_many_calls")


def _count(group: str, key: str, rates: list[str], code: str) -> None:
    # In the order of the settings, shortest first: what a minute's limit refuses does not also use up the day's.
    for rate in rates:
        usage = get_usage(None, group=group, key=lambda *_: key, rate=rate, increment=True)
        if usage is None or usage["time_left"] < 0:  # the counters could not be read
            raise Refusal("unavailable")
        if usage["should_limit"]:
            raise Refusal(code, retry_after_s=max(1, int(usage["time_left"])))
