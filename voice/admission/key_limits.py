"""How much a key's holder may do in a minute, and what is left of its budgets."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django_ratelimit.core import get_usage

from accounts.models import ApiKey
from voice.admission.key_holders import Holder
from voice.admission.networks import network_of
from voice.admission.refusals import Refusal
from voice.catalogue.ceilings import remaining_of_key_micro, remaining_of_secret_micro
from voice.models import ClientSecret

# Wrong keys from one network, before it is told to wait: guessing is hopeless, but each guess costs a look-up.
_WRONG_KEYS = "60/m"


class TooManyRequests(Refusal):
    """`window`: what the key allows in a minute, none of which is left."""

    def __init__(self, window: "Window") -> None:
        super().__init__("rate_limit_exceeded", retry_after_s=window.reset_s)
        self.window = window


@dataclass(frozen=True, slots=True)
class Window:
    """How many requests a minute allows, how many are left of them, and in how many seconds they are full again."""

    limit: int
    remaining: int
    reset_s: int


def count_request(holder: Holder) -> Window:
    """Count one request of a key, those of its client secrets among them. Raises Refusal beyond its limit."""
    limit = holder.requests_per_minute or settings.API_REQUESTS_PER_MINUTE
    usage = _usage("api_requests", holder.api_key_id.hex, f"{limit}/m")
    window = Window(limit, max(0, limit - usage["count"]), max(1, int(usage["time_left"])))
    if usage["should_limit"]:
        raise TooManyRequests(window)
    return window


def count_wrong_key(client_ip: str) -> None:
    """Count a refused key of a network. Raises Refusal when it has sent too many."""
    usage = _usage("wrong_api_keys", network_of(client_ip), _WRONG_KEYS)
    if usage["should_limit"]:
        raise Refusal("too_many_attempts", retry_after_s=max(1, int(usage["time_left"])))


def check_budgets(key: ApiKey, secret: ClientSecret | None, needed_micro: int, now: datetime) -> bool:
    """Return whether anything but the wallet limits the holder; raises Refusal when too little of it is left.

    Exact only while the rows of the key and the secret are locked.
    """
    left_micro = remaining_of_key_micro(key, now)
    if left_micro is not None and left_micro < needed_micro:
        raise Refusal("api_key_budget_reached")
    secret_left_micro = remaining_of_secret_micro(secret) if secret else None
    if secret_left_micro is not None and secret_left_micro < needed_micro:
        raise Refusal("client_secret_used_up")
    return left_micro is not None or secret_left_micro is not None


def locked(api_key_id: UUID, client_secret_id: UUID | None) -> tuple[ApiKey, ClientSecret | None]:
    """Return the rows of a holder, locked against others who claim of the same budgets, in the order all lock them."""
    key = ApiKey.objects.select_for_update(no_key=True, of=("self",)).select_related("organisation").get(id=api_key_id)
    if client_secret_id is None:
        return key, None
    return key, ClientSecret.objects.select_for_update(no_key=True, of=("self",)).get(id=client_secret_id)


def _usage(group: str, key: str, rate: str) -> dict[str, int]:
    usage = get_usage(None, group=group, key=lambda *_: key, rate=rate, increment=True)
    if usage is None or usage["time_left"] < 0:  # the counters could not be read
        raise Refusal("unavailable")
    counted: dict[str, int] = usage
    return counted
