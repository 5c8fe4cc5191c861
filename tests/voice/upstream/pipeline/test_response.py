import base64

import pytest

from tests.fakes.openai_compatible_server import Act, Call
from tests.fakes.scripted_upstream import CAPABILITIES
from voice import realtime_events as events
from voice.upstream.errors import UpstreamDropped
from voice.upstream.pipeline import upstream as pipeline

MANUAL = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "stt", "language": "en"}}}}
TEXT = {"output_modalities": ["text"]}
TOOL = {"type": "function", "name": "book", "description": "Books.", "parameters": {"type": "object", "properties": {}}}


def messages(server, index=-1):
    return server.bodies("/chat/completions")[index]["messages"]


async def test_the_chat_model_reads_the_instructions_and_the_whole_history(call):
    session = MANUAL | {"instructions": "Be kind.", "max_output_tokens": 300}
    async with call(session=session, answers=[["Hello."], ["Bye."]]) as (client, server):
        await client.asks(events.response_create(), until="response.done")
        await client.send(events.system_text("Hurry up."), events.user_text("And?"))
        await client.asks(events.response_create(), until="response.done")
        assert messages(server) == [
            {"role": "system", "content": "Be kind."},
            {"role": "assistant", "content": "Hello."},
            {"role": "system", "content": "Hurry up."},
            {"role": "user", "content": "And?"},
        ]
        asked = server.bodies("/chat/completions")[0]
        assert (asked["model"], asked["max_tokens"], asked["stream"]) == ("chat", 300, True)
        assert "tools" not in asked


async def test_the_voice_of_the_endpoint_speaks_each_clause(call):
    async with call(session=MANUAL, answers=[["Hello there. How are ", "you?"]]) as (client, server):
        await client.asks(events.response_create(), until="response.done")
        spoken = server.bodies("/audio/speech")
        assert [body["input"] for body in spoken] == ["Hello there.", "How are you?"]
        common = {"model": "tts", "voice": "joe", "response_format": "pcm", "speed": 1.0}
        assert all(body.items() >= common.items() for body in spoken)


async def test_the_first_clause_is_spoken_before_the_rest_is_written(call):
    async with call(session=MANUAL, answers=[["Hello there. ", Act.HOLD, "Bye."]]) as (client, server):
        await client.asks(events.response_create(), until="response.output_audio.delta")
        assert not server.release.is_set()
        server.release.set()
        await client.until("response.done")


async def test_audio_comes_in_whole_samples_and_short_pieces(call):
    pcm = bytes(range(256)) * 100
    async with call(session=MANUAL, answers=[["Hello."]], speech=[pcm]) as (client, server):
        await client.asks(events.response_create(), until="response.done")
        pieces = [base64.b64decode(event["delta"]) for event in client.of("response.output_audio.delta")]
        assert b"".join(pieces) == pcm
        assert all(0 < len(piece) <= 4800 and len(piece) % 2 == 0 for piece in pieces)


async def test_one_response_can_be_given_instructions_of_its_own(call):
    async with call(session=MANUAL | {"instructions": "Be kind."}, answers=[["Bye."], ["Hi."]]) as (client, server):
        order = events.response_create(instructions="Say bye.", metadata={"why": "end"}, output_modalities=["text"])
        done = await client.asks(order, until="response.done")
        assert messages(server)[0]["content"] == "Say bye."
        assert done["response"]["metadata"] == {"why": "end"}
        assert done["response"]["output_modalities"] == ["text"]
        await client.asks(events.response_create(), until="response.done")
        assert messages(server)[0]["content"] == "Be kind."


async def test_a_function_is_called_and_its_output_goes_back_to_the_model(call):
    session = MANUAL | {"tools": [TOOL], "tool_choice": {"type": "function", "name": "book"}}
    answers = [["One moment. ", Call("book", '{"day":"Monday"}')], ["Done."]]
    async with call(session=session, answers=answers) as (client, server):
        done = await client.asks(events.response_create(), until="response.done")
        message, function_call = done["response"]["output"]
        assert message["content"][0]["transcript"] == "One moment. "
        assert (function_call["call_id"], function_call["name"]) == ("call_1", "book")
        finished = client.of("response.function_call_arguments.done")[0]
        assert finished["arguments"] == function_call["arguments"] == '{"day":"Monday"}'
        await client.send(events.function_output("call_1", '{"ok":true}'))
        await client.asks(events.response_create(), until="response.done")
        function = {"name": "book", "arguments": '{"day":"Monday"}'}
        assert messages(server) == [
            {"role": "assistant", "content": "One moment. "},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": '{"ok":true}'},
        ]
        asked = server.bodies("/chat/completions")[0]
        assert asked["tools"][0]["function"]["name"] == "book"
        assert asked["tool_choice"] == {"type": "function", "function": {"name": "book"}}


async def test_a_call_still_unanswered_is_kept_from_the_model(call):
    async with call(session=MANUAL, answers=[[Call("book", "{}")], ["Sorry."]]) as (client, server):
        await client.asks(events.response_create(), until="response.done")
        await client.send(events.user_text("Never mind."))
        await client.asks(events.response_create(), until="response.done")
        assert messages(server) == [{"role": "user", "content": "Never mind."}]


@pytest.mark.parametrize("limit", [1, 4, 5, 6, 20, 21, 22])
async def test_no_answer_is_longer_than_it_may_be(call, limit):
    async with call(session=MANUAL, answers=[["Hello there. This goes on. "]], ms_per_char=50) as (client, server):
        done = await client.asks(events.response_create(max_output_tokens=limit), until="response.done")
        response = done["response"]
        assert response["usage"]["output_tokens"] <= limit
        assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
        audio = sum(len(base64.b64decode(event["delta"])) for event in client.of("response.output_audio.delta"))
        assert response["usage"]["output_token_details"]["audio_tokens"] == -(-audio // 2400)


async def test_an_answer_the_chat_model_cut_off_is_incomplete(call):
    async with call(session=MANUAL, answers=[["Hello.", Act.CUT_OFF]]) as (client, server):
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["status"] == "incomplete"


async def test_the_oldest_items_are_not_read_when_the_context_is_full(call):
    small = CAPABILITIES.__class__(True, False, False, True, context_tokens=30, max_output_tokens=10)
    async with call(session=MANUAL | TEXT, capabilities=small, answers=[["Hi."]]) as (client, server):
        await client.send(events.user_text("first " * 12), events.user_text("second"), events.user_text("third"))
        await client.asks(events.response_create(), until="response.done")
        assert [message["content"] for message in messages(server)] == ["second", "third"]


async def test_instructions_beyond_the_context_fail_the_response(call):
    small = CAPABILITIES.__class__(True, False, False, True, context_tokens=30, max_output_tokens=10)
    async with call(session=MANUAL | {"instructions": "x" * 200}, capabilities=small) as (client, server):
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["status_details"]["error"]["code"] == "context_length_exceeded"


async def test_what_a_retention_ratio_forgot_is_not_read_again(call):
    truncation = {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 12}}
    async with call(session=MANUAL | TEXT | {"truncation": truncation}, answers=[["Hi."]] * 4) as (client, server):
        await client.send(*(events.user_text(word * 4) for word in ("one ", "two ", "few ", "six ")))
        await client.asks({"type": "response.create", "response": {"conversation": "none"}}, until="response.done")
        await client.asks(events.response_create(), until="response.done")
        await client.asks(events.response_create(), until="response.done")
        read = [[message["content"].strip()[:3] for message in messages(server, index)] for index in range(3)]
        assert read == [["six"], ["six"], ["six", "Hi."]]
        await client.asks(events.session_update({"truncation": "auto"}), until="session.updated")
        await client.asks(events.response_create(), until="response.done")
        assert [message["content"][:3] for message in messages(server)] == ["one", "two", "few", "six", "Hi.", "Hi."]


async def test_there_is_one_response_at_a_time(call):
    async with call(session=MANUAL, answers=[[Act.HOLD, "Hello."], ["Again."]]) as (client, server):
        await client.send(events.response_create())
        error = await client.asks(events.response_create(event_id="second"), until="error")
        assert error["error"]["code"] == "conversation_already_has_active_response"
        assert error["error"]["event_id"] == "second"
        server.release.set()
        await client.until("response.done")
        await client.asks(events.response_create(), until="response.done")


@pytest.mark.parametrize("response_id", [None, "resp_of_somebody"])
async def test_without_such_a_response_there_is_nothing_to_cancel(call, response_id):
    async with call(session=MANUAL) as (client, server):
        error = await client.asks(events.response_cancel(response_id), until="error")
        assert error["error"]["code"] == "response_cancel_not_active"
        assert error["error"]["message"].startswith("Cancellation failed")


async def test_a_session_ends_after_its_hour(call, monkeypatch):
    monkeypatch.setattr(pipeline, "SESSION_S", 0.02)
    async with call(check=False) as (client, server):
        error = await client.until("error")
        assert error["error"]["code"] == "session_expired"
        with pytest.raises(UpstreamDropped):
            await client.until("never")
