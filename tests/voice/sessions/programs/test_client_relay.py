"""A customer's own program and a model: who is heard when, what is asked for, and what is taken back."""

import asyncio
import json

import pytest

from tests.fakes.ladder import FakeLadder
from tests.fakes.meter import FakeMeter
from tests.fakes.obedient_model import ObedientModel
from tests.voice.sessions.calls import CAPABILITIES, make_call
from voice import realtime_events
from voice.metering.meter import Allowance
from voice.sessions.caller import CallerGone
from voice.sessions.programs.client import Appended, Refusal, ResponseWanted, Said, SessionWanted
from voice.sessions.programs.client_relay import ClientRelay
from voice.sessions.programs.client_session import Bounds, ClientSession
from voice.sessions.stop import Stop

BOUNDS = Bounds(
    model="gpt-realtime-mini", context_tokens=32_000, max_output_tokens=4096, expires_at=2**33, reasons=False,
    truncates=True,
)  # fmt: skip
PATIENCE_S = 20
DELTA = b'{"type":"response.output_audio.delta","response_id":"resp_9","item_id":"item_9","delta":"AAAAAAAA"}'


class FakeClient:
    """`told` holds the events it was sent, `refused` why what it asked for was not done.

    `take` is what audio is offered to first; `has_room` says whether it can be told anything without waiting.
    """

    waits_since = None

    def __init__(self):
        self.told, self.refused = [], []
        self.take, self.has_room = None, True
        self._doings = asyncio.Queue()

    def listen(self, take):
        self.take = take

    def send_now(self, frame):
        if self.has_room:
            self.told.append(json.loads(frame))
        return self.has_room

    def does(self, *events):
        for event in events:
            self._doings.put_nowait(event)

    async def __aiter__(self):
        while (event := await self._doings.get()) is not None:
            yield event
        raise CallerGone

    async def send(self, frame):
        self.told.append(json.loads(frame))

    async def refuse(self, refusal: Refusal):
        self.refused.append(refusal)

    async def until(self, kind, count=1):
        async with asyncio.timeout(PATIENCE_S):
            while len([event for event in self.told if event["type"] == kind]) < count:
                await asyncio.sleep(0.001)
        return [event for event in self.told if event["type"] == kind][-1]


class DirectModel(ObedientModel):
    """A model that can be spoken to without waiting, unless it `is_busy`, and listened to."""

    is_busy, take = False, None

    def send_now(self, frame):
        if not self.is_busy:
            self.raw.append(frame)
        return not self.is_busy

    def listen(self, take):
        self.take = take


class SlowMeter(FakeMeter):
    """Covers nothing before the test says so."""

    def __init__(self):
        super().__init__()
        self.may_cover, self.covering = asyncio.Event(), asyncio.Event()
        self.wanted = []

    async def is_covering(self):
        async with asyncio.timeout(PATIENCE_S):
            await self.covering.wait()

    async def prepare_response(self, context_tokens, wanted_output_tokens):
        self.wanted.append((context_tokens, wanted_output_tokens))
        self.covering.set()
        await self.may_cover.wait()
        return Allowance(max_output_tokens=min(wanted_output_tokens, 1000), low=False)


class Talk:
    def __init__(self, meter, model, **changes):
        self.client, self.model, self.meter = FakeClient(), model, meter
        call = make_call(max_output_tokens=4096, **changes)
        self.ladder = FakeLadder(call)
        self.relay = ClientRelay(
            ClientSession(BOUNDS), {"instructions": "Be brief."}, call, self.client, model, meter, ladder=self.ladder
        )
        parts = (self.relay.follow_caller, self.relay.follow_upstream, self.relay.gate.run)
        self.tasks = [asyncio.create_task(part()) for part in parts]


@pytest.fixture
async def talk():
    made = []

    async def begin(*, meter=None, holds_answers=False, model_class=ObedientModel):
        model = model_class(holds_answers=holds_answers)
        await model.dial(make_call().endpoint)
        talk = Talk(meter or FakeMeter(), model)
        made.append(talk)
        await talk.relay.open()
        await talk.client.until("session.created")
        return talk

    yield begin
    for talk in made:
        for task in talk.tasks:
            task.cancel()
        await asyncio.gather(*talk.tasks, return_exceptions=True)


def said(kind, *, tokens=0, **fields):
    event = {"type": kind, **fields}
    return Said(realtime_events.dump(event), event, tokens)


async def test_the_client_sees_one_session_and_no_sign_of_ours(talk):
    talk = await talk()
    assert [event["type"] for event in talk.client.told] == ["session.created"]
    assert talk.client.told[0]["session"]["instructions"] == "Be brief."


async def test_an_answer_is_not_asked_for_before_it_is_covered(talk):
    talk = await talk(meter=SlowMeter())
    talk.model.hears("item_user")
    await talk.meter.is_covering()
    assert talk.model.sent_of("response.create") == []
    talk.meter.may_cover.set()
    asked = await talk.model.was_sent("response.create")
    assert asked["response"] == {"max_output_tokens": 1000}


async def test_an_answer_is_taken_back_when_the_caller_goes_on_before_it_is_asked_for(talk):
    talk = await talk(meter=SlowMeter())
    talk.model.hears("item_1")
    await talk.meter.is_covering()
    talk.model.starts_to_hear("item_2")
    await talk.client.until("input_audio_buffer.speech_started", 2)
    talk.meter.may_cover.set()
    talk.model.emit({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 900, "item_id": "item_2"})
    talk.model.emit({"type": "input_audio_buffer.committed", "item_id": "item_2", "previous_item_id": None})
    await talk.client.until("response.done")
    assert len(talk.model.sent_of("response.create")) == 1


async def test_a_clients_own_response_is_not_taken_back_but_cancelled_once_it_exists(talk):
    talk = await talk(meter=SlowMeter(), holds_answers=True)
    talk.client.does(ResponseWanted({}, "mine"))
    await talk.meter.is_covering()
    talk.model.starts_to_hear("item_1")
    await talk.client.until("input_audio_buffer.speech_started")
    talk.meter.may_cover.set()
    done = await talk.client.until("response.done")
    assert done["response"]["status"] == "cancelled"


async def test_what_a_client_says_after_its_response_is_not_read_by_it(talk):
    talk = await talk(meter=SlowMeter())
    talk.client.does(ResponseWanted({}, None), said("conversation.item.delete", item_id="x"))
    await talk.meter.is_covering()
    await asyncio.sleep(0)
    assert talk.model.sent_of("conversation.item.delete") == []
    talk.meter.may_cover.set()
    await talk.model.was_sent("conversation.item.delete")
    assert [event["type"] for event in talk.model.sent[1:]] == ["response.create", "conversation.item.delete"]


async def test_what_a_response_brings_along_is_covered_too(talk):
    talk = await talk(meter=SlowMeter())
    talk.client.does(ResponseWanted({}, None, output_tokens=50, tokens=5000))
    await talk.meter.is_covering()
    context_tokens, output_tokens = talk.meter.wanted[0]
    assert (context_tokens >= 5000, output_tokens) == (True, 50)


async def test_no_more_is_covered_than_a_context_holds(talk):
    talk = await talk(meter=SlowMeter())
    talk.client.does(said("conversation.item.delete", item_id="x", tokens=10**6), ResponseWanted({}, None))
    await talk.meter.is_covering()
    assert talk.meter.wanted[0][0] == CAPABILITIES.context_tokens


async def test_an_answer_out_of_band_leaves_the_context_as_it_was(talk):
    talk = await talk()
    before = talk.relay.state.context_tokens
    talk.client.does(ResponseWanted({"conversation": "none"}, None))
    await talk.client.until("response.done")
    assert talk.relay.state.context_tokens == before


async def test_a_queue_of_responses_has_an_end(talk):
    talk = await talk(holds_answers=True)
    talk.client.does(ResponseWanted({}, None))
    await talk.client.until("response.created")
    talk.client.does(*(ResponseWanted({"conversation": "none"}, f"n{n}") for n in range(20)))
    async with asyncio.timeout(PATIENCE_S):
        while len(talk.client.refused) < 4:
            await asyncio.sleep(0.001)
    assert [refusal.event_id for refusal in talk.client.refused] == ["n16", "n17", "n18", "n19"]
    assert talk.client.refused[0].code == "rate_limit_exceeded"


async def test_audio_that_is_committed_by_hand_counts_for_the_next_answer(talk):
    talk = await talk()
    before = talk.relay.state.context_tokens
    talk.client.does(Appended(b'{"type":"input_audio_buffer.append"}', 48_000), said("input_audio_buffer.commit"))
    await talk.client.until("input_audio_buffer.committed")
    # A second is ten tokens, and its transcript is read beside it.
    assert talk.relay.state.context_tokens == before + 20


async def test_audio_needs_no_task_where_neither_side_has_to_wait(talk):
    talk = await talk(model_class=DirectModel)
    before = talk.relay.state.context_tokens
    assert talk.client.take(Appended(b'{"type":"input_audio_buffer.append"}', 48_000))
    assert talk.model.raw[-1] == b'{"type":"input_audio_buffer.append"}'
    talk.client.does(said("input_audio_buffer.commit"))
    await talk.client.until("input_audio_buffer.committed")
    assert talk.relay.state.context_tokens == before + 20


async def test_audio_that_a_model_cannot_take_now_is_left_to_be_sent_in_its_turn(talk):
    talk = await talk(model_class=DirectModel)
    talk.model.is_busy = True
    assert not talk.client.take(Appended(b"{}", 48_000))
    assert talk.relay._uncommitted_bytes == 0


async def test_speech_needs_no_task_where_the_client_has_room_for_it(talk):
    talk = await talk(model_class=DirectModel)
    assert talk.model.take(DELTA)
    (turn,) = talk.relay.turns.all()
    assert (talk.client.told[-1]["type"], turn.item_id) == ("response.output_audio.delta", "item_9")
    assert talk.relay.state.response_audio_bytes == 6


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"response.done","response":{}}',
        b'{"type":"response.output_audio.delta","response_id":"resp_9","delta":"AAAA"}',
        b'{"event_id":"e","type":"response.output_audio.delta","item_id":"item_9","delta":"AAAA"}',
    ],
)
async def test_any_other_event_is_read_in_its_turn(talk, frame):
    talk = await talk(model_class=DirectModel)
    told = list(talk.client.told)
    assert not talk.model.take(frame)
    assert talk.client.told == told


async def test_speech_that_a_client_has_no_room_for_counts_once_it_was_sent(talk):
    talk = await talk(model_class=DirectModel)
    talk.client.has_room = False
    assert not talk.model.take(DELTA)
    assert (talk.relay.turns.all(), talk.relay.state.response_audio_bytes) == ([], 0)


async def test_nothing_is_taken_past_the_tasks_once_they_have_ended(talk):
    talk = await talk(model_class=DirectModel)
    assert talk.client.take and talk.model.take
    for task in talk.tasks:
        task.cancel()
    await asyncio.gather(*talk.tasks, return_exceptions=True)
    assert talk.client.take is talk.model.take is None


async def test_turns_are_timed_and_what_was_heard_is_noted(talk):
    talk = await talk()
    talk.model.hears("item_user")
    await talk.client.until("response.done")
    talk.client.does(said("conversation.item.truncate", item_id="item_1", content_index=0, audio_end_ms=300))
    await talk.model.was_sent("conversation.item.truncate")
    caller, agent = talk.relay.turns.all()
    assert (caller.speaker, agent.speaker, agent.heard_ms, agent.interrupted) == ("caller", "agent", 300, True)
    assert agent.latency_ms is not None


async def test_updates_are_answered_in_their_order(talk):
    talk = await talk()
    talk.client.does(SessionWanted({"max_output_tokens": 100}, "a"), SessionWanted({"max_output_tokens": 200}, "b"))
    await talk.client.until("session.updated", 2)
    seen = [event["session"]["max_output_tokens"] for event in talk.client.told if event["type"] == "session.updated"]
    assert seen == [100, 200]


async def test_a_session_that_the_model_refuses_is_not_begun(talk):
    model = ObedientModel()
    await model.dial(make_call().endpoint)
    model.refuses["session.update"] = "invalid_value"
    refused = Talk(FakeMeter(), model)
    await refused.relay.open()
    (failed,), _ = await asyncio.wait([refused.tasks[1]], timeout=PATIENCE_S)
    assert failed.exception().code == "upstream_refused"
    assert refused.client.told == []
    for task in refused.tasks:
        task.cancel()


async def test_an_answer_is_told_to_the_models_breaker_once(talk):
    talk = await talk()
    for number in (1, 2):
        response_id = f"resp_{number}"
        talk.model.emit({"type": "response.created", "response": {"id": response_id}})
        talk.model.emit({"type": "response.done", "response": {"id": response_id, "status": "completed"}})
        await talk.client.until("response.done", number)
    assert (talk.ladder.answers, talk.ladder.failed) == (1, [])


async def test_an_answer_that_fails_for_want_of_quota_is_told_to_the_models_breaker_and_to_the_program(talk):
    talk = await talk()
    error = {"type": "invalid_request_error", "code": "insufficient_quota", "message": "No."}
    failed = {"id": "resp_1", "status": "failed", "status_details": {"type": "failed", "error": error}, "output": []}
    talk.model.emit({"type": "response.created", "response": {"id": "resp_1"}})
    talk.model.emit({"type": "response.done", "response": failed})
    await talk.client.until("response.done")
    assert (talk.ladder.answers, talk.ladder.failed) == (0, ["upstream_quota"])


async def test_the_models_own_expiry_ends_the_session_as_ours_would(talk):
    talk = await talk()
    error = {"type": "invalid_request_error", "code": "session_expired", "message": "x", "event_id": None}
    talk.model.emit({"type": "error", "error": error})
    talk.model.drop()
    assert await asyncio.wait_for(talk.tasks[1], PATIENCE_S) is Stop.MAX_DURATION
