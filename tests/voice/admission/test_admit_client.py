from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connections
from django.utils import timezone

from accounts.api_keys import create_key, revoke_key
from accounts.models import ApiKey
from accounts.organisations import suspend_organisation
from billing import ledger
from tests import factories
from tests.voice.conftest import CREDIT
from voice.admission.admit_client import DEFAULT_PROMPT, Asked, admit_client
from voice.admission.key_holders import authenticate_bearer, create_client_secret
from voice.admission.refusals import Refusal
from voice.metering.cover import cover_next_response
from voice.metering.errors import OutOfCredit
from voice.metering.meter import Meter
from voice.metering.settlement import settle_session
from voice.models import BlockedNetwork, Session, SessionState, Switches


@pytest.fixture
def holder(organisation, catalogue):
    """Make a key with such limits and return its holder."""

    def make(**limits):
        return authenticate_bearer(create_key(organisation, name="Website", **limits)[1])

    return make


def code(holder, **call):
    with pytest.raises(Refusal) as raised:
        admit_client(holder, **call)
    return raised.value.code


def held(organisation):
    return ledger.balance_of(organisation.id).held_micro


def test_a_key_opens_a_call_that_holds_credits(holder, organisation):
    session = Session.objects.get(id=admit_client(holder(), client_ip="203.0.113.7").id)
    assert (session.state, session.organisation, session.agent) == (SessionState.ADMITTED, organisation, None)
    assert ledger.hold_state(session.hold_id).amount_micro == held(organisation) > 0
    assert (session.source, session.client_ip, session.spend_cap_micro) == ("realtime", "203.0.113.7", None)


def test_a_call_is_its_keys(holder):
    mine = holder()
    assert admit_client(mine).api_key_id == mine.api_key_id


def test_what_is_asked_for_is_kept_with_the_call(holder):
    asked = Asked(
        language="hi",
        system_prompt="Speak Hindi.",
        voice="coral",
        turn_detection="realtime_llm",
        max_duration_s=90,
        webhook_url="https://example.com/hook",
        metadata={"order": "7"},
    )
    admit_client(holder(), asked=asked)
    session = Session.objects.get()
    assert (session.language, session.system_prompt, session.voice) == ("hi", "Speak Hindi.", "coral")
    assert (session.turn_detection, session.max_duration_s) == ("realtime_llm", 90)
    assert (session.webhook_url, session.metadata) == ("https://example.com/hook", {"order": "7"})


def test_without_an_agent_or_words_the_model_is_a_plain_assistant(holder):
    session = admit_client(holder())
    assert (session.system_prompt, session.model_asked, session.max_duration_s) == (
        DEFAULT_PROMPT, "gpt-realtime-mini", 3600,
    )  # fmt: skip


def test_an_agent_brings_its_model_language_and_longest_call(holder, agent):
    type(agent).objects.update(language="de", max_duration_s=120, model_slug="gpt-realtime")
    for name in (agent.public_key, str(agent.id)):
        session = admit_client(holder(), asked=Asked(agent=name))
        assert (session.agent, session.language, session.max_duration_s) == (agent, "de", 120)
        assert (session.model_asked, session.system_prompt) == ("gpt-realtime", "")


def test_another_organisations_agent_is_not_found(holder, catalogue):
    theirs = factories.make_agent(factories.make_organisation("Mallory Ltd"), is_public=True)
    assert code(holder(), asked=Asked(agent=theirs.public_key)) == "agent_not_found"
    assert code(holder(), asked=Asked(agent="no such agent")) == "agent_not_found"


def test_a_paused_agent_takes_no_calls_of_code_either(holder, agent):
    type(agent).objects.update(is_active=False)
    assert code(holder(), asked=Asked(agent=agent.public_key)) == "agent_paused"


def test_the_day_of_a_public_agent_is_not_spent_by_its_owners_code(holder, agent):
    type(agent).objects.update(daily_ceiling_micro=0)
    assert admit_client(holder(), asked=Asked(agent=agent.public_key)).is_member


def test_many_calls_may_come_from_one_server(holder, settings):
    settings.CONCURRENT_CALLS_PER_IP = 1
    mine = holder()
    assert {admit_client(mine, client_ip="203.0.113.7").state for _ in range(3)} == {SessionState.ADMITTED}


def test_a_key_without_the_scope_opens_no_call(holder):
    assert code(holder(scopes=["chat"])) == "scope_missing"


def test_a_key_is_held_to_its_models(holder):
    small = holder(allowed_models=["gpt-realtime-mini"])
    assert code(small, model="gpt-realtime") == "model_not_allowed"
    # What serves in its place is ours to choose.
    assert admit_client(small, model="gpt-realtime-mini").model_served == "parley-embedded"


def test_a_model_that_never_was_is_named(holder):
    with pytest.raises(Refusal) as raised:
        admit_client(holder(), model="gpt-9-realtime")
    assert (raised.value.code, raised.value.status) == ("model_not_found", 404)
    assert "gpt-9-realtime" in raised.value.message


def test_a_key_has_its_own_number_of_lines(holder):
    mine = holder(concurrent_calls=2)
    admit_client(mine), admit_client(mine)
    assert code(mine) == "api_key_busy"
    assert admit_client(holder())


def test_an_organisation_has_a_number_of_lines_whoever_calls(holder, settings):
    settings.CONCURRENT_CALLS_PER_ORGANISATION = 1
    admit_client(holder())
    assert code(holder()) == "organisation_busy"


def test_an_empty_wallet_opens_nothing(holder, organisation):
    mine = holder()
    ledger.adjust(organisation.id, -1000 * CREDIT, key="k", reason="For a test", actor="test")
    assert code(mine) == "out_of_credit"
    assert not Session.objects.exists()


def test_what_the_operator_decides_holds_for_code_too(holder, organisation):
    mine = holder()
    BlockedNetwork.objects.create(network="203.0.113.0/24", reason="Abuse")
    assert code(mine, client_ip="203.0.113.7") == "network_blocked"
    Switches.objects.create(calls_paused=True)
    assert code(mine) == "calls_paused"
    Switches.objects.all().delete()
    suspend_organisation(organisation, "Unpaid", None)
    assert code(mine) == "organisation_suspended"


def test_a_key_that_is_revoked_meanwhile_opens_nothing(holder):
    mine = holder()
    revoke_key(ApiKey.objects.get(pk=mine.api_key_id))
    assert code(mine) == "api_key_revoked"


# What a key may spend in a month.


def test_a_budget_holds_what_its_calls_claim(holder):
    plain = admit_client(holder())
    hold_micro = ledger.hold_state(plain.hold_id).amount_micro
    mine = holder(monthly_budget_micro=2 * hold_micro)
    first, second = admit_client(mine), admit_client(mine)
    assert (first.spend_cap_micro, second.spend_cap_micro) == (hold_micro, hold_micro)
    assert code(mine) == "api_key_budget_reached"


def test_what_a_call_did_not_use_is_the_keys_again(holder):
    hold_micro = ledger.hold_state(admit_client(holder()).hold_id).amount_micro
    mine = holder(monthly_budget_micro=hold_micro)
    session = admit_client(mine)
    settle_session(session.id)
    Session.objects.filter(id=session.id).update(state=SessionState.ENDED)
    assert admit_client(mine)


def test_a_new_month_brings_a_new_budget(holder):
    hold_micro = ledger.hold_state(admit_client(holder()).hold_id).amount_micro
    mine = holder(monthly_budget_micro=hold_micro)
    session = admit_client(mine)
    Session.objects.filter(id=session.id).update(created_at=timezone.now() - timedelta(days=32))
    assert admit_client(mine)


def test_a_live_call_grows_only_within_its_keys_budget(holder, organisation):
    hold_micro = ledger.hold_state(admit_client(holder()).hold_id).amount_micro
    mine = holder(monthly_budget_micro=3 * hold_micro)
    session = admit_client(mine)
    prices = _prices(session)
    allowed = cover_next_response(session.id, prices, context_tokens=1000, wanted_output_tokens=1500).allowance
    session.refresh_from_db()
    assert allowed.max_output_tokens == 1500
    assert hold_micro < session.spend_cap_micro == ledger.hold_state(session.hold_id).amount_micro <= 3 * hold_micro
    with pytest.raises(OutOfCredit) as raised:
        cover_next_response(session.id, prices, context_tokens=20_000, wanted_output_tokens=4000)
    assert raised.value.reason == "ceiling"


def test_a_client_secrets_calls_share_its_credits(holder):
    mine = holder()
    hold_micro = ledger.hold_state(admit_client(mine).hold_id).amount_micro
    _, text = create_client_secret(
        mine, model="gpt-realtime-mini", session={}, lifetime_s=600, credits_cap_micro=hold_micro, max_duration_s=60
    )
    session = admit_client(authenticate_bearer(text))
    assert (session.max_duration_s, session.model_asked) == (60, "gpt-realtime-mini")
    assert code(authenticate_bearer(text)) == "client_secret_used_up"
    with pytest.raises(OutOfCredit):
        cover_next_response(session.id, _prices(session), context_tokens=20_000, wanted_output_tokens=4000)


def test_a_budget_that_is_lifted_in_mid_call_limits_it_no_more(holder):
    hold_micro = ledger.hold_state(admit_client(holder()).hold_id).amount_micro
    mine = holder(monthly_budget_micro=hold_micro)
    session = admit_client(mine)
    ApiKey.objects.filter(pk=mine.api_key_id).update(monthly_budget_micro=None)
    allowed = cover_next_response(
        session.id, _prices(session), context_tokens=2000, wanted_output_tokens=4000
    ).allowance
    assert allowed.max_output_tokens == 4000


@pytest.mark.django_db(transaction=True)
@pytest.mark.db_concurrency
def test_a_keys_budget_is_not_passed_together(holder):
    hold_micro = ledger.hold_state(admit_client(holder()).hold_id).amount_micro
    mine, barrier = holder(monthly_budget_micro=3 * hold_micro), Barrier(6)

    def one(_):
        barrier.wait()
        try:
            admit_client(mine)
            return ""
        except Refusal as refusal:
            return refusal.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(one, range(6))) == [""] * 3 + ["api_key_budget_reached"] * 3


def _prices(session):
    from voice.metering.meter import _open_meter

    meter = _open_meter(session.id)
    assert isinstance(meter, Meter)
    return meter._prices
