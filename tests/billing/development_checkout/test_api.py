import json
import threading

import pytest
import stripe

from billing.development_checkout import parameters, store
from billing.development_checkout.errors import ApiError

KEY = {"Authorization": "Bearer sk_test_development"}
FORM = "application/x-www-form-urlencoded"


def test_a_repeated_key_repeats_the_answer_and_does_nothing(api):
    first, second = (
        api.customers.create({"email": "maria@example.com"}, {"idempotency_key": "purchase-1"}) for _ in range(2)
    )
    assert first.id == second.id and len(api.customers.list().data) == 1
    headers = second.last_response.headers
    assert headers["Idempotent-Replayed"] == "true" and headers["Original-Request"] == first.last_response.request_id


def test_a_repeated_key_with_other_parameters_is_an_error(api):
    api.customers.create({"email": "maria@example.com"}, {"idempotency_key": "purchase-1"})
    with pytest.raises(stripe.IdempotencyError) as caught:
        api.customers.create({"email": "mallory@example.com"}, {"idempotency_key": "purchase-1"})
    assert caught.value.http_status == 400 and "same parameters" in caught.value.user_message


def test_a_repeated_key_at_another_address_is_an_error(api, open_checkout):
    customer = api.customers.create({}, {"idempotency_key": "purchase-1"})
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        api.customers.update(customer.id, {}, {"idempotency_key": "purchase-1"})


def test_a_declined_charge_is_repeated_as_declined(api, saved_card, told):
    charge = {"amount": 1200, "currency": "usd", "confirm": True, "off_session": True}
    charge |= saved_card("pm_card_chargeCustomerFail")
    intents = set()
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            api.payment_intents.create(charge, {"idempotency_key": "top-up-1"})
        intents.add(caught.value.error.payment_intent.id)
    assert len(intents) == 1 and told().count("charge.failed") == 1


def test_a_request_that_was_refused_before_it_did_anything_may_be_repeated_corrected(api):
    with pytest.raises(stripe.InvalidRequestError):
        api.customers.create({"surprise": 1}, {"idempotency_key": "purchase-1"})
    assert api.customers.create({}, {"idempotency_key": "purchase-1"}).id


def test_twenty_at_once_with_one_key_make_one_customer(api, library):
    made = []

    def create():
        made.append(api.customers.create({}, {"idempotency_key": "purchase-1"}).id)

    threads = [threading.Thread(target=create) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 20 and len(set(made)) == 1


@pytest.mark.parametrize("key", ["sk_live_secret", "rk_live_secret", "pk_test_development", "nonsense"])
def test_only_a_test_key_is_taken_and_no_key_is_quoted(library, server, key):
    with pytest.raises(stripe.AuthenticationError) as caught:
        stripe.StripeClient(key, base_addresses={"api": f"{server}/dev/stripe"}).v1.customers.list()
    assert key not in str(caught.value)


def test_without_a_key_nothing_is_answered(client):
    answer = client.get("/dev/stripe/v1/customers")
    assert answer.status_code == 401 and answer.json()["error"]["type"] == "invalid_request_error"


PLACES = ["", "v1/customers", "pay/cs_test_x/", "authenticate/pi_x/"]


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("change", [{"DEBUG": False}, {"PAYMENTS": "stripe"}, {"PAYMENTS": "off"}])
def test_outside_of_development_there_is_nothing(client, settings, path, change):
    for name, value in change.items():
        setattr(settings, name, value)
    assert client.get(f"/dev/stripe/{path}", headers=KEY).status_code == 404


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("origin", [{"REMOTE_ADDR": "203.0.113.9"}, {"HTTP_X_FORWARDED_FOR": "203.0.113.9"}])
def test_from_another_machine_there_is_nothing(client, path, origin):
    assert client.get(f"/dev/stripe/{path}", headers=KEY, **origin).status_code == 404


@pytest.mark.parametrize("path", ["switches/", "send-all-again/", "act/expire/cs_test_x/"])
def test_from_another_machine_no_button_works(client, path):
    assert client.post(f"/dev/stripe/{path}", REMOTE_ADDR="203.0.113.9").status_code == 404


def test_buttons_need_the_pages_own_token(client, open_checkout):
    checkout = open_checkout()
    client.handler.enforce_csrf_checks = True
    for path in (f"pay/{checkout.id}/", f"act/expire/{checkout.id}/", "switches/", "send-all-again/"):
        assert client.post(f"/dev/stripe/{path}").status_code == 403


def test_what_is_unknown_is_a_404_in_stripes_words(api):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.customers.retrieve("cus_nobody")
    error = caught.value
    assert (error.http_status, error.code, error.param) == (404, "resource_missing", "id")
    assert error.user_message == "No such customer: 'cus_nobody'" and error.request_id.startswith("req_")


def test_an_object_of_another_kind_is_unknown(api, open_checkout):
    with pytest.raises(stripe.InvalidRequestError, match="No such"):
        api.payment_intents.retrieve(open_checkout().id)


def test_what_the_stand_in_does_not_have_says_so(api):
    with pytest.raises(stripe.InvalidRequestError, match="the development checkout does not have it"):
        api.subscriptions.list()


def test_pages_of_a_list_add_up_to_the_whole(api):
    made = [api.customers.create({"email": f"{number}@example.com"}).id for number in range(7)]
    listed = api.customers.list({"limit": 3})
    assert listed.has_more and [customer.id for customer in listed.auto_paging_iter()] == made[::-1]
    before = api.customers.list({"limit": 2, "ending_before": made[3]})
    assert [customer.id for customer in before] == [made[5], made[4]] and before.has_more


def test_a_list_can_be_bounded_in_time(api):
    customer = api.customers.create({})
    assert api.customers.list({"created": {"gte": customer.created}}).data
    assert not api.customers.list({"created": {"gt": customer.created + 60}}).data


def test_a_customer_is_changed_field_by_field(api):
    customer = api.customers.create({"name": "Maria", "metadata": {"a": "1", "b": "2"}})
    changed = api.customers.update(customer.id, {"email": "maria@example.com", "metadata": {"a": "", "c": "3"}})
    assert (changed.name, changed.email) == ("Maria", "maria@example.com")
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}
    assert api.customers.delete(customer.id).deleted
    with pytest.raises(stripe.InvalidRequestError):
        api.customers.retrieve(customer.id)


def test_what_cannot_be_expanded_is_named(api, open_checkout):
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        api.checkout.sessions.retrieve(open_checkout().id, {"expand": ["nonsense"]})


def test_our_own_notes_are_never_shown(api, pay, client):
    pay()
    for path in ("checkout/sessions", "payment_intents", "charges", "events"):
        body = client.get(f"/dev/stripe/v1/{path}", headers=KEY).content.decode()
        assert json.loads(body)["data"] and '"_' not in body


@pytest.mark.parametrize(
    "body",
    [
        b"a[b=1", b"[]=1", b"a[b][c][d][e][f][g]=1", b"a=1&a[b]=2", b"a[b]=2&a=1", b"\xff", b"email=%ff",
        b"metadata[x]=" + b"1" * 5001, b"&".join(b"metadata[%d]=1" % n for n in range(501)),
    ],
)  # fmt: skip
def test_a_malformed_request_is_one_clear_error(client, body):
    answer = client.post("/dev/stripe/v1/customers", body, content_type=FORM, headers=KEY)
    assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("kilobytes", [65, 300])
def test_a_request_that_is_too_long_is_refused(client, kilobytes):
    answer = client.post("/dev/stripe/v1/customers", b"a" * kilobytes * 1024, content_type=FORM, headers=KEY)
    assert answer.status_code == 413


def test_nested_parameters_are_read_as_stripe_reads_them():
    assert parameters.read_form("a[0][b]=1&a[1][b]=2&c[d]=x%26y&e[]=1&e[]=2") == {
        "a": [{"b": "1"}, {"b": "2"}],
        "c": {"d": "x&y"},
        "e": ["1", "2"],
    }


def test_a_full_store_refuses_and_loses_nothing(monkeypatch):
    monkeypatch.setattr(store, "_MOST_OBJECTS", 1)
    with store.open_books() as books:
        kept = books.add("cus_", "customer", {})
    with pytest.raises(ApiError, match="takes no more"), store.open_books() as books:
        books.add("cus_", "customer", {})
    with store.open_books() as books:
        assert [body["id"] for body in books.newest("customer")] == [kept["id"]]


def test_old_events_make_room_for_new_ones(monkeypatch):
    monkeypatch.setattr(store, "_MOST_EVENTS", 3)
    with store.open_books() as books:
        made = [books.add("evt_", "event", {})["id"] for _ in range(5)]
        assert [body["id"] for body in books.newest("event")] == made[:1:-1]
