"""A browser whose network breaks comes back to its call: nothing is lost, nothing said twice, nothing paid twice."""

import asyncio
import json
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async as in_thread
from django.utils import timezone

from tests.fakes.scripted_upstream import Step, spoken_answer, usage
from tests.flows.books import closed_books, only_session, response_micro
from tests.flows.browser import PATIENCE_S, Browser
from tests.flows.script import GREETING_USAGE, SPEECH, begun, caller_says, cancelled, greeting
from tests.flows.visits import admitted, asks_for_a_call, visitor
from voice.gateway import resuming, widget_caller
from voice.gateway.close_codes import closing_for
from voice.models import EndReason, Session
from voice.sessions.orders import control

GREETING_MICRO = response_micro(GREETING_USAGE)
USED = usage(text_in=720, audio_in=30, text_out=6, audio_out=22)


@pytest.fixture(autouse=True)
def patient(settings):
    settings.RESUME_WITHIN_S = PATIENCE_S


@pytest.fixture
async def call(agent, served_by):
    """Begin a call; return its model and its page."""

    async def begin(steps=None, **fields):
        upstream, page = served_by(greeting() if steps is None else steps), Browser()
        await page.calls(await in_thread(admitted)(agent, **fields))
        return upstream, page

    return begin


@pytest.fixture
async def greeted(call):
    """One in a call whose greeting it has heard to its end."""
    upstream, page = await call()
    await page.until("meter.changed", used_micro=GREETING_MICRO)
    return upstream, page


async def waits(page, code=1006):
    """The page's connection breaks; return once its call waits for it."""
    await page.drops(code)
    session_id = await in_thread(only_session)()
    async with asyncio.timeout(PATIENCE_S):
        while (await in_thread(Session.objects.get)(id=session_id)).away_since is None:
            await asyncio.sleep(0.01)


async def is_back(times):
    """Return once the database has been told that the page came back, which it is after the page."""
    session_id = await in_thread(only_session)()
    async with asyncio.timeout(PATIENCE_S):
        while (await in_thread(Session.objects.get)(id=session_id)).resumes < times:
            await asyncio.sleep(0.01)


async def hangs_up(page):
    """Return the receipt of a call that is ended by its caller, after checking the books against it."""
    await page.says("session.end")
    ended = await page.until("session.ended")
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert books.session.end_reason == EndReason.CALLER_HUNG_UP
    assert ended["receipt"]["total_micro"] == books.cost_micro
    return books


async def refused(page, code):
    close_code = await page.until_closed()
    assert (page.told[-1]["code"], close_code) == (code, closing_for(code).close_code)


async def asks_to_resume(before, **changes):
    """Return a page that has asked to go on with a call, and was not answered yet."""
    page = Browser()
    await page.opens()
    await page.says("session.resume", **(before.whereabouts() | changes))
    return page


async def asked_times(upstream, times):
    async with asyncio.timeout(PATIENCE_S):
        while upstream.sent_types().count("response.create") < times:
            await asyncio.sleep(0)


async def test_a_call_goes_on_over_another_connection(greeted):
    upstream, page = greeted
    await waits(page)
    back = Browser()
    resumed = await back.resumes(page)
    assert resumed["session_id"] == str(await in_thread(only_session)())
    assert (resumed["used_micro"], resumed["voice"], resumed["state"]) == (GREETING_MICRO, True, "listening")
    assert resumed["elapsed_ms"] >= 0 and resumed["model_served"] == "gpt-realtime-mini"
    await back.sends_audio()
    books = await hangs_up(back)
    assert (books.cost_micro, books.session.resumes, books.session.away_since) == (GREETING_MICRO, 1, None)
    assert len(upstream.appended) == 1920
    await page.is_let_go()


@pytest.mark.parametrize("code", [1001, 1005, 1006, 1011, 1013])
async def test_what_the_network_closes_can_be_resumed(greeted, code):
    _, page = greeted
    await waits(page, code)
    back = Browser()
    await back.resumes(page)
    await hangs_up(back)


@pytest.mark.parametrize("code", [1000, 1009, 4000])
async def test_what_somebody_closes_on_purpose_ends_the_call(greeted, code):
    _, page = greeted
    await page.vanishes(code)
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert (books.session.end_reason, books.cost_micro) == (EndReason.CALLER_DISCONNECTED, GREETING_MICRO)
    assert books.session.away_since is None


async def test_what_was_said_into_the_break_is_heard_after_it(call):
    """The greeting runs on while nobody hears it; not a byte of it is missing afterwards, and none comes twice."""
    upstream, page = await call(greeting(emit=[]))
    await asked_times(upstream, 1)
    await waits(page)
    upstream.emit(*spoken_answer("Hello, how can I help?", SPEECH, used=GREETING_USAGE))
    back = Browser()
    await back.resumes(page)
    final = await back.until("caption.final", speaker="agent")
    await back.until("meter.changed", used_micro=GREETING_MICRO)
    assert (final["text"], final["interrupted"]) == ("Hello, how can I help?", False)
    assert back.heard == {"item_1": len(SPEECH)}
    assert [message["item_id"] for message in back.told_of("audio.begin")] == ["item_1"]
    await hangs_up(back)


async def test_what_was_on_its_way_when_the_network_broke_is_sent_again(call):
    """The server has sent it all; the browser says that it has received the announcement, and nothing after it."""
    _, page = await call()
    page.plays = False
    await page.until("meter.changed", used_micro=GREETING_MICRO)
    kinds = [message["type"] for message in page.told if message["type"] != "session.started"]
    seen = kinds.index("audio.begin") + 1
    await waits(page)
    back = Browser()
    page.heard.clear()
    page._received_messages = seen
    page.told = page.told[: seen + 1]
    await back.resumes(page)
    await back.until("meter.changed")
    assert back.heard == {"item_1": len(SPEECH)}
    assert back.told_of("caption.final")[-1]["text"] == "Hello, how can I help?"
    again = [message["type"] for message in back.told if not message["type"].startswith("session.")]
    # As if there had been no break, but for the second announcement.
    assert again[:seen] + again[seen + 1 :] == kinds
    await hangs_up(back)


async def test_nobody_is_answered_who_is_not_there(greeted):
    upstream, page = greeted
    upstream._script.left.append(
        Step("response.create", emit=spoken_answer("Yes?", SPEECH, response_id="r2", item_id="i2", used=USED))
    )
    await waits(page)
    upstream.emit(*caller_says("Are you there?", "u1"))
    back = Browser()
    async with asyncio.timeout(PATIENCE_S):
        while not any(call.caller._unheard._next_number > len(page.told) for call in resuming._calls.values()):
            await asyncio.sleep(0.01)
    assert upstream.sent_types().count("response.create") == 1
    await back.resumes(page)
    assert (await back.until("caption.final", speaker="caller"))["text"] == "Are you there?"
    await back.until("audio.end", item_id="i2")
    await back.until("meter.changed")
    books = await hangs_up(back)
    assert upstream.sent_types().count("response.create") == 2
    assert books.cost_micro > GREETING_MICRO


async def test_an_answer_that_was_missed_can_be_interrupted_after_the_break(call):
    """It was sent long ago, and is being played only now."""
    upstream, page = await call(greeting(emit=[]))
    upstream._script.left += [Step("response.create"), Step("conversation.item.truncate")]
    await asked_times(upstream, 1)
    await waits(page)
    upstream.emit(*spoken_answer("Hello, how can I help?", SPEECH, used=GREETING_USAGE))
    back = Browser()
    back.plays = False
    await back.resumes(page)
    await back.until("meter.changed")
    upstream.emit(*caller_says("Wait!", "u1"))
    await back.until("audio.clear", item_id="item_1")
    await asked_times(upstream, 2)
    await back.has_played("item_1", 800)
    assert (await back.until("caption.final", interrupted=True))["item_id"] == "item_1"
    await hangs_up(back)


async def test_a_call_can_be_resumed_again_and_again(greeted):
    _, page = greeted
    for times in range(1, 6):
        await waits(page)
        back = Browser()
        await back.resumes(page)
        await is_back(times)
        page = back
    books = await hangs_up(page)
    assert (books.session.resumes, books.cost_micro) == (5, GREETING_MICRO)


async def test_a_typed_conversation_is_resumed_as_one(agent, served_by):
    served_by(greeting())
    page, back = Browser(), Browser()
    await page.calls(await in_thread(admitted)(agent, is_voice=False), voice=False)
    await page.until("meter.changed")
    await waits(page)
    assert (await back.resumes(page))["voice"] is False
    await back.sends_audio()
    await refused(back, "invalid_message")


async def test_a_caller_who_stays_away_is_disconnected_and_pays_for_what_was_used(call, settings):
    settings.RESUME_WITHIN_S = 0.2
    _, page = await call()
    await page.until("meter.changed", used_micro=GREETING_MICRO)
    await page.vanishes()
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert (books.session.end_reason, books.cost_micro) == (EndReason.CALLER_DISCONNECTED, GREETING_MICRO)
    assert (books.balance.held_micro, books.session.resumes) == (0, 0)


async def test_whoever_comes_back_too_late_is_told_that_the_call_ended_and_what_it_cost(call, settings):
    settings.RESUME_WITHIN_S = 0.2
    _, page = await call()
    await page.until("meter.changed", used_micro=GREETING_MICRO)
    await page.vanishes()
    await in_thread(closed_books)(await in_thread(only_session)())
    for is_forgotten in (False, True):
        if is_forgotten:
            resuming._calls.clear()
        ended = await (await asks_to_resume(page)).until("session.ended")
        assert (ended["reason"], ended["receipt"]["total_micro"]) == ("caller_disconnected", GREETING_MICRO)


async def test_how_a_call_ended_is_not_told_for_ever(call, settings):
    settings.RESUME_WITHIN_S = 0.2
    _, page = await call()
    await page.vanishes()
    await in_thread(closed_books)(await in_thread(only_session)())
    resuming._calls.clear()
    await Session.objects.aupdate(ended_at=timezone.now() - timedelta(minutes=11))
    await refused(await asks_to_resume(page), "resume_too_late")


async def test_an_answer_that_nobody_came_back_for_is_stopped_and_paid_for_once(call, settings):
    settings.RESUME_WITHIN_S = 0.2
    used = usage(text_in=700, audio_out=17)
    upstream, page = await call([*greeting(emit=begun()), Step("response.cancel", emit=[cancelled("resp_1", used)])])
    await page.until("audio")
    await page.vanishes()
    upstream.assert_complete()
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert (books.cost_micro, len(books.usage)) == (response_micro(used), 1)


async def test_a_call_that_was_ended_meanwhile_says_how(greeted):
    _, page = greeted
    await waits(page)
    session_id = await in_thread(only_session)()
    await in_thread(control.end_call)(session_id)
    await page.is_let_go()
    back = await asks_to_resume(page)
    ended = await back.until("session.ended")
    assert (ended["reason"], ended["receipt"]["total_micro"]) == ("operator_ended", GREETING_MICRO)
    assert await back.until_closed() == 1000


async def test_a_call_says_how_it_ended_to_a_browser_that_could_not_hear_it(greeted):
    _, page = greeted
    await page.says("session.end")
    await page.is_let_go()
    assert (await (await asks_to_resume(page)).until("session.ended"))["reason"] == "caller_hung_up"


async def test_a_second_connection_takes_the_place_of_one_that_only_seems_to_live(greeted):
    """Wi-Fi to mobile: the server has not noticed that the first is dead."""
    upstream, page = greeted
    back = Browser()
    await back.resumes(page)
    await refused(page, "resumed_elsewhere")
    await back.sends_audio()
    books = await hangs_up(back)
    assert (books.session.resumes, len(upstream.appended)) == (1, 1920)


async def test_of_two_connections_that_resume_at_once_one_has_the_call(greeted):
    _, page = greeted
    await waits(page)
    pages = [await asks_to_resume(page) for _ in range(2)]
    lasts = await asyncio.gather(*(last_of(each) for each in pages))
    assert sorted(map(str, lasts)) == ["4411", "None"]
    winner = pages[lasts.index(None)]
    await hangs_up(winner)


async def last_of(page):
    """Return the close code of the connection that lost the race, None for the one that goes on."""
    try:
        async with asyncio.timeout(1):
            while True:
                await page._next()
    except TimeoutError:
        return None
    except Exception:
        return page.close_code


@pytest.mark.parametrize("token", ["x", "é", "\x00", "A" * 43, "t" * 4096])
async def test_a_forged_token_resumes_nothing(greeted, token):
    _, page = greeted
    await refused(await asks_to_resume(page, resume_token=token), "resume_too_late")
    await hangs_up(page)


async def test_a_network_that_guesses_tokens_is_not_listened_to_for_long(greeted, monkeypatch):
    monkeypatch.setattr("voice.admission.ip_limits._RESUMES", ["2/m"])
    _, page = greeted
    for _ in range(2):
        await refused(await asks_to_resume(page, resume_token="guess"), "resume_too_late")
    await refused(await asks_to_resume(page, resume_token="guess"), "too_many_resumes")
    # Whose token is right has guessed nothing.
    back = Browser()
    await back.resumes(page)
    await hangs_up(back)


async def test_a_call_is_not_resumed_without_end(greeted, monkeypatch):
    monkeypatch.setattr(resuming, "_RESUMES_MAX", 1)
    _, page = greeted
    back = Browser()
    await back.resumes(page)
    await refused(await asks_to_resume(page), "resume_too_late")
    await hangs_up(back)


async def test_a_token_on_another_page_is_refused(greeted):
    _, page = greeted
    thief = Browser(origin="https://evil.example")
    await thief.opens()
    await thief.says("session.resume", **page.whereabouts())
    await refused(thief, "origin_not_allowed")
    await hangs_up(page)


async def test_a_call_that_runs_is_not_resumed_on_its_own_connection(greeted):
    _, page = greeted
    await page.says("session.resume", **page.whereabouts())
    await refused(page, "invalid_message")


@pytest.mark.parametrize("received_bytes, received_messages", [(2**53 - 1, 2**53 - 1), (0, 0), (1, None), (10**9, 0)])
async def test_lying_counts_harm_nobody(greeted, received_bytes, received_messages):
    _, page = greeted
    await waits(page)
    back = Browser()
    await back.resumes(page, received_bytes=received_bytes, received_messages=received_messages, played_ms=2**53 - 1)
    assert (await hangs_up(back)).cost_micro == GREETING_MICRO


async def test_the_token_is_kept_nowhere(greeted, caplog):
    _, page = greeted
    await waits(page)
    back = Browser()
    await back.resumes(page)
    assert len(page.resume_token) >= 43
    assert page.resume_token not in repr(resuming._calls) + repr(list(resuming._calls)) + caplog.text
    stored = await in_thread(lambda: json.dumps(list(Session.objects.values()), default=str))()
    assert page.resume_token not in stored
    await hangs_up(back)


async def test_a_browser_that_falls_silent_is_away_and_goes_on_when_it_is_heard(call, monkeypatch):
    """A laptop's lid: no connection was closed, nothing is reported, and it is not too slow for that."""
    monkeypatch.setattr(widget_caller, "_SILENT_S", 0.05)
    monkeypatch.setattr("voice.sessions.playback._BEHIND_S_MAX", 0.3)
    upstream, page = await call()
    page.plays = False
    await page.until("meter.changed")
    upstream._script.left += [Step("conversation.item.truncate"), Step("response.create")]
    await asyncio.sleep(0.6)
    upstream.emit(*caller_says("Hello?", "u1"))
    await page.until("caption.final", interrupted=True)
    assert upstream.sent_types().count("response.create") == 1
    await page.sends_audio()
    await asked_times(upstream, 2)
    await page.says("session.end")
    assert (await page.until("session.ended"))["reason"] == "caller_hung_up"


async def test_a_server_that_stops_while_a_caller_is_away_settles_their_call(greeted):
    _, page = greeted
    await waits(page)
    await page.is_cancelled()
    books = await in_thread(closed_books)(await in_thread(only_session)())
    assert (books.session.end_reason, books.cost_micro) == (EndReason.SHUTTING_DOWN, GREETING_MICRO)


async def test_a_connection_that_was_replaced_takes_nothing_with_it(greeted):
    _, page = greeted
    back = Browser()
    await back.resumes(page)
    await page.is_cancelled()
    assert (await hangs_up(back)).cost_micro == GREETING_MICRO


async def test_a_visitor_who_calls_anew_ends_their_call_that_waits(agent, served_by, settings):
    settings.CONCURRENT_CALLS_PER_IP = 1
    client, page = visitor(), Browser()
    served_by(greeting())
    first = (await asks_for_a_call(agent, client)).json()
    await page.calls(first["ticket"])
    await page.until("meter.changed")
    assert (await asks_for_a_call(agent, client)).status_code == 429
    await waits(page)
    assert (await asks_for_a_call(agent)).status_code == 429
    served_by(greeting())
    again = await asks_for_a_call(agent, client)
    assert again.status_code == 201
    anew = Browser()
    await anew.calls(again.json()["ticket"])
    await page.is_let_go()
    books = await in_thread(closed_books)(page.told[0]["session_id"])
    assert (books.session.end_reason, books.cost_micro) == (EndReason.CALLER_DISCONNECTED, GREETING_MICRO)
    await anew.vanishes(1000)
