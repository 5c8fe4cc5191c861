"""A call that drains the wallet triggers one auto top-up, waits for the bank for a moment, and goes on."""

import asyncio
from types import SimpleNamespace

import pytest
from channels.db import database_sync_to_async as in_thread

from accounts.models import Organisation
from billing import auto_top_up, ledger
from billing.bundles import seed_bundles
from billing.models import AutoTopUpAttempt, Bundle
from billing.stripe import payments
from outbox import messages as outbox
from tests.billing.bank import CARD, Bank, declined
from tests.fakes.scripted_upstream import ScriptedUpstream, usage
from tests.flows.books import closed_books, only_session, response_micro
from tests.flows.browser import PATIENCE_S, Browser, Closed
from tests.flows.visits import ticket_for
from voice.sessions import gate
from voice.upstream import registry

CREDIT = ledger.MICRO
PRICE_MINOR = 1900
CREDITS = 2000
CONTEXT_TOKENS = 1000
# More answers than the wallet could pay for, and fewer than the refilled one can.
ANSWERS = 14


class Talker(ScriptedUpstream):
    """Speaks for as long as it may, every time, and reports to have used exactly that."""

    def __init__(self):
        super().__init__()
        self._stalled = True
        self.reported = []

    async def send(self, frame):
        await super().send(frame)
        event = self.sent[-1]
        if event["type"] == "response.create":
            self.answer(event["response"]["max_output_tokens"])

    def answer(self, allowed_tokens):
        used = usage(text_in=CONTEXT_TOKENS, audio_out=allowed_tokens)
        self.reported.append(used)
        response = {"id": f"resp_{len(self.reported)}", "status": "completed", "output": []}
        self.emit({"type": "response.created", "response": response | {"status": "in_progress"}})
        self.emit({"type": "response.done", "response": response | {"usage": used}})

    @property
    def cost_micro(self):
        return sum(map(response_micro, self.reported))


@pytest.fixture
def bank(monkeypatch):
    bank = Bank()
    monkeypatch.setattr(payments, "charge_saved_card", bank.charge_saved_card)
    monkeypatch.setattr(payments, "fetch_payment", bank.fetch_payment)
    return bank


@pytest.fixture
def low_wallet(agent, bank):
    """Twenty-five credits, topped up with 2000 when there is hardly one left."""
    seed_bundles()
    organisation_id = agent.organisation_id
    Organisation.objects.filter(pk=organisation_id).update(country="US")
    surplus_micro = ledger.balance_of(organisation_id).balance_micro - 25 * CREDIT
    ledger.adjust(organisation_id, -surplus_micro, key="spend", reason="For a test", actor="test")
    auto_top_up.remember_card(organisation_id, CARD)
    auto_top_up.save_auto_top_up(
        organisation_id,
        is_on=True,
        threshold_micro=1 * CREDIT,
        bundle=Bundle.objects.get(slug="small"),
        monthly_ceiling_minor=10 * PRICE_MINOR,
    )
    return organisation_id


@pytest.fixture
def talker(monkeypatch):
    upstream = Talker()
    monkeypatch.setattr(registry, "dial", upstream.dial)
    return upstream


async def talks(page, answers):
    """Say something after each answer, for so many answers or until the call ends; return session.ended."""
    try:
        while True:
            message = await page._next()
            if message["type"] == "meter.changed":
                if len(page.told_of("meter.changed")) >= answers:
                    await page.says("session.end")
                else:
                    await page.says("text.send", text="And then?")
    except Closed:
        return page.told_of("session.ended")[-1]


async def a_call(agent, talker, answers=ANSWERS):
    page = Browser()
    await page.calls(await ticket_for(agent))
    ended = await talks(page, answers)
    books = await in_thread(closed_books)(await in_thread(only_session)())
    return SimpleNamespace(page=page, ended=ended, books=books)


async def attempt_states():
    return await in_thread(lambda: list(AutoTopUpAttempt.objects.values_list("state", flat=True)))()


async def test_a_call_that_drains_the_wallet_triggers_one_auto_top_up_and_goes_on(agent, low_wallet, bank, talker):
    call = await a_call(agent, talker)
    assert call.ended["reason"] == "caller_hung_up"
    assert talker.cost_micro > 25 * CREDIT
    assert bank.paid_minor == [PRICE_MINOR]
    assert await attempt_states() == ["succeeded"]
    assert call.books.cost_micro == talker.cost_micro
    assert call.books.balance.balance_micro == (25 + CREDITS) * CREDIT - talker.cost_micro


async def test_the_call_waits_for_a_bank_that_takes_its_time(agent, low_wallet, bank, talker, monkeypatch):
    """The attempt is under way in a worker; the call asks again until the credits are there."""
    monkeypatch.setattr(gate, "_REFILL_LOOK_EVERY_S", 0.01)
    worker = SlowWorker(monkeypatch)
    call = asyncio.create_task(a_call(agent, talker))
    await worker.works()
    ended = (await call).ended
    assert (ended["reason"], bank.paid_minor) == ("caller_hung_up", [PRICE_MINOR])


async def test_a_declined_card_ends_the_call_as_if_there_were_none(agent, low_wallet, bank, talker):
    bank.answers = [declined()]
    call = await a_call(agent, talker)
    assert (call.ended["reason"], bank.paid_minor) == ("out_of_credit", [])
    assert call.books.balance.balance_micro == 25 * CREDIT - talker.cost_micro >= 0
    assert await attempt_states() == ["declined"]


async def test_a_bank_that_takes_too_long_ends_the_call(agent, low_wallet, bank, talker, monkeypatch):
    monkeypatch.setattr(gate, "_REFILL_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(gate, "_REFILL_WAIT_S", 0.05)
    SlowWorker(monkeypatch)
    call = await a_call(agent, talker)
    assert call.ended["reason"] == "out_of_credit"
    assert await attempt_states() == ["open"]


class SlowWorker:
    """A worker that takes no message before it is told to work."""

    def __init__(self, monkeypatch):
        self._message_ids, self._deliver = asyncio.Queue(), outbox.deliver
        self._loop = asyncio.get_running_loop()
        monkeypatch.setattr(outbox, "deliver", self._keep)

    def _keep(self, message_id):
        self._loop.call_soon_threadsafe(self._message_ids.put_nowait, message_id)

    async def works(self):
        """Do the next message, once there is one."""
        async with asyncio.timeout(PATIENCE_S):
            await in_thread(self._deliver)(await self._message_ids.get())
