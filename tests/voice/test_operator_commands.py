"""What an operator does by ssh at night: pause, hang up, keep out, switch a model, look who calls."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.factories import make_agent, make_organisation, make_session
from voice.catalogue.seed import seed_catalogue
from voice.management.commands import model_status
from voice.models import (
    BlockedNetwork,
    CatalogueModel,
    EndReason,
    ModelHealth,
    ModelStatusChange,
    Session,
    SessionState,
    Switches,
)
from voice.sessions import records
from voice.sessions.orders import control

pytestmark = pytest.mark.django_db


@pytest.fixture
def reception():
    return make_agent(make_organisation("Rosewood Dental", credits=100))


def run(command, *arguments, **options):
    out = StringIO()
    call_command(command, *arguments, stdout=out, **options)
    return out.getvalue()


def live(agent, **fields):
    now = timezone.now()
    fields = {"client_ip": "203.0.113.7", **fields}
    return make_session(agent, state=SessionState.LIVE, seen_at=now, ended_at=None, end_reason="", **fields)


def told_to_end():
    return set(Session.objects.filter(hang_up_wanted=True).values_list("pk", flat=True))


def test_a_pause_is_in_force_until_it_is_ended(reception):
    live(reception)
    assert run("pause_calls", message="Back at noon.") == "All calls are paused. Live calls told to end: 1.\n"
    assert (Switches.objects.get().calls_paused, Switches.objects.get().pause_message) == (True, "Back at noon.")
    run("resume_calls")
    assert (Switches.objects.get().calls_paused, Switches.objects.get().pause_message) == (False, "")


def test_a_pause_says_one_printable_line():
    with pytest.raises(CommandError):
        run("pause_calls", message="one\ntwo")
    assert not Switches.objects.filter(calls_paused=True).exists()


@pytest.mark.parametrize(
    "which",
    [
        {"organisation": "Rosewood Dental"},
        {"model": "gpt-realtime-mini"},
        {"network": "203.0.113.0/24"},
        {"network": "203.0.113.7"},
    ],
    ids=str,
)
def test_only_the_calls_that_are_meant_are_told_to_end(reception, which):
    meant = live(reception)
    other = make_agent(make_organisation("Fern and Field", credits=100), model_slug="gpt-realtime-2")
    live(other, client_ip="198.51.100.1")
    make_session(reception, client_ip="203.0.113.7")
    assert run("end_calls", **which) == "1 call told to end.\n"
    assert told_to_end() == {meant.pk}


def test_a_network_that_is_none_is_said_although_nobody_calls():
    with pytest.raises(CommandError, match="is no address or network"):
        run("end_calls", network="203.0.113")


def test_one_call_is_told_to_end_by_its_id(reception):
    meant, _ = live(reception), live(reception)
    run("end_calls", session=str(meant.pk))
    assert told_to_end() == {meant.pk}


def test_every_call_is_told_to_end_only_when_that_is_said(reception):
    meant = {live(reception).pk, live(reception, client_ip=None).pk}
    with pytest.raises(CommandError):
        run("end_calls")
    assert told_to_end() == set()
    assert run("end_calls", all=True) == "2 calls told to end.\n"
    assert told_to_end() == meant


def test_a_network_is_kept_out_for_a_while():
    said = run("block_network", "203.0.113.7/24", reason="Runs up the demo", days=2)
    blocked = BlockedNetwork.objects.get()
    assert said.startswith("203.0.113.0/24 is kept out until ")
    assert timedelta(days=1, hours=23) < blocked.expires_at - timezone.now() <= timedelta(days=2)


@pytest.mark.parametrize("network", ["0.0.0.0/0", "10.0.0.0/4", "2000::/3", "here"])
def test_half_a_country_and_garbage_are_not_blocked(network):
    with pytest.raises(CommandError):
        run("block_network", network, reason="x")
    assert not BlockedNetwork.objects.exists()


def test_who_calls_most_is_shown_by_network_and_the_dearest_is_first(reception):
    for host in range(2):
        make_session(reception, client_ip=f"2001:db8:0:1::{host}", captured_micro=5_000_000)
    make_session(reception, client_ip="203.0.113.7", captured_micro=7_000_000)
    make_session(reception, client_ip="203.0.113.8", created_at=timezone.now() - timedelta(hours=25))
    live(reception)
    lines = [line.split() for line in run("top_callers").splitlines()[1:]]
    assert lines == [
        ["2001:db8:0:1::/64", "2", "0", "2", "10.00", "Reception"],
        ["203.0.113.7", "2", "1", "2", "7.00", "Reception"],
    ]


def test_a_model_is_switched_for_everybody_and_that_is_written_down():
    seed_catalogue()
    slug, until = "gpt-realtime-mini", (timezone.now() + timedelta(hours=3)).isoformat()
    said = run("model_status", slug, "maintenance", note="OpenAI is down", until=until, by="olga")
    model, change = CatalogueModel.objects.get(slug=slug), ModelStatusChange.objects.get()
    assert said == "gpt-realtime-mini: available before, maintenance now.\n"
    assert (model.status, model.status_note, model.expected_back_at.isoformat()) == (
        "maintenance",
        "OpenAI is down",
        until,
    )
    assert (change.before, change.after, change.who) == ("available", "maintenance", "olga")
    assert "maintenance until " in run("model_status", slug)


def test_live_calls_are_moved_when_that_is_said(settings, monkeypatch):
    seed_catalogue()
    moved = []
    monkeypatch.setattr(model_status, "move_calls_of", lambda slug: moved.append(slug) or True)
    settings.REDIS_URL = "redis://redis.internal"
    run("model_status", "gpt-realtime-mini", "maintenance")
    run("model_status", "gpt-realtime", "maintenance", move_calls=True)
    assert moved == ["gpt-realtime"]


def test_where_no_message_would_reach_the_web_server_nothing_is_switched_instead(settings):
    seed_catalogue()
    settings.REDIS_URL = ""
    with pytest.raises(CommandError, match="in the admin"):
        run("model_status", "gpt-realtime-mini", "maintenance", move_calls=True)
    assert not CatalogueModel.objects.filter(status="maintenance").exists()


def test_a_model_that_does_not_answer_is_listed_as_such():
    seed_catalogue()
    model = CatalogueModel.objects.get(slug="gpt-realtime-mini")
    health = {"opened_at": timezone.now(), "last_failure_code": "upstream_quota"}
    ModelHealth.objects.update_or_create(model=model, defaults=health)
    listed = [line for line in run("model_status").splitlines() if "NOT ANSWERING" in line]
    assert [line.split()[0] for line in listed] == ["gpt-realtime-mini"]
    assert listed[0].endswith(": upstream_quota")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["no-such-model", "available"], {}),
        (["gpt-realtime-mini", "maintenance"], {"until": "soon"}),
        (["gpt-realtime-mini", "maintenance"], {"until": "2026-02-31T10:00"}),
        (["gpt-realtime-mini", "maintenance"], {"until": "2020-01-01T10:00"}),
        (["gpt-realtime-mini", "maintenance"], {"note": "x" * 201}),
    ],
)
def test_a_model_stays_as_it_is_when_something_is_wrong(arguments, options):
    seed_catalogue()
    with pytest.raises(CommandError):
        run("model_status", *arguments, **options)
    assert not CatalogueModel.objects.filter(status="maintenance").exists()


@pytest.fixture
def no_layer(monkeypatch):
    """The messages between processes go nowhere, as without Redis."""

    class Away:
        async def group_send(self, *_):
            raise ConnectionError

    monkeypatch.setattr(control, "get_channel_layer", Away)


def test_a_pause_and_a_hang_up_are_in_force_although_no_message_gets_through(
    reception, no_layer, django_capture_on_commit_callbacks
):
    call = live(reception)
    with django_capture_on_commit_callbacks(execute=True):
        run("pause_calls")
        run("end_calls", all=True)
    assert records.still_live({call.pk: "203.0.113.7"})[call.pk] == EndReason.OPERATOR_ENDED
    assert Switches.objects.get().calls_paused
