"""A conversation goes on with another upstream: by order, by the caller's wish, and when a session's time is up."""

import asyncio
import base64
import contextlib
import time
from types import SimpleNamespace

import pytest

from tests.fakes.caller import FakeCaller
from tests.fakes.ladder import FakeLadder
from tests.fakes.meter import FakeMeter
from tests.fakes.scripted_upstream import ScriptedUpstream, session_created
from tests.voice.sessions.calls import make_call
from tests.voice.tools.specs import make_spec
from voice.history import RECENT
from voice.models import RungKind
from voice.sessions import customer_tools
from voice.sessions.caller import Audio, ModeChosen, Played, Text
from voice.sessions.fallback import moving as moving_module
from voice.sessions.fallback.so_far import SoFar
from voice.sessions.relay import Relay
from voice.upstream.errors import UpstreamError

pytestmark = pytest.mark.usefixtures("nothing_is_written_down")


@pytest.fixture
def nothing_is_written_down(monkeypatch):
    monkeypatch.setattr(moving_module, "enter_rungs", lambda *_: None)


class LooseUpstream(ScriptedUpstream):
    """Takes whatever it is sent; the tests below say themselves what it answers."""

    async def send(self, frame: bytes) -> None:
        self._stalled = True
        await super().send(frame)

    def answers(self, response_id: str, words: str, item_id: str, *, done: bool = True) -> None:
        place = {"item_id": item_id, "response_id": response_id}
        self.emit(
            {"type": "response.created", "response": {"id": response_id}},
            {"type": "response.output_text.delta", **place, "delta": words},
        )
        if done:
            response = {"id": response_id, "status": "completed", "output": [], "usage": {"input_tokens": 9}}
            self.emit(
                {"type": "response.output_text.done", **place, "text": words},
                {"type": "response.done", "response": response},
            )

    def instructions(self) -> list[str]:
        asked = [event.get("response", {}) for event in self.sent if event["type"] == "response.create"]
        return [each.get("instructions", "") for each in asked]

    def told(self) -> list[tuple[str, str]]:
        items = [event["item"] for event in self.sent if event["type"] == "conversation.item.create"]
        return [(item["role"], item["content"][0]["text"]) for item in items]


class Live:
    def __init__(
        self, relay: Relay, caller: FakeCaller, upstream: LooseUpstream, meter: FakeMeter, ladder: FakeLadder
    ) -> None:
        self.relay, self.caller, self.upstream, self.meter, self.ladder = relay, caller, upstream, meter, ladder

    async def until(self, holds) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.01)

    def changes(self) -> list[tuple[str, bool]]:
        told = [event for event in self.caller.told if event["type"] == "parley.model_changed"]
        return [(event["model_served"], event["voice"]) for event in told]

    def notices(self) -> list[str]:
        return [event["code"] for event in self.caller.told if event["type"] == "parley.notice"]


@contextlib.asynccontextmanager
async def live_call(*below, above=None, so_far=None, upstream=None, **changes):
    held = make_call(**changes)
    ladder = FakeLadder(held, *below, above=above)
    caller, upstream, meter = FakeCaller(), upstream or LooseUpstream(), FakeMeter()

    async def keep_fields(*fields) -> None:
        pass

    relay = Relay(held, caller, upstream, meter, keep_fields, ladder=ladder, so_far=so_far)
    await relay.open()
    parts = [relay.follow_caller(), relay.follow_upstream(), relay.follow_clock(), relay.gate.run()]
    tasks = [asyncio.create_task(part) for part in parts]
    call = Live(relay, caller, upstream, meter, ladder)
    await call.until(lambda: upstream.instructions())
    try:
        yield call
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await relay.close()
        await relay.hang_up()


def another(model="gpt-realtime-2.1-mini", kind=RungKind.REALTIME, **changes):
    """Return what a ladder finds: the call as this model would hold it, and the connection to it."""
    return make_call(model_served=model, rung_kind=kind, **changes), LooseUpstream()


def written(**changes):
    return another("gpt-4.1", RungKind.TEXT, is_voice=False, **changes)


async def test_an_order_to_move_waits_for_a_pause_and_is_then_followed():
    held, upstream = another()
    async with live_call((held, upstream)) as call:
        call.upstream.answers("r1", "Good", "a1", done=False)
        await call.relay.move("maintenance")
        await asyncio.sleep(0.3)
        assert not call.changes()
        call.upstream.answers("r1", "Good morning", "a1")
        await call.until(call.changes)
        assert call.changes() == [("gpt-realtime-2.1-mini", True)]
        assert upstream.told() == [("assistant", "Good morning")]
        # The caller was owed nothing.
        assert upstream.instructions() == []
        assert call.relay.model_served == "gpt-realtime-2.1-mini"


async def test_an_order_to_move_is_followed_soon_without_a_pause(monkeypatch):
    monkeypatch.setattr(moving_module, "_ORDERED_WITHIN_S", 0.2)
    held, upstream = another()
    async with live_call((held, upstream)) as call:
        call.upstream.answers("r1", "Good", "a1", done=False)
        await call.relay.move("maintenance")
        await call.until(upstream.instructions)
        assert upstream.told() == [("assistant", "Good")]


async def test_a_model_that_fails_before_it_is_left_by_order_has_failed():
    async with live_call(another()) as call:
        call.upstream.answers("r1", "Good", "a1", done=False)
        await call.relay.move("maintenance")
        await call.until(lambda: not call.ladder.below)
        call.upstream.drop()
        await call.until(call.changes)
        assert call.ladder.failed == ["upstream_dropped"]
        assert call.ladder.rungs.rows()[-1].reason == "upstream_dropped"


async def test_a_call_stays_where_it_is_when_there_is_nothing_to_move_to():
    async with live_call() as call:
        call.upstream.answers("r1", "Hello", "a1")
        await call.relay.move("maintenance")
        await asyncio.sleep(0.4)
        assert not call.upstream.closed and not call.changes()


async def test_a_session_whose_time_is_nearly_up_is_left_in_a_pause(monkeypatch):
    monkeypatch.setattr(moving_module, "_EXPIRY_AHEAD_S", 400.0)
    upstream = LooseUpstream(greet=False)
    created = session_created()
    created["session"]["expires_at"] = int(time.time()) + 350
    upstream.emit(created)
    fresh = LooseUpstream()
    async with live_call((make_call(), fresh), upstream=upstream) as call:
        upstream.answers("r1", "Hello", "a1")
        await call.until(lambda: fresh.sent)
        await call.until(lambda: upstream.closed)
        # The same model: nothing to tell the caller.
        assert not call.changes() and fresh.told() == [("assistant", "Hello")]


async def test_a_caller_may_go_on_in_writing_with_the_same_model():
    async with live_call() as call:
        call.upstream.answers("r1", "Hello", "a1")
        call.caller.does(ModeChosen(voice=False))
        await call.until(call.changes)
        update = [event for event in call.upstream.sent if event["type"] == "session.update"][-1]["session"]
        assert update["output_modalities"] == ["text"]
        assert update["audio"]["input"]["turn_detection"] is None
        call.caller.does(Audio(b"\1\0" * 960), Text("Friday"))
        await call.until(lambda: call.upstream.told() == [("user", "Friday")])
        assert not call.upstream.appended
        assert call.changes() == [("gpt-realtime-mini", False)]


async def test_a_caller_who_typed_may_talk_again():
    async with live_call() as call:
        call.caller.does(ModeChosen(voice=False), ModeChosen(voice=True), Audio(b"\1\0" * 960))
        await call.until(lambda: call.upstream.appended)
        update = [event for event in call.upstream.sent if event["type"] == "session.update"][-1]["session"]
        assert update["output_modalities"] == ["audio"]
        assert update["audio"]["input"]["turn_detection"]["create_response"] is False
        assert [voice for _, voice in call.changes()] == [False, True]


async def test_a_call_in_writing_climbs_to_a_voice_that_is_there_again():
    held, upstream = another("gpt-realtime-mini")
    async with live_call(
        above=(held, upstream), model_served="gpt-4.1", rung_kind=RungKind.TEXT, is_voice=False
    ) as call:
        call.upstream.answers("r1", "Hello", "a1")
        call.caller.does(ModeChosen(voice=True))
        await call.until(call.changes)
        call.caller.does(Audio(b"\1\0" * 960))
        await call.until(lambda: upstream.appended)
        assert call.changes() == [("gpt-realtime-mini", True)]
        assert upstream.sent[0]["session"]["output_modalities"] == ["audio"]
        await call.until(lambda: call.meter.models)
        assert call.meter.models == ["gpt-realtime-mini"]


async def test_a_call_in_writing_goes_on_where_no_voice_is_to_be_had():
    async with live_call(model_served="gpt-4.1", rung_kind=RungKind.TEXT, is_voice=False) as call:
        call.upstream.answers("r1", "Hello", "a1")
        call.caller.does(ModeChosen(voice=True))
        await call.until(call.notices)
        assert call.notices() == ["voice_unavailable"]
        assert not call.changes()
        call.caller.does(Text("Friday"))
        await call.until(lambda: call.upstream.told() == [("user", "Friday")])


async def test_a_caller_who_is_moved_to_writing_is_not_listened_to():
    held, upstream = written()
    async with live_call((held, upstream)) as call:
        call.upstream.drop()
        await call.until(upstream.instructions)
        call.caller.does(Audio(b"\1\0" * 960), Text("Friday"))
        await call.until(lambda: ("user", "Friday") in upstream.told())
        assert not upstream.appended
        assert call.changes() == [("gpt-4.1", False)]


async def test_what_a_caller_said_meanwhile_is_of_no_use_to_a_model_that_is_only_written_to():
    held, upstream = written()
    async with live_call((held, upstream)) as call:
        call.upstream.answers("r1", "Hello", "a1")
        call.upstream.drop()
        call.caller.does(Audio(b"\1\0" * 960), Text("Are you there?"))
        await call.until(upstream.instructions)
        assert ("user", "Are you there?") in upstream.told()
        assert not upstream.appended


async def test_a_call_that_comes_from_elsewhere_goes_on_where_it_was():
    so_far = SoFar()
    so_far.agent_final("a1", "When would you like to come?")
    so_far.caller_final("u1", "Friday")
    async with live_call(so_far=SoFar.load(so_far.dump())) as call:
        assert call.upstream.told() == [("assistant", "When would you like to come?"), ("user", "Friday")]
        (instructions,) = call.upstream.instructions()
        assert "well under way" in instructions and "Riverside Dental" in instructions


async def test_an_agent_that_remembers_what_was_said_lately_passes_on_no_more():
    so_far = SoFar()
    for number in range(60):
        so_far.caller_final(f"u{number}", f"{number} " + "word " * 100)
    async with live_call(so_far=so_far, history=RECENT) as call:
        told = call.upstream.told()
        assert 20 <= len(told) < 30 and told[-1][1].startswith("59 ")


def speaks(upstream, item_id, words, *, seconds=2):
    """Have an upstream say something aloud, whole."""
    place = {"item_id": item_id, "response_id": f"of_{item_id}"}
    audio = base64.b64encode(b"\1\0" * 24_000 * seconds).decode()
    done = {"id": f"of_{item_id}", "status": "completed", "output": [], "usage": {"input_tokens": 9}}
    upstream.emit(
        {"type": "response.created", "response": {"id": f"of_{item_id}"}},
        {"type": "response.output_audio.delta", **place, "delta": audio},
        {"type": "response.output_audio_transcript.done", **place, "transcript": words},
        {"type": "response.done", "response": done},
    )


def tells_heard(upstream):
    """Return what an upstream was told to forget, and what in its place."""
    sent = [event for event in upstream.sent if event["type"] == "conversation.item.delete"]
    created = [event for event in upstream.sent if "previous_item_id" in event]
    return [event["item_id"] for event in sent], [
        (event["previous_item_id"], event["item"]["content"][0]["text"]) for event in created
    ]


async def moves_while_it_is_heard(call):
    """Have a model drop whose answer was sent as a whole, and is still to be heard."""
    speaks(call.upstream, "a1", "one two three four")
    await call.until(lambda: call.caller.told_types().count("response.output_audio_transcript.done"))
    call.upstream.drop()
    await call.until(call.changes)


async def test_a_model_is_told_how_much_was_heard_of_what_the_one_before_it_said():
    held, upstream = another()
    async with live_call((held, upstream)) as call:
        await moves_while_it_is_heard(call)
        call.caller.does(Played("a1", 500, 96_000))
        upstream.emit({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u1"})
        await call.until(lambda: "parley.interrupted" in call.caller.told_types())
        call.caller.does(Played("a1", 1000, 96_000))
        await call.until(lambda: tells_heard(upstream)[1])
        assert tells_heard(upstream) == (["sofar_0"], [("root", "one two")])


async def test_what_waits_behind_the_old_models_speech_leaves_that_cut_as_well():
    held, upstream = another()
    async with live_call((held, upstream)) as call:
        await moves_while_it_is_heard(call)
        call.caller.does(Played("a1", 1000, 96_000))
        speaks(upstream, "b1", "five six")
        await call.until(lambda: call.caller.told_types().count("response.output_audio_transcript.done") == 2)
        upstream.emit({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u1"})
        await call.until(lambda: "parley.interrupted" in call.caller.told_types())
        call.caller.does(Played("b1", 0, 192_000))
        await call.until(lambda: "conversation.item.truncate" in upstream.sent_types())
        assert tells_heard(upstream) == (["sofar_0"], [("root", "one two")])
        (truncated,) = [event for event in upstream.sent if event["type"] == "conversation.item.truncate"]
        assert (truncated["item_id"], truncated["audio_end_ms"]) == ("b1", 0)


async def test_nobody_is_answered_by_a_new_model_who_is_still_speaking():
    held, upstream = another()
    async with live_call((held, upstream)) as call:
        call.upstream.answers("r1", "Hello", "a1")
        call.upstream.emit({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u1"})
        call.upstream.drop()
        await call.until(call.changes)
        assert upstream.instructions() == []


async def says(call, pcm, item_id, *, is_over):
    """Speak so much audio, and be heard by the model."""
    before = len(call.upstream.appended)
    call.caller.does(*[Audio(pcm[start : start + 1920]) for start in range(0, len(pcm), 1920)])
    await call.until(lambda: len(call.upstream.appended) == before + len(pcm))
    call.upstream.emit({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": item_id})
    if is_over:
        call.upstream.emit(
            {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 200, "item_id": item_id},
            {"type": "input_audio_buffer.committed", "item_id": item_id},
        )


async def test_a_turn_that_was_not_written_down_is_heard_again_by_the_next_model():
    held, upstream = another()
    pcm = b"\7\0" * 9600
    async with live_call((held, upstream)) as call:
        call.upstream.answers("r1", "Hello", "a1")
        await says(call, pcm, "u1", is_over=True)
        await call.until(lambda: len(call.upstream.instructions()) == 2)
        call.upstream.drop()
        await call.until(upstream.instructions)
        items = [event["item"] for event in upstream.sent if event["type"] == "conversation.item.create"]
        (heard,) = items[-1]["content"]
        assert (items[-1]["role"], heard["type"]) == ("user", "input_audio")
        assert base64.b64decode(heard["audio"]) == pcm


async def test_what_tells_a_model_how_to_go_on_is_held_for_as_well():
    so_far = SoFar()
    so_far.caller_final("u1", "Do you have a table?")
    async with live_call(so_far=so_far) as call:
        assert call.meter.prepared[0] > call.relay.state.context_tokens


async def test_the_beginning_of_a_turn_that_is_not_over_is_heard_again_by_the_next_model():
    held, upstream = another()
    pcm = b"\7\0" * 9600
    async with live_call((held, upstream)) as call:
        call.upstream.answers("r1", "Hello", "a1")
        await says(call, pcm, "u1", is_over=False)
        await call.until(lambda: call.relay.state.caller_is_speaking)
        call.upstream.drop()
        await call.until(lambda: upstream.appended)
        call.caller.does(Audio(b"\5\0" * 960))
        await call.until(lambda: len(upstream.appended) > len(pcm))
        assert bytes(upstream.appended) == pcm + b"\5\0" * 960
        assert upstream.instructions() == []


async def test_a_model_that_is_only_written_to_is_told_that_something_was_said():
    held, upstream = written()
    async with live_call((held, upstream)) as call:
        call.upstream.answers("r1", "Hello", "a1")
        await says(call, b"\7\0" * 9600, "u1", is_over=True)
        await call.until(lambda: len(call.upstream.instructions()) == 2)
        call.upstream.drop()
        await call.until(upstream.instructions)
        assert upstream.told()[-1] == ("user", "(Something was said here that was not written down.)")


async def test_what_is_asked_of_a_new_model_is_held_by_its_prices():
    held, upstream = another()
    async with live_call((held, upstream)) as call:
        call.upstream.drop()
        await call.until(upstream.instructions)
        assert call.meter.models == ["gpt-realtime-2.1-mini"]
        assert len(call.meter.prepared) == 2


async def test_a_tool_that_was_running_answers_the_next_model_in_words(monkeypatch):
    is_done = asyncio.Event()

    async def slowly(*_, **__):
        await is_done.wait()
        return SimpleNamespace(output='{"state": "shipped"}')

    monkeypatch.setattr(customer_tools, "call_tool", slowly)
    held, upstream = another()
    tool = {"type": "function_call", "name": "look_up_order", "call_id": "c1", "arguments": "{}"}
    response = {"id": "r1", "status": "completed", "output": [tool], "usage": {"input_tokens": 9}}
    async with live_call((held, upstream), tools=(make_spec("https://shop.example/", filler=""),)) as call:
        call.upstream.emit({"type": "response.created", "response": {"id": "r1"}})
        call.upstream.emit({"type": "response.done", "response": response})
        await call.until(lambda: "parley.working" in call.caller.told_types())
        call.upstream.drop()
        await call.until(lambda: upstream.sent)
        is_done.set()
        await call.until(upstream.instructions)
        assert upstream.told() == [("system", 'The tool look_up_order has answered: {"state": "shipped"}')]


async def test_a_call_with_no_model_left_ends():
    async with live_call() as call:
        call.upstream.drop()
        with pytest.raises(UpstreamError, match="upstream_dropped"):
            await call.relay.follow_upstream()


async def test_a_call_that_was_cut_in_speech_says_as_much_as_was_delivered():
    so_far = SoFar()
    so_far.agent_delta("a1", "one two three four five six seven eight nine ten")
    # Ordinary speed is fifteen characters a second.
    assert so_far.cut_off("a1", 1000) == "one two three four"
    assert so_far.cut_off("a1", 60_000) == "one two three four"


def test_how_fast_the_assistant_speaks_is_learned_from_what_it_has_said():
    so_far = SoFar()
    so_far.agent_final("a0", "x" * 60, spoken_ms=10_000)
    so_far.agent_delta("a1", "one two three four five six seven eight nine ten")
    assert so_far.cut_off("a1", 1000) == "one two"


def test_what_was_said_is_bounded():
    so_far = SoFar()
    for number in range(2000):
        so_far.caller_final(f"u{number}", "word " * 20)
    assert len(so_far.items()) <= 400
    assert list(so_far.items().values())[-1]["content"][0]["text"].startswith("word")
