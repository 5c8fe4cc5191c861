"""A call goes on in another process than the one it began in: that one is dead, is stopped, or has lost its caller.

Two processes in one: what makes them two is that neither finds the other's calls, which only their registry of resume
tokens could tell. The database, the orders and the memory that they share they share here as they do anywhere.
"""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier
from uuid import uuid4

import pytest
from channels.db import database_sync_to_async as in_thread
from django.db import connections
from django.test import AsyncClient
from django.utils import timezone

from config import stopping
from tests.fakes.scripted_upstream import ScriptedUpstream, Step, spoken_answer, usage
from tests.fakes.shared_memory import SharedMemory
from tests.fakes.slow_dial import SlowDial
from tests.flows.books import caption_micro, closed_books, only_session, response_micro
from tests.flows.browser import ORIGIN, PATIENCE_S, Browser
from tests.flows.rungs import Dialled, told
from tests.flows.script import CAPTION_USAGE, GREETING_USAGE, SESSION_STEP, SPEECH, begun, caller_says, greeting
from tests.flows.test_resume import hangs_up, refused
from tests.flows.test_words import policy
from tests.flows.traces import traces_of
from tests.flows.visits import admitted, asks_for_a_call, ticket_for
from voice.admission import tickets
from voice.gateway import resume_tokens, resuming
from voice.metering.sweep import settle_dead_sessions
from voice.models import EndReason, Session, SessionState
from voice.sessions import records
from voice.sessions.orders import alive, control
from voice.sessions.takeover import snapshots, taking_over
from voice.transcripts.consent import wording_of
from voice.transcripts.reading import transcript_of
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
def memory(monkeypatch, settings):
    """What all processes share beside the database."""
    memory, settings.RESUME_REDIS_URL = SharedMemory(), "redis://shared"

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


async def remembers(page):
    """Return once the greeting is kept for whoever comes next, to its end."""
    token = resume_tokens.read_token(page.resume_token)
    kept = snapshots.Snapshots(token.session_id, token.secret, 1)
    async with asyncio.timeout(PATIENCE_S):
        while (found := await kept.read(within_s=0)) is None or found["memory"]["is_owed"]:
            await asyncio.sleep(0.02)


async def has_it(after):
    """Return once a model has been told of the call."""
    async with asyncio.timeout(PATIENCE_S):
        while not after.sent:
            await asyncio.sleep(0.001)


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


# Who may, and who may not.


async def when_gone(page):
    """The process of the page's call is stopped, and another one runs."""
    stopping.begin()
    assert await page.until_closed() == 1012
    stopping._deadline = None


async def asks(before, **changes):
    page = Browser()
    await page.opens()
    await page.says("session.resume", **(before.whereabouts() | changes))
    return page


async def test_another_calls_token_is_of_no_use(agent, dialled, elsewhere, memory):
    dialled(upstream(*greeting()))
    page = await greeted(agent)
    await when_gone(page)
    with elsewhere():
        forged = page.resume_token[:20] + ("A" if page.resume_token[20] != "A" else "B") + page.resume_token[21:]
        await refused(await asks(page, resume_token=forged), "resume_too_late")
        unknown = resume_tokens.new_token(uuid4(), ORIGIN).text
        await refused(await asks(page, resume_token=unknown), "resume_too_late")
        elsewhere_begun = resume_tokens.new_token(await in_thread(only_session)(), "https://evil.example").text
        await refused(await asks(page, resume_token=elsewhere_begun), "origin_not_allowed")
    assert (await Session.objects.aget()).generation == 0
    session_id = await in_thread(only_session)()
    assert await snapshots.Snapshots(session_id, b"another secret", 1).read(within_s=0) is None


async def test_it_is_too_late_once_the_window_has_passed(agent, dialled, elsewhere, memory, settings):
    dialled(upstream(*greeting()))
    page = await greeted(agent)
    await when_gone(page)
    late = timedelta(seconds=settings.RESUME_WITHIN_S + 3)
    await Session.objects.aupdate(away_since=timezone.now() - late)
    with elsewhere():
        await refused(await asks(page), "resume_too_late")
    # A process that died has not even said that its caller was away.
    await Session.objects.aupdate(away_since=None, seen_at=timezone.now() - late - timedelta(seconds=5))
    with elsewhere():
        await refused(await asks(page), "resume_too_late")


async def test_a_call_that_somebody_wants_ended_is_not_taken_over(agent, dialled, elsewhere, memory):
    dialled(upstream(*greeting()))
    page = await greeted(agent)
    await when_gone(page)
    await in_thread(control.end_call)(await in_thread(only_session)())
    with elsewhere():
        await refused(await asks(page), "resume_too_late")


async def test_a_call_that_ended_meanwhile_is_told_with_its_receipt(agent, dialled, elsewhere, memory):
    dialled(upstream(*greeting()))
    page = await greeted(agent)
    await page.drops()
    await in_thread(control.end_call)(await in_thread(only_session)())
    await page.is_let_go()
    with elsewhere():
        late = await asks(page)
        ended = await late.until("session.ended")
        assert await late.until_closed() == 1000
    assert (ended["reason"], ended["receipt"]["total_micro"]) == ("operator_ended", GREETING_MICRO)
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert books.cost_micro == GREETING_MICRO and memory.kept == {}


# Two that hold the same call for a moment.


async def test_one_that_no_order_reaches_finds_out_by_itself_and_settles_nothing(
    agent, dialled, elsewhere, memory, monkeypatch
):
    async def lost(*_):
        pass

    monkeypatch.setattr(control, "let_go_of", lost)
    monkeypatch.setattr(alive, "_LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(resuming, "_LAST_WORDS_WITHIN_S", 0.0)
    before, after = upstream(*greeting()), upstream(SESSION_STEP, *told("agent: Hello, how can I help?"))
    dialled(before, after)
    page = await greeted(agent)
    await remembers(page)
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        await refused(page, "resumed_elsewhere")
        assert before.closed and not after.closed
        assert (await hangs_up(back)).cost_micro == GREETING_MICRO


async def test_a_caller_who_hangs_up_on_one_that_has_lost_their_call_ends_nothing(
    agent, dialled, elsewhere, memory, monkeypatch
):
    """The order to let go was lost, and the process has not looked yet."""

    async def lost(*_):
        pass

    monkeypatch.setattr(control, "let_go_of", lost)
    monkeypatch.setattr(resuming, "_LAST_WORDS_WITHIN_S", 0.0)
    dialled(upstream(*greeting()), upstream(SESSION_STEP, *told("agent: Hello, how can I help?")))
    page = await greeted(agent)
    await remembers(page)
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        await page.says("session.end")
        await refused(page, "resumed_elsewhere")
        session = await Session.objects.aget()
        assert (session.state, session.hang_up_wanted, session.generation) == ("live", False, 1)
        await hangs_up(back)


def race(*works):
    """Do these at the same moment, each in a thread of its own; return what they return or raise."""
    barrier = Barrier(len(works))

    def one(work):
        barrier.wait()
        try:
            return work()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


@pytest.fixture
def left_behind(agent):
    """A live call whose process is gone."""
    session_id = tickets.redeem(admitted(agent))
    records.begin(session_id)
    return session_id


@pytest.mark.db_concurrency
def test_of_those_who_take_a_call_over_at_once_each_has_a_turn_of_its_own(left_behind):
    taken = race(*[lambda: taking_over.take_over(left_behind)] * 6)
    assert sorted(each.call.generation for each in taken) == [1, 2, 3, 4, 5, 6]
    assert Session.objects.get().generation == 6
    assert records.taken_over({left_behind: 5}) == {left_behind} and records.taken_over({left_behind: 6}) == set()
    # Only the last of them may end it.
    assert [records.claim_end(each.call) for each in sorted(taken, key=lambda each: each.call.generation)][-2:] == [
        False,
        True,
    ]


@pytest.mark.db_concurrency
@pytest.mark.parametrize("attempt", range(4))
def test_a_call_is_either_taken_over_or_swept_and_never_both(left_behind, attempt):
    later = timezone.now() + timedelta(minutes=5)
    taken, swept = race(lambda: taking_over.take_over(left_behind), lambda: settle_dead_sessions(later))
    session = Session.objects.get()
    if session.state == SessionState.ENDED:
        # The sweep came first, or saw what had been seen last as too long ago: the clock of this test runs ahead.
        assert swept == 1
        assert closed_books(left_behind).session.end_reason == EndReason.PROCESS_DIED
    else:
        assert (swept, taken.call.generation) == (0, 1)
    assert settle_dead_sessions(later) == (0 if swept else 1)
    assert closed_books(left_behind).balance.held_micro == 0


# What was said.


async def test_what_was_said_without_consent_is_nowhere_but_encrypted_in_memory(
    agent, dialled, elsewhere, memory, caplog
):
    caplog.set_level(1)
    secret = f"xylophone{uuid4().hex[:8]}"
    before = upstream(*greeting(), Step("response.create", emit=answer(f"A {secret}, of course.")))
    after = upstream(
        SESSION_STEP,
        *told("agent: Hello, how can I help?", f"caller: My {secret} is broken.", f"agent: A {secret}, of course."),
    )
    dialled(before, after)
    page = await greeted(agent)
    before.emit(*caller_says(f"My {secret} is broken.", "u1"))
    await page.until("audio.end", item_id="item_2")
    await page.until("meter.changed")
    await when_gone(page)
    assert memory.kept
    assert not any(secret.encode() in value or name.count(secret) for name, (value, _) in memory.kept.items())
    assert await in_thread(traces_of)(secret, caplog.text) == []
    token = resume_tokens.read_token(page.resume_token)
    kept = await snapshots.Snapshots(token.session_id, token.secret, 1).read(within_s=0)
    assert secret in json.dumps(kept)
    assert all(until - time.monotonic() <= 60 for _, until in memory.kept.values())
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        await hangs_up(back)
    assert memory.kept == {}
    assert await in_thread(traces_of)(secret, caplog.text) == []


async def ticket_of_who_agrees(agent):
    """Return a ticket of a caller who was asked whether their words may be kept, and agreed."""
    await in_thread(policy)(agent, transcript_policy="ask")
    version = (await in_thread(wording_of)(agent)).version
    return await ticket_for(agent, consent=True, consent_version=version)


@pytest.mark.parametrize("shares", [True, False], ids=["with a shared memory", "without"])
async def test_what_a_caller_agreed_to_be_kept_is_kept_over_both_processes(
    agent, dialled, elsewhere, memory, monkeypatch, shares
):
    memory.is_away = not shares
    said = ["agent: Hello, how can I help?", "caller: Are you open?", "agent: Until six."]
    before = upstream(*greeting(), Step("response.create", emit=answer("Until six.")))
    last = Step("response.create", emit=answer("You are welcome.", number=3))
    broke = Step("response.create", emit=answer("The line broke.", number=4))
    after = upstream(SESSION_STEP, *(told(*said) if shares else [broke]), last)
    dialled(before, after)
    page = Browser()
    await page.calls(await ticket_of_who_agrees(agent))
    await page.until("meter.changed")
    before.emit(*caller_says("Are you open?", "u1"))
    await page.until("audio.end", item_id="item_2")
    await page.until("meter.changed")
    await when_gone(page)
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        if not shares:
            await back.until("audio.end", item_id="item_4")
            await back.until("meter.changed")
        after.emit(*caller_says("Thank you.", "u2"))
        await back.until("audio.end", item_id="item_3")
        await back.until("meter.changed")
        books = await hangs_up(back)
    view = await in_thread(transcript_of)(str(books.session.pk))
    between = [] if shares else [("agent", "The line broke.")]
    assert [(turn.speaker, turn.text) for turn in view.turns] == [
        ("agent", "Hello, how can I help?"),
        ("caller", "Are you open?"),
        ("agent", "Until six."),
        *between,
        ("caller", "Thank you."),
        ("agent", "You are welcome."),
    ]
    started = [turn.started_ms for turn in view.turns]
    assert started == sorted(started)


@pytest.mark.parametrize("shares", [True, False], ids=["with a shared memory", "without"])
async def test_who_hangs_up_while_the_other_process_dials_leaves_what_was_said(
    agent, dialled, elsewhere, memory, monkeypatch, shares
):
    memory.is_away = not shares
    dialled(upstream(*greeting()))
    page, never = Browser(), SlowDial(ScriptedUpstream())
    await page.calls(await ticket_of_who_agrees(agent))
    await page.until("meter.changed", used_micro=GREETING_MICRO)
    await when_gone(page)
    monkeypatch.setattr(registry, "dial", never.dial)
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        await never.until_dialled()
        books = await hangs_up(back)
    assert (books.cost_micro, books.balance.held_micro, never.given_up) == (GREETING_MICRO, 0, never.dialled)
    view = await in_thread(transcript_of)(str(books.session.pk))
    assert [(turn.speaker, turn.text) for turn in view.turns] == [("agent", "Hello, how can I help?")]
    assert memory.kept == {} or not shares


async def test_a_process_that_is_stopped_while_it_dials_leaves_a_call_that_is_still_to_begin(
    agent, elsewhere, memory, dialling, monkeypatch
):
    page, never = Browser(), dialling(ScriptedUpstream())
    await page.calls(await in_thread(admitted)(agent))
    await never.until_dialled()
    await page.drops(1012)
    await page.is_let_go()
    after = upstream(*greeting())
    monkeypatch.setattr(registry, "dial", after.dial)
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        await back.until("meter.changed", used_micro=GREETING_MICRO)
        await hangs_up(back)
    assert "Begin the call now." in after.sent[-1]["response"]["instructions"]


async def test_a_process_whose_call_is_taken_over_while_it_dials_greets_nobody(
    agent, elsewhere, memory, dialling, monkeypatch
):
    page, never = Browser(), dialling(ScriptedUpstream())
    await page.calls(await in_thread(admitted)(agent))
    await never.until_dialled()
    await page.drops()
    after = upstream(*greeting())
    monkeypatch.setattr(registry, "dial", after.dial)
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        await page.is_let_go()
        await back.until("meter.changed", used_micro=GREETING_MICRO)
        books = await hangs_up(back)
    assert never.given_up == never.dialled
    assert "Begin the call now." in after.sent[-1]["response"]["instructions"]
    assert (books.cost_micro, books.session.generation) == (GREETING_MICRO, 1)


async def test_what_was_told_into_the_break_is_told_by_the_next_process(agent, dialled, elsewhere, memory):
    before = upstream(*greeting())
    dialled(before, upstream(SESSION_STEP, *told("agent: Hello, how can I help?", "caller: Hello?")))
    page = await greeted(agent)
    await page.drops()
    async with asyncio.timeout(PATIENCE_S):
        while (await Session.objects.aget()).away_since is None:
            await asyncio.sleep(0.01)
    before.emit(*caller_says("Hello?", "u1"))
    (waiting,) = [call for call in resuming._calls.values() if not call.is_over]
    async with asyncio.timeout(PATIENCE_S):
        while not any("Hello?" in text for _, text in waiting.caller.messages()):
            await asyncio.sleep(0.01)
    stopping.begin()
    await page.is_let_go()
    stopping._deadline = None
    after = upstream(
        SESSION_STEP,
        *told("agent: Hello, how can I help?", "caller: Hello?"),
        Step("response.create", emit=answer("Yes, I am here.")),
    )
    dialled(after)
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        assert (await back.until("caption.final"))["text"] == "Hello?"
        # They were owed an answer, and are given it now.
        assert (await back.until("caption.final"))["text"] == "Yes, I am here."
        await back.until("meter.changed")
        await hangs_up(back)


async def test_a_call_that_is_typed_goes_on_in_writing(agent, dialled, elsewhere, memory):
    before = upstream(*greeting(), Step("session.update"), Step("input_audio_buffer.clear"))
    after = upstream(SESSION_STEP, *told("agent: Hello, how can I help?"))
    dialled(before, after)
    page = await greeted(agent)
    await page.says("mode.choose", voice=False)
    await page.until("model.changed", voice=False)
    await when_gone(page)
    with elsewhere():
        back = Browser()
        assert (await back.resumes(page))["voice"] is False
        # A frame that was on its way when the caller chose to type is no offence.
        await back.sends_audio()
        await has_it(after)
        await hangs_up(back)
    (session,) = [event["session"] for event in after.sent if event["type"] == "session.update"]
    assert session["output_modalities"] == ["text"]


async def test_a_call_that_began_in_writing_and_is_talked_in_goes_on_in_speech(agent, dialled, elsewhere, memory):
    before = upstream(*greeting(), Step("session.update"))
    after = upstream(SESSION_STEP, *told("agent: Hello, how can I help?"))
    dialled(before, after)
    page = await greeted(agent, is_voice=False)
    await page.says("mode.choose", voice=True)
    await page.until("model.changed", voice=True)
    await when_gone(page)
    with elsewhere():
        back = Browser()
        assert (await back.resumes(page))["voice"] is True
        await back.sends_audio()
        await has_it(after)
        books = await hangs_up(back)
    assert books.session.end_reason == EndReason.CALLER_HUNG_UP
    (session,) = [event["session"] for event in after.sent if event["type"] == "session.update"]
    assert session["output_modalities"] == ["audio"]


async def test_what_nobody_remembers_of_a_call_is_no_offence_of_its_callers(agent, dialled, elsewhere):
    """A process that was killed took along that its caller, who had begun by typing, had chosen to talk."""
    dialled(upstream(*greeting()), upstream(SESSION_STEP, Step("response.create", emit=answer("The line broke."))))
    page = await greeted(agent, is_voice=False)
    await when_gone(page)
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        await back.sends_audio()
        await back.until("caption.final")
        await back.until("meter.changed")
        books = await hangs_up(back)
    assert books.session.end_reason == EndReason.CALLER_HUNG_UP


async def test_a_model_that_cannot_be_reached_ends_the_call_with_what_it_had_cost(agent, dialled, elsewhere, memory):
    dialled(upstream(*greeting()))
    page = await greeted(agent)
    await when_gone(page)
    with elsewhere():
        back = Browser()
        await back.resumes(page)
        ended = await back.until("session.ended")
        assert await back.until_closed() == 1000
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert (ended["reason"], ended["receipt"]["total_micro"]) == ("upstream_failed", GREETING_MICRO)
    assert (books.session.end_reason, books.cost_micro) == (EndReason.UPSTREAM_FAILED, GREETING_MICRO)
    assert await books.session.turns.acount() == 1 and memory.kept == {}


# What cannot go on elsewhere.


async def test_a_call_that_cannot_go_on_elsewhere_is_given_its_time(agent, dialled, settings):
    """RESUME_WITHIN_S 0: its browser would not come back."""
    settings.RESUME_WITHIN_S, settings.DRAIN_S = 0, PATIENCE_S
    model = upstream(*greeting(), Step("response.create", emit=answer("Until six.")))
    dialled(model)
    page = await greeted(agent)
    stopping.begin()
    model.emit(*caller_says("Are you open?", "u1"))
    await page.until("audio.end", item_id="item_2")
    await page.until("meter.changed")
    stopping.begin(within_s=0)
    assert (await page.until("session.ended"))["reason"] == "shutting_down"
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert books.cost_micro == GREETING_MICRO + response_micro(USED) + caption_micro(CAPTION_USAGE)


async def test_who_asks_a_process_that_stops_for_a_call_is_told_to_ask_again(agent, dialled):
    stopping.begin()
    answer = await asks_for_a_call(agent)
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["Retry-After"]) == (
        503,
        "restarting",
        "1",
    )
    assert (await AsyncClient().get("/healthz")).status_code == 503
