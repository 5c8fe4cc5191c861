"""Which model a call tries next, how many of them, and for how long."""

import asyncio
import threading
from dataclasses import replace

import pytest

from tests.voice.sessions.calls import make_call
from voice.metering.errors import OutOfCredit
from voice.models import RungKind
from voice.sessions.fallback import candidates, race, reports, search, share
from voice.sessions.fallback import ladder as ladder_module
from voice.sessions.fallback.doubts import DOUBTS
from voice.sessions.fallback.ladder import Ladder
from voice.sessions.fallback.share import BREAKS_MAX, TRIES_MAX
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamRefused, UpstreamTimeout

DROPPED = UpstreamDropped("upstream_dropped", retryable=True)
STALLED = UpstreamError("upstream_stalled", retryable=True)
AWAY = UpstreamDropped("upstream_unreachable", retryable=True)
QUOTA = UpstreamRefused("upstream_quota", retryable=False)
HANGS = object()


class Connection:
    closed = False

    async def close(self) -> None:
        self.closed = True


class Models:
    """A catalogue and its providers: `answers` say by model what comes of each dial, and then it answers.

    What `waits_for` names a model with is waited for before each of its answers.
    """

    def __init__(self, *calls, **answers) -> None:
        self.calls, self.unpaid = list(calls), set()
        self.answers = {name.replace("_", "-"): list(each) for name, each in answers.items()}
        self.dialled, self.let_go, self.connections = [], [], []
        self.waits_for: dict[str, asyncio.Event] = {}

    def call_after(self, call, left, is_doubted, *, is_written_to=False):
        order = sorted(self.calls, key=lambda each: (each.rung_kind == RungKind.TEXT, is_doubted(each.house)))
        fitting = (each for each in order if not is_written_to or each.rung_kind == RungKind.TEXT)
        return next((each for each in fitting if each.model_served not in left), None)

    async def connect(self, endpoint, *, within_s, tries=2):
        name = endpoint.model
        self.dialled.append(name)
        if name in self.waits_for:
            await self.waits_for[name].wait()
        answers = self.answers.get(name)
        answer = answers.pop(0) if answers else None
        if answer is HANGS:
            try:
                await asyncio.Event().wait()
            finally:
                self.let_go.append(name)
        if answer is not None:
            raise answer
        self.connections.append(Connection())
        return self.connections[-1]

    async def refuse_unpayable(self, call):
        if call.model_served in self.unpaid:
            raise OutOfCredit("insufficient_credits")


def voice(name, house, kind=RungKind.REALTIME):
    call = make_call(model_served=name, rung_kind=kind, house=house)
    return replace(call, endpoint=replace(call.endpoint, model=name))


FIRST, SIBLING, OTHER = voice("first", "one"), voice("sibling", "one"), voice("other", "two")
TEXT = voice("text", "one, in writing", RungKind.TEXT)


@pytest.fixture
def models(monkeypatch):
    """Put these on the ladder."""

    def make(*calls, **answers):
        models = Models(*calls, **answers)
        monkeypatch.setattr(candidates.records, "call_after", models.call_after)
        for module in (ladder_module, race):
            monkeypatch.setattr(module, "connect", models.connect)
        return models

    monkeypatch.setattr(reports.breaker, "answered", lambda *_: None)
    monkeypatch.setattr(search, "_ALL_AGAIN_AFTER_S", 0.0)
    return make


@pytest.fixture(autouse=True)
def failures(monkeypatch):
    """What the breakers are told: of which models, and why."""
    told_of = []
    monkeypatch.setattr(reports.breaker, "failed", lambda slug, code, organisation_id: told_of.append((slug, code)))
    return told_of


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(search, "_HEAD_START_S", 0.01)
    monkeypatch.setattr(search, "_FIRST_HEAD_START_S", 0.01)
    monkeypatch.setattr(search, "_VOICES_START_S", 0.05)


def ladder_of(call):
    return Ladder(call, is_climbed=True)


async def until(holds):
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0)


async def climbs(ladder, models, call=FIRST, error=STALLED, **how):
    found, _ = await ladder.climb_down(call, error, models.refuse_unpayable, **how)
    return found.model_served


def rungs(ladder):
    return [(row.model_slug, row.reason) for row in ladder.rungs.rows()]


async def test_a_provider_that_turns_a_call_away_is_not_asked_for_its_other_models_first(models):
    on_offer = models(FIRST, SIBLING, OTHER, TEXT, first=[AWAY])
    ladder = ladder_of(FIRST)
    assert await climbs(ladder, on_offer, error=DROPPED) == "other"
    assert on_offer.dialled == ["first", "other"]
    assert rungs(ladder) == [("first", ""), ("first", "upstream_dropped"), ("other", "upstream_unreachable")]


async def test_a_model_that_drops_in_mid_call_says_nothing_of_its_provider(models):
    on_offer = models(FIRST, SIBLING, OTHER)
    ladder = ladder_of(FIRST)
    assert await climbs(ladder, on_offer, error=DROPPED) == "first"
    assert await climbs(ladder, on_offer, error=DROPPED) == "sibling"


async def test_what_one_call_found_out_another_need_not_find_out(models):
    on_offer = models(FIRST, OTHER, first=[AWAY])
    await climbs(ladder_of(FIRST), on_offer, error=DROPPED)
    on_offer.dialled.clear()
    assert await climbs(ladder_of(FIRST), on_offer, error=DROPPED) == "other"
    assert on_offer.dialled == ["other"]


async def test_a_provider_is_doubted_for_a_moment_only(models, monkeypatch):
    on_offer = models(FIRST, OTHER)
    monkeypatch.setattr("voice.sessions.fallback.doubts.DOUBTED_S", 0.0)
    DOUBTS.note("one", FIRST.organisation_id, "upstream_unreachable")
    assert await climbs(ladder_of(FIRST), on_offer, error=DROPPED) == "first"


async def test_a_key_without_quota_is_its_owners_trouble(models):
    DOUBTS.note("one", FIRST.organisation_id, "upstream_quota")
    assert DOUBTS.are_had("one", FIRST.organisation_id)
    assert not DOUBTS.are_had("one", make_call().session_id)


async def test_a_provider_that_takes_a_call_is_doubted_no_more(models):
    on_offer = models(FIRST, TEXT)
    DOUBTS.note("one", FIRST.organisation_id, "upstream_unreachable")
    await climbs(ladder_of(TEXT), on_offer, TEXT)
    assert not DOUBTS.are_had("one", FIRST.organisation_id)


async def test_the_last_try_is_kept_for_a_model_that_is_written_to(models):
    voices = [voice(f"voice{number}", f"house{number}") for number in range(8)]
    on_offer = models(*voices, TEXT, **{each.model_served: [AWAY] * 9 for each in voices})
    ladder = ladder_of(voices[0])
    assert await climbs(ladder, on_offer, voices[0]) == "text"
    assert len(on_offer.dialled) == TRIES_MAX


async def test_the_last_seconds_are_kept_for_a_model_that_is_written_to(models, monkeypatch):
    monkeypatch.setattr(share, "WAIT_S_MAX", 4.0)
    on_offer = models(FIRST, OTHER, TEXT)
    assert await climbs(ladder_of(FIRST), on_offer) == "text"


async def test_a_call_that_is_answered_has_all_of_its_tries_again(models):
    on_offer = models(FIRST, OTHER)
    ladder = ladder_of(FIRST)
    for _ in range(3 * TRIES_MAX):
        await climbs(ladder, on_offer)
        ladder.answered(OTHER)


async def test_a_call_that_is_never_answered_is_given_up(models):
    on_offer = models(FIRST, OTHER)
    ladder = ladder_of(FIRST)
    with pytest.raises(UpstreamError) as given_up:
        for _ in range(TRIES_MAX + 1):
            await climbs(ladder, on_offer)
    assert given_up.value.code == "upstream_stalled"
    assert len(on_offer.dialled) <= TRIES_MAX


async def test_a_call_that_breaks_again_and_again_is_given_up_though_it_is_answered(models):
    on_offer = models(FIRST, OTHER)
    ladder = ladder_of(FIRST)
    for _ in range(BREAKS_MAX):
        await climbs(ladder, on_offer)
        ladder.answered(OTHER)
    with pytest.raises(UpstreamError):
        await climbs(ladder, on_offer)


async def test_breaks_that_are_long_ago_do_not_count(models, monkeypatch):
    monkeypatch.setattr(share, "BREAKS_WITHIN_S", 0.0)
    on_offer = models(FIRST, OTHER)
    ladder = ladder_of(FIRST)
    for _ in range(BREAKS_MAX + 1):
        await climbs(ladder, on_offer)
        ladder.answered(OTHER)


async def test_all_are_tried_once_more_when_all_have_failed(models):
    on_offer = models(FIRST, TEXT, text=[AWAY])
    assert await climbs(ladder_of(FIRST), on_offer) == "first"
    assert on_offer.dialled == ["text", "first"]


async def test_the_model_that_broke_is_among_those_that_are_tried_once_more(models):
    on_offer = models(FIRST, TEXT, first=[AWAY, AWAY])
    assert await climbs(ladder_of(TEXT), on_offer, TEXT, error=STALLED) == "text"
    assert on_offer.dialled == ["first", "first", "text"]


async def test_what_only_its_owner_can_mend_is_not_tried_once_more(models):
    on_offer = models(FIRST, first=[QUOTA])
    with pytest.raises(UpstreamError) as given_up:
        await climbs(ladder_of(FIRST), on_offer, error=DROPPED)
    assert (given_up.value.code, on_offer.dialled) == ("upstream_quota", ["first"])


async def test_a_model_that_is_slow_is_not_waited_for_alone(models, hurried):
    on_offer = models(FIRST, OTHER, first=[HANGS])
    ladder = ladder_of(FIRST)
    assert await climbs(ladder, on_offer, error=DROPPED) == "other"
    assert on_offer.dialled == ["first", "other"]
    assert rungs(ladder)[1:] == [("other", "upstream_dropped")]
    await until(lambda: on_offer.let_go == ["first"])


async def test_who_asks_for_a_slow_model_is_answered_by_another_one_at_the_start(models, hurried):
    on_offer = models(FIRST, OTHER, first=[HANGS])
    ladder = ladder_of(FIRST)
    found, _ = await ladder.start(FIRST, on_offer.refuse_unpayable)
    assert (found.model_served, rungs(ladder)) == ("other", [("first", ""), ("other", "upstream_slow")])


async def test_a_call_that_begins_waits_longer_for_the_model_it_asked_for_than_one_that_goes_on(models, monkeypatch):
    monkeypatch.setattr(search, "_HEAD_START_S", 0.0)
    on_offer = models(FIRST, OTHER)
    answers = on_offer.waits_for["first"] = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, answers.set)
    found, _ = await ladder_of(FIRST).start(FIRST, on_offer.refuse_unpayable)
    assert (found.model_served, on_offer.dialled) == ("first", ["first"])


async def test_a_voice_has_more_time_than_a_model_that_is_written_to_gives_it(models, monkeypatch):
    monkeypatch.setattr(search, "_HEAD_START_S", 0.0)
    on_offer = models(FIRST, TEXT)
    answers = on_offer.waits_for["first"] = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, answers.set)
    assert await climbs(ladder_of(FIRST), on_offer, error=DROPPED) == "first"
    assert on_offer.dialled == ["first"]


async def test_a_connection_that_nobody_needs_any_more_is_hung_up(models, hurried):
    on_offer = models(FIRST, OTHER)
    async with race.Race() as both:
        for call in (FIRST, OTHER):
            both.start(call, within_s=1.0, tries=1)
        first = await both.finished(None)
        await asyncio.wait([dial.task for dial in both.running])
    await until(lambda: [each.closed for each in on_offer.connections] == [False, True])
    assert first.task.result() is on_offer.connections[0]


async def test_a_model_that_fails_while_the_next_one_answers_is_known_for_that(models, hurried, failures):
    on_offer, now = models(FIRST, OTHER, first=[AWAY]), asyncio.Event()
    on_offer.waits_for = {"first": now, "other": now}
    ladder = ladder_of(FIRST)
    climbing = asyncio.create_task(climbs(ladder, on_offer, error=DROPPED))
    await until(lambda: on_offer.dialled == ["first", "other"])
    now.set()
    assert await climbing == "other"
    await ladder.report()
    assert failures == [("first", "upstream_dropped"), ("first", "upstream_unreachable")]
    assert rungs(ladder)[1:] == [("first", "upstream_dropped"), ("other", "upstream_unreachable")]


async def test_a_model_that_answers_while_the_next_one_is_looked_for_is_taken(models, hurried, monkeypatch):
    on_offer, loop = models(FIRST, OTHER), asyncio.get_running_loop()
    answers = on_offer.waits_for["first"] = asyncio.Event()

    async def is_answered():
        answers.set()
        await until(lambda: on_offer.connections)

    def found_late(*args, **how):
        asyncio.run_coroutine_threadsafe(is_answered(), loop).result(10)
        return on_offer.call_after(*args, **how)

    monkeypatch.setattr(candidates.records, "call_after", found_late)
    assert await climbs(ladder_of(FIRST), on_offer, error=DROPPED) == "first"
    assert on_offer.dialled == ["first"]


async def test_a_model_that_was_dialled_later_than_the_one_that_answers_is_not_slow(models, monkeypatch):
    monkeypatch.setattr(search, "_HEAD_START_S", 0.01)
    on_offer = models(FIRST, OTHER, other=[HANGS])
    answers = on_offer.waits_for["first"] = asyncio.Event()
    climbing = asyncio.create_task(climbs(ladder_of(FIRST), on_offer, error=DROPPED))
    await until(lambda: on_offer.dialled == ["first", "other"])
    answers.set()
    assert await climbing == "first"
    assert not DOUBTS.are_had(OTHER.house, OTHER.organisation_id)


async def test_a_call_that_begins_does_not_wait_for_the_breakers_to_be_told(models, monkeypatch):
    """When a provider goes down, all calls tell the same few breakers at once."""
    may_tell, told_of = threading.Event(), []

    def slowly(slug, *_):
        assert may_tell.wait(20)
        told_of.append(slug)

    on_offer = models(FIRST, OTHER, first=[AWAY])
    monkeypatch.setattr(reports.breaker, "failed", slowly)
    ladder = ladder_of(FIRST)
    found, _ = await ladder.start(FIRST, on_offer.refuse_unpayable)
    assert (found.model_served, told_of) == ("other", [])
    may_tell.set()
    await ladder.report()
    assert told_of == ["first"]


async def test_a_caller_who_cannot_pay_what_is_left_is_told_so(models):
    on_offer = models(FIRST, OTHER)
    on_offer.unpaid = {"other", "first"}
    with pytest.raises(OutOfCredit):
        await climbs(ladder_of(FIRST), on_offer)


async def test_a_customers_program_is_answered_by_its_model_or_not_at_all(models):
    on_offer = models(FIRST, OTHER, first=[AWAY])
    with pytest.raises(UpstreamError):
        await Ladder(FIRST, is_climbed=False).start(FIRST, on_offer.refuse_unpayable)
    assert on_offer.dialled == ["first"]
    assert DOUBTS.are_had("one", FIRST.organisation_id)


async def test_a_model_that_answers_too_late_is_the_last_that_is_asked(models, hurried):
    timeout = UpstreamTimeout("upstream_connect_timeout", retryable=True)
    on_offer = models(FIRST, OTHER, TEXT, first=[timeout], other=[timeout])
    assert await climbs(ladder_of(FIRST), on_offer, error=DROPPED) == "text"
    assert on_offer.dialled == ["first", "other", "text"]
