"""Customers' keys and client secrets in the operator's tool: seen, never shown, and taken away at once."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.api_keys import authenticate, create_key, revoke_key
from accounts.exceptions import KeyRefused
from tests.factories import make_agent, make_user
from tests.voice.admin.test_pages import inline_code_of
from voice.admission.key_holders import authenticate_bearer, create_client_secret
from voice.models import EndReason
from voice.sessions.orders import control

KEYS, SECRETS = "/admin/accounts/apikey/", "/admin/voice/clientsecret/"


@pytest.fixture
def key(cast):
    return create_key(cast.organisation, name="Website", monthly_budget_micro=5_000_000, allowed_models=["gpt-4.1"])


@pytest.fixture
def secret(key):
    holder = authenticate_bearer(key[1])
    return create_client_secret(
        holder, model="gpt-realtime-mini", session={}, lifetime_s=600, credits_cap_micro=2_000_000,
        origins=["https://shop.example"],
    )  # fmt: skip


def press(desk, page, action, row, **fields):
    return desk.post(page, {"action": action, "_selected_action": str(row.pk), **fields})


def refusal(text):
    with pytest.raises(KeyRefused) as refused:
        authenticate_bearer(text)
    return refused.value.code


def test_no_page_shows_a_secret_or_what_is_kept_of_it(desk, key, secret):
    pages = [KEYS, f"{KEYS}{key[0].pk}/change/", SECRETS, f"{SECRETS}{secret[0].pk}/change/"]
    hidden = [key[1], key[0].secret_hash, secret[1], secret[0].secret_hash]
    for page in pages:
        answer = desk.get(page)
        assert answer.status_code == 200 and not [text for text in hidden if text in answer.text]
        assert inline_code_of(answer.text) == []


def test_a_key_says_what_it_may_and_how_much_is_left(desk, key):
    page = desk.get(f"{KEYS}{key[0].pk}/change/").text
    assert "gpt-4.1" in page and "realtime, sessions:read, chat, audio" in page and "5.00" in page


@pytest.mark.parametrize(("words", "is_found"), [("Website", True), ("Plumbing", False)])
def test_keys_are_found_by_what_an_operator_has_at_hand(desk, key, words, is_found):
    assert (key[0].prefix in desk.get(f"{KEYS}?q={words}").text) is is_found
    assert key[0].prefix in desk.get(f"{KEYS}?q={key[0].prefix}").text


@pytest.mark.parametrize("state", ["usable", "expired", "revoked"])
def test_keys_are_listed_by_their_state(desk, cast, state):
    keys = {name: create_key(cast.organisation, name=name)[0] for name in ("usable", "expired", "revoked")}
    keys["expired"].expires_at = timezone.now() - timedelta(minutes=1)
    keys["expired"].save()
    revoke_key(keys["revoked"])
    page = desk.get(f"{KEYS}?state={state}").text
    assert [name for name, row in keys.items() if row.prefix in page] == [state]


@pytest.mark.parametrize("page", [KEYS, SECRETS])
def test_nothing_is_made_changed_or_deleted_here(desk, key, secret, page):
    row = (key if page == KEYS else secret)[0]
    assert desk.get(f"{page}add/").status_code == 403
    assert desk.post(f"{page}{row.pk}/change/", {"name": "Mine"}).status_code == 403
    assert desk.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_revoking_asks_first(desk, key):
    page = press(desk, KEYS, "revoke", key[0])
    assert "Revoke 1 key?" in page.text and key[0].name in page.text
    assert authenticate(key[1]) == key[0]


def test_a_revoked_key_is_useless_and_its_calls_end(
    desk, key, secret, cast, make_live_session, monkeypatch, django_capture_on_commit_callbacks
):
    told = []
    monkeypatch.setattr(control, "_order", lambda reason, session: told.append((session, reason)))
    session = make_live_session(make_agent(cast.organisation), api_key=key[0])
    with django_capture_on_commit_callbacks(execute=True):
        assert press(desk, KEYS, "revoke", key[0], confirmed="yes").status_code == 302
    assert (refusal(key[1]), refusal(secret[1])) == ("api_key_revoked", "api_key_revoked")
    assert told == [(session.id.hex, EndReason.API_KEY_REVOKED)]


def test_who_revoked_it_is_kept(desk, key, operator):
    press(desk, KEYS, "revoke", key[0], confirmed="yes")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.get_change_message(), entry.object_id) == (operator, "Revoked.", str(key[0].pk))


def test_a_key_that_was_revoked_before_stays_as_it_is(desk, key):
    revoke_key(key[0])
    press(desk, KEYS, "revoke", key[0], confirmed="yes")
    assert not LogEntry.objects.exists()


def test_who_may_only_look_revokes_nothing(client, key):
    clerk = make_user("clerk@example.com", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client.force_login(clerk, backend="django.contrib.auth.backends.ModelBackend")
    assert key[0].prefix in client.get(KEYS).text
    press(client, KEYS, "revoke", key[0], confirmed="yes")
    assert authenticate(key[1]) == key[0]


def test_a_client_secret_says_where_it_counts_and_what_is_left(desk, secret):
    page = desk.get(f"{SECRETS}{secret[0].pk}/change/").text
    assert "https://shop.example" in page and "gpt-realtime-mini" in page and "2.00" in page


def test_a_client_secret_that_was_ended_opens_no_call(desk, secret):
    assert "End 1 client secret?" in press(desk, SECRETS, "end", secret[0]).text
    press(desk, SECRETS, "end", secret[0], confirmed="yes")
    assert refusal(secret[1]) == "api_key_expired"
    press(desk, SECRETS, "end", secret[0], confirmed="yes")
    assert LogEntry.objects.count() == 1
