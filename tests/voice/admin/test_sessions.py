"""Sessions in the operator's tool: found, read, hung up on, and their networks blocked."""

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin.models import LogEntry
from django.test import AsyncClient
from django.utils import timezone

from billing import ledger
from tests.factories import MICRO, make_agent, make_rung, make_session, make_turn, make_usage, make_user
from tests.voice.sessions.calls import make_call, ordered
from voice.models import BlockedNetwork, EndReason, Outcome, Session
from voice.sessions.orders import control

SESSIONS = "/admin/voice/session/"


@pytest.fixture
def agent(cast, catalogue):
    return make_agent(cast.organisation)


@pytest.fixture
def told(monkeypatch):
    """The ids of the sessions that were told to end."""
    ids = []
    monkeypatch.setattr(control, "end_call", ids.append)
    return ids


def act(desk, action, *sessions, **fields):
    data = {"action": action, "_selected_action": [session.pk for session in sessions], **fields}
    return desk.post(SESSIONS, data)


def found(desk, query):
    return set(desk.get(SESSIONS, query).context["cl"].queryset)


def test_live_calls_are_a_list_of_their_own(desk, agent, make_live_session):
    live = make_live_session(agent)
    make_session(agent)

    assert found(desk, {"state__exact": "live"}) == {live}


def test_sessions_are_filtered_by_organisation_and_agent(desk, cast, agent):
    ours = make_session(agent)
    theirs = make_session(make_agent(cast.other_organisation))

    assert found(desk, {"organisation_id": cast.organisation.pk}) == {ours}
    assert found(desk, {"agent_id": theirs.agent_id}) == {theirs}


@pytest.mark.parametrize(
    ("field", "query"),
    [
        ({"end_reason": EndReason.SILENCE}, {"end_reason__exact": "silence"}),
        ({"outcome": Outcome.CUT}, {"outcome__exact": "cut"}),
        ({"stars": 5}, {"stars__exact": "5"}),
        ({"captured_micro": 12 * MICRO}, {"credits": "10-100"}),
        ({"model_served": "parley-embedded"}, {"model_served": "parley-embedded"}),
    ],
)
def test_sessions_are_filtered_by_how_they_went(desk, agent, field, query):
    wanted = make_session(agent, **field)
    make_session(agent)

    assert found(desk, query) == {wanted}


def test_a_filter_that_is_no_id_shows_everything(desk, agent):
    session = make_session(agent)

    assert found(desk, {"agent_id": "x' OR 1=1"}) == {session}


def test_sessions_are_found_by_id_address_visitor_and_organisation(desk, cast, agent):
    wanted = make_session(agent, client_ip="198.51.100.7", visitor_id="visitor-1")
    make_session(make_agent(cast.other_organisation), client_ip="203.0.113.7", visitor_id="visitor-2")

    for text in (str(wanted.pk), "198.51.100", "visitor-1", cast.organisation.name):
        assert found(desk, {"q": text}) == {wanted}


def test_a_session_says_which_models_held_it_why_and_how_long_the_caller_waited(desk, agent):
    session = make_session(agent)
    make_rung(session, "gpt-realtime-mini")
    make_rung(session, "gpt-4.1", index=1, kind="text", reason="upstream_quota", at_ms=61_000, waited_ms=980)
    text = desk.get(f"/admin/voice/session/{session.pk}/change/").content.decode()
    assert "Its quota was used up" in text and "upstream_quota" in text
    assert "Text chat" in text and "1:01" in text and "0.9 s" in text


def test_a_session_cannot_be_edited(desk, agent):
    session = make_session(agent)

    desk.post(f"{SESSIONS}{session.pk}/change/", {"captured_micro": 1, "stars": 5})

    session.refresh_from_db()
    assert (session.captured_micro, session.stars) == (0, None)


@pytest.mark.parametrize("page", ["add/", "{pk}/delete/"])
def test_a_session_is_neither_added_nor_deleted(desk, agent, page):
    session = make_session(agent)

    assert desk.get(SESSIONS + page.format(pk=session.pk)).status_code == 403


def test_a_session_shows_its_turns(desk, agent):
    session = make_session(agent)
    make_turn(session, 0, "agent", latency_ms=640, heard_ms=1500, interrupted=True)

    page = desk.get(f"{SESSIONS}{session.pk}/change/").text

    assert "640 ms" in page
    assert "1.5 s" in page


def test_a_sessions_usage_is_shown_to_the_last_micro_credit(desk, agent):
    session = make_session(agent)
    make_usage(session, ("audio_in", 1234, 1_500_000_000, 1_851_001), ("text_out", 10, 324_000_000, 3240))

    page = desk.get(f"{SESSIONS}{session.pk}/change/").text

    assert all(text in page for text in ("1,234", "1.851001", "0.00324", "1.854241"))


def test_usage_whose_lines_do_not_add_up_is_flagged(desk, agent):
    session = make_session(agent)
    make_usage(session, ("audio_in", 100, 1_500_000_000, 150_000), amount_micro=150_001, captured_micro=150_001)

    assert "The lines differ from the amount by 0.000001." in desk.get(f"{SESSIONS}{session.pk}/change/").text


def settled_session(agent, *, measured_micro, captured_micro):
    session = make_session(agent)
    expires_at = timezone.now()
    hold = ledger.open_hold(
        agent.organisation_id, 5 * MICRO, key="k", reference=session.reference, expires_at=expires_at
    )
    ledger.capture(hold.id, captured_micro, key="r")
    make_usage(session, ("audio_in", 100, 1_500_000_000, measured_micro))
    session.hold_id = hold.id
    session.save()
    return session


def test_a_settled_session_says_that_hold_and_usage_agree(desk, agent):
    session = settled_session(agent, measured_micro=150_000, captured_micro=150_000)
    ledger.settle_hold(session.hold_id)

    page = desk.get(f"{SESSIONS}{session.pk}/change/").text

    assert "Agrees" in page
    assert "0.15 captured of 5.00 held" in page


def test_usage_that_the_hold_does_not_know_is_flagged(desk, agent):
    session = settled_session(agent, measured_micro=150_000, captured_micro=140_000)
    ledger.settle_hold(session.hold_id)

    assert "Differs" in desk.get(f"{SESSIONS}{session.pk}/change/").text


def test_an_ended_session_whose_hold_is_open_is_flagged(desk, agent):
    session = settled_session(agent, measured_micro=150_000, captured_micro=150_000)

    assert "Not settled yet" in desk.get(f"{SESSIONS}{session.pk}/change/").text


def test_hanging_up_asks_first(desk, agent, make_live_session, told):
    page = act(desk, "hang_up", make_live_session(agent)).text

    assert "Hang up 1 call?" in page
    assert told == []


def test_hanging_up_ends_the_live_ones_of_the_selected_calls(desk, agent, make_live_session, told):
    first, second, spared, ended = *(make_live_session(agent) for _ in range(3)), make_session(agent)

    response = act(desk, "hang_up", first, second, ended, confirmed="yes")

    assert set(told) == {first.pk, second.pk}
    assert "2 calls told to end." in desk.get(response.url).text
    assert spared.pk not in told


def test_hanging_up_is_written_down(desk, operator, agent, make_live_session, told):
    live = make_live_session(agent)

    act(desk, "hang_up", live, confirmed="yes")

    entry = LogEntry.objects.get(object_id=str(live.pk))
    assert (entry.user, entry.change_message) == (operator, "Hung up.")


def test_who_may_only_look_cannot_hang_up(client, agent, make_live_session, told):
    looker = make_user("looker@example.com", is_staff=True)
    looker.user_permissions.add(*permissions("view_session"))
    client.force_login(looker, backend="django.contrib.auth.backends.ModelBackend")

    act(client, "hang_up", make_live_session(agent), confirmed="yes")

    assert told == []


def permissions(*codenames):
    from django.contrib.auth.models import Permission

    return Permission.objects.filter(codename__in=codenames)


@pytest.mark.django_db(transaction=True)
async def test_the_button_reaches_the_call_itself(settings):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    browser = AsyncClient()
    session = await sync_to_async(_live_session_and_login)(browser)

    async with ordered(make_call(session_id=session.pk)) as ended:
        data = {"action": "hang_up", "_selected_action": [session.pk], "confirmed": "yes"}
        await browser.post(SESSIONS, data)

        assert await ended == EndReason.OPERATOR_ENDED


def _live_session_and_login(browser):
    from tests.factories import make_organisation
    from voice.models import SessionState

    operator = make_user("operator@example.com", is_staff=True, is_superuser=True)
    browser.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    return make_session(make_agent(make_organisation()), state=SessionState.LIVE, ended_at=None, end_reason="")


def test_blocking_needs_a_reason(desk, agent):
    page = act(desk, "block_network", make_session(agent, client_ip="203.0.113.7"), confirmed="yes", expires="7").text

    assert "This field is required." in page
    assert not BlockedNetwork.objects.exists()


@pytest.mark.parametrize(
    ("client_ip", "network"), [("203.0.113.7", "203.0.113.7/32"), ("2001:db8:1:2::9", "2001:db8:1:2::/64")]
)
def test_a_callers_network_is_an_ipv4_address_or_an_ipv6_64(desk, operator, agent, client_ip, network):
    session = make_session(agent, client_ip=client_ip)

    act(desk, "block_network", session, confirmed="yes", reason="Abuse", expires="7")

    blocked = BlockedNetwork.objects.get()
    assert (blocked.network, blocked.reason, blocked.created_by) == (network, "Abuse", operator)
    assert blocked.expires_at > timezone.now()


def test_calls_from_one_network_block_it_once_and_a_repeat_renews_it(desk, agent):
    sessions = [make_session(agent, client_ip="203.0.113.7") for _ in range(2)]

    act(desk, "block_network", *sessions, confirmed="yes", reason="Abuse", expires="1")
    act(desk, "block_network", *sessions, confirmed="yes", reason="Still", expires="0")

    blocked = BlockedNetwork.objects.get()
    assert (blocked.reason, blocked.expires_at) == ("Still", None)


def test_an_operator_who_would_be_blocked_too_is_warned(desk, agent):
    page = act(desk, "block_network", make_session(agent, client_ip="127.0.0.1")).text

    assert "You are in one of these networks yourself." in page


def test_a_session_whose_address_was_removed_cannot_be_blocked(desk, agent):
    response = act(desk, "block_network", make_session(agent, client_ip=None), confirmed="yes", reason="x", expires="0")

    assert "No address of these callers is kept any more." in desk.get(response.url).text
    assert not BlockedNetwork.objects.exists()


def test_a_session_keeps_no_transcript():
    names = {field.name for field in Session._meta.concrete_fields}

    assert not names & {"transcript", "text", "captions"}
