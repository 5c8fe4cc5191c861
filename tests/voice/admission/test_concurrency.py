"""Real threads against a real database: limits and holds are exact when callers come at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from billing import ledger
from billing.audit import audit_ledger
from voice.admission.admit import admit
from voice.admission.refusals import Refusal
from voice.models import Session

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.db_concurrency]
CALLERS = 8


@pytest.fixture(autouse=True)
def plenty(settings):
    settings.CALL_STARTS_PER_IP = settings.CALL_STARTS_PER_AGENT = ["999/m"]
    settings.CONCURRENT_CALLS_PER_IP = 99


def all_at_once(make_request):
    """Let every caller ask at the same moment; return the refusals' codes, "" for who was admitted."""
    barrier = Barrier(CALLERS)

    def one(number):
        request = make_request(client_ip=f"203.0.113.{number}")
        barrier.wait()
        try:
            admit(request)
            return ""
        except Refusal as refusal:
            return refusal.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CALLERS) as pool:
        return sorted(pool.map(one, range(CALLERS)))


def test_exactly_as_many_are_admitted_as_there_are_lines(ask, settings):
    settings.CONCURRENT_CALLS_PER_AGENT = 3
    assert all_at_once(ask) == [""] * 3 + ["agent_busy"] * 5
    assert Session.objects.count() == 3


def test_callers_of_one_network_share_its_lines(ask, settings):
    settings.CONCURRENT_CALLS_PER_IP = 2
    assert all_at_once(lambda client_ip: ask(client_ip="203.0.113.99")) == [""] * 2 + ["network_busy"] * 6


def test_the_days_ceiling_is_not_passed_together(ask, agent):
    hold_micro = admit(ask()).session.spend_cap_micro
    agent.daily_ceiling_micro = 4 * hold_micro
    agent.save()
    assert all_at_once(ask) == [""] * 3 + ["daily_ceiling_reached"] * 5


def test_the_wallet_is_not_passed_together(ask, organisation):
    hold_micro = admit(ask()).session.spend_cap_micro
    left_micro = 3 * hold_micro + hold_micro // 2
    available_micro = ledger.balance_of(organisation.id).available_micro
    ledger.adjust(organisation.id, left_micro - available_micro, key="k", reason="For a test", actor="test")
    assert all_at_once(ask) == [""] * 3 + ["out_of_credit"] * 5
    assert ledger.balance_of(organisation.id).available_micro == hold_micro // 2
    assert list(audit_ledger()) == []
