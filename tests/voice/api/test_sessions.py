import json
import sqlite3
from datetime import timedelta
from uuid import UUID

import pytest
from django.core.cache import cache
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from billing import ledger
from tests import factories
from voice.admission import tickets
from voice.models import Session, Switches

PATH = "/v1/voice/sessions"


@pytest.fixture
def start(post, agent):
    def send(**fields):
        return post(PATH, {"agent": agent.public_key, "captcha": "right", **fields})

    return send


def error_of(response):
    assert set(response.json()) == {"error"}
    assert set(response.json()["error"]) == {"code", "message", "type", "param"}
    return response.status_code, response.json()["error"]["code"]


def test_a_caller_gets_a_ticket_and_where_to_take_it(start):
    response = start()
    body = response.json()
    assert response.status_code == 201
    assert list(body) == [
        "id", "ticket", "websocket_url", "model_asked", "model_served", "model_reason", "is_voice", "expires_at",
    ]  # fmt: skip
    assert body["websocket_url"] == "ws://testserver/v1/voice/widget"
    assert (body["model_asked"], body["model_served"]) == ("gpt-realtime-mini", "parley-embedded")
    assert tickets.redeem(body["ticket"]) == UUID(body["id"])
    assert timezone.now() < parse_datetime(body["expires_at"]) < timezone.now() + timedelta(seconds=61)
    assert response["Cache-Control"] == "no-store"


def test_over_tls_the_socket_is_too(agent, right_captcha):
    response = Client().post(
        PATH,
        {"agent": agent.public_key, "captcha": "right"},
        content_type="application/json",
        headers={"Origin": "https://testserver"},
        secure=True,
    )
    assert response.json()["websocket_url"] == "wss://testserver/v1/voice/widget"


def test_a_call_may_be_typed_and_in_another_language(start):
    start(voice=False, language="pt-BR")
    session = Session.objects.get()
    assert (session.is_voice, session.language) == (False, "pt-BR")


def test_django_needs_no_csrf_token_of_a_page_of_ours(agent, right_captcha):
    strict = Client(enforce_csrf_checks=True, headers={"Origin": "http://testserver"})
    body = {"agent": agent.public_key, "captcha": "right"}
    assert strict.post(PATH, body, content_type="application/json").status_code == 201


def test_a_captcha_is_asked_once_for_a_while(start):
    assert start().status_code == 201
    assert start(captcha="").status_code == 201


def test_a_captcha_that_was_used_up_by_a_refused_call_is_remembered_too(start, agent):
    type(agent).objects.update(daily_ceiling_micro=0)
    assert error_of(start()) == (429, "daily_ceiling_reached")
    type(agent).objects.update(daily_ceiling_micro=10**9)
    assert start(captcha="").status_code == 201


def test_a_wrong_captcha_is_not_remembered(start):
    assert error_of(start(captcha="wrong")) == (403, "captcha_failed")
    assert error_of(start(captcha="")) == (403, "captcha_required")


def test_a_visitor_is_known_again_by_a_cookie_that_scripts_cannot_read(start, client):
    start()
    start()
    first, second = Session.objects.all()
    cookie = client.cookies["parley_visitor"]
    assert first.visitor_id == second.visitor_id != ""
    assert cookie["httponly"] and cookie["samesite"] == "Lax"
    assert cookie.value not in first.visitor_id


def test_a_member_calls_a_private_agent_without_a_captcha(start, client, agent, organisation):
    type(agent).objects.update(is_public=False)
    assert error_of(start()) == (404, "agent_not_found")
    user = factories.make_user()
    factories.add_member(organisation, user)
    client.force_login(user)
    assert start(captcha="").status_code == 201


def test_mallory_finds_no_private_agent_of_another_organisation(start, client, agent):
    type(agent).objects.update(is_public=False)
    mallory = factories.make_user()
    factories.make_organisation("Mallory Ltd", mallory)
    client.force_login(mallory)
    assert error_of(start()) == (404, "agent_not_found")


def test_a_refusal_says_when_to_come_back(start):
    Switches.objects.create(calls_paused=True, pause_message="Back at noon.")
    response = start()
    assert error_of(response) == (503, "calls_paused")
    assert (response.json()["error"]["message"], response["Retry-After"]) == ("Back at noon.", "60")


def test_a_refusal_that_waiting_does_not_help_says_nothing_of_it(start):
    response = start(captcha="wrong")
    assert "Retry-After" not in response


def test_another_origin_is_refused(post, agent):
    response = post(PATH, {"agent": agent.public_key}, headers={"Origin": "https://evil.example"})
    assert error_of(response) == (403, "origin_not_allowed")


@pytest.mark.parametrize(
    "body",
    [
        " ",
        "{",
        "[]",
        "null",
        '"agent"',
        "\x00",
        "[" * 50_000,
        b"\xff\xfe",
        {},
        {"agent": ""},
        {"agent": 7},
        {"agent": None},
        {"agent": "x" * 65},
        {"agent": "a\x00b"},
        '{"agent": "\\ud800"}',
        {"agent": "x", "captcha": "y" * 8193},
        {"agent": "x", "captcha": ["right"]},
        {"agent": "x", "voice": 1},
        {"agent": "x", "voice": "yes"},
        {"agent": "x", "language": "english please"},
        {"agent": "x", "language": "../en"},
        {"agent": "x", "model": "gpt-realtime"},
        {"agent": "x", "\ud800": 1},
    ],
)
@pytest.mark.django_db
def test_what_cannot_be_read_is_refused_with_a_sentence(post, body):
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    assert error_of(post(PATH, text)) == (400, "invalid_request")
    assert not Session.objects.exists()


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.django_db
def test_only_json_is_read(post, content_type):
    # What a page of another origin could send without being asked first.
    assert error_of(post(PATH, '{"agent": "x"}', content_type=content_type)) == (415, "unsupported_media_type")


@pytest.mark.parametrize("size", [64 * 1024 + 1, 300 * 1024])
@pytest.mark.django_db
def test_a_body_has_a_bound(post, size):
    assert error_of(post(PATH, json.dumps({"agent": "x" * size}))) == (413, "request_too_large")


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options"])
def test_other_methods_are_not_allowed(client, method):
    response = getattr(client, method)(PATH)
    assert error_of(response) == (405, "method_not_allowed")
    assert response["Allow"] == "GET, POST"


@pytest.mark.parametrize(
    "failure", [DatabaseError("secret"), sqlite3.OperationalError("secret"), ConnectionError("secret")]
)
def test_when_the_ledger_is_out_of_reach_no_call_starts(start, organisation, monkeypatch, failure):
    def broken(*args, **kwargs):
        raise failure

    monkeypatch.setattr(ledger, "open_hold", broken)
    response = start()
    assert error_of(response) == (503, "unavailable")
    assert response["Retry-After"] == "10"
    assert b"secret" not in response.content
    assert not Session.objects.exists()


def test_when_the_cache_is_out_of_reach_no_call_starts(start, monkeypatch):
    def broken(*args, **kwargs):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(cache, "add", broken)
    assert error_of(start()) == (503, "unavailable")


def test_an_organisation_without_a_wallet_starts_nothing(start, monkeypatch, organisation):
    from billing.exceptions import WalletNotOpen

    def missing(*args, **kwargs):
        raise WalletNotOpen(organisation.id)

    monkeypatch.setattr(ledger, "open_hold", missing)
    assert error_of(start()) == (503, "unavailable")


def test_a_fault_of_ours_shows_no_traceback(start, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(ledger, "open_hold", broken)
    response = start()
    assert error_of(response) == (500, "internal_error")
    assert b"secret" not in response.content


def test_the_callers_address_is_kept_and_the_captcha_is_bound_to_it(start, client):
    start()
    assert Session.objects.get().client_ip == "127.0.0.1"
    client.defaults["REMOTE_ADDR"] = "203.0.113.9"
    assert error_of(start(captcha="")) == (403, "captcha_required")
