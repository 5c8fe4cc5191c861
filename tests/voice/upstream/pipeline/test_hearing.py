import asyncio

from tests.fakes.openai_compatible_server import Act
from voice import realtime_events as events
from voice.upstream.pipeline.turn_detection import Kind, Signal, Thresholds

MANUAL = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "stt", "language": "en"}}}}
BY_VOICE = {"audio": {"input": {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "stt"}}}}
# What the product asks for: turns are found, responses are ordered.
ORDERED = {"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}}
TEXT = {"output_modalities": ["text"]}
SECOND = bytes(48_000)


ORDERED_WORDS = {
    "audio": {
        "input": {"turn_detection": {"type": "server_vad", "create_response": False}, "transcription": {"model": "stt"}}
    }
}


def messages(server, index=-1):
    return server.bodies("/chat/completions")[index]["messages"]


class ScriptedTurns:
    """A turn detector that hears one thing in each frame."""

    def __init__(self, kinds):
        self.thresholds = Thresholds()
        self.speaking = False
        self._signals = [Signal(Kind(kind), 100 * (index + 1)) for index, kind in enumerate(kinds)]

    def feed(self, pcm):
        signal = self._signals.pop(0)
        self.speaking = signal.kind != "stopped"
        return [signal]

    def forget_turn(self):
        self.speaking = False

    def judge(self, ending):
        self.judged = ending


async def test_a_spoken_turn_is_told_in_the_order_of_the_realtime_api(call, say):
    async with call(session=BY_VOICE, transcripts=["Yes, please."], answers=[["Very well. "]]) as (client, server):
        await say(client)
        await client.until("response.done")
        kinds = [kind for kind in client.kinds() if not kind.endswith("transcription.completed")]
        assert kinds == [
            "session.created",
            "session.updated",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_audio_transcript.delta",
            "response.output_audio.delta",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
        ]


async def test_one_transcription_serves_the_answer_and_the_transcript(call, say):
    async with call(session=BY_VOICE, transcripts=["Yes, please."], answers=[["Fine."]]) as (client, server):
        await say(client)
        await client.until("response.done")
        told = client.of("conversation.item.input_audio_transcription.completed")
        assert [event["transcript"] for event in told] == ["Yes, please."]
        assert messages(server)[-1] == {"role": "user", "content": "Yes, please."}
        assert len(server.bodies("/audio/transcriptions")) == 1


async def test_transcription_starts_in_the_first_silence_and_not_after_the_last(call):
    async with call(session=ORDERED, transcripts=["Yes, please."]) as (client, server):
        client.upstream._hearing._turns = ScriptedTurns(["started", "paused"])
        await client.send(events.append_audio(SECOND[:4800]), events.append_audio(SECOND[:4800]))
        while not server.bodies("/audio/transcriptions"):
            await asyncio.sleep(0.005)
        assert "input_audio_buffer.speech_stopped" not in client.kinds()
        client.upstream._hearing._turns = ScriptedTurns(["stopped"])
        await client.asks(events.append_audio(SECOND[:4800]), until="input_audio_buffer.committed")


async def test_a_transcription_begun_too_early_is_thrown_away(call):
    async with call(session=ORDERED_WORDS, transcripts=[Act.HOLD, "All of it."]) as (client, server):
        client.upstream._hearing._turns = ScriptedTurns(["started", "paused", "resumed", "stopped"])
        await client.send(events.append_audio(SECOND[:4800]), events.append_audio(SECOND[:4800]))
        await server.held.wait()
        await client.send(events.append_audio(SECOND[:4800]), events.append_audio(SECOND[:4800]))
        told = await client.until("conversation.item.input_audio_transcription.completed")
        assert told["transcript"] == "All of it."
        while not server.hang_ups:
            await asyncio.sleep(0.005)


async def test_no_transcript_is_told_unless_asked_for(call, say):
    async with call(session=ORDERED, transcripts=["Yes, please."], answers=[["Fine."]]) as (client, server):
        await say(client)
        await client.asks(events.response_create(), until="response.done")
        assert not [kind for kind in client.kinds() if "transcription" in kind]
        assert messages(server)[-1]["content"] == "Yes, please."


async def test_nothing_answers_by_itself_when_responses_are_to_be_ordered(call, say):
    async with call(session=ORDERED, transcripts=["Yes, please."]) as (client, server):
        await say(client)
        await client.until("input_audio_buffer.committed")
        await client.asks(events.clear_input_audio(), until="input_audio_buffer.cleared")
        assert "response.created" not in client.kinds()


async def test_a_minute_of_audio_in_one_frame_is_heard_like_any_other(call, say):
    async with call(session=ORDERED_WORDS, transcripts=["Yes, please."]) as (client, server):
        await say(client, frame_bytes=10_000_000)
        await client.until("conversation.item.input_audio_transcription.completed")


async def test_a_turn_is_committed_by_hand_when_detection_is_off(call):
    async with call(session=MANUAL, transcripts=["Hello."]) as (client, server):
        await client.send(events.append_audio(SECOND))
        committed = await client.asks({"type": "input_audio_buffer.commit"}, until="input_audio_buffer.committed")
        completed = await client.until("conversation.item.input_audio_transcription.completed")
        assert completed["item_id"] == committed["item_id"]
        assert completed["usage"] == {"type": "duration", "seconds": 1.0}
        form = server.bodies("/audio/transcriptions")[0]
        assert b'name="language"\r\n\r\nen\r\n' in form
        assert b"RIFF" in form


async def test_less_than_a_tenth_of_a_second_is_no_turn(call):
    async with call(session=MANUAL) as (client, server):
        await client.send(events.append_audio(SECOND[:4798]))
        error = await client.asks({"type": "input_audio_buffer.commit"}, until="error")
        assert error["error"]["code"] == "input_audio_buffer_commit_empty"


async def test_cleared_audio_is_gone(call):
    async with call(session=MANUAL) as (client, server):
        await client.send(events.append_audio(SECOND))
        await client.asks(events.clear_input_audio(), until="input_audio_buffer.cleared")
        error = await client.asks({"type": "input_audio_buffer.commit"}, until="error")
        assert error["error"]["code"] == "input_audio_buffer_commit_empty"


async def test_audio_that_is_never_committed_does_not_pile_up(call):
    async with call(session=MANUAL) as (client, server):
        await client.send(events.append_audio(SECOND * 100))
        error = await client.asks(events.append_audio(SECOND * 21), until="error")
        assert error["error"]["code"] == "input_audio_buffer_full"


async def test_silence_does_not_pile_up_either(call):
    async with call(session=ORDERED) as (client, server):
        await client.send(events.append_audio(SECOND * 20))
        assert len(client.upstream._hearing._input) <= len(SECOND)


async def test_typed_text_is_answered_in_text_and_nothing_is_spoken(call):
    async with call(session=TEXT, answers=[["Good ", "morning."]]) as (client, server):
        await client.send(events.user_text("Morning!"))
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["output"][0]["content"] == [{"type": "output_text", "text": "Good morning."}]
        assert done["response"]["usage"]["output_token_details"] == {"text_tokens": 4, "audio_tokens": 0}
        assert not server.bodies("/audio/speech")
