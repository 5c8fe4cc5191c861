from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.api_keys import create_key, revoke_key
from accounts.exceptions import KeyRefused
from accounts.models import ApiKey
from tests.voice.conftest import CREDIT
from voice.admission.key_holders import authenticate_bearer, create_client_secret
from voice.admission.key_limits import count_request, count_wrong_key
from voice.admission.refusals import Refusal
from voice.models import ClientSecret


@pytest.fixture
def key(organisation):
    return create_key(organisation, name="Website", requests_per_minute=3, concurrent_calls=2)


@pytest.fixture
def secret(key):
    """Make a client secret of the key and return its text."""

    def make(**bounds):
        holder = authenticate_bearer(key[1])
        return create_client_secret(
            holder,
            **{"model": "gpt-realtime-mini", "session": {"instructions": "Be kind."}, "lifetime_s": 600, **bounds},
        )[1]

    return make


def refusal(text, **given):
    with pytest.raises(KeyRefused) as raised:
        authenticate_bearer(text, **given)
    return raised.value.code


def test_a_keys_holder_has_its_limits(organisation, key):
    holder = authenticate_bearer(key[1])
    assert (holder.organisation_id, holder.api_key_id, holder.client_secret_id) == (organisation.pk, key[0].pk, None)
    assert (holder.requests_per_minute, holder.concurrent_calls, holder.credits_cap_micro) == (3, 2, None)


def test_a_client_secret_opens_calls_of_one_model_and_nothing_else(secret, key):
    text = secret(credits_cap_micro=5 * CREDIT, max_duration_s=120)
    holder = authenticate_bearer(text)
    assert text.startswith("ek_") and holder.api_key_id == key[0].pk
    assert (holder.scopes, holder.allowed_models) == ({"realtime"}, ("gpt-realtime-mini",))
    assert (holder.credits_cap_micro, holder.max_duration_s) == (5 * CREDIT, 120)
    assert holder.session == {"instructions": "Be kind."}
    with pytest.raises(Refusal, match="scope_missing"):
        holder.require("chat")


def test_the_text_of_a_client_secret_is_kept_nowhere(secret):
    text = secret()
    assert text.removeprefix("ek_") not in str(ClientSecret.objects.values().get())


def test_a_client_secret_ends_after_its_seconds(secret):
    text = secret(lifetime_s=10)
    ClientSecret.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refusal(text) == "api_key_expired"


def test_a_client_secret_falls_with_its_key(secret, key):
    text = secret()
    revoke_key(key[0])
    assert refusal(text) == "api_key_revoked"


def test_a_client_secret_may_be_bound_to_pages(secret):
    text = secret(origins=["https://shop.example:443"])
    assert authenticate_bearer(text, origin="https://Shop.example")
    assert refusal(text, origin="https://evil.example") == "origin_not_allowed"
    assert refusal(text) == "origin_not_allowed"


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["", "ek_", "ek_x", "sk_x", "x" * 10_000, "ek_\x00"])
def test_what_is_no_token_opens_nothing(text):
    assert refusal(text) == "invalid_api_key"


def test_requests_are_counted_by_the_key_and_its_secrets_together(secret, key):
    holders = [authenticate_bearer(key[1]), authenticate_bearer(secret())]
    assert [count_request(holders[n % 2]).remaining for n in range(3)] == [2, 1, 0]
    with pytest.raises(Refusal) as raised:
        count_request(holders[1])
    assert (raised.value.code, raised.value.status) == ("rate_limit_exceeded", 429)
    assert 1 <= raised.value.retry_after_s <= 60


def test_another_keys_requests_are_its_own(organisation, key):
    for _ in range(3):
        count_request(authenticate_bearer(key[1]))
    _, other = create_key(organisation, name="Other")
    assert count_request(authenticate_bearer(other)).limit == 600


@pytest.mark.django_db
def test_wrong_keys_of_one_network_come_to_an_end():
    for _ in range(60):
        count_wrong_key("203.0.113.7")
    with pytest.raises(Refusal, match="too_many_attempts"):
        count_wrong_key("203.0.113.7")
    count_wrong_key("203.0.113.8")


def test_a_holder_may_only_ask_for_its_models(organisation):
    _, text = create_key(organisation, name="Small", allowed_models=["gpt-realtime-mini"])
    holder = authenticate_bearer(text)
    holder.require_model("gpt-realtime-mini")
    with pytest.raises(Refusal) as raised:
        holder.require_model("gpt-realtime")
    assert raised.value.code == "model_not_allowed" and "gpt-realtime-mini" in raised.value.message
    assert ApiKey.objects.get().allowed_models == ["gpt-realtime-mini"]
