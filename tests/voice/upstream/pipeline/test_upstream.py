import pytest

from voice import realtime_events as events

MANUAL = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "stt", "language": "en"}}}}
TEXT = {"output_modalities": ["text"]}


SAID = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi."}]}
_IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
PICTURE = {"type": "conversation.item.create", "item": SAID | {"content": [SAID["content"][0], _IMAGE]}}


def messages(server, index=-1):
    return server.bodies("/chat/completions")[index]["messages"]


async def test_items_keep_the_id_and_the_place_a_client_chose(call):
    async with call(session=MANUAL | TEXT, answers=[["Hi."]]) as (client, server):
        await client.send(events.user_text("second", "b"))
        first = {"id": "a", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "first"}]}
        create = {"type": "conversation.item.create", "previous_item_id": "root", "item": first}
        await client.until("conversation.item.done")
        added = await client.asks(create, until="conversation.item.added")
        assert (added["item"]["id"], added["previous_item_id"]) == ("a", None)
        await client.asks(events.response_create(), until="response.done")
        assert [message["content"] for message in messages(server)] == ["first", "second"]


async def test_a_deleted_item_is_not_read_any_more(call):
    async with call(session=MANUAL | TEXT, answers=[["Hi."]]) as (client, server):
        await client.send(events.user_text("first", "a"), events.user_text("second", "b"))
        await client.asks({"type": "conversation.item.delete", "item_id": "a"}, until="conversation.item.deleted")
        await client.asks(events.response_create(), until="response.done")
        assert [message["content"] for message in messages(server)] == ["second"]


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"type": "conversation.item.retrieve", "item_id": "x"}, "item_retrieve_invalid_item_id"),
        ({"type": "conversation.item.delete"}, "missing_required_parameter"),
        ({"type": "conversation.item.create", "item": {"type": "mcp_call"}}, "invalid_value"),
        (
            {"type": "conversation.item.create", "item": {"type": "message", "role": "god", "content": []}},
            "invalid_value",
        ),
        (
            {"type": "conversation.item.create", "item": {"type": "message", "role": "user"}},
            "missing_required_parameter",
        ),
        ({"type": "input_audio_buffer.append", "audio": "no base64"}, "invalid_value"),
        ({"type": "input_audio_buffer.append", "audio": "AA=="}, "invalid_value"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter"),
        ({"type": "response.create", "response": []}, "invalid_value"),
        ({"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "x"}]}}, "invalid_value"),
        ({"type": "response.create", "response": {"input": [7]}}, "invalid_value"),
        ({"type": "session.update", "session": {"type": "realtime", "voice": "alloy"}}, "unknown_parameter"),
        ({"type": "session.update"}, "missing_required_parameter"),
        ({"type": "session.update", "session": {"instructions": "x"}}, "missing_required_parameter"),
        ({"type": "session.update", "session": []}, "invalid_value"),
        (
            {"type": "conversation.item.truncate", "item_id": "x", "content_index": 1, "audio_end_ms": 0},
            "invalid_value",
        ),
        (PICTURE, "invalid_value"),
        ({"type": "conversation.item.create", "previous_item_id": "x", "item": SAID}, "invalid_value"),
        ({"type": "output_audio_buffer.clear"}, "invalid_value"),
        ({"type": "made.up"}, "invalid_value"),
        (b"{", "invalid_event"),
        (b'{"event_id":"mine"}', "invalid_event"),
    ],
)
async def test_what_cannot_be_done_is_one_error_and_changes_nothing(call, event, code):
    async with call(session=MANUAL | TEXT, answers=[["Hi."]]) as (client, server):
        error = await client.asks(event if isinstance(event, bytes) else event | {"event_id": "mine"}, until="error")
        assert error["error"]["code"] == code
        assert not client.of("conversation.item.added")
        assert error["error"]["event_id"] == ("mine" if isinstance(event, dict) else None)
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["status"] == "completed"


async def test_an_id_can_be_used_once(call):
    async with call(session=MANUAL) as (client, server):
        await client.send(events.user_text("first", "a"))
        error = await client.asks(events.user_text("again", "a"), until="error")
        assert error["error"]["code"] == "item_create_duplicate_item_id"


async def test_the_voice_is_fixed_once_it_was_heard(call):
    async with call(session=MANUAL, answers=[["Hello."]]) as (client, server):
        await client.asks(events.response_create(), until="response.done")
        error = await client.asks(events.session_update({"audio": {"output": {"voice": "jane"}}}), until="error")
        assert error["error"]["code"] == "cannot_update_voice"
