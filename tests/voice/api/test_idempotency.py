"""A request that is sent twice is done once."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from billing import ledger
from tests.voice.api.conftest import error_of
from voice.api import idempotency
from voice.models import ClientSecret, IdempotentRequest, Session
from voice.tasks import forget_old_api_answers

PATH = "/v1/voice/sessions"


@pytest.fixture
def again(call, new_key):
    """Send a request with one key of the caller's."""
    key = new_key()

    def send(method="POST", path=PATH, body=None, *, idempotency_key="k1", key=key):
        return call(method, path, {} if body is None else body, key=key, **{"Idempotency-Key": idempotency_key})

    return send


def test_a_repeat_is_given_the_first_answer_and_does_nothing(again, organisation):
    first = again()
    held_micro = ledger.balance_of(organisation.id).held_micro
    second = again()
    assert (second.status_code, second.content) == (201, first.content)
    assert second["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first
    assert Session.objects.count() == 1
    assert ledger.balance_of(organisation.id).held_micro == held_micro


def test_another_key_does_it_again(again):
    assert again().json()["id"] != again(idempotency_key="k2").json()["id"]


def test_the_same_key_for_something_else_is_refused(again):
    again()
    assert error_of(again(body={"voice": "coral"})) == (409, "idempotency_key_reused", None)
    assert error_of(again(path="/v1/realtime/client_secrets")) == (409, "idempotency_key_reused", None)
    assert not ClientSecret.objects.exists()


def test_a_key_is_its_callers_own(again, new_key):
    assert again().json()["id"] != again(key=new_key()).json()["id"]


def test_an_error_is_not_kept(again, organisation):
    ledger.adjust(organisation.id, -1000 * ledger.MICRO, key="k", reason="For a test", actor="test")
    assert again().status_code == 402
    ledger.adjust(organisation.id, 1000 * ledger.MICRO, key="k2", reason="For a test", actor="test")
    assert again().status_code == 201


def test_while_the_first_runs_a_repeat_waits(again):
    again()
    IdempotentRequest.objects.update(status=None, body=None)
    assert error_of(again()) == (409, "idempotency_key_in_use", None)


def test_a_key_whose_process_died_is_free_after_a_while(again):
    again()
    IdempotentRequest.objects.update(status=None, body=None, locked_until=timezone.now() - timedelta(seconds=1))
    assert again().status_code == 201
    assert Session.objects.count() == 2
    assert again()["Idempotent-Replayed"] == "true"


def test_answers_are_kept_for_a_day(again):
    first = again().json()["id"]
    IdempotentRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    forget_old_api_answers()
    assert not IdempotentRequest.objects.exists()
    assert again().json()["id"] != first


def test_an_answer_that_was_too_large_to_keep_is_not_done_again(again, monkeypatch):
    monkeypatch.setattr(idempotency, "_MAX_KEPT_BYTES", 10)
    again()
    assert error_of(again()) == (409, "idempotent_answer_not_kept", None)
    assert Session.objects.count() == 1


def test_answers_are_kept_encrypted(again):
    ticket = again().json()["ticket"]
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select body from voice_idempotentrequest")
        (body,) = cursor.fetchone()
    assert ticket not in body and IdempotentRequest.objects.get().body


def test_deleting_may_be_repeated(again):
    session_id = again(idempotency_key="start").json()["id"]
    answers = [again("DELETE", f"{PATH}/{session_id}").status_code for _ in range(2)]
    assert answers == [204, 204]


@pytest.mark.parametrize("key", ["", "x" * 256, "smörgås"])
def test_a_key_that_is_none_is_refused(again, key):
    assert error_of(again(idempotency_key=key)) == (400, "invalid_request", "Idempotency-Key")


def test_a_visitors_page_may_use_one_too(post, agent):
    body = {"agent": agent.public_key, "captcha": "right"}
    first, second = (post(PATH, body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, first.json()["id"]) == (201, second.json()["id"])
    assert Session.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.db_concurrency
def test_of_many_at_once_one_is_done(new_key):
    key, barrier = new_key(), Barrier(6)

    def one(number):
        barrier.wait()
        try:
            headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k1"}
            response = Client().post(PATH, {}, content_type="application/json", headers=headers)
            return response.status_code, response.json().get("id")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(one, range(6)))
    assert {status for status, _ in answers} <= {201, 409}
    assert len({session_id for status, session_id in answers if status == 201}) == 1
    assert Session.objects.count() == 1
    assert uuid.UUID(str(Session.objects.get().id))
