"""The console's pages about webhooks: for admins only, secrets shown once, and everything that was sent."""

import re

import pytest

from tests.fakes.webhook_receiver import Answer, WebhookReceiver
from voice.models import DisabledBecause, EventType, WebhookDelivery, WebhookEndpoint, WebhookState
from voice.webhooks.endpoints import MOST_ENDPOINTS, add_endpoint, session_endpoint, switch_off
from voice.webhooks.events import emit

LIST = "/console/webhooks/"


@pytest.fixture
def alice(client, cast):
    client.force_login(cast.alice)
    return cast.alice


@pytest.fixture
def endpoint(cast):
    return add_endpoint(cast.organisation, url="https://a.example/hook", event_types=[EventType.CREDITS_LOW])[0]


@pytest.fixture
def delivery(cast, endpoint):
    emit(cast.organisation.pk, EventType.CREDITS_LOW, {"balance_micro": 7}, key="k")
    return WebhookDelivery.objects.get()


def give_up(delivery):
    WebhookDelivery.objects.filter(pk=delivery.pk).update(state=WebhookState.FAILED, next_attempt_at=None)


def of(endpoint, action=""):
    return f"{LIST}{endpoint.pk}/{action}"


def form_data(**changes):
    return {"url": "https://new.example/hook", "description": "", "event_types": [EventType.NOTE_READY], **changes}


def test_without_endpoints_the_page_says_how_to_begin(client, alice):
    assert b"No endpoints yet" in client.get(LIST).content


def test_an_endpoint_that_is_added_shows_its_secret_once(client, alice):
    response = client.post(f"{LIST}new/", form_data())
    made = WebhookEndpoint.objects.get()
    assert made.secret.encode() in response.content
    assert response["Cache-Control"] == "no-store"
    for path in (LIST, of(made), of(made, "edit/")):
        assert b"whsec_" not in client.get(path).content


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "https://169.254.169.254/"},
        {"url": "https://user:password@example.com/"},
        {"url": "ftp://example.com/"},
        {"url": "https://2130706433/"},
        {"url": ""},
        {"event_types": []},
        {"event_types": ["everything"]},
        {"description": "x" * 81},
    ],
)
def test_what_cannot_work_is_not_saved(client, alice, changes):
    assert client.post(f"{LIST}new/", form_data(**changes)).status_code == 422
    assert not WebhookEndpoint.objects.exists()


def test_there_are_only_so_many_endpoints(client, alice, cast):
    for number in range(MOST_ENDPOINTS):
        add_endpoint(cast.organisation, url=f"https://{number}.example/", event_types=[])
    assert client.post(f"{LIST}new/", form_data()).status_code == 422


def test_an_endpoint_can_be_changed(client, alice, endpoint):
    client.post(of(endpoint, "edit/"), form_data(description="Sheet"))
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.description, endpoint.event_types) == (
        "https://new.example/hook",
        "Sheet",
        ["note.ready"],
    )


def test_a_new_secret_is_shown_once_and_the_old_one_signs_too(client, alice, endpoint):
    old = endpoint.secret
    shown = re.search(r"whsec_[A-Za-z0-9+/=]+", client.post(of(endpoint, "secret/")).content.decode())
    endpoint.refresh_from_db()
    assert shown and shown[0] == endpoint.secret != old
    assert endpoint.old_secret == old


def test_calls_own_addresses_have_a_secret_too(client, alice, cast):
    response = client.post(f"{LIST}session-secret/")
    assert session_endpoint(cast.organisation.pk).secret.encode() in response.content


def test_a_test_event_is_sent_and_shown(client, alice, cast, django_capture_on_commit_callbacks):
    with WebhookReceiver([Answer(204, body=b"")]) as receiver:
        made, _ = add_endpoint(cast.organisation, url=receiver.url, event_types=[])
        with django_capture_on_commit_callbacks(execute=True):
            response = client.post(of(made, "test/"))
        page = client.get(response.url).content
    assert receiver.accepted[0].json["type"] == "webhook.test"
    assert b"HTTP 204" in page and b"Delivered" in page


def test_an_endpoint_can_be_paused_and_switched_on(client, alice, endpoint):
    client.post(of(endpoint, "pause/"))
    endpoint.refresh_from_db()
    assert (endpoint.is_active, endpoint.disabled_because) == (False, DisabledBecause.PAUSED)
    client.post(of(endpoint, "resume/"))
    endpoint.refresh_from_db()
    assert endpoint.is_active


def test_an_endpoint_that_was_switched_off_says_why(client, alice, endpoint):
    switch_off(endpoint, DisabledBecause.FAILING)
    assert b"Nothing arrived for three days" in client.get(of(endpoint)).content


def test_an_endpoint_can_be_deleted_with_its_log(client, alice, endpoint, delivery):
    client.post(of(endpoint, "delete/"))
    assert not WebhookEndpoint.objects.exists() and not WebhookDelivery.objects.exists()


def test_the_log_shows_what_was_sent(client, alice, endpoint, delivery):
    assert b"credits.low" in client.get(of(endpoint)).content
    page = client.get(f"{LIST}deliveries/{delivery.pk}/").content.decode()
    assert delivery.message_id in page and "balance_micro&quot;: 7" in page


def test_the_log_can_be_narrowed_to_a_state(client, alice, endpoint, delivery):
    assert b"credits.low" not in client.get(of(endpoint) + "?state=delivered").content.partition(b"<table")[2]
    assert b"credits.low" in client.get(of(endpoint) + "?state=pending").content.partition(b"<table")[2]
    assert client.get(of(endpoint) + "?state=nonsense").status_code == 200


def test_a_delivery_that_was_given_up_can_be_sent_again(client, alice, delivery):
    give_up(delivery)
    client.post(f"{LIST}deliveries/{delivery.pk}/replay/")
    delivery.refresh_from_db()
    assert (delivery.state, delivery.rounds) == (WebhookState.PENDING, 2)


def test_everything_that_was_lost_can_be_sent_again(client, alice, endpoint, delivery):
    give_up(delivery)
    client.post(of(endpoint, "replay/"))
    delivery.refresh_from_db()
    assert delivery.state == WebhookState.PENDING


def paths(endpoint, delivery):
    got = [LIST, f"{LIST}new/", of(endpoint), of(endpoint, "edit/"), f"{LIST}deliveries/{delivery.pk}/"]
    posted = [of(endpoint, action) for action in ("test/", "pause/", "resume/", "secret/", "delete/", "replay/")]
    posted += [f"{LIST}deliveries/{delivery.pk}/replay/", f"{LIST}session-secret/"]
    return got, posted


def test_a_plain_member_sees_none_of_it(client, cast, endpoint, delivery):
    client.force_login(cast.bob)
    got, posted = paths(endpoint, delivery)
    assert {client.get(path).status_code for path in got} == {403}
    assert {client.post(path).status_code for path in posted} == {403}


def test_another_organisation_sees_none_of_it(client, cast, endpoint, delivery):
    client.force_login(cast.mallory)
    got, posted = paths(endpoint, delivery)
    assert {client.get(path).status_code for path in got[2:]} == {404}
    assert {client.post(path).status_code for path in posted[:-1]} == {404}


def test_what_changes_something_is_not_done_by_a_link(client, alice, endpoint, delivery):
    _, posted = paths(endpoint, delivery)
    assert {client.get(path).status_code for path in posted} == {405}


def test_the_way_there_is_shown_to_admins_only(client, cast, alice):
    assert b'href="/console/webhooks/"' in client.get("/console/").content
    client.force_login(cast.bob)
    assert b'href="/console/webhooks/"' not in client.get("/console/").content


def test_the_list_takes_as_many_queries_for_many_endpoints(client, alice, cast, django_assert_max_num_queries):
    for number in range(5):
        add_endpoint(cast.organisation, url=f"https://{number}.example/", event_types=[])
    with django_assert_max_num_queries(14):
        client.get(LIST)


def test_a_program_that_presses_the_button_is_slowed_down(client, alice, endpoint):
    for _ in range(25):
        client.post(of(endpoint, "test/"))
    assert endpoint.deliveries.count() == 20
    assert b"That was often" in client.get(of(endpoint)).content
