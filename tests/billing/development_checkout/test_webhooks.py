import threading
import time

import pytest
import stripe

from billing import development_checkout
from billing.development_checkout import webhooks
from tests.billing.development_checkout import urls

SECRET_KEYS = {"first": "one", "second": "another"}


def types_of(events):
    return [event["type"] for event in events]


@pytest.fixture
def clock(monkeypatch):
    """The couriers' time, which a test may move."""
    moved = {"s": 0.0}
    real = time.time
    monkeypatch.setattr(webhooks.time, "time", lambda: real() + moved["s"])
    return moved


def test_events_arrive_signed_as_stripe_signs(library, pay, deliver):
    pay()
    deliver()
    for delivery in urls.received:
        event = library.construct_event(delivery["body"], delivery["signature"], development_checkout.webhook_secret())
        assert event.id.startswith("evt_") and event.api_version == development_checkout.API_VERSION


def test_events_arrive_in_order_and_can_be_fetched(api, pay, deliver):
    pay()
    events = deliver()
    assert types_of(events)[-2:] == ["payment_intent.succeeded", "checkout.session.completed"]
    assert api.events.retrieve(events[-1]["id"]).data.object.id == events[-1]["data"]["object"]["id"]


def test_an_event_shows_its_object_as_it_was_then(open_checkout, press, act, deliver, api):
    checkout = open_checkout()
    press(checkout, "later")
    act("money-came", api.checkout.sessions.retrieve(checkout.id).payment_intent)
    statuses = {event["type"]: event["data"]["object"].get("payment_status") for event in deliver()}
    assert statuses["checkout.session.completed"] == "unpaid"
    assert statuses["checkout.session.async_payment_succeeded"] == "paid"


def test_an_event_tells_which_request_caused_it(api, deliver):
    made = api.customers.create({}, {"idempotency_key": "purchase-1"})
    (event,) = deliver()
    assert event["request"] == {"id": made.last_response.request_id, "idempotency_key": "purchase-1"}


def test_events_can_be_listed_by_type(api, pay):
    pay()
    assert {event.type for event in api.events.list({"types": ["charge.succeeded"]})} == {"charge.succeeded"}


def test_a_refused_event_is_tried_again_with_the_same_body(api, deliver, clock):
    urls.answers.extend([500, 503])
    api.customers.create({})
    for _ in range(3):
        deliver()
        clock["s"] += webhooks.RETRY_AFTER_S[-1]
    assert len(urls.received) == 3 and len({delivery["body"] for delivery in urls.received}) == 1


def test_an_event_that_is_always_refused_is_given_up(api, deliver, clock):
    urls.answers.extend([500] * 100)
    api.customers.create({})
    for _ in range(20):
        deliver()
        clock["s"] += webhooks.RETRY_AFTER_S[-1]
    assert len(urls.received) == len(webhooks.RETRY_AFTER_S) + 1


def test_a_webhook_that_does_not_answer_is_tried_again(api, settings, deliver, clock):
    api.customers.create({})
    base, settings.STRIPE_API_BASE = settings.STRIPE_API_BASE, "http://127.0.0.1:9/dev/stripe"
    assert deliver() == []
    settings.STRIPE_API_BASE = base
    clock["s"] += webhooks.RETRY_AFTER_S[0]
    assert types_of(deliver()) == ["customer.created"]


@pytest.mark.parametrize(
    ("mode", "later_s", "expected"),
    [
        ("at_once", 0, [0, 1, 2, 3]),
        ("twice", 0, [0, 0, 1, 1, 2, 2, 3, 3]),
        ("late", 0, []),
        ("late", 10, [0, 1, 2, 3]),
        ("backwards", 2, [3, 2, 1, 0]),
        ("held", 3600, []),
    ],
)
def test_events_are_delivered_as_the_control_page_says(client, pay, deliver, told, clock, mode, later_s, expected):
    client.post("/dev/stripe/switches/", {"delivery": mode})
    pay()
    clock["s"] += later_s
    order = told()
    assert [order.index(kind) for kind in types_of(deliver())] == expected


def test_an_event_is_sent_again_by_a_button(api, act, deliver):
    api.customers.create({})
    (event,) = deliver()
    act("send-again", event["id"])
    assert [again["id"] for again in deliver()] == [event["id"]] * 2


def test_an_event_is_sent_late_by_a_button(api, act, deliver, clock):
    api.customers.create({})
    (event,) = deliver()
    act("send-late", event["id"])
    assert len(deliver()) == 1
    clock["s"] += 10
    assert len(deliver()) == 2


def test_an_old_signature_is_one_that_stripes_library_refuses(api, act, deliver, library):
    urls.answers.extend([200, 400])
    api.customers.create({})
    (event,) = deliver()
    act("send-stale", event["id"])
    deliver()
    fresh, stale = urls.received
    secret = development_checkout.webhook_secret()
    assert library.construct_event(fresh["body"], fresh["signature"], secret).id == event["id"]
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        library.construct_event(stale["body"], stale["signature"], secret)


def test_all_events_are_sent_again_newest_first_by_a_button(client, pay, deliver, told):
    pay()
    first = deliver()
    client.post("/dev/stripe/send-all-again/")
    assert [event["id"] for event in deliver()[len(first) :]] == [event["id"] for event in first][::-1]


def test_two_processes_never_make_the_same_attempt(api, deliver):
    for _ in range(5):
        api.customers.create({})
    couriers = [threading.Thread(target=deliver) for _ in range(4)]
    for courier in couriers:
        courier.start()
    for courier in couriers:
        courier.join()
    assert len(urls.received) == 5


def test_the_courier_delivers_by_itself_and_stops_when_nothing_is_foreseen(api, server):
    api.customers.create({})
    courier = webhooks.Courier()
    courier.wake()
    thread = courier._thread
    thread.join(20)
    assert not thread.is_alive() and len(urls.received) == 1


def test_the_courier_lets_a_checkout_expire_that_nobody_looks_at(open_checkout, deliver, clock):
    checkout = open_checkout()
    courier = webhooks.Courier()
    assert 86_000 < courier._work() <= 86_400
    clock["s"] += 86_401
    assert courier._work() is not None
    (event,) = deliver()
    assert (event["type"], event["data"]["object"]["id"]) == ("checkout.session.expired", checkout.id)


def test_the_secret_is_the_operators_or_this_servers_own(settings):
    settings.STRIPE_WEBHOOK_SECRET = ""
    settings.SECRET_KEY = SECRET_KEYS["first"]
    own = development_checkout.webhook_secret()
    settings.SECRET_KEY = SECRET_KEYS["second"]
    assert own.startswith("whsec_") and development_checkout.webhook_secret() != own
    settings.STRIPE_WEBHOOK_SECRET = "whsec_operators"
    assert development_checkout.webhook_secret() == "whsec_operators"


@pytest.mark.parametrize(("host", "reached"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]")])
def test_the_stand_in_is_reached_on_this_machine(settings, monkeypatch, host, reached):
    settings.STRIPE_API_BASE = ""
    monkeypatch.setenv("HOST", host)
    monkeypatch.setenv("PORT", "8123")
    assert development_checkout.api_base() == f"http://{reached}:8123/dev/stripe"
    assert development_checkout.webhook_url() == f"http://{reached}:8123/billing/stripe/webhook"
