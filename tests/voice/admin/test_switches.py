"""The operator's switches: they ask first, act at once, and are written down."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from tests.factories import make_user
from voice.models import BlockedNetwork, Switches
from voice.sessions.orders import control

PAUSE, RESUME = "/admin/voice/switches/pause/", "/admin/voice/switches/resume/"
NETWORKS = "/admin/voice/blockednetwork/"


@pytest.fixture
def paused(monkeypatch):
    """Counts the orders to end every call."""
    orders = []
    monkeypatch.setattr(control, "end_every_call", lambda: orders.append("all"))
    return orders


@pytest.fixture
def blocked_now(monkeypatch):
    """The networks whose calls were told to end."""
    networks = []
    monkeypatch.setattr(control, "end_calls_from", networks.append)
    return networks


def are_paused():
    return Switches.objects.filter(pk=1, calls_paused=True).exists()


@pytest.mark.parametrize("send", ["get", "post"])
def test_pausing_asks_first(desk, send):
    page = getattr(desk, send)(PAUSE).text

    assert "Pause all calls?" in page
    assert not are_paused()


def test_pausing_stops_calls_and_ends_live_ones(desk, paused, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        desk.post(PAUSE, {"confirmed": "yes", "message": "Back at noon."})

    switches = Switches.objects.get()
    assert (switches.calls_paused, switches.pause_message) == (True, "Back at noon.")
    assert paused == ["all"]


def test_resuming_lets_calls_start_and_forgets_the_message(desk, paused):
    Switches.objects.create(calls_paused=True, pause_message="Back at noon.")

    desk.post(RESUME, {"confirmed": "yes"})

    switches = Switches.objects.get()
    assert (switches.calls_paused, switches.pause_message) == (False, "")


def test_resuming_asks_first(desk):
    Switches.objects.create(calls_paused=True)

    desk.get(RESUME)

    assert are_paused()


def test_a_message_that_is_too_long_pauses_nothing(desk):
    page = desk.post(PAUSE, {"confirmed": "yes", "message": "x" * 201}).text

    assert "at most 200 characters" in page
    assert not are_paused()


def test_pausing_is_written_down(desk, operator):
    desk.post(PAUSE, {"confirmed": "yes"})

    entry = LogEntry.objects.get()
    assert (entry.user, entry.change_message) == (operator, "Paused all calls.")


def test_only_who_may_switch_can_pause(client, db):
    client.force_login(make_user(is_staff=True), backend="django.contrib.auth.backends.ModelBackend")

    assert client.post(PAUSE, {"confirmed": "yes"}).status_code == 403
    assert not are_paused()


def test_a_page_of_another_site_cannot_pause(operator, catalogue):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")

    assert strict.post(PAUSE, {"confirmed": "yes"}).status_code == 403
    assert not are_paused()


def test_the_front_page_offers_whichever_switch_applies(desk):
    before = desk.get("/admin/").text
    desk.post(PAUSE, {"confirmed": "yes", "message": "Back at noon."})
    after = desk.get("/admin/").text

    assert PAUSE in before
    assert RESUME not in before
    assert RESUME in after
    assert "Back at noon." in after


def test_the_switches_are_one_row_that_is_neither_added_nor_deleted(desk):
    assert desk.get("/admin/voice/switches/").url == "/admin/voice/switches/1/change/"
    assert desk.get("/admin/voice/switches/add/").status_code == 403
    assert desk.get("/admin/voice/switches/1/delete/").status_code == 403


def test_calls_are_not_paused_by_saving_the_message(desk):
    Switches.objects.create()

    desk.post("/admin/voice/switches/1/change/", {"pause_message": "Soon.", "calls_paused": "on"})

    assert not are_paused()


def add_network(desk, network, **fields):
    data = {"network": network, "reason": "Abuse", "expires_at": "", **fields}
    return desk.post(f"{NETWORKS}add/", data)


def test_a_network_is_blocked_with_who_did_it(desk, operator, blocked_now, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        add_network(desk, " 203.0.113.7/24 ")

    blocked = BlockedNetwork.objects.get()
    assert (blocked.network, blocked.created_by) == ("203.0.113.0/24", operator)
    assert blocked_now == ["203.0.113.0/24"]


@pytest.mark.parametrize(
    ("network", "error"),
    [
        ("nonsense", "Not an address or network."),
        ("0.0.0.0/0", "That is half a country."),
        ("::/0", "That is half a country."),
        ("", "This field is required."),
    ],
)
def test_a_network_that_makes_no_sense_is_refused(desk, network, error):
    assert error in add_network(desk, network).text
    assert not BlockedNetwork.objects.exists()


def test_a_network_is_blocked_once(desk):
    add_network(desk, "203.0.113.0/24")

    assert "already exists" in add_network(desk, "203.0.113.9/24").text


def test_a_block_needs_a_reason(desk):
    assert "This field is required." in add_network(desk, "203.0.113.0/24", reason="").text


def test_a_new_block_cannot_have_expired(desk):
    page = add_network(desk, "203.0.113.0/24", expires_at="2020-01-01T00:00").text

    assert "This time has passed." in page


def test_an_operator_inside_a_blocked_network_is_warned(desk):
    response = add_network(desk, "127.0.0.0/24")

    assert "You are in this network yourself." in desk.get(response.url).text


def test_lifting_a_block_expires_it_and_ends_no_call(desk, blocked_now, django_capture_on_commit_callbacks):
    blocked = BlockedNetwork.objects.create(network="203.0.113.0/24", reason="Abuse")
    blocked_now.clear()

    with django_capture_on_commit_callbacks(execute=True):
        desk.post(NETWORKS, {"action": "lift", "_selected_action": [blocked.pk]})

    blocked.refresh_from_db()
    assert blocked.expires_at <= timezone.now()
    assert blocked_now == []


def test_a_block_is_never_deleted(desk):
    blocked = BlockedNetwork.objects.create(network="203.0.113.0/24", reason="Abuse")

    assert desk.post(f"{NETWORKS}{blocked.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize(("query", "expected"), [("yes", ["203.0.113.0/24", "::1/128"]), ("no", ["198.51.100.0/24"])])
def test_blocks_are_filtered_by_whether_they_are_in_force(desk, query, expected):
    now = timezone.now()
    for network, expires_at in [
        ("203.0.113.0/24", None),
        ("::1/128", now + timedelta(days=1)),
        ("198.51.100.0/24", now - timedelta(days=1)),
    ]:
        BlockedNetwork.objects.create(network=network, reason="Abuse", expires_at=expires_at)

    rows = desk.get(NETWORKS, {"in_force": query}).context["cl"].queryset

    assert {row.network for row in rows} == set(expected)
