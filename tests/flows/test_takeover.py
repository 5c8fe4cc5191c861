"""A call goes on in another process than the one it began in: that one is dead, is stopped, or has lost its caller.

Two processes in one: what makes them two is that neither finds the other's calls, which only their registry of resume
tokens could tell. The database, the orders and the memory that they share they share here as they do anywhere.
"""

import asyncio
from contextlib import contextmanager
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async as in_thread
from django.utils import timezone

from config import stopping
from tests.fakes.scripted_upstream import ScriptedUpstream, Step, spoken_answer, usage
from tests.fakes.shared_memory import SharedMemory
from tests.flows.books import closed_books, only_session, response_micro
from tests.flows.browser import PATIENCE_S, Browser
from tests.flows.rungs import Dialled, told
from tests.flows.script import GREETING_USAGE, SESSION_STEP, SPEECH, begun, caller_says, greeting
from tests.flows.test_resume import refused
from tests.flows.visits import admitted
from voice.gateway import resuming
from voice.metering.sweep import settle_dead_sessions
from voice.models import EndReason, Session
from voice.sessions import snapshots
from voice.upstream import registry

GREETING_MICRO = response_micro(GREETING_USAGE)
USED = usage(text_in=720, audio_in=30, text_out=6, audio_out=22)


@pytest.fixture(autouse=True)
def patient(settings):
    settings.RESUME_WITHIN_S = PATIENCE_S


@pytest.fixture(autouse=True)
def running(monkeypatch):
    """No process is being stopped before a test says so."""
    monkeypatch.setattr(stopping, "_deadline", None)


@pytest.fixture
def memory(monkeypatch):
    """What all processes share beside the database."""
    memory = SharedMemory()

    async def redis():
        return memory

    monkeypatch.setattr(snapshots, "_redis", redis)
    return memory


@pytest.fixture
def elsewhere(monkeypatch):
    """Do something as another process: `with elsewhere(): ...`."""
    first, second = resuming._calls, {}

    @contextmanager
    def other():
        monkeypatch.setattr(resuming, "_calls", second)
        yield
        monkeypatch.setattr(resuming, "_calls", first)

    return other


@pytest.fixture
def dialled(monkeypatch):
    """Let these answer the next dials."""

    def dial(*answers):
        dialled = Dialled(*answers)
        monkeypatch.setattr(registry, "dial", dialled.dial)
        return dialled

    return dial


def upstream(*steps):
    return ScriptedUpstream(steps)


def answer(words="And so on.", number=2, used=USED):
    return spoken_answer(words, SPEECH, response_id=f"resp_{number}", item_id=f"item_{number}", used=used)


async def greeted(agent, **fields):
    page = Browser()
    await page.calls(await in_thread(admitted)(agent, **fields))
    await page.until("meter.changed", used_micro=GREETING_MICRO)
    return page


async def remembers(memory, what=1):
    """Return once so many memories are there."""
    async with asyncio.timeout(PATIENCE_S):
        while len(memory.kept) < what:
            await asyncio.sleep(0.01)


async def hangs_up(page):
    await page.says("session.end")
    ended = await page.until("session.ended")
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert books.session.end_reason == EndReason.CALLER_HUNG_UP
    assert ended["receipt"]["total_micro"] == books.cost_micro
    return books


async def test_a_call_goes_on_in_another_process_while_the_first_one_lives(agent, dialled, elsewhere, memory):
    before, after = upstream(*greeting()), upstream(SESSION_STEP, *told("agent: Hello, how can I help?"))
    dialled(before, after)
    page = await greeted(agent)
    with elsewhere():
        back = Browser()
        resumed = await back.resumes(page)
        assert (resumed["session_id"], resumed["state"]) == (str(await in_thread(only_session)()), "listening")
        assert resumed["used_micro"] == GREETING_MICRO
        await refused(page, "resumed_elsewhere")
        await back.sends_audio()
        books = await hangs_up(back)
    assert (books.cost_micro, books.session.resumes, books.session.generation) == (GREETING_MICRO, 1, 1)
    assert before.closed and "response.create" not in after.sent_types()
    assert memory.kept == {}


async def test_the_books_are_right_when_the_other_process_is_cut_off_in_the_middle_of_an_answer(
    agent, dialled, elsewhere, memory
):
    """What was said of it is estimated by the first process; the second goes on, under ids of the same model's."""
    before = upstream(
        *greeting(), Step("response.create", emit=begun("Yes, we are open", response_id="resp_2", item_id="item_2"))
    )
    after = upstream(
        SESSION_STEP,
        *told("agent: Hello, how can I help?", "caller: Are you open?", "agent: Yes, we are open"),
        Step("response.create", emit=answer("until six.")),
    )
    dialled(before, after)
    page = await greeted(agent)
    before.emit(*caller_says("Are you open?", "u1"))
    await page.until("audio.begin", item_id="item_2")
    await page.until("audio")
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        final = await back.until("caption.final", item_id="item_2")
        assert final["text"] == "Yes, we are open"
        await back.until("audio.end", item_id="item_2")
        assert (await back.until("caption.final", item_id="item_2"))["text"] == "until six."
        await back.until("meter.changed")
        books = await hangs_up(back)
    ids = {row.upstream_id: row.is_estimated for row in books.usage if row.source == "response"}
    assert ids == {"resp_1": False, "resp_2": True, "1.0/resp_2": False}


async def test_a_process_that_is_stopped_lets_its_calls_go_and_settles_none(agent, dialled, elsewhere, memory):
    waiting, held = upstream(*greeting()), upstream(*greeting())
    dialled(waiting, held, upstream(SESSION_STEP, *told("agent: Hello, how can I help?")))
    away = await greeted(agent)
    away_id = await in_thread(only_session)()
    await away.drops()
    async with asyncio.timeout(PATIENCE_S):
        while (await in_thread(Session.objects.get)(id=away_id)).away_since is None:
            await asyncio.sleep(0.01)
    page = Browser()
    await page.calls(await in_thread(admitted)(agent))
    await page.until("meter.changed")
    stopping.begin()
    assert await page.until_closed() == 1012
    await away.is_let_go()
    sessions = await in_thread(lambda: list(Session.objects.all()))()
    assert {session.state for session in sessions} == {"live"} and waiting.closed and held.closed
    stopping._deadline = None
    with elsewhere():
        back = Browser()
        assert (await back.resumes(page))["state"] == "listening"
        await back.says("session.end")
        assert (await back.until("session.ended"))["reason"] == "caller_hung_up"


async def test_a_call_that_nobody_takes_over_is_settled_once_by_the_sweep(agent, dialled, memory):
    dialled(upstream(*greeting()))
    page = await greeted(agent)
    stopping.begin()
    assert await page.until_closed() == 1012
    session_id = await in_thread(only_session)()
    now = timezone.now()
    assert await in_thread(settle_dead_sessions)(now + timedelta(seconds=50)) == 0
    assert await in_thread(settle_dead_sessions)(now + timedelta(seconds=100)) == 1
    assert await in_thread(settle_dead_sessions)(now + timedelta(hours=1)) == 0
    books = await in_thread(closed_books)(session_id)
    assert (books.session.end_reason, books.cost_micro) == (EndReason.SHUTTING_DOWN, GREETING_MICRO)


async def test_a_process_that_stops_begins_no_call_and_resumes_none(agent, dialled, memory):
    dialled(upstream(*greeting()))
    page = await greeted(agent)
    ticket = await in_thread(admitted)(agent)
    stopping.begin()
    await page.until_closed()
    for kind, fields in (
        ("session.start", {"version": 1, "ticket": ticket, "voice": True}),
        ("session.resume", page.whereabouts()),
    ):
        late = Browser()
        await late.opens()
        await late.says(kind, **fields)
        assert await late.until_closed() == 1012
    stopping._deadline = None
    dialled(upstream(*greeting()))
    # Its ticket was not used up.
    await Browser().calls(ticket)


async def test_without_a_shared_memory_the_assistant_says_that_the_line_broke(agent, dialled, elsewhere):
    after = upstream(SESSION_STEP, Step("response.create", emit=answer("Sorry, the line broke. Please go on.")))
    dialled(upstream(*greeting()), after)
    page = await greeted(agent)
    stopping.begin()
    await page.until_closed()
    stopping._deadline = None
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        assert (await back.until("caption.final"))["text"] == "Sorry, the line broke. Please go on."
        await back.until("meter.changed")
        books = await hangs_up(back)
    (asked,) = [event for event in after.sent if event["type"] == "response.create"]
    assert "the line broke" in asked["response"]["instructions"]
    assert books.cost_micro == GREETING_MICRO + response_micro(USED)
