"""What the operator decides ends the live calls it concerns at once, and keeps new ones out."""

from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async as in_thread
from django.contrib.auth import get_user_model
from django.test import AsyncClient

from accounts.api_keys import create_key
from accounts.models import Organisation
from accounts.organisations import suspend_organisation
from tests.flows.books import closed_books, response_micro
from tests.flows.browser import Browser
from tests.flows.script import GREETING_USAGE, greeting
from tests.flows.visits import CLIENT_IP, admitted, asks_for_a_call, ticket_for
from voice.admission import tickets
from voice.models import BlockedNetwork, Session, Switches
from voice.sessions.orders import control

GREETING_MICRO = response_micro(GREETING_USAGE)


@pytest.fixture
async def call(agent, served_by):
    """A call that has been greeted: its page, which knows the session's id."""
    served_by(greeting())
    page = Browser()
    started = await page.calls(await ticket_for(agent))
    await page.until("meter.changed", used_micro=GREETING_MICRO)
    page.session_id = started["session_id"]
    return page


def pause():
    Switches.objects.update_or_create(id=1, defaults={"calls_paused": True, "pause_message": "Back at noon."})


def suspend():
    suspend_organisation(Organisation.objects.get(), "abuse", actor=None)


def block():
    BlockedNetwork.objects.create(network=f"{CLIENT_IP}/32", reason="abuse")


DECISIONS = [
    pytest.param(pause, "paused", "calls_paused", id="pause"),
    pytest.param(suspend, "organisation_suspended", "organisation_suspended", id="suspend"),
    pytest.param(block, "network_blocked", "network_blocked", id="block"),
]


async def is_over(page, reason):
    """The caller is told why; what was used is paid, and nothing else."""
    ended = await page.until("session.ended")
    assert (ended["reason"], ended["outcome"]) == (reason, "cut")
    assert await page.until_closed() == 1000
    books = await in_thread(closed_books)(page.session_id)
    assert (books.session.end_reason, books.cost_micro) == (reason, GREETING_MICRO)


@pytest.mark.parametrize("decide, reason, code", DECISIONS)
async def test_a_decision_ends_live_calls_at_once(call, never_polls, decide, reason, code):
    await sync_to_async(decide)()
    await is_over(call, reason)


@pytest.mark.parametrize("decide, reason, code", DECISIONS)
async def test_a_decision_is_noticed_when_its_message_is_lost(messages_get_lost, call, decide, reason, code):
    await sync_to_async(decide)()
    await is_over(call, reason)


@pytest.mark.parametrize("decide, reason, code", DECISIONS)
async def test_a_decision_keeps_new_calls_out(agent, decide, reason, code):
    await sync_to_async(decide)()
    answer = await asks_for_a_call(agent)
    assert answer.json()["error"]["code"] == code


@pytest.mark.parametrize("decide, reason, code", DECISIONS)
async def test_a_decision_revokes_tickets_that_were_given_out(agent, served_by, decide, reason, code):
    served_by([])
    ticket = await ticket_for(agent)
    await sync_to_async(decide)()
    page = Browser()
    await page.opens()
    await page.says("session.start", version=1, ticket=ticket, voice=True)
    assert await page.until_closed() == 4401


async def test_the_operator_hangs_up_in_the_admin(call, never_polls):
    operator = AsyncClient()
    boss = await in_thread(get_user_model().objects.create_superuser)("olga@example.com", "correct horse battery")
    await operator.aforce_login(boss)
    await hang_up(operator, call.session_id)
    await is_over(call, "operator_ended")


async def test_a_hang_up_is_noticed_when_its_message_is_lost(messages_get_lost, call):
    await sync_to_async(control.end_call)(UUID(call.session_id))
    await is_over(call, "operator_ended")


async def test_the_customers_code_ends_a_call(call, never_polls):
    _, key = await in_thread(create_key)(await in_thread(Organisation.objects.get)(), name="Website")
    address = f"/v1/voice/sessions/{call.session_id}"
    answer = await AsyncClient().delete(address, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 204
    await is_over(call, "api_ended")


async def hang_up(operator, session_id):
    fields = {"action": "hang_up", "_selected_action": session_id, "confirmed": "yes"}
    answer = await operator.post("/admin/voice/session/", fields)
    assert answer.status_code == 302


async def test_another_organisations_suspension_ends_no_call_of_ours(call, never_polls):
    other = await in_thread(Organisation.objects.create)(name="Mallory Ltd")
    await sync_to_async(suspend_organisation)(other, "abuse", actor=None)
    await sync_to_async(BlockedNetwork.objects.create)(network="198.51.100.0/24", reason="abuse")
    await sync_to_async(control.end_call)(other.id)
    await call.says("session.end")
    assert (await call.until("session.ended"))["reason"] == "caller_hung_up"


async def test_one_call_of_two_is_hung_up(call, agent, served_by, never_polls):
    served_by(greeting())
    other, ticket = Browser(), await in_thread(admitted)(agent)
    await other.calls(ticket)
    await other.until("meter.changed")
    await sync_to_async(control.end_call)(UUID(call.session_id))
    await is_over(call, "operator_ended")
    await other.says("session.end")
    assert (await other.until("session.ended"))["reason"] == "caller_hung_up"


async def test_a_network_that_nobody_can_read_ends_no_call(call, never_polls):
    await sync_to_async(BlockedNetwork.objects.create)(network="not a network", reason="a slip")
    await call.says("session.end")
    assert (await call.until("session.ended"))["reason"] == "caller_hung_up"


async def test_a_network_written_as_one_of_its_addresses_is_that_network(call, never_polls):
    await sync_to_async(BlockedNetwork.objects.create)(network="127.0.0.9/8", reason="abuse")
    await is_over(call, "network_blocked")


def test_a_ticket_is_good_until_somebody_decides_otherwise(agent):
    assert tickets.redeem(admitted(agent)) == Session.objects.get().id
