from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import DatabaseError
from django.utils import timezone

from accounts.models import Organisation
from accounts.organisations import suspend_organisation
from billing import ledger
from tests import factories
from tests.voice.conftest import CREDIT
from voice.admission import tickets
from voice.admission.admit import admit
from voice.admission.refusals import REFUSALS, Refusal
from voice.catalogue import moments
from voice.catalogue.rate_card import Kind
from voice.metering.sweep import settle_dead_sessions
from voice.models import BlockedNetwork, CatalogueModel, Rate, Session, Switches


def refusal(request):
    with pytest.raises(Refusal) as raised:
        admit(request)
    return raised.value


def code(request):
    return refusal(request).code


def change(row, **fields):
    type(row).objects.filter(pk=row.pk).update(**fields)


def member_of(organisation):
    user = factories.make_user()
    factories.add_member(organisation, user)
    return user


def held(organisation):
    return ledger.balance_of(organisation.id).held_micro


# What an admitted call looks like.


def test_a_caller_is_admitted_with_a_hold_and_a_ticket(ask, organisation, agent):
    admission = admit(ask(visitor_id="v" * 64))
    session = Session.objects.get(id=admission.session.id)
    assert (session.state, session.agent, session.organisation) == ("admitted", agent, organisation)
    assert (session.client_ip, session.visitor_id, session.is_member) == ("203.0.113.7", "v" * 64, False)
    assert ledger.hold_state(session.hold_id).amount_micro == held(organisation) == session.spend_cap_micro
    assert tickets.redeem(admission.ticket) == session.id


@pytest.mark.django_db(transaction=True)
def test_in_the_same_moment_as_another_a_caller_is_admitted_in_18_statements(
    ask, monkeypatch, django_assert_max_num_queries
):
    admit(ask())
    monkeypatch.setattr(moments, "MOMENT_S", 60.0)
    with django_assert_max_num_queries(19):  # with COMMIT
        admit(ask())


def test_the_hold_covers_the_longest_greeting(ask, agent, organisation):
    change(agent, instructions="x" * 4000, greeting="", collects=[], max_output_tokens=1024)
    admit(ask())
    assert held(organisation) >= 2000 * 1500 + 1024 * 3000


def test_the_session_says_what_was_asked_for_what_serves_and_why(ask):
    session = admit(ask()).session
    assert (session.model_asked, session.model_served) == ("gpt-realtime-mini", "parley-embedded")
    assert "needs an OpenAI key" in session.model_reason


def test_the_callers_language_counts_before_the_agents(ask, agent):
    change(agent, language="de")
    assert admit(ask()).session.language == "de"
    assert admit(ask(language="fr")).session.language == "fr"


def test_a_typed_call_holds_nothing_for_captions(ask, organisation):
    admit(ask(is_voice=False))
    typed = held(organisation)
    admit(ask())
    assert held(organisation) - typed > typed


def test_a_block_that_cannot_be_read_keeps_nobody_out_and_stops_nothing(ask):
    BlockedNetwork.objects.create(network="not a network", reason="a slip")
    assert admit(ask())


def test_an_unused_ticket_frees_the_hold_and_the_line(ask, organisation, settings):
    settings.CONCURRENT_CALLS_PER_IP = 1
    admit(ask())
    assert code(ask()) == "network_busy"
    settle_dead_sessions(timezone.now() + timedelta(seconds=settings.TICKET_LIFETIME_S + 1))
    assert held(organisation) == 0
    assert admit(ask())


def test_a_line_is_free_as_soon_as_its_ticket_has_expired(ask, settings):
    settings.CONCURRENT_CALLS_PER_IP = 1
    session = admit(ask()).session
    change(session, ticket_expires_at=timezone.now())
    assert admit(ask())


# Members.


def test_a_member_needs_no_captcha_and_may_call_a_private_agent(ask, agent, organisation):
    change(agent, is_public=False)
    session = admit(ask(user=member_of(organisation), payload="")).session
    assert (session.is_member, session.spend_cap_micro) == (True, None)


def test_a_private_agent_does_not_exist_for_the_public(ask, agent):
    change(agent, is_public=False)
    assert code(ask()) == "agent_not_found"


def test_mallory_cannot_call_a_private_agent_of_another_organisation(ask, agent):
    change(agent, is_public=False)
    mallory = member_of(factories.make_organisation("Mallory Ltd"))
    assert code(ask(user=mallory)) == "agent_not_found"


def test_mallory_is_a_member_of_the_public_elsewhere(ask):
    mallory = member_of(factories.make_organisation("Mallory Ltd"))
    assert code(ask(user=mallory, payload="")) == "captcha_required"


def test_a_members_rights_count_only_from_our_own_pages(ask, agent, organisation):
    change(agent, is_public=False, allowed_origins=["https://shop.example"])
    assert code(ask(user=member_of(organisation), origin="https://shop.example")) == "agent_not_found"


def test_an_operator_is_no_member(ask):
    operator = get_user_model().objects.create_superuser("olga@example.com", factories.PASSWORD)
    assert code(ask(user=operator, payload="")) == "captcha_required"


# Refusals, in the order in which they are decided.


def test_nobody_may_ask_without_end(ask, agent):
    asked = [code(ask(agent_key="pk_unknown")) for _ in range(61)]
    assert set(asked[:60]) == {"agent_not_found"}
    assert asked[60] == "too_many_attempts"


@pytest.mark.parametrize("network", ["203.0.113.7/32", "203.0.113.0/24"])
def test_a_blocked_network_is_refused(ask, network):
    BlockedNetwork.objects.create(network=network, reason="abuse")
    assert code(ask()) == "network_blocked"
    assert admit(ask(client_ip="198.51.100.1"))


def test_a_block_ends_when_it_says(ask):
    BlockedNetwork.objects.create(network="203.0.113.7", reason="abuse", expires_at=timezone.now())
    assert admit(ask())


def test_while_calls_are_paused_none_starts_and_callers_are_told_why(ask):
    Switches.objects.create(calls_paused=True, pause_message="Back at noon.")
    refused = refusal(ask())
    assert (refused.code, refused.message, refused.retry_after_s) == ("calls_paused", "Back at noon.", 60)


def test_a_pause_without_a_message_has_one(ask):
    Switches.objects.create(calls_paused=True)
    assert refusal(ask()).message == REFUSALS["calls_paused"].message


@pytest.mark.parametrize("key", ["pk_unknown", ""])
def test_an_unknown_agent_is_not_found(ask, key):
    assert code(ask(agent_key=key)) == "agent_not_found"


def test_a_suspended_organisation_takes_no_calls_not_even_its_own(ask, organisation):
    user = member_of(organisation)
    change(organisation, suspended_at=timezone.now())
    assert code(ask()) == code(ask(user=user)) == "organisation_suspended"


def test_an_agent_that_is_switched_off_takes_no_calls(ask, agent):
    change(agent, is_active=False)
    assert code(ask()) == "agent_paused"


def test_a_model_that_does_not_exist_is_refused(ask, agent):
    change(agent, model_slug="gpt-9-realtime")
    assert code(ask()) == "model_unknown"


def test_when_no_model_can_be_talked_to_the_call_is_typed(ask):
    CatalogueModel.objects.filter(kind="realtime").update(status="maintenance")
    session = admit(ask()).session
    assert not session.is_voice
    assert CatalogueModel.objects.get(slug=session.model_served).kind == "chat"
    assert "under maintenance" in session.model_reason


def test_when_no_model_can_serve_the_caller_may_come_back(ask):
    CatalogueModel.objects.filter(kind__in=["realtime", "chat"]).update(status="maintenance")
    refused = refusal(ask())
    assert (refused.code, refused.status, refused.retry_after_s) == ("model_unavailable", 503, 60)


@pytest.mark.parametrize("kind", [Kind.AUDIO_OUT, Kind.TEXT_CACHED_IN])
def test_a_model_without_a_rate_for_all_it_can_report_is_refused(ask, kind):
    Rate.objects.filter(model__slug="gpt-realtime-mini", kind=kind).delete()
    assert code(ask()) == "model_not_priced"


def test_captions_without_a_rate_refuse_a_spoken_call_and_no_typed_one(ask):
    Rate.objects.filter(model__slug="gpt-4o-mini-transcribe").delete()
    assert code(ask()) == "model_not_priced"
    assert admit(ask(is_voice=False))


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "", "null", "http://testserver:81", "http://testserver.evil"]
)
def test_another_page_may_not_call(ask, origin):
    assert code(ask(origin=origin)) == "origin_not_allowed"


def test_a_listed_page_may_call_and_no_other(ask, agent):
    change(agent, allowed_origins=["https://shop.example"])
    assert admit(ask(origin="https://SHOP.example:443"))
    assert code(ask(origin="http://shop.example")) == "origin_not_allowed"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("", "captcha_required"),
        ("wrong", "captcha_failed"),
        ("used", "captcha_reused"),
        ("down", "captcha_unavailable"),
    ],
)
def test_the_public_needs_a_captcha(ask, payload, expected):
    assert code(ask(payload=payload)) == expected
    assert not Session.objects.exists()


def test_a_networks_starts_are_limited_and_the_wait_is_told(ask, settings):
    settings.CALL_STARTS_PER_IP = ["2/m", "40/h"]
    settings.CONCURRENT_CALLS_PER_IP = 99
    assert admit(ask()) and admit(ask())
    refused = refusal(ask())
    assert refused.code == "too_many_calls" and 1 <= refused.retry_after_s <= 60
    assert admit(ask(client_ip="203.0.113.8"))


def test_the_longer_limit_holds_too(ask, settings):
    settings.CALL_STARTS_PER_IP = ["99/m", "1/d"]
    assert admit(ask())
    assert refusal(ask()).code == "too_many_calls"


def test_one_ipv6_network_is_one_caller(ask, settings):
    settings.CALL_STARTS_PER_IP = ["1/m"]
    assert admit(ask(client_ip="2001:db8:0:1::1"))
    assert code(ask(client_ip="2001:db8:0:1:ffff::2")) == "too_many_calls"
    assert admit(ask(client_ip="2001:db8:0:2::1"))


def test_an_agents_starts_are_limited_for_all_callers_together(ask, settings):
    settings.CALL_STARTS_PER_AGENT = ["1/m"]
    assert admit(ask())
    assert code(ask(client_ip="203.0.113.8")) == "agent_too_many_calls"


def test_what_is_refused_before_it_could_start_is_no_start(ask, settings):
    settings.CALL_STARTS_PER_IP = ["1/m"]
    assert code(ask(payload="wrong")) == "captcha_failed"
    assert admit(ask())


def test_calls_at_once_are_limited_for_a_network(ask, settings):
    settings.CONCURRENT_CALLS_PER_IP = 2
    assert admit(ask()) and admit(ask())
    assert code(ask()) == "network_busy"


def test_calls_at_once_are_limited_for_an_ipv6_network(ask, settings):
    settings.CONCURRENT_CALLS_PER_IP = 1
    assert admit(ask(client_ip="2001:db8:0:1::1"))
    assert code(ask(client_ip="2001:db8:0:1::2")) == "network_busy"
    assert admit(ask(client_ip="2001:db8:0:2::2"))


def test_calls_at_once_are_limited_for_an_agent(ask, settings, organisation):
    settings.CONCURRENT_CALLS_PER_AGENT = 1
    assert admit(ask())
    assert code(ask(client_ip="203.0.113.8")) == "agent_busy"
    assert admit(ask(factories.make_agent(organisation, is_public=True), client_ip="203.0.113.8"))


def test_calls_at_once_are_limited_for_an_organisation(ask, settings, organisation):
    settings.CONCURRENT_CALLS_PER_ORGANISATION = 1
    assert admit(ask())
    other = factories.make_agent(organisation, is_public=True)
    assert code(ask(other, client_ip="203.0.113.8")) == "organisation_busy"


def test_todays_ceiling_of_a_public_agent_holds(ask, agent, organisation):
    first_micro = admit(ask()).session.spend_cap_micro
    change(agent, daily_ceiling_micro=2 * first_micro - 1)
    refused = refusal(ask())
    assert (refused.code, refused.status) == ("daily_ceiling_reached", 429)
    assert 1 <= refused.retry_after_s <= 24 * 3600
    assert held(organisation) == first_micro


def test_calls_that_are_over_count_what_they_cost_and_only_todays(ask, agent, settings):
    settings.CONCURRENT_CALLS_PER_IP = 99
    hold_micro = admit(ask()).session.spend_cap_micro
    change(agent, daily_ceiling_micro=2 * hold_micro)
    yesterday = timezone.now() - timedelta(days=1)
    factories.make_session(agent, created_at=yesterday, captured_micro=10**9)
    assert admit(ask())
    Session.objects.filter(state="admitted").update(state="ended", captured_micro=1)
    assert admit(ask())
    factories.make_session(agent, created_at=timezone.now(), captured_micro=hold_micro)
    assert code(ask()) == "daily_ceiling_reached"


def test_a_members_calls_do_not_count_toward_the_ceiling(ask, agent, organisation):
    user = member_of(organisation)
    change(agent, daily_ceiling_micro=0)
    assert admit(ask(user=user))
    assert code(ask()) == "daily_ceiling_reached"


@pytest.mark.parametrize("credits", [0, 1])
def test_a_wallet_that_cannot_cover_the_greeting_starts_nothing(ask, credits):
    poor = factories.make_agent(factories.make_organisation(credits=credits), is_public=True)
    assert code(ask(poor)) == "out_of_credit"
    assert not Session.objects.exists()


def test_a_wallet_below_zero_starts_nothing(ask, organisation):
    ledger.adjust(organisation.id, -2000 * CREDIT, key="k", reason="For a test", actor="test")
    assert code(ask()) == "out_of_credit"


def test_when_the_demo_is_used_up_the_page_can_say_so(ask):
    house = factories.make_organisation("House")
    Organisation.objects.filter(id=house.id).update(is_house=True)
    refused = refusal(ask(factories.make_agent(house, is_public=True)))
    assert (refused.status, "demo" in refused.message) == (402, True)


# Failing closed.


def test_when_the_ledger_fails_nothing_is_left_open(ask, organisation, monkeypatch):
    def broken(*args, **kwargs):
        raise DatabaseError

    monkeypatch.setattr(ledger, "open_hold", broken)
    with pytest.raises(DatabaseError):
        admit(ask())
    assert not Session.objects.exists()


def test_when_the_session_cannot_be_written_no_hold_is_left(ask, organisation, monkeypatch):
    def broken(*args, **kwargs):
        raise DatabaseError

    monkeypatch.setattr(Session, "save", broken)
    with pytest.raises(DatabaseError):
        admit(ask())
    assert held(organisation) == 0


def test_when_the_counters_cannot_be_read_no_call_starts(ask, monkeypatch):
    monkeypatch.setattr(cache, "add", lambda *_, **__: False)
    monkeypatch.setattr(cache, "incr", lambda *_, **__: None)
    assert code(ask()) == "unavailable"


def test_what_the_operator_decides_between_the_first_look_and_the_lock_counts(ask, organisation, monkeypatch):
    from voice.admission import ip_limits

    monkeypatch.setattr(
        ip_limits, "count_start", lambda *_: suspend_organisation(organisation, reason="fraud", actor=None)
    )
    assert code(ask()) == "organisation_suspended"
