"""The live conversation, with a scripted model on one side and a fake caller on the other."""

import asyncio
import base64
import contextlib
import time

import pytest
from django.db import OperationalError

from tests.fakes.caller import FakeCaller
from tests.fakes.ladder import FakeLadder
from tests.fakes.meter import FakeMeter
from tests.fakes.scripted_upstream import ScriptedUpstream
from tests.voice.sessions.calls import make_call
from voice import realtime_events
from voice.audio import bytes_of
from voice.metering.meter import OutOfCredit
from voice.sessions import relay as relay_module
from voice.sessions.caller import Audio, CallerGone, CameBack, HungUp, Played, Text
from voice.sessions.fallback import stalls
from voice.sessions.relay import Relay
from voice.sessions.state import Response
from voice.sessions.stop import Stop
from voice.upstream.errors import UpstreamError

SECOND = bytes_of(1000)


class LooseUpstream(ScriptedUpstream):
    """Takes whatever it is sent; the tests below say themselves what it answers."""

    async def send(self, frame: bytes) -> None:
        self._stalled = True
        await super().send(frame)


class DirectUpstream(LooseUpstream):
    """One that can be spoken to without waiting, unless it `is_busy`, and listened to."""

    is_busy, take = False, None

    def __init__(self) -> None:
        super().__init__()
        self.sent_now: list[bytes] = []

    def send_now(self, frame: bytes) -> bool:
        if not self.is_busy:
            self.sent_now.append(frame)
        return not self.is_busy

    def listen(self, take) -> None:
        self.take = take


class Live:
    """A relay with all its parts running."""

    def __init__(self, relay: Relay, caller: FakeCaller, upstream: LooseUpstream, meter: FakeMeter) -> None:
        self.relay, self.caller, self.upstream, self.meter = relay, caller, upstream, meter
        self.parts: dict[str, asyncio.Task] = {}
        self.kept: list[tuple] = []

    async def settle_down(self) -> None:
        """Let everything that is due happen."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def response_starts(self, response_id: str, item_id: str = "", pcm: bytes = b"") -> None:
        self.upstream.emit({"type": "response.created", "response": {"id": response_id}})
        if pcm:
            delta = base64.b64encode(pcm).decode()
            ids = {"item_id": item_id, "response_id": response_id}
            self.upstream.emit({"type": "response.output_audio.delta", **ids, "delta": delta})
        await self.settle_down()

    async def response_ends(self, response_id: str, **response) -> None:
        usage = {"input_tokens": 200, "output_tokens": 40}
        fields = {"id": response_id, "status": "completed", "output": [], "usage": usage} | response
        self.upstream.emit({"type": "response.done", "response": fields})
        await self.settle_down()

    async def caller_speaks(self, item_id: str) -> None:
        at = {"item_id": item_id}
        self.upstream.emit({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, **at})
        await self.settle_down()
        self.upstream.emit({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 900, **at})
        self.upstream.emit({"type": "input_audio_buffer.committed", **at})
        await self.settle_down()

    def asked(self) -> int:
        return self.upstream.sent_types().count("response.create")


@contextlib.asynccontextmanager
async def live_call(meter: FakeMeter | None = None, upstream: LooseUpstream | None = None, **changes):
    caller, upstream, meter = FakeCaller(), upstream or LooseUpstream(), meter or FakeMeter()
    kept: list[tuple] = []

    async def keep_fields(*fields) -> None:
        kept.append(fields)

    held = make_call(**changes)
    relay = Relay(held, caller, upstream, meter, keep_fields, ladder=FakeLadder(held))
    call = Live(relay, caller, upstream, meter)
    call.kept = kept
    await relay.open()
    for name in ("follow_caller", "follow_upstream", "follow_clock"):
        call.parts[name] = asyncio.create_task(getattr(relay, name)())
    call.parts["gate"] = asyncio.create_task(relay.gate.run())
    await call.settle_down()
    try:
        yield call
    finally:
        for part in call.parts.values():
            part.cancel()
        await asyncio.gather(*call.parts.values(), return_exceptions=True)


async def test_the_model_is_told_who_it_is_and_asked_to_greet():
    async with live_call() as call:
        assert call.upstream.sent_types() == ["session.update", "response.create"]
        assert "Riverside Dental, how can I help?" in call.upstream.sent[0]["session"]["instructions"]


async def test_the_model_never_answers_on_its_own():
    async with live_call() as call:
        turn_detection = call.upstream.sent[0]["session"]["audio"]["input"]["turn_detection"]
        assert turn_detection["create_response"] is False


async def test_no_response_is_asked_for_before_it_is_held():
    async with live_call(FakeMeter(responses_paid_for=0)) as call:
        assert call.asked() == 0
        with pytest.raises(OutOfCredit):
            await call.parts["gate"]


async def test_a_caller_who_has_spoken_is_answered():
    async with live_call() as call:
        await call.response_starts("r1")
        await call.response_ends("r1")
        await call.caller_speaks("u1")
        assert call.asked() == 2


async def test_the_callers_audio_goes_up_as_it_came():
    async with live_call() as call:
        call.caller.does(Audio(b"\1\2" * 960))
        await call.settle_down()
        assert bytes(call.upstream.appended) == b"\1\2" * 960


async def test_the_models_audio_comes_down():
    async with live_call() as call:
        await call.response_starts("r1", "a1", b"\3\4" * 10)
        assert call.caller.heard == [("a1", b"\3\4" * 10)]


async def test_a_turn_that_ends_while_a_response_runs_is_answered_after_it():
    async with live_call() as call:
        await call.response_starts("r1")
        await call.caller_speaks("u1")
        assert call.asked() == 1
        await call.response_ends("r1", status="cancelled")
        assert call.asked() == 2


async def test_every_response_is_recorded_once():
    async with live_call() as call:
        await call.response_starts("r1")
        await call.response_ends("r1")
        await call.response_ends("r1")
        assert call.meter.recorded == ["r1"]


async def test_a_cancelled_response_is_recorded_too():
    async with live_call() as call:
        await call.response_starts("r1")
        await call.response_ends("r1", status="cancelled")
        assert call.meter.recorded == ["r1"]


async def test_what_a_call_costs_is_told_as_it_grows():
    async with live_call() as call:
        await call.response_starts("r1")
        await call.response_ends("r1")
        assert {"type": "parley.meter_changed", "used_micro": 1000} in call.caller.told


async def test_a_transcription_is_recorded():
    async with live_call() as call:
        kind = "conversation.item.input_audio_transcription.completed"
        usage = {"type": "duration", "seconds": 2}
        call.upstream.emit({"type": kind, "item_id": "u1", "transcript": "Hello", "usage": usage})
        await call.settle_down()
        assert call.meter.transcribed == ["u1"]


async def test_low_credit_is_announced_once():
    async with live_call(FakeMeter(low_from=0)) as call:
        await call.response_starts("r1")
        await call.response_ends("r1")
        await call.caller_speaks("u1")
        notices = [event for event in call.caller.told if event.get("code") == "low_credit"]
        assert len(notices) == 1


async def test_speaking_over_an_answer_stops_it_and_tells_the_model_what_was_heard():
    async with live_call() as call:
        await call.response_starts("r1", "a1", bytes(2 * SECOND))
        call.upstream.emit({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u1"})
        await call.settle_down()
        assert "parley.interrupted" in call.caller.told_types()
        call.caller.does(Played("a1", 700, 2 * SECOND))
        await call.settle_down()
        truncation = call.upstream.sent[-1]
        assert (truncation["type"], truncation["item_id"], truncation["audio_end_ms"]) == (
            "conversation.item.truncate",
            "a1",
            700,
        )


async def test_audio_of_an_interrupted_answer_that_comes_late_is_dropped():
    async with live_call() as call:
        await call.response_starts("r1", "a1", bytes(2 * SECOND))
        call.upstream.emit({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u1"})
        ids = {"item_id": "a1", "response_id": "r1"}
        call.upstream.emit({"type": "response.output_audio.delta", **ids, "delta": "AAAA" * 100})
        await call.settle_down()
        assert len(call.caller.heard) == 1


async def test_a_typed_turn_interrupts_and_is_answered():
    async with live_call() as call:
        await call.response_starts("r1", "a1", bytes(2 * SECOND))
        call.caller.does(Text("Friday, please"))
        await call.settle_down()
        assert call.upstream.sent_types()[2:] == ["response.cancel", "conversation.item.create"]
        await call.response_ends("r1", status="cancelled")
        assert call.asked() == 2


async def test_a_finished_task_is_told_and_answered():
    async with live_call() as call:
        await call.response_starts("r1")
        arguments = '{"name": "Sarah Johnson", "time": "Friday at nine"}'
        tool_call = {"type": "function_call", "name": "book_appointment", "call_id": "c1", "arguments": arguments}
        await call.response_ends("r1", output=[tool_call])
        told = next(event for event in call.caller.told if event["type"] == "parley.task_completed")
        assert told["fields"] == {"name": "Sarah Johnson", "time": "Friday at nine"}
        assert call.relay.completed_task == "book_appointment"
        ((_, call_id, task, fields),) = call.kept
        assert (call_id, task, fields) == ("c1", "book_appointment", told["fields"])
        assert call.asked() == 2


async def test_an_assistant_that_says_goodbye_ends_the_call():
    async with live_call() as call:
        await call.response_starts("r1")
        goodbye = {"type": "function_call", "name": "end_call", "call_id": "c1", "arguments": "{}"}
        await call.response_ends("r1", output=[goodbye])
        assert await asyncio.wait_for(call.parts["follow_clock"], 5) is Stop.AGENT_HUNG_UP
        assert call.asked() == 1


async def test_a_caller_who_hangs_up_ends_the_call():
    async with live_call() as call:
        call.caller.does(HungUp())
        assert await call.parts["follow_caller"] is Stop.CALLER_HUNG_UP


async def test_a_caller_who_vanishes_is_gone():
    async with live_call() as call:
        call.caller.vanishes()
        with pytest.raises(CallerGone):
            await call.parts["follow_caller"]


async def test_nobody_who_is_away_is_answered_before_they_are_back():
    async with live_call() as call:
        await call.response_starts("r1")
        await call.response_ends("r1")
        call.caller.is_away = True
        await call.caller_speaks("u1")
        assert call.asked() == 1
        call.caller.is_away = False
        call.caller.does(CameBack(12.0))
        await call.settle_down()
        assert call.asked() == 2


async def test_an_answer_goes_on_while_the_caller_is_away_and_the_next_waits_for_it_too():
    async with live_call() as call:
        await call.response_starts("r1", "a1", b"\3\4" * 10)
        call.caller.is_away = True
        await call.caller_speaks("u1")
        call.caller.is_away = False
        call.caller.does(CameBack(0.5))
        await call.settle_down()
        assert call.asked() == 1
        await call.response_ends("r1")
        assert call.asked() == 2


async def test_a_caller_who_is_away_is_not_silent():
    async with live_call(silence_timeout_s=0) as call:
        await call.response_starts("r1")
        call.caller.is_away = True
        await call.response_ends("r1")
        assert [await call.relay._clock.tick(time.monotonic() + waited) for waited in (1, 20, 29)] == [None] * 3
        assert "parley.notice" not in call.caller.told_types()


async def test_a_silent_caller_is_asked_and_then_let_go(monkeypatch):
    monkeypatch.setattr("voice.sessions.limits._ANSWER_S", 0.3)
    async with live_call(silence_timeout_s=0) as call:
        await call.response_starts("r1")
        await call.response_ends("r1")
        await asyncio.sleep(0.2)
        assert "still_there" in [event.get("code") for event in call.caller.told]
        await call.response_starts("r2")
        await call.response_ends("r2")
        assert await asyncio.wait_for(call.parts["follow_clock"], 5) is Stop.SILENCE


async def test_a_model_that_stalls_in_a_response_has_failed(monkeypatch):
    monkeypatch.setattr(stalls, "STALL_S", 0.2)
    async with live_call() as call:
        await call.response_starts("r1")
        with pytest.raises(UpstreamError, match="upstream_stalled"):
            await asyncio.wait_for(call.parts["follow_upstream"], 5)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.created", "response": None},
        {"type": "response.done"},
        {"type": "response.output_audio.delta", "item_id": "a", "response_id": "r", "delta": "not base64!"},
        {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": "soon"},
        {"type": "error", "error": "oops"},
    ],
)
async def test_a_model_that_answers_garbage_has_failed(event):
    async with live_call() as call:
        call.upstream.emit(event)
        with pytest.raises(UpstreamError, match="upstream_garbage"):
            await call.parts["follow_upstream"]


async def test_a_model_that_drops_the_line_has_failed():
    async with live_call() as call:
        call.upstream.drop()
        with pytest.raises(UpstreamError, match="upstream_dropped"):
            await call.parts["follow_upstream"]


async def test_a_request_the_model_refuses_leaves_the_conversation_open():
    async with live_call() as call:
        call.upstream.emit({"type": "error", "error": {"type": "server_error", "code": "busy"}})
        await call.settle_down()
        assert call.relay.state.response is Response.NONE
        await call.caller_speaks("u1")
        assert call.asked() == 2


async def test_a_response_cut_by_the_hang_up_is_cancelled_and_its_usage_recorded():
    async with live_call() as call:
        await call.response_starts("r1", "a1", bytes(SECOND))
        for part in call.parts.values():
            part.cancel()
        closing = asyncio.create_task(call.relay.close())
        await call.settle_down()
        assert call.upstream.sent_types()[-1] == "response.cancel"
        await call.response_ends("r1", status="cancelled")
        await closing
        assert (call.meter.recorded, call.meter.estimated) == (["r1"], [])


async def test_a_response_whose_usage_never_comes_is_estimated_from_what_was_delivered():
    async with live_call() as call:
        await call.response_starts("r1", "a1", bytes(SECOND))
        call.upstream.drop()
        for part in call.parts.values():
            part.cancel()
        await call.relay.close()
        assert call.meter.estimated[0]["response_id"] == "r1"
        assert call.meter.estimated[0]["audio_bytes"] == SECOND


def transcribed(item_id, words):
    kind = "conversation.item.input_audio_transcription.completed"
    return {"type": kind, "item_id": item_id, "transcript": words, "usage": {"type": "duration", "seconds": 1}}


async def hang_up(call) -> asyncio.Task:
    for part in call.parts.values():
        part.cancel()
    closing = asyncio.create_task(call.relay.close())
    await call.settle_down()
    return closing


async def test_the_last_words_are_waited_for_when_the_caller_hangs_up_before_they_are_written_down():
    async with live_call(records_words=True) as call:
        await call.response_starts("r1")
        await call.response_ends("r1")
        await call.caller_speaks("u1")
        closing = await hang_up(call)
        assert not closing.done()
        call.upstream.emit(transcribed("u1", "Half past nine, then."))
        await closing
        assert [turn.text for turn in call.relay.words()] == ["Half past nine, then."]


async def test_the_last_words_are_waited_for_after_the_usage_of_the_last_response():
    async with live_call(records_words=True) as call:
        await call.response_starts("r1")
        await call.caller_speaks("u1")
        closing = await hang_up(call)
        await call.response_ends("r1", status="cancelled")
        call.upstream.emit(transcribed("u1", "Thank you, goodbye."))
        await closing
        assert [turn.text for turn in call.relay.words()] == ["Thank you, goodbye."]
        assert call.meter.recorded == ["r1"]


async def test_words_that_could_not_be_written_down_are_not_waited_for():
    async with live_call(records_words=True) as call:
        await call.caller_speaks("u1")
        closing = await hang_up(call)
        assert not closing.done()
        kind = "conversation.item.input_audio_transcription.failed"
        call.upstream.emit({"type": kind, "item_id": "u1", "error": {"code": "audio_unintelligible"}})
        await closing
        assert call.relay.words() == []


async def test_words_that_never_come_do_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr(relay_module, "_LAST_USAGE_S", 0.05)
    async with live_call(records_words=True) as call:
        await call.caller_speaks("u1")
        await (await hang_up(call))
        assert call.relay.words() == []


async def test_words_that_nobody_keeps_are_not_waited_for():
    async with live_call() as call:
        await call.response_starts("r1")
        await call.response_ends("r1")
        await call.caller_speaks("u1")
        assert (await hang_up(call)).done()


async def test_an_answer_that_begins_while_the_last_words_are_waited_for_is_cancelled_and_recorded():
    async with live_call(records_words=True) as call:
        await call.response_starts("r1")
        await call.response_ends("r1")
        await call.caller_speaks("u1")
        closing = await hang_up(call)
        await call.response_starts("r2")
        assert call.upstream.sent_types()[-1] == "response.cancel"
        call.upstream.emit(transcribed("u1", "Goodbye."))
        await call.response_ends("r2", status="cancelled")
        await closing
        assert call.meter.recorded == ["r1", "r2"]


async def test_turns_are_kept_with_what_was_heard_of_them():
    async with live_call() as call:
        await call.response_starts("r1", "a1", bytes(SECOND))
        call.caller.does(Played("a1", 1000, SECOND))
        await call.response_ends("r1")
        await call.caller_speaks("u1")
        await call.relay.close()
        turns = [(turn.speaker, turn.heard_ms, turn.interrupted) for turn in call.relay.turns.all()]
        assert turns == [("agent", 1000, False), ("caller", None, False)]


async def test_usage_that_was_being_recorded_when_the_call_ended_is_recorded_all_the_same():
    class SlowMeter(FakeMeter):
        async def record_response(self, response, served_model):
            await asyncio.sleep(0.05)
            return await super().record_response(response, served_model)

    async with live_call(SlowMeter()) as call:
        await call.response_starts("r1")
        await call.response_ends("r1")
        for part in call.parts.values():
            part.cancel()
        await asyncio.gather(*call.parts.values(), return_exceptions=True)
        await call.relay.close()
        assert call.meter.recorded == ["r1"]


async def test_usage_is_recorded_although_nobody_is_left_to_be_told():
    async with live_call() as call:
        await call.response_starts("r1")
        for part in call.parts.values():
            part.cancel()
        await asyncio.gather(*call.parts.values(), return_exceptions=True)

        async def gone(frame):
            raise CallerGone

        call.caller.send = gone
        closing = asyncio.create_task(call.relay.close())
        await call.response_ends("r1", status="cancelled")
        await closing
        assert call.meter.recorded == ["r1"]


async def test_a_ledger_that_is_away_for_a_moment_loses_nothing(monkeypatch):
    monkeypatch.setattr("voice.sessions.gate._RETRY_PAUSES_S", (0.0, 0.0))

    class MovingMeter(FakeMeter):
        failures = 2

        async def record_response(self, response, served_model):
            if self.failures:
                self.failures -= 1
                raise OperationalError("database is restarting")
            return await super().record_response(response, served_model)

    async with live_call(MovingMeter()) as call:
        await call.response_starts("r1")
        await call.response_ends("r1")
        assert call.meter.recorded == ["r1"]


async def test_a_response_that_fails_after_it_began_to_speak_is_estimated():
    async with live_call() as call:
        await call.response_starts("r1", "a1", bytes(SECOND))
        await call.response_ends("r1", status="failed", usage=None)
        assert call.meter.recorded == []
        assert [estimate["response_id"] for estimate in call.meter.estimated] == ["r1"]


# Past the tasks.

PCM = bytes(SECOND)


def speech(item_id: str, pcm: bytes) -> bytes:
    delta = {"type": "response.output_audio.delta", "item_id": item_id, "response_id": "r1"}
    return realtime_events.dump({**delta, "delta": base64.b64encode(pcm).decode()})


async def test_speech_needs_no_task_where_the_caller_has_room_for_it():
    async with live_call(upstream=DirectUpstream()) as live:
        await live.response_starts("r1")
        assert live.upstream.take(speech("i1", PCM))
        assert live.caller.heard == [("i1", PCM)]
        assert (live.relay.playback.sent_ms("i1"), live.relay.state.response_audio_bytes) == (1000, SECOND)
        assert [turn.item_id for turn in live.relay.turns.all()] == ["i1"]


async def test_speech_that_a_caller_has_no_room_for_counts_once_it_was_sent():
    async with live_call(upstream=DirectUpstream()) as live:
        live.caller.has_room = False
        assert not live.upstream.take(speech("i1", PCM))
        assert (live.relay.playback.sent_ms("i1"), live.relay.state.response_audio_bytes) == (0, 0)


async def test_speech_that_was_interrupted_is_not_passed_on_past_the_tasks_either():
    async with live_call(upstream=DirectUpstream()) as live:
        await live.response_starts("r1", "i1", PCM)
        live.upstream.emit({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u1"})
        await live.settle_down()
        assert not live.upstream.take(speech("i1", PCM))


def words(text: str) -> bytes:
    event = {"type": "response.output_audio_transcript.delta", "item_id": "i1", "response_id": "r1", "delta": text}
    return realtime_events.dump(event)


async def test_words_of_speech_need_no_task_where_the_caller_has_room_for_them():
    async with live_call(upstream=DirectUpstream()) as live:
        await live.response_starts("r1")
        assert live.upstream.take(words("At "))
        assert live.upstream.take(words("nine."))
        assert [event["delta"] for event in live.caller.told[-2:]] == ["At ", "nine."]
        assert live.relay._words.so_far.text_of("i1") == "At nine."
        assert live.relay.state.response_text_chars == 8


async def test_words_that_a_caller_has_no_room_for_are_counted_once_in_their_turn():
    async with live_call(upstream=DirectUpstream()) as live:
        await live.response_starts("r1")
        live.caller.has_room = False
        assert not live.upstream.take(words("At nine."))
        live.upstream.emit(realtime_events.parse(words("At nine.")))
        await live.settle_down()
        assert live.caller.told_types().count("response.output_audio_transcript.delta") == 1
        assert live.relay._words.so_far.text_of("i1") == "At nine."


async def test_words_that_give_their_kind_twice_are_words():
    frame = words("At nine.")[:-1] + b',"type":"parley.meter_changed"}'
    async with live_call(upstream=DirectUpstream()) as live:
        await live.response_starts("r1")
        assert live.upstream.take(frame)
        assert live.relay._words.so_far.text_of("i1") == "At nine."


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"response.done","response":{}}',
        b'{"type":"response.output_audio.delta",}',
        b'{"type":"response.output_audio_transcript.delta","delta":"At nine."}',
        b'{"type":"response.output_audio_transcript.delta","item_id":"i1","delta":9}',
        b'{"type":"response.output_audio_transcript.delta",}',
    ],
)
async def test_any_other_event_is_read_in_its_turn(frame):
    async with live_call(upstream=DirectUpstream()) as live:
        assert not live.upstream.take(frame)


async def test_what_a_caller_says_needs_no_task_where_the_model_takes_it_at_once():
    async with live_call(upstream=DirectUpstream()) as live:
        assert live.caller.listener.take_audio(PCM)
        assert live.upstream.sent_now == [realtime_events.append_audio(PCM)]
        live.upstream.is_busy = True
        assert not live.caller.listener.take_audio(PCM)


async def test_what_a_caller_says_goes_past_the_tasks_to_whoever_is_at_the_line_now():
    async with live_call(upstream=DirectUpstream()) as live:
        live.relay._line.break_off(UpstreamError("upstream_stalled", retryable=True))
        assert not live.caller.listener.take_audio(PCM)
        assert live.upstream.sent_now == []


async def test_a_report_needs_no_task_unless_an_interruption_waits_for_it():
    async with live_call(upstream=DirectUpstream()) as live:
        await live.response_starts("r1", "i1", PCM)
        assert live.caller.listener.take_report(Played("i1", 400, SECOND))
        assert live.relay.playback.heard_ms("i1") == 400
        live.upstream.emit({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "u1"})
        await live.settle_down()
        assert not live.caller.listener.take_report(Played("i1", 500, SECOND))


async def test_nothing_is_taken_past_the_tasks_once_they_have_ended():
    async with live_call(upstream=DirectUpstream()) as live:
        assert live.caller.listener and live.upstream.take
        for part in live.parts.values():
            part.cancel()
        await asyncio.gather(*live.parts.values(), return_exceptions=True)
        assert live.caller.listener is live.upstream.take is None


# How often the clock looks.


async def test_the_clock_may_wait_while_the_model_speaks_and_looks_closely_once_it_pauses():
    async with live_call() as live:
        assert not live.relay._clock._is_fluent(time.monotonic())
        await live.response_starts("r1", "i1", PCM)
        spoke_at = live.relay._parts.alive.seen_at
        assert live.relay._clock._is_fluent(spoke_at + 0.1)
        assert not live.relay._clock._is_fluent(spoke_at + 0.3)


async def test_the_clock_looks_closely_while_it_is_not_known_what_was_heard():
    async with live_call() as live:
        await live.response_starts("r1", "i1", PCM)
        live.relay.playback.interrupt(time.monotonic())
        assert not live.relay._clock._is_fluent(live.relay._parts.alive.seen_at)
