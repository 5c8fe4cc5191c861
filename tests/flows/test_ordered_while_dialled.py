"""What the operator decides ends a call at once, at no cost, though its model is still being dialled."""

import asyncio
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async as in_thread
from django.contrib.auth import get_user_model
from django.test import AsyncClient

from accounts.api_keys import create_key, revoke_key
from accounts.models import ApiKey
from tests.fakes.obedient_model import ObedientModel
from tests.fakes.scripted_upstream import ScriptedUpstream
from tests.flows.browser import PATIENCE_S, Browser
from tests.flows.program import Program
from tests.flows.rungs import Dialled
from tests.flows.script import greeting
from tests.flows.test_leaving_while_dialled import DROPPED, nothing_was_charged
from tests.flows.test_operator_ends_calls import DECISIONS, hang_up
from tests.flows.visits import CLIENT_IP, admitted
from voice.gateway import realtime_consumer
from voice.metering.meter import Meter
from voice.models import EndReason, Outcome
from voice.sessions.fallback import search
from voice.sessions.orders import control, listening
from voice.upstream import registry


@pytest.fixture
async def call(agent, dialling):
    """A call whose model is being dialled: its dial, and the page, which knows the session's id."""
    dial, page = dialling(ScriptedUpstream(greeting())), Browser()
    started = await page.calls(await in_thread(admitted)(agent))
    await dial.until_dialled()
    page.session_id = UUID(started["session_id"])
    return dial, page


async def is_over(dial, page, reason):
    """The caller is told why, and that it costs nothing; nobody is dialled any more."""
    ended = await page.until("session.ended")
    assert (ended["reason"], ended["outcome"], ended["receipt"]["total_micro"]) == (reason, "cut", 0)
    assert await page.until_closed() == 1000
    assert dial.given_up == dial.dialled
    books = await nothing_was_charged(reason)
    assert books.session.outcome == Outcome.CUT


@pytest.mark.parametrize("decide, reason, code", DECISIONS)
async def test_a_decision_ends_a_call_whose_model_is_being_dialled(never_polls, call, decide, reason, code):
    await sync_to_async(decide)()
    await is_over(*call, reason)


@pytest.mark.parametrize("decide, reason, code", DECISIONS)
async def test_a_decision_whose_message_is_lost_is_noticed_before_the_model_is_reached(
    messages_get_lost, call, decide, reason, code
):
    await sync_to_async(decide)()
    await is_over(*call, reason)


async def test_the_operator_hangs_up_in_the_admin_while_a_model_is_dialled(never_polls, call):
    operator = AsyncClient()
    boss = await in_thread(get_user_model().objects.create_superuser)("olga@example.com", "correct horse battery")
    await operator.aforce_login(boss)
    await hang_up(operator, call[1].session_id)
    await is_over(*call, "operator_ended")


async def test_an_order_hangs_up_all_models_that_are_dialled_side_by_side(
    never_polls, agent, dialling, settings, monkeypatch
):
    settings.OPENAI_API_KEY = "sk-test"
    monkeypatch.setattr(search, "_FIRST_HEAD_START_S", 0.0)
    dial, page = dialling(ScriptedUpstream(greeting())), Browser()
    await page.calls(await in_thread(admitted)(agent))
    await dial.until_dialled(2)
    await sync_to_async(control.end_every_call)()
    await page.until("session.ended", reason="paused")
    async with asyncio.timeout(PATIENCE_S):
        while sorted(dial.given_up) != sorted(dial.dialled):
            await asyncio.sleep(0.001)
    await nothing_was_charged(EndReason.PAUSED)


async def test_an_order_to_another_call_leaves_the_model_being_dialled(never_polls, call):
    dial, page = call
    await sync_to_async(control.end_calls_from)("203.0.113.0/24")
    dial.answers()
    await page.until("meter.changed")
    assert dial.given_up == []
    await page.says("session.end")
    assert (await page.until("session.ended"))["reason"] == "caller_hung_up"


async def test_who_is_ordered_to_end_just_when_a_model_is_reached_is_not_greeted(never_polls, agent, monkeypatch):
    reached = ScriptedUpstream(greeting())
    monkeypatch.setattr(registry, "dial", Dialled(DROPPED, reached).dial)
    change_model = Meter.change_model

    async def ordered_meanwhile(meter, *args, **kwargs):
        await change_model(meter, *args, **kwargs)
        await sync_to_async(control.end_every_call)()
        [orders] = listening._ears[asyncio.get_running_loop()]._calls
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([orders.ended])

    monkeypatch.setattr(Meter, "change_model", ordered_meanwhile)
    page = Browser()
    await page.calls(await in_thread(admitted)(agent))
    await page.until("session.ended", reason="paused")
    assert (reached.sent, reached.closed) == ([], True)
    await nothing_was_charged(EndReason.PAUSED)


# A customer's own program.


@pytest.fixture
async def program(agent, dialling, monkeypatch):
    """One whose model is being dialled: return its dial, and the program."""
    # It is a real one that is to connect again no sooner.
    monkeypatch.setattr(realtime_consumer, "_NOT_SO_FAST_S", 0.0)
    _, key = await in_thread(create_key)(agent.organisation, name="test")
    program = Program(key)
    program.socket.scope["client"] = [CLIENT_IP, 1024]
    dial = dialling(ObedientModel())
    await program.opens()
    await dial.until_dialled()
    return dial, program


def revoke():
    revoke_key(ApiKey.objects.get())


OF_PROGRAMS = [
    *(pytest.param(*decision.values[:2], word, id=decision.id) for decision, word in zip(DECISIONS, (
        "calls_paused", "account_deactivated", "network_blocked"
    ), strict=True)),
    pytest.param(revoke, "api_key_revoked", "invalid_api_key", id="revoke"),
]  # fmt: skip


@pytest.mark.parametrize("decide, reason, word", OF_PROGRAMS)
async def test_a_decision_ends_a_program_whose_model_is_being_dialled(never_polls, program, decide, reason, word):
    dial, program = program
    await program.says("response.create")
    await sync_to_async(decide)()
    assert (await program.until("error"))["error"]["code"] == word
    await program.until_closed()
    assert program.told_types() == ["error"]
    assert dial.given_up == dial.dialled
    await nothing_was_charged(reason)
