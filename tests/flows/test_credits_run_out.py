"""The credits run out in the middle of a call: the answers get shorter, the caller is warned, nobody overdraws."""

import asyncio
from types import SimpleNamespace

import pytest
from channels.db import database_sync_to_async as in_thread

from billing import ledger
from billing.models import Hold
from tests import factories
from tests.fakes.scripted_upstream import ScriptedUpstream, usage
from tests.flows.books import closed_books, only_session, response_micro
from tests.flows.browser import Browser, Closed
from tests.flows.visits import asks_for_a_call, ticket_for
from voice.models import EndReason, Outcome, Session
from voice.upstream import registry

CREDIT = ledger.MICRO
CONTEXT_TOKENS = 1000


class ThirstyUpstream(ScriptedUpstream):
    """Speaks for as long as it may, every time, and reports to have used exactly that."""

    def __init__(self, *, beyond_tokens=0):
        super().__init__()
        self._stalled = True
        self.allowed = []
        self.reported = []
        self.held_micro = []
        self._beyond_tokens = beyond_tokens

    async def send(self, frame):
        await super().send(frame)
        event = self.sent[-1]
        if event["type"] == "response.create":
            hold = await in_thread(Hold.objects.latest)("created_at")
            self.held_micro.append(hold.remaining_micro)
            self.answer(event["response"]["max_output_tokens"])

    def answer(self, allowed_tokens):
        self.allowed.append(allowed_tokens)
        used = usage(text_in=CONTEXT_TOKENS, audio_out=allowed_tokens + self._beyond_tokens)
        self.reported.append(used)
        response = {"id": f"resp_{len(self.allowed)}", "status": "completed", "output": []}
        self.emit({"type": "response.created", "response": response | {"status": "in_progress"}})
        self.emit({"type": "response.done", "response": response | {"usage": used}})

    @property
    def cost_micro(self):
        return sum(map(response_micro, self.reported))


@pytest.fixture
def thirsty(monkeypatch):
    def serve(**fields):
        upstream = ThirstyUpstream(**fields)
        monkeypatch.setattr(registry, "dial", upstream.dial)
        return upstream

    return serve


@pytest.fixture
def spend(agent):
    """Leave so many credits in the wallet."""

    def leave(credits):
        surplus_micro = factories.balance_micro(agent.organisation_id) - credits * CREDIT
        ledger.adjust(agent.organisation_id, -surplus_micro, key="spend", reason="For a test", actor="test")

    return leave


async def talks_until_it_ends(page):
    """Say something after each answer, for as long as the call lasts; return session.ended."""
    try:
        while True:
            message = await page._next()
            if message["type"] == "meter.changed":
                await page.says("text.send", text="And then?")
    except Closed:
        return page.told_of("session.ended")[-1]


@pytest.fixture
async def exhausted(agent, thirsty, spend):
    """A call that talked until a wallet of 25 credits could pay for no more."""
    await in_thread(spend)(25)
    upstream, page = thirsty(), Browser()
    await page.calls(await ticket_for(agent))
    ended = await talks_until_it_ends(page)
    books = await in_thread(closed_books)(await in_thread(only_session)())
    return SimpleNamespace(upstream=upstream, page=page, ended=ended, books=books)


async def test_the_call_ends_before_the_balance_does(exhausted):
    assert (exhausted.ended["reason"], exhausted.ended["outcome"]) == ("out_of_credit", "cut")
    assert (exhausted.books.session.end_reason, exhausted.books.session.outcome) == (
        EndReason.OUT_OF_CREDIT,
        Outcome.CUT,
    )
    assert exhausted.books.balance.balance_micro >= 0
    assert exhausted.books.balance.held_micro == 0


async def test_every_answer_was_paid_in_full(exhausted):
    """The worst case was held before each of them, so nothing of it is uncollected."""
    assert exhausted.books.cost_micro == exhausted.upstream.cost_micro
    assert exhausted.books.session.uncollected_micro == 0
    assert exhausted.books.balance.balance_micro == 25 * CREDIT - exhausted.upstream.cost_micro


async def test_the_answers_get_shorter_and_then_there_are_none(exhausted):
    allowed = exhausted.upstream.allowed
    assert len(allowed) > 2
    assert allowed[0] == 1024
    assert allowed == sorted(allowed, reverse=True)
    assert 120 <= allowed[-1] < 1024


async def test_the_caller_is_warned_once_before_it_happens(exhausted):
    told = [(message["type"], message.get("code")) for message in exhausted.page.told]
    assert told.count(("notice", "low_credit")) == 1
    assert told.index(("notice", "low_credit")) < told.index(("session.ended", None))


async def test_the_receipt_is_what_left_the_wallet(exhausted):
    receipt = exhausted.ended["receipt"]
    assert receipt["total_micro"] == exhausted.upstream.cost_micro
    assert sum(line["amount_micro"] for line in receipt["lines"]) == receipt["total_micro"]


async def test_the_next_call_is_refused(exhausted, agent):
    answer = await asks_for_a_call(agent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (402, "out_of_credit")


async def test_a_model_that_uses_more_than_it_was_allowed_is_not_paid_for_it(agent, thirsty, spend):
    """What the hold does not cover is on the receipt as not charged, and the wallet never goes below zero."""
    await in_thread(spend)(10)
    upstream, page = thirsty(beyond_tokens=4000), Browser()
    await page.calls(await ticket_for(agent))
    ended = await talks_until_it_ends(page)
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert ended["receipt"]["uncollected_micro"] == upstream.cost_micro - books.cost_micro > 0
    assert sum(line["amount_micro"] for line in ended["receipt"]["lines"]) == books.cost_micro
    assert books.balance.balance_micro == 10 * CREDIT - books.cost_micro >= 0


async def test_the_worst_case_of_every_answer_was_held_before_it_was_asked_for(exhausted):
    """Fresh audio is the dearest thing that can be read and spoken, and nothing read is sure to be cached."""
    upstream = exhausted.upstream
    worst_micro = [CONTEXT_TOKENS * 1500 + tokens * 3000 for tokens in upstream.allowed]
    # What the greeting reads is known, and is less.
    assert upstream.held_micro[0] >= response_micro(upstream.reported[0])
    assert all(held >= worst for held, worst in zip(upstream.held_micro[1:], worst_micro[1:], strict=True))


async def test_two_calls_share_a_wallet_and_neither_overdraws_it(agent, thirsty, spend):
    await in_thread(spend)(40)
    pages, upstreams = [Browser(), Browser()], []
    for page in pages:
        upstreams.append(thirsty())
        await page.calls(await ticket_for(agent))
        await page.until("meter.changed")
        await page.says("text.send", text="And then?")
    endings = await asyncio.gather(*map(talks_until_it_ends, pages))
    assert [ending["reason"] for ending in endings] == ["out_of_credit", "out_of_credit"]
    sessions = await in_thread(lambda: list(Session.objects.all()))()
    cost_micro = sum([(await in_thread(closed_books)(session.id)).cost_micro for session in sessions])
    assert cost_micro == sum(upstream.cost_micro for upstream in upstreams)
    assert await in_thread(factories.balance_micro)(agent.organisation_id) == 40 * CREDIT - cost_micro >= 0


async def test_the_public_may_spend_the_agents_daily_ceiling_and_no_more(agent, thirsty):
    """The wallet has a thousand credits; strangers may have twenty of them a day."""
    await in_thread(type(agent).objects.update)(daily_ceiling_micro=20 * CREDIT)
    upstream, page = thirsty(), Browser()
    await page.calls(await ticket_for(agent))
    ended = await talks_until_it_ends(page)
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert ended["reason"] == "out_of_credit"
    assert books.cost_micro == upstream.cost_micro <= 20 * CREDIT
    assert books.session.uncollected_micro == 0
    refused = await asks_for_a_call(agent)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "daily_ceiling_reached")
