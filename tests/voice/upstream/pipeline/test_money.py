import base64

from tests.fakes.openai_compatible_server import Act
from voice import realtime_events as events

MANUAL = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "stt", "language": "en"}}}}
SECOND = bytes(48_000)


async def test_the_usage_of_three_responses_can_be_recomputed_from_what_was_said(call):
    instructions, replies = "Be kind.", ["Hello there.", "Fine.", "Bye."]
    async with call(
        session=MANUAL | {"instructions": instructions},
        transcripts=["one", "two"],
        answers=[[reply] for reply in replies],
        ms_per_char=10,
    ) as (client, server):
        usages = []
        for seconds in (0, 2, 3):
            if seconds:
                await client.send(events.append_audio(SECOND * seconds), {"type": "input_audio_buffer.commit"})
            done = await client.asks(events.response_create(), until="response.done")
            usages.append(done["response"]["usage"])

    def text(words):
        return (len(words) + 3) // 4

    def audio(words):
        return -(-len(words) * 10 * 48 // 2400)

    history_text, history_audio, read_before = text(instructions), 0, (0, 0)
    for usage, reply, heard_tokens in zip(usages, replies, (0, 20, 30), strict=True):
        history_audio += heard_tokens
        read = usage["input_token_details"]
        assert (read["text_tokens"], read["audio_tokens"]) == (history_text, history_audio)
        cached = read["cached_tokens_details"]
        assert (cached["text_tokens"], cached["audio_tokens"]) == read_before
        assert usage["output_token_details"] == {"text_tokens": text(reply), "audio_tokens": audio(reply)}
        read_before = (history_text, history_audio)
        history_text, history_audio = history_text + text(reply), history_audio + audio(reply)


async def test_a_cancelled_response_counts_what_was_spoken(call):
    async with call(session=MANUAL, answers=[["Hello there. ", Act.HOLD]], ms_per_char=100) as (client, server):
        await client.send(events.response_create())
        await server.held.wait()
        while len(server.bodies("/audio/speech")) < 1 or not client.of("response.output_audio.delta"):
            await client.until("response.output_audio.delta")
        done = await client.asks(events.response_cancel(), until="response.done")
        audio = sum(len(base64.b64decode(event["delta"])) for event in client.of("response.output_audio.delta"))
        assert done["response"]["usage"]["output_token_details"]["audio_tokens"] == -(-audio // 2400) > 0
