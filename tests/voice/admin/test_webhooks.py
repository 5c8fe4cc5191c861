"""The operator sees where webhooks and tools go and whether they arrive; no secret, no body, no path."""

import pytest
from django.contrib.auth.models import Permission

from tests.factories import make_agent, make_user
from voice.models import DisabledBecause, WebhookDelivery, WebhookEndpoint, WebhookState
from voice.tools.keeping import add_tool
from voice.webhooks.endpoints import add_endpoint, switch_off
from voice.webhooks.events import emit

ENDPOINTS, DELIVERIES, TOOLS = (f"/admin/voice/{name}/" for name in ("webhookendpoint", "webhookdelivery", "agenttool"))


@pytest.fixture
def endpoint(cast):
    url = "https://hooks.example/key-in-the-path?token=abc"
    return add_endpoint(cast.organisation, url=url, event_types=["credits.low"])[0]


@pytest.fixture
def delivery(cast, endpoint):
    emit(cast.organisation.pk, "credits.low", {"metadata": {"patient": "Kane"}}, key="k")
    WebhookDelivery.objects.update(state=WebhookState.FAILED, next_attempt_at=None)
    return WebhookDelivery.objects.get()


@pytest.fixture
def tool(cast):
    fields = {
        "name": "look_up_order",
        "description": "Look up an order.",
        "parameters": {"type": "object"},
        "url": "https://shop.example/key-in-the-path",
        "secret_header": "X-Key",
        "secret": "very secret",
    }
    return add_tool(make_agent(cast.organisation), fields)


def act(desk, path, action, row):
    return desk.post(path, {"action": action, "_selected_action": [str(row.pk)]})


def test_it_is_seen_where_things_go_but_not_with_what(desk, endpoint, delivery, tool):
    for path, row in ((ENDPOINTS, endpoint), (DELIVERIES, delivery), (TOOLS, tool)):
        for page in (desk.get(path), desk.get(f"{path}{row.pk}/change/")):
            text = page.content.decode()
            assert "hooks.example" in text or "shop.example" in text
            for secret in ("key-in-the-path", "token=abc", "whsec_", endpoint.secret, "very secret", "Kane"):
                assert secret not in text


def test_pages_open_when_the_secrets_cannot_be_read(desk, endpoint, delivery, tool, settings):
    settings.ENCRYPTION_KEYS = ["another key altogether, and a long one too"]
    for path, row in ((ENDPOINTS, endpoint), (DELIVERIES, delivery), (TOOLS, tool)):
        assert desk.get(path).status_code == 200
        assert desk.get(f"{path}{row.pk}/change/").status_code == 200


def test_what_was_lost_is_sent_again(desk, delivery):
    act(desk, DELIVERIES, "replay", delivery)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.rounds) == (WebhookState.PENDING, 2)


def test_an_endpoint_is_switched_off_and_on(desk, endpoint):
    act(desk, ENDPOINTS, "switch_off", endpoint)
    assert not WebhookEndpoint.objects.get().is_active
    act(desk, ENDPOINTS, "switch_on", endpoint)
    assert WebhookEndpoint.objects.get().is_active


def test_who_may_only_look_changes_nothing(client, endpoint, delivery):
    viewer = make_user("viewer@example.com", is_staff=True)
    names = ["view_webhookendpoint", "view_webhookdelivery"]
    viewer.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    act(client, ENDPOINTS, "switch_off", endpoint)
    act(client, DELIVERIES, "replay", delivery)
    delivery.refresh_from_db()
    assert WebhookEndpoint.objects.get().is_active and delivery.state == WebhookState.FAILED


def test_nothing_is_edited_or_deleted(desk, endpoint):
    assert desk.get(f"{ENDPOINTS}add/").status_code == 403
    assert desk.post(f"{ENDPOINTS}{endpoint.pk}/delete/", {"post": "yes"}).status_code == 403


def test_an_endpoint_that_was_switched_off_says_why(desk, endpoint):
    switch_off(endpoint, DisabledBecause.GONE)
    assert "410 Gone" in desk.get(ENDPOINTS).content.decode()


def test_the_webhooks_of_a_call_are_found_by_its_session(desk, cast, endpoint, delivery):
    emit(cast.organisation.pk, "credits.low", {"session_id": "0b5c6c2e-0000-4000-8000-000000000001"}, key="call")
    found = desk.get(DELIVERIES, {"q": "0b5c6c2e-0000-4000-8000-000000000001"}).context["cl"].queryset
    assert [each.key for each in found] == ["call"]
