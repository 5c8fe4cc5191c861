from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import api_keys
from accounts.api_keys import authenticate, create_key, key_with_prefix, revoke_key
from accounts.exceptions import InvalidKeySetting, KeyRefused
from accounts.models import ApiKey, Scope
from accounts.organisations import resume_organisation, suspend_organisation
from accounts.signals import api_key_revoked
from tests.factories import make_organisation


@pytest.fixture
def organisation(db):
    return make_organisation()


def refusal(text):
    with pytest.raises(KeyRefused) as raised:
        authenticate(text)
    return raised.value.code


def test_a_key_opens_for_its_own_organisation(organisation):
    key, text = create_key(organisation, name="Website")
    assert text.startswith(f"{key.prefix}_") and key.prefix.startswith("sk_parley_")
    assert authenticate(text).organisation == organisation


def test_its_text_is_kept_nowhere(organisation):
    _, text = create_key(organisation, name="Website")
    row = ApiKey.objects.values().get()
    assert text.rpartition("_")[2] not in str(row)


def test_without_words_a_key_may_do_everything(organisation):
    key, _ = create_key(organisation, name="Website")
    assert (key.scopes, key.allowed_models, key.monthly_budget_micro) == (list(Scope.values), [], None)


@pytest.mark.parametrize(
    "change", ["", "x", "sk_parley_", "sk_parley_aaaaaaaa_" + "b" * 43, "Bearer x", "\x00", "ä" * 62]
)
def test_what_is_no_key_opens_nothing(organisation, change):
    create_key(organisation, name="Website")
    assert refusal(change) == "invalid_api_key"


def test_a_right_prefix_with_another_secret_opens_nothing(organisation):
    _, text = create_key(organisation, name="Website")
    assert refusal(text[:-1] + ("a" if text[-1] != "a" else "b")) == "invalid_api_key"
    assert refusal(text + "a") == "invalid_api_key"


def test_a_revoked_key_opens_nothing_from_then_on(organisation):
    key, text = create_key(organisation, name="Website")
    revoke_key(key)
    assert refusal(text) == "api_key_revoked"


def test_revoking_is_announced_once(organisation):
    key, _ = create_key(organisation, name="Website")
    heard = []

    def listen(api_key_id, **_):
        heard.append(api_key_id)

    api_key_revoked.connect(listen)
    try:
        revoke_key(key)
        revoke_key(key)
    finally:
        api_key_revoked.disconnect(listen)
    assert heard == [key.pk]


def test_a_key_ends_when_its_time_is_up(organisation, monkeypatch):
    later = timezone.now() + timedelta(hours=1)
    _, text = create_key(organisation, name="Website", expires_at=later)
    assert authenticate(text)
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refusal(text) == "api_key_expired"


def test_a_suspended_organisations_keys_open_nothing(organisation):
    _, text = create_key(organisation, name="Website")
    suspend_organisation(organisation, "Unpaid", None)
    assert refusal(text) == "organisation_suspended"
    resume_organisation(organisation, "Paid", None)
    assert authenticate(text)


def test_its_use_is_noted_at_most_once_a_minute(organisation):
    _, text = create_key(organisation, name="Website")
    first = authenticate(text).last_used_at
    assert ApiKey.objects.get().last_used_at == first == authenticate(text).last_used_at
    long_ago = timezone.now() - timedelta(minutes=1)
    ApiKey.objects.update(last_used_at=long_ago)
    authenticate(text)
    assert ApiKey.objects.get().last_used_at > long_ago


@pytest.mark.parametrize(
    ("field", "setting"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "x" * 81}),
        ("name", {"name": "a\nb"}),
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": ["realtime", "everything"]}),
        ("allowed_models", {"allowed_models": [f"model-{n}" for n in range(51)]}),
        ("allowed_models", {"allowed_models": ["x" * 81]}),
        ("monthly_budget", {"monthly_budget_micro": -1}),
        ("requests_per_minute", {"requests_per_minute": 0}),
        ("concurrent_calls", {"concurrent_calls": 0}),
        ("expires_at", {"expires_at": timezone.now() - timedelta(days=1)}),
    ],
)
def test_a_key_that_could_not_work_is_not_made(organisation, field, setting):
    with pytest.raises(InvalidKeySetting) as raised:
        create_key(organisation, **{"name": "Website", **setting})
    assert raised.value.field == field
    assert not ApiKey.objects.exists()


def test_an_organisation_has_no_end_of_keys_only_of_live_ones(organisation, monkeypatch):
    monkeypatch.setattr(api_keys, "MOST_KEYS", 1)
    key, _ = create_key(organisation, name="One")
    with pytest.raises(InvalidKeySetting):
        create_key(organisation, name="Two")
    revoke_key(key)
    assert create_key(organisation, name="Two")


def test_a_key_is_found_by_what_is_visible_of_it(organisation):
    key, text = create_key(organisation, name="Website")
    assert key_with_prefix(key.prefix) == key_with_prefix(key.prefix.removeprefix("sk_parley_")) == key
    assert key_with_prefix("aaaaaaaa") is None
