"""What is kept of a call: it begins once, is live while nothing forbids it, and ends once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.organisations import suspend_organisation
from tests.factories import make_agent, make_organisation, make_session
from voice.catalogue import moments
from voice.models import BlockedNetwork, CatalogueModel, EndReason, Outcome, Session, SessionState, Switches
from voice.sessions import records
from voice.sessions.orders import control
from voice.sessions.turns import TurnTimes

PEOPLE_ENDED_IT = {
    EndReason.CALLER_HUNG_UP,
    EndReason.CALLER_DISCONNECTED,
    EndReason.AGENT_HUNG_UP,
    EndReason.SILENCE,
}


@pytest.fixture
def agent(catalogue):
    return make_agent(make_organisation())


@pytest.fixture
def admitted(agent):
    return make_session(
        agent, state=SessionState.ADMITTED, started_at=None, ended_at=None, end_reason="", outcome="", duration_ms=0
    )


@pytest.fixture
def live(agent):
    return make_live(agent)


def make_live(agent):
    return make_session(
        agent,
        state=SessionState.LIVE,
        seen_at=timezone.now() - timedelta(seconds=10),
        client_ip="198.51.100.7",
        ended_at=None,
        end_reason="",
        outcome="",
        duration_ms=0,
    )


def test_beginning_marks_the_session_live_and_seen(admitted):
    records.begin(admitted.pk)

    admitted.refresh_from_db()
    assert admitted.state == SessionState.LIVE
    assert admitted.started_at == admitted.seen_at is not None


def test_beginning_returns_what_the_agent_is_to_do(admitted, agent):
    call = records.begin(admitted.pk)

    assert (call.session_id, call.organisation_id) == (admitted.pk, agent.organisation_id)
    assert (call.instructions, call.greeting, call.task_name) == (agent.instructions, agent.greeting, agent.task_name)
    assert [field.name for field in call.collects] == ["name"]


@pytest.mark.django_db(transaction=True)
def test_in_the_same_moment_as_another_a_session_begins_in_seven_statements(
    agent, monkeypatch, django_assert_max_num_queries
):
    first, second = (make_session(agent, state=SessionState.ADMITTED) for _ in range(2))
    records.begin(first.id)
    monkeypatch.setattr(moments, "MOMENT_S", 60.0)
    with django_assert_max_num_queries(8):  # with COMMIT
        records.begin(second.id)


def test_a_collected_field_may_lack_a_description(admitted, agent):
    agent.collects = [{"name": "time"}]
    agent.save()

    assert records.begin(admitted.pk).collects[0].description == ""


def test_a_call_speaks_no_more_than_its_agent_and_its_model_both_allow(admitted, agent):
    agent.max_output_tokens = 9000
    agent.save()
    CatalogueModel.objects.filter(slug=admitted.model_served).update(max_output_tokens=300)

    assert records.begin(admitted.pk).max_output_tokens == 300


def test_a_call_remembers_as_much_as_its_agent_is_set_to(admitted, agent):
    agent.history = "recent"
    agent.save()

    assert records.begin(admitted.pk).history == "recent"


def test_a_session_begins_once(admitted):
    records.begin(admitted.pk)

    with pytest.raises(records.SessionNotOpen):
        records.begin(admitted.pk)


def test_a_session_that_has_ended_cannot_begin(admitted):
    records.end(admitted.pk, EndReason.TICKET_UNUSED)

    with pytest.raises(records.SessionNotOpen):
        records.begin(admitted.pk)


def test_a_session_whose_agent_was_deleted_cannot_begin(admitted, agent):
    agent.delete()

    with pytest.raises(records.SessionNotOpen):
        records.begin(admitted.pk)


def test_a_session_whose_model_is_gone_from_the_catalogue_cannot_begin(admitted):
    CatalogueModel.objects.filter(slug=admitted.model_served).delete()
    with pytest.raises(records.SessionNotOpen):
        records.begin(admitted.pk)
    admitted.refresh_from_db()
    assert admitted.state == SessionState.ADMITTED


def reason_to_end(session):
    return records.still_live({session.pk: session.client_ip or ""}).get(session.pk)


def test_a_live_session_is_seen_again(live):
    before = live.seen_at

    assert reason_to_end(live) is None

    live.refresh_from_db()
    assert live.seen_at > before


def test_a_session_that_was_ended_elsewhere_must_end(live):
    records.end(live.pk, EndReason.PROCESS_DIED)

    assert reason_to_end(live) == EndReason.OPERATOR_ENDED


def test_a_session_that_was_ended_elsewhere_is_not_seen_again(live):
    records.end(live.pk, EndReason.PROCESS_DIED)

    reason_to_end(live)

    assert Session.objects.get(pk=live.pk).seen_at == live.seen_at


def test_a_session_of_a_suspended_organisation_must_end(live):
    suspend_organisation(live.organisation, "Unpaid", None)

    assert reason_to_end(live) == EndReason.ORGANISATION_SUSPENDED


def test_a_session_the_operator_wants_ended_must_end_although_the_order_was_lost(live):
    Session.objects.filter(pk=live.pk).update(hang_up_wanted=True)
    assert reason_to_end(live) == EndReason.OPERATOR_ENDED


def test_a_session_its_customer_wants_ended_must_end_although_the_order_was_lost(live):
    control.end_call(live.pk, EndReason.API_ENDED)
    assert reason_to_end(live) == EndReason.API_ENDED


def test_every_session_must_end_while_calls_are_paused(live):
    Switches(calls_paused=True).save()

    assert reason_to_end(live) == EndReason.PAUSED


def test_a_session_from_a_blocked_network_must_end(live):
    BlockedNetwork.objects.create(network="198.51.100.0/24", reason="Abuse")

    assert reason_to_end(live) == EndReason.NETWORK_BLOCKED


@pytest.mark.parametrize("network", ["203.0.113.0/24", "2001:db8::/32"])
def test_a_session_from_elsewhere_goes_on(live, network):
    BlockedNetwork.objects.create(network=network, reason="Abuse")

    assert reason_to_end(live) is None


def test_a_block_that_has_expired_ends_nothing(live):
    expired = timezone.now() - timedelta(minutes=1)
    BlockedNetwork.objects.create(network="198.51.100.0/24", reason="Abuse", expires_at=expired)

    assert reason_to_end(live) is None


def test_a_session_whose_address_is_unknown_goes_on(live):
    Session.objects.filter(pk=live.pk).update(client_ip=None)
    BlockedNetwork.objects.create(network="198.51.100.0/24", reason="Abuse")

    assert records.still_live({live.pk: ""}) == {}


def test_of_many_sessions_only_those_concerned_must_end(live, agent):
    others = [make_live(agent) for _ in range(3)]
    Session.objects.filter(pk=live.pk).update(hang_up_wanted=True)

    reasons = records.still_live({session.pk: "" for session in [live, *others]})

    assert reasons == {live.pk: EndReason.OPERATOR_ENDED}
    assert all(Session.objects.get(pk=other.pk).seen_at > other.seen_at for other in others)


def test_many_sessions_are_looked_at_in_as_few_statements_as_one(agent, django_assert_num_queries):
    sessions = [make_live(agent) for _ in range(4)]

    with django_assert_num_queries(4):
        records.still_live({session.pk: "198.51.100.7" for session in sessions})


def test_ending_keeps_how_and_how_long(live):
    outcome = records.end(live.pk, EndReason.CALLER_HUNG_UP, duration_ms=61_000, task_completed="book_appointment")

    live.refresh_from_db()
    assert (live.state, live.end_reason) == (SessionState.ENDED, EndReason.CALLER_HUNG_UP)
    assert (live.duration_ms, live.task_completed) == (61_000, "book_appointment")
    assert live.outcome == outcome == Outcome.COMPLETED
    assert live.ended_at is not None


def test_ending_again_changes_nothing(live):
    records.end(live.pk, EndReason.CALLER_HUNG_UP, duration_ms=61_000, task_completed="book_appointment")

    outcome = records.end(live.pk, EndReason.PROCESS_DIED, turns=[TurnTimes("caller", "item_1", 0, 10)])

    live.refresh_from_db()
    assert outcome == Outcome.COMPLETED
    assert (live.end_reason, live.duration_ms, live.turns.count()) == (EndReason.CALLER_HUNG_UP, 61_000, 0)


def test_ending_keeps_the_turns_in_their_order(live):
    turns = [
        TurnTimes("caller", "item_1", 0, 1200),
        TurnTimes("agent", "item_2", 1900, 5000, latency_ms=700, heard_ms=2100, interrupted=True),
    ]

    records.end(live.pk, EndReason.CALLER_HUNG_UP, turns=turns)

    kept = list(live.turns.values_list("index", "speaker", "ended_ms", "latency_ms", "heard_ms", "interrupted"))
    assert kept == [(0, "caller", 1200, None, None, False), (1, "agent", 5000, 700, 2100, True)]


def test_an_item_id_longer_than_ours_is_cut(live):
    records.end(live.pk, EndReason.CALLER_HUNG_UP, turns=[TurnTimes("caller", "i" * 500, 0, 1)])

    assert live.turns.get().item_id == "i" * 80


def test_a_call_whose_agent_was_deleted_meanwhile_can_end(live, agent):
    agent.delete()

    assert records.end(live.pk, EndReason.CALLER_HUNG_UP, was_answered=True) == Outcome.COMPLETED


@pytest.mark.parametrize("reason", EndReason)
def test_a_task_that_was_completed_stays_completed_however_the_call_ends(reason):
    assert outcome(reason, has_task=True, task_completed=True) == Outcome.COMPLETED


@pytest.mark.parametrize("reason", sorted(PEOPLE_ENDED_IT))
def test_a_task_that_people_left_open_is_given_up(reason):
    assert outcome(reason, has_task=True, was_answered=True) == Outcome.GIVEN_UP


@pytest.mark.parametrize("reason", sorted(PEOPLE_ENDED_IT))
def test_without_a_task_an_answer_is_all_there_is_to_do(reason):
    assert outcome(reason, was_answered=True) == Outcome.COMPLETED


@pytest.mark.parametrize("reason", sorted(PEOPLE_ENDED_IT))
def test_a_caller_who_left_without_an_answer_has_given_up(reason):
    assert outcome(reason, was_answered=False) == Outcome.GIVEN_UP


@pytest.mark.parametrize("reason", sorted(set(EndReason) - PEOPLE_ENDED_IT))
def test_a_call_that_nobody_in_it_ended_was_cut(reason):
    assert outcome(reason, was_answered=True) == Outcome.CUT


def outcome(reason, *, has_task=False, task_completed=False, was_answered=False):
    return records.outcome_of(reason, has_task=has_task, task_completed=task_completed, was_answered=was_answered)
