"""The model of a live call fails, and another goes on with it: the caller hears no more of that than a pause."""

import asyncio
import math
import threading

import pytest
from channels.db import database_sync_to_async as in_thread
from django.db.models import F

from tests import factories
from tests.fakes.realtime_server import RealtimeServer
from tests.fakes.scripted_upstream import ScriptedUpstream, Step, spoken_answer, usage
from tests.flows.books import AUDIO_OUT, TEXT_IN, TEXT_OUT, response_micro
from tests.flows.rungs import NEXT_USAGE, Dialled, call_to, going_on, told
from tests.flows.script import GREETING_USAGE, SESSION_STEP, SPEECH, begun, caller_says, greeting
from voice.catalogue import breaker
from voice.models import CatalogueModel, EndReason, ModelHealth, Rate, Rung, Session
from voice.sessions import relay as relay_module
from voice.sessions.caller import Audio, HungUp, ModeChosen, Played, Text
from voice.sessions.connect import endpoint_of
from voice.sessions.fallback import moving as moving_module
from voice.sessions.fallback import search, stalls
from voice.upstream import registry
from voice.upstream.errors import UpstreamDropped, UpstreamRefused

GREETING_MICRO = response_micro(GREETING_USAGE)
NEXT_MICRO = response_micro(NEXT_USAGE)
GREETING = "agent: Hello, how can I help?"
FRAME = b"\1\0" * 960
WRITTEN = [
    {"type": "response.created", "response": {"id": "resp_9", "status": "in_progress"}},
    {"type": "response.output_text.delta", "item_id": "item_9", "response_id": "resp_9", "delta": "Hello!"},
    {"type": "response.output_text.done", "item_id": "item_9", "response_id": "resp_9", "text": "Hello!"},
    {"type": "response.done", "response": {"id": "resp_9", "status": "completed", "output": [],
                                           "usage": usage(text_in=500, text_out=5)}},
]  # fmt: skip


@pytest.fixture(autouse=True)
def impatient(monkeypatch, settings):
    """What is waited for in seconds is waited for in tenths; with a key, there are models to move to."""
    settings.OPENAI_API_KEY = "sk-test"
    monkeypatch.setattr(relay_module, "_LAST_USAGE_S", 0.05)
    monkeypatch.setattr(search, "_ALL_AGAIN_AFTER_S", 0.0)
    # However busy the machine is, dials are answered in the order of the test.
    monkeypatch.setattr(search, "_HEAD_START_S", 60.0)
    monkeypatch.setattr(search, "_FIRST_HEAD_START_S", 60.0)


@pytest.fixture
def quick_stalls(monkeypatch):
    """For those who stall only: on a busy machine a model that answers at once may seem to, too."""
    monkeypatch.setattr(stalls, "STALL_S", 1.0)
    monkeypatch.setattr(stalls, "STALL_SPEAKING_S", 0.5)


@pytest.fixture
def dialled(monkeypatch):
    """Let these upstreams answer, one dial after another."""

    def answer(*answers):
        answers = [ScriptedUpstream(each) if isinstance(each, list) else each for each in answers]
        dialled = Dialled(*answers)
        monkeypatch.setattr(registry, "dial", dialled.dial)
        return dialled

    return answer


async def hears(call, item_id):
    """Return once the caller was told that an answer is whole."""
    await call.caller.until_told("response.output_audio.done", item_id=item_id)


async def hangs_up(call):
    call.caller.does(HungUp())
    return await call.ends()


def quota(code):
    """An answer that fails for want of quota, after it was begun."""
    error = {"type": "failed", "error": {"type": "invalid_request_error", "code": code, "message": "no"}}
    created = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
    done = {"id": "resp_1", "status": "failed", "status_details": error, "output": [], "usage": None}
    return [created, {"type": "response.done", "response": done}]


async def test_a_line_that_drops_between_two_answers_costs_nothing_and_is_not_noticed(agent, dialled):
    first, second = [*greeting(), Step("input_audio_buffer.append", then="drop")], [SESSION_STEP, *told(GREETING)]
    models = dialled(first, second)
    call = await call_to(agent)
    await hears(call, "item_1")
    call.caller.does(Audio(FRAME))
    while len(models.upstreams[1].sent) < 2:
        await asyncio.sleep(0.01)
    _, books = await hangs_up(call)
    models.upstreams[1].assert_complete()
    assert books.cost_micro == GREETING_MICRO
    assert "parley.working" not in call.caller.told_types()


async def test_an_answer_that_is_cut_off_is_gone_on_with_by_the_same_model(agent, dialled):
    models = dialled(greeting(emit=begun("Hello there"), then="drop"), going_on("agent: Hello there"))
    call = await call_to(agent)
    await hears(call, "item_2")
    await hangs_up(call)
    models.upstreams[1].assert_complete()
    assert models.models == ["gpt-realtime-mini", "gpt-realtime-mini"]
    assert await call.rungs() == [
        ("gpt-realtime-mini", "realtime", ""),
        ("gpt-realtime-mini", "realtime", "upstream_dropped"),
    ]


async def test_the_next_model_is_asked_to_repeat_nothing(agent, dialled):
    models = dialled(greeting(emit=begun("Hello there"), then="drop"), going_on("agent: Hello there"))
    call = await call_to(agent)
    await hears(call, "item_2")
    await hangs_up(call)
    asked = models.upstreams[1].sent[-1]["response"]["instructions"]
    assert "dental practice" in asked
    assert "do not repeat" in asked


async def test_what_was_cut_off_is_estimated_once_and_the_rest_is_billed_as_reported(agent, dialled):
    dialled(greeting(emit=begun("Hello there"), then="drop"), going_on("agent: Hello there"))
    call = await call_to(agent)
    await hears(call, "item_2")
    _, books = await hangs_up(call)
    estimate, rest = books.usage
    assert (estimate.upstream_id, estimate.is_estimated) == ("resp_1", True)
    assert (rest.upstream_id, rest.is_estimated, rest.amount_micro) == ("1/resp_2", False, NEXT_MICRO)
    spoken = math.ceil(40 * AUDIO_OUT + 4 * TEXT_OUT)
    read = {line["kind"]: line["quantity"] for line in estimate.lines if line["kind"].endswith("_in")}
    assert estimate.amount_micro == spoken + read["text_in"] * TEXT_IN
    assert books.cost_micro == estimate.amount_micro + NEXT_MICRO


async def test_answers_of_two_upstreams_under_one_id_are_both_counted(agent, dialled):
    steps = [*greeting(), Step("conversation.item.create", then="drop")]
    dialled(steps, going_on(GREETING, "caller: When are you open?", number=1))
    call = await call_to(agent)
    await hears(call, "item_1")
    call.caller.does(Text("When are you open?"))
    await call.caller.until_told("parley.meter_changed", used_micro=GREETING_MICRO + NEXT_MICRO)
    _, books = await hangs_up(call)
    assert [row.upstream_id for row in books.usage] == ["resp_1", "1/resp_1"]
    assert books.cost_micro == GREETING_MICRO + NEXT_MICRO


async def test_an_answer_that_is_reported_twice_after_a_move_is_charged_once(agent, dialled):
    answer = spoken_answer("And so on.", SPEECH, response_id="resp_2", item_id="item_2", used=NEXT_USAGE)
    second = going_on("agent: Hello there", emit=[*answer, answer[-1]])
    dialled(greeting(emit=begun("Hello there"), then="drop"), second)
    call = await call_to(agent)
    await hears(call, "item_2")
    _, books = await hangs_up(call)
    assert [row.upstream_id for row in books.usage] == ["resp_1", "1/resp_2"]


async def test_a_model_that_fails_twice_is_left_for_the_next_one_at_its_prices(agent, dialled):
    models = dialled(
        greeting(emit=begun("Hello there"), then="drop"),
        going_on("agent: Hello there", emit=[], then="drop"),
        going_on("agent: Hello there", number=3),
    )
    call = await call_to(agent)
    await hears(call, "item_3")
    changed = await call.caller.until_told("parley.model_changed")
    _, books = await hangs_up(call)
    assert models.models == ["gpt-realtime-mini", "gpt-realtime-mini", "gpt-realtime-2.1-mini"]
    assert (changed["model_served"], changed["voice"]) == ("gpt-realtime-2.1-mini", True)
    assert changed["reason"] == "GPT Realtime mini is not answering: GPT Realtime 2.1 mini answers instead."
    assert (books.session.model_served, books.session.model_reason) == ("gpt-realtime-2.1-mini", changed["reason"])
    # Its speech has the list price and 35 %, not the round one of the model that was asked for.
    at_its_prices = math.ceil(900 * TEXT_IN + 10 * TEXT_OUT + 30 * 20 * 135)
    assert (books.usage[-1].model_slug, books.usage[-1].amount_micro) == ("gpt-realtime-2.1-mini", at_its_prices)


@pytest.mark.parametrize(
    ("code", "following"),
    # Quota is the account's, which has none for its other models either.
    [("insufficient_quota", "parley-embedded"), ("rate_limit_exceeded", "gpt-realtime-2.1-mini")],
)
async def test_a_model_without_quota_is_not_asked_twice(agent, dialled, code, following):
    models = dialled(greeting(emit=quota(code)), going_on())
    call = await call_to(agent)
    await hears(call, "item_2")
    _, books = await hangs_up(call)
    assert models.models == ["gpt-realtime-mini", following]
    assert [row.upstream_id for row in books.usage] == ["1/resp_2"]


async def test_a_session_whose_time_is_up_goes_on_in_another(agent, dialled):
    expired = {"type": "error", "error": {"type": "invalid_request_error", "code": "session_expired", "message": "60"}}
    steps = [*greeting(), Step("conversation.item.create", emit=[expired], then="close")]
    models = dialled(steps, going_on(GREETING, "caller: Still there?"))
    call = await call_to(agent)
    await hears(call, "item_1")
    call.caller.does(Text("Still there?"))
    await hears(call, "item_2")
    _, books = await hangs_up(call)
    assert models.models == ["gpt-realtime-mini"] * 2
    assert (await call.rungs())[1][2] == "session_expired"
    assert books.cost_micro == GREETING_MICRO + NEXT_MICRO


async def test_a_model_that_stalls_in_its_answer_is_left(agent, dialled, quick_stalls):
    models = dialled(greeting(emit=begun("Hello there"), then="stall"), going_on("agent: Hello there"))
    call = await call_to(agent)
    await hears(call, "item_2")
    await hangs_up(call)
    assert models.models == ["gpt-realtime-mini", "gpt-realtime-2.1-mini"]
    assert (await call.rungs())[1][2] == "upstream_stalled"


async def test_a_model_that_talks_nonsense_is_left(agent, dialled):
    models = dialled(greeting(emit=[], then="garbage"), going_on())
    call = await call_to(agent)
    await hears(call, "item_2")
    await hangs_up(call)
    assert models.models == ["gpt-realtime-mini", "gpt-realtime-2.1-mini"]
    assert (await call.rungs())[1][2] == "upstream_garbage"


def without_sound(words, **ids):
    events = spoken_answer(words, SPEECH, used=GREETING_USAGE, **ids)
    return [event for event in events if event["type"] != "response.output_audio.delta"]


async def test_a_model_whose_words_come_without_their_sound_is_left(agent, dialled):
    models = dialled(greeting(emit=without_sound("Hello, how can I help?")), going_on())
    call = await call_to(agent)
    await hears(call, "item_2")
    _, books = await hangs_up(call)
    assert models.models == ["gpt-realtime-mini", "gpt-realtime-2.1-mini"]
    assert (await call.rungs())[1][2] == "upstream_silent"
    # What nobody heard the next model is not told (it would have balked), and what was reported of it is paid.
    assert [row.captured_micro for row in books.usage if row.upstream_id.endswith("resp_1")] == [GREETING_MICRO]
    health = await in_thread(ModelHealth.objects.get)(model__slug="gpt-realtime-mini")
    assert (health.failures_in_a_row, health.last_failure_code) == (1, "upstream_silent")


async def test_three_dots_without_sound_are_no_silence(agent, dialled):
    models = dialled(greeting(emit=without_sound("…")))
    call = await call_to(agent)
    await call.caller.until_told("response.done")
    await hangs_up(call)
    assert models.models == ["gpt-realtime-mini"]


async def test_a_frame_that_is_no_event_is_one_reason_more_to_leave(agent, dialled):
    models = dialled(greeting(), [SESSION_STEP, *told(GREETING)])
    call = await call_to(agent)
    await hears(call, "item_1")
    models.upstreams[0].emit_raw(b"[]")
    while len(models.upstreams[1].sent) < 2:
        await asyncio.sleep(0.01)
    _, books = await hangs_up(call)
    assert books.cost_micro == GREETING_MICRO


async def test_what_the_caller_says_while_moving_is_heard_by_the_next_model(agent, dialled, monkeypatch):
    models = dialled(greeting(), [SESSION_STEP, *told(GREETING)])
    reached, dial = asyncio.Event(), models.dial

    async def slowly(endpoint, **fields):
        if models.endpoints:
            await reached.wait()
        return await dial(endpoint, **fields)

    monkeypatch.setattr(registry, "dial", slowly)
    call = await call_to(agent)
    await hears(call, "item_1")
    models.upstreams[0].drop()
    call.caller.does(Audio(b"\5\0" * 960), Audio(b"\6\0" * 960))
    await asyncio.sleep(0.05)
    reached.set()
    while len(models.upstreams[1].appended) < 2 * 1920:
        await asyncio.sleep(0.01)
    await hangs_up(call)
    assert bytes(models.upstreams[1].appended) == b"\5\0" * 960 + b"\6\0" * 960


async def test_what_the_caller_types_while_moving_is_answered_by_the_next_model(agent, dialled, monkeypatch):
    models = dialled(greeting(), going_on(GREETING, "caller: When are you open?"))
    reached, dial = asyncio.Event(), models.dial

    async def slowly(endpoint, **fields):
        if models.endpoints:
            await reached.wait()
        return await dial(endpoint, **fields)

    monkeypatch.setattr(registry, "dial", slowly)
    call = await call_to(agent)
    await hears(call, "item_1")
    models.upstreams[0].drop()
    await asyncio.sleep(0.05)
    call.caller.does(Text("When are you open?"))
    await asyncio.sleep(0.05)
    reached.set()
    await hears(call, "item_2")
    await hangs_up(call)
    models.upstreams[1].assert_complete()


async def test_a_caller_who_waits_is_told_that_it_takes_a_moment(agent, dialled, monkeypatch):
    monkeypatch.setattr(moving_module, "_ONE_MOMENT_S", 0.05)
    models = dialled(greeting(emit=begun("Hello there"), then="drop"), going_on("agent: Hello there"))
    dial, is_told = models.dial, asyncio.Event()

    async def slowly(endpoint, **fields):
        if models.endpoints:
            await is_told.wait()
        return await dial(endpoint, **fields)

    monkeypatch.setattr(registry, "dial", slowly)
    call = await call_to(agent)
    await call.caller.until_told("parley.notice", code="one_moment")
    is_told.set()
    await hears(call, "item_2")
    await hangs_up(call)
    told_of = [event for event in call.caller.told if event.get("code") == "one_moment"]
    assert len(told_of) == 1
    rung = await in_thread(lambda: Rung.objects.get(session=call.session_id, index=1))()
    assert rung.waited_ms >= 50


async def test_the_models_that_held_a_call_are_on_the_books_while_it_goes_on(agent, dialled):
    """Its process may die in the next moment, with whoever would write them down at the end."""
    dropped = UpstreamDropped("upstream_unreachable", retryable=False)
    dialled(greeting(emit=begun("Hello there"), then="drop"), dropped, going_on("agent: Hello there"))
    call = await call_to(agent)
    await hears(call, "item_2")
    rows = Rung.objects.filter(session=call.session_id).order_by("index").values_list("index", "reason")
    assert await in_thread(list)(rows) == [(0, ""), (1, "upstream_dropped"), (2, "upstream_unreachable")]
    await hangs_up(call)


async def test_the_next_answer_does_not_wait_for_the_breaker_to_be_told(agent, dialled, monkeypatch):
    """When a provider goes down, all its calls tell the same breaker at once."""
    is_heard, told_of = threading.Event(), []

    def failed(slug, *_):
        assert is_heard.wait(20)
        told_of.append(slug)

    monkeypatch.setattr(breaker, "failed", failed)
    dialled(greeting(emit=begun("Hello there"), then="drop"), going_on("agent: Hello there"))
    call = await call_to(agent)
    await hears(call, "item_2")
    is_heard.set()
    await hangs_up(call)
    assert told_of == ["gpt-realtime-mini"]


async def test_what_a_new_model_is_told_of_the_call_the_caller_is_not(agent, dialled):
    dialled(greeting(emit=begun("Hello there"), then="drop"), going_on("agent: Hello there"))
    call = await call_to(agent)
    await hears(call, "item_2")
    await hangs_up(call)
    assert not [event for event in call.caller.told if "sofar_" in str(event)]


async def test_the_page_is_told_how_an_answer_that_was_cut_off_ends(agent, dialled):
    dialled(greeting(emit=begun("Hello there"), then="drop"), going_on("agent: Hello there"))
    call = await call_to(agent)
    await hears(call, "item_2")
    await hangs_up(call)
    await hears(call, "item_1")
    final = await call.caller.until_told("response.output_audio_transcript.done", item_id="item_1")
    assert final["transcript"] == "Hello there"


async def test_what_was_heard_of_an_item_that_the_next_model_does_not_know_is_told_there_in_words(agent, dialled):
    steps = [*greeting(), Step("input_audio_buffer.append", emit=caller_says("Wait", "u1")[:1], then="drop")]
    again = [
        Step("conversation.item.delete", fields={"item_id": "sofar_0"}),
        Step("conversation.item.create", fields={"previous_item_id": "root"}),
    ]
    models = dialled(steps, [SESSION_STEP, *told(GREETING), *again])
    call = await call_to(agent)
    await hears(call, "item_1")
    call.caller.does(Audio(FRAME))
    await call.caller.until_told("parley.interrupted", item_id="item_1")
    while not models.upstreams[1].sent:
        await asyncio.sleep(0.01)
    call.caller.does(Played("item_1", 700, len(SPEECH)))
    await call.caller.until_told("parley.truncated", item_id="item_1")
    await hangs_up(call)
    (new,) = [event["item"] for event in models.upstreams[1].sent if "previous_item_id" in event]
    assert new["content"][0]["text"] == "Hello,"
    assert "conversation.item.truncate" not in models.upstreams[1].sent_types()


async def test_when_no_voice_is_left_the_call_goes_on_in_writing_and_then_ends(agent, dialled, quick_stalls):
    refused = UpstreamRefused("upstream_unauthorized", retryable=False)
    written = [SESSION_STEP, Step("response.create", emit=WRITTEN), Step("conversation.item.create", then="drop")]
    models = dialled(greeting(emit=[], then="stall"), refused, refused, written)
    call = await call_to(agent)
    changed = await call.caller.until_told("parley.model_changed")
    assert (changed["model_served"], changed["voice"]) == ("gpt-4.1", False)
    await call.caller.until_told("response.output_text.done", item_id="item_9")
    call.caller.does(Text("Hello?"))
    ended, books = await call.ends()
    assert ended.reason == EndReason.UPSTREAM_FAILED
    assert models.upstreams[1].sent[0]["session"]["output_modalities"] == ["text"]
    assert models.endpoints[3].adapter == "chat"
    (only,) = books.usage
    # $2 and $8 a million tokens and 35 %.
    assert (only.model_slug, only.amount_micro) == ("gpt-4.1", 500 * 270 + 5 * 1080)
    rungs = await call.rungs()
    assert [rung[:2] for rung in rungs[:4]] == [
        ("gpt-realtime-mini", "realtime"),
        ("gpt-realtime-2.1-mini", "realtime"),
        ("parley-embedded", "pipeline"),
        ("gpt-4.1", "text"),
    ]


@pytest.fixture
def grow_dear():
    """Give models prices that no wallet here can pay."""

    def grow(*slugs):
        Rate.objects.filter(model__slug__in=slugs).update(micro_per_million=F("micro_per_million") * 100_000)

    return in_thread(grow)


@pytest.fixture
def only_one_stands_in(agent):
    CatalogueModel.objects.update(fallback_slugs=[])
    CatalogueModel.objects.filter(slug=agent.model_slug).update(fallback_slugs=["gpt-realtime-2.1-mini"])


async def test_a_dearer_model_that_cannot_be_paid_is_passed_over(agent, dialled, grow_dear):
    await grow_dear("gpt-realtime-2.1-mini")
    models = dialled(greeting(emit=quota("insufficient_quota")), going_on())
    call = await call_to(agent)
    await hears(call, "item_2")
    ended, books = await hangs_up(call)
    assert ended.reason == EndReason.CALLER_HUNG_UP
    assert [endpoint.adapter for endpoint in models.endpoints] == ["openai", "pipeline"]
    assert books.session.model_served == "parley-embedded"


async def test_a_call_goes_on_in_writing_where_no_other_voice_can_be_paid(
    agent, dialled, grow_dear, only_one_stands_in
):
    await grow_dear("gpt-realtime-2.1-mini")
    models = dialled(greeting(emit=quota("insufficient_quota")), [SESSION_STEP, Step("response.create", then="stall")])
    call = await call_to(agent)
    changed = await call.caller.until_told("parley.model_changed")
    await hangs_up(call)
    assert (changed["model_served"], changed["voice"]) == ("gpt-4.1", False)
    assert [endpoint.adapter for endpoint in models.endpoints] == ["openai", "chat"]


async def test_a_call_ends_for_want_of_credits_where_nothing_that_is_left_can_be_paid(
    agent, dialled, grow_dear, only_one_stands_in
):
    await grow_dear("gpt-realtime-2.1-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-6-luna")
    models = dialled(greeting(emit=quota("insufficient_quota")), going_on())
    ended, books = await (await call_to(agent)).ends()
    assert (ended.reason, books.session.end_reason) == (EndReason.OUT_OF_CREDIT, EndReason.OUT_OF_CREDIT)
    assert len(models.endpoints) == 1 and books.cost_micro == 0


async def test_a_model_that_fails_at_the_start_is_what_failed_though_nothing_else_can_be_paid(
    agent, dialled, grow_dear, only_one_stands_in
):
    await grow_dear("gpt-realtime-2.1-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-6-luna")
    dialled(UpstreamRefused("upstream_unauthorized", retryable=False))
    call = await call_to(agent)
    with pytest.raises(UpstreamRefused):
        await call.task
    session = await in_thread(Session.objects.get)(pk=call.session_id)
    assert session.end_reason == EndReason.UPSTREAM_FAILED


async def test_a_caller_who_types_goes_on_typing_where_no_voice_can_be_paid(agent, dialled, grow_dear):
    await in_thread(CatalogueModel.objects.update)(fallback_slugs=[])
    unreachable = UpstreamDropped("upstream_unreachable", retryable=False)
    models = dialled(unreachable, [SESSION_STEP, Step("response.create", emit=WRITTEN)])
    call = await call_to(agent)
    await call.caller.until_told("response.output_text.done", item_id="item_9")
    await grow_dear(agent.model_slug)
    call.caller.does(ModeChosen(voice=True))
    await call.caller.until_told("parley.notice", code="voice_unavailable")
    ended, _ = await hangs_up(call)
    assert ended.reason == EndReason.CALLER_HUNG_UP
    # It was not even dialled.
    assert len(models.endpoints) == 2


async def test_a_call_is_moved_only_so_often(agent, dialled):
    broken = [Step("session.update", then="drop") for _ in range(20)]
    models = dialled(greeting(emit=begun("Hello there"), then="drop"), *[[step] for step in broken])
    call = await call_to(agent)
    ended, books = await call.ends()
    assert ended.reason == EndReason.UPSTREAM_FAILED
    assert len(models.endpoints) <= 6
    assert [row.is_estimated for row in books.usage] == [True]


async def test_a_call_that_ends_while_it_is_moved_is_settled(agent, dialled, monkeypatch):
    models = dialled(greeting(emit=begun("Hello there"), then="drop"))
    dial, is_dialling = models.dial, asyncio.Event()

    async def never(endpoint, **fields):
        if models.endpoints:
            is_dialling.set()
            await asyncio.Event().wait()
        return await dial(endpoint, **fields)

    monkeypatch.setattr(registry, "dial", never)
    call = await call_to(agent)
    await is_dialling.wait()
    ended, books = await hangs_up(call)
    assert ended.reason == EndReason.CALLER_HUNG_UP
    assert [row.is_estimated for row in books.usage] == [True]


async def test_a_model_that_cannot_be_reached_at_the_start_is_passed_over_for_nothing(agent, dialled):
    refused = UpstreamRefused("upstream_model_not_found", retryable=False)
    models = dialled(refused, greeting())
    call = await call_to(agent)
    changed = await call.caller.until_told("parley.model_changed")
    await hears(call, "item_1")
    _, books = await hangs_up(call)
    assert models.models == ["gpt-realtime-mini", "gpt-realtime-2.1-mini"]
    assert changed["model_served"] == "gpt-realtime-2.1-mini"
    assert [row.model_slug for row in books.usage] == ["gpt-realtime-2.1-mini"]
    assert await call.rungs() == [
        ("gpt-realtime-mini", "realtime", ""),
        ("gpt-realtime-2.1-mini", "realtime", "upstream_model_not_found"),
    ]
    session = await in_thread(Session.objects.get)(pk=call.session_id)
    assert session.model_served == "gpt-realtime-2.1-mini"


async def test_who_answered_is_shown_to_the_operator_and_to_the_owner(agent, dialled, client, admin_client):
    refused = UpstreamRefused("upstream_unauthorized", retryable=False)
    dialled(refused, greeting())
    call = await call_to(agent)
    await hears(call, "item_1")
    await hangs_up(call)

    def pages():
        user = factories.make_user()
        factories.add_member(agent.organisation, user)
        client.force_login(user)
        ours = admin_client.get(f"/admin/voice/session/{call.session_id}/change/")
        return ours.content.decode(), client.get(f"/console/calls/{call.session_id}/").content.decode()

    for page in await in_thread(pages)():
        assert "Who answered" in page and "It did not accept the key" in page


async def test_a_provider_whose_socket_breaks_is_dialled_again_and_told_what_was_heard(agent, settings):
    steps = [*greeting(emit=begun("Hello there"), then="drop"), *going_on("agent: Hello there")]

    def caller_at_the_provider():
        model = CatalogueModel.objects.get(slug="gpt-realtime-mini")
        return endpoint_of(model, agent, Session(visitor_id="visitor")).safety_identifier

    async with RealtimeServer(steps, safety_identifier=await in_thread(caller_at_the_provider)()) as server:
        settings.OPENAI_API_KEY, settings.OPENAI_REALTIME_URL = server.api_key, server.url
        call = await call_to(agent, visitor_id="visitor")
        await hears(call, "item_2")
        _, books = await hangs_up(call)
    assert server.handshakes == 2
    assert [(row.upstream_id, row.is_estimated) for row in books.usage] == [("resp_1", True), ("1/resp_2", False)]
