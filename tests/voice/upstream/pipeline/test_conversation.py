import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.audio import bytes_of
from voice.upstream.pipeline import conversation
from voice.upstream.pipeline.conversation import Conversation, Item, Spoken, fitting, messages_of, new_item
from voice.upstream.pipeline.requests import InvalidRequest
from voice.upstream.pipeline.usage import Piece


def no_audio(audio, where):
    raise AssertionError("there is none")


def spoken_item(*clauses):
    """An assistant's item; each clause is its words and how many milliseconds they took."""
    words = "".join(text for text, _ in clauses)
    content = [{"type": "output_audio", "transcript": words}]
    data = {"id": "item_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
    return Item(data, spoken=[Spoken(text, bytes_of(ms)) for text, ms in clauses])


def typed(item_id, text):
    content = [{"type": "input_text", "text": text}]
    return new_item({"id": item_id, "type": "message", "role": "user", "content": content}, "unused", no_audio)


@pytest.mark.parametrize(
    ("heard_ms", "words"),
    [
        (0, ""),
        (50, ""),
        (250, "Good"),
        (500, "Good day."),
        (600, "Good day."),
        (650, "Good day. How"),
        (999, "Good day. How are"),
        (1000, "Good day. How are you?"),
    ],
)
def test_only_words_heard_to_their_end_are_kept(heard_ms, words):
    item = spoken_item(("Good day. ", 500), ("How are you?", 500))
    item.cut_to(heard_ms)
    assert item.text == words


clauses = st.lists(st.tuples(st.text(alphabet="ab ", min_size=1, max_size=20), st.integers(0, 2000)), max_size=5)


@settings(deadline=None)
@given(clauses, st.integers(0, 11_000), st.integers(0, 11_000))
def test_cutting_keeps_a_beginning_and_more_of_it_when_more_was_heard(spoken, some_ms, more_ms):
    shorter, longer = spoken_item(*spoken), spoken_item(*spoken)
    whole = shorter.text
    shorter.cut_to(min(some_ms, more_ms))
    longer.cut_to(max(some_ms, more_ms))
    assert whole.startswith(longer.text)
    assert longer.text.startswith(shorter.text)
    assert shorter.spoken_bytes <= bytes_of(min(some_ms, more_ms))


def test_a_callers_words_count_as_audio_and_ours_as_audio_and_text():
    said = conversation.said_item("item_2", bytes(48_000))
    said.data["content"][0]["transcript"] = "whatever it was"
    assert said.piece() == Piece("item_2", 0, 10)
    assert spoken_item(("Good day.", 500)).piece() == Piece("item_1", 3, 10)
    assert typed("item_3", "Hello").piece() == Piece("item_3", 2, 0)


def test_the_newest_items_that_fit_are_read():
    said = [typed(f"item_{number}", "four" * 3) for number in range(5)]
    pieces, items = fitting(said, "instructions", [], 10)
    assert [item.id for item in items] == ["item_3", "item_4"]
    assert [piece.tokens for piece in pieces] == [3, 3, 3]


def test_a_conversation_that_may_not_be_cut_is_refused_when_it_is_too_long():
    said = [typed(f"item_{number}", "four" * 3) for number in range(5)]
    assert len(fitting(said, "instructions", [], 18, "disabled")[1]) == 5
    with pytest.raises(InvalidRequest) as refused:
        fitting(said, "instructions", [], 17, "disabled")
    assert refused.value.code == "context_length_exceeded"


def test_a_retention_ratio_leaves_out_more_than_it_must_but_seldom():
    said = [typed(f"item_{number}", "four" * 4) for number in range(10)]
    truncation = {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 32}}
    assert fitting(said[:8], "", [], 1000, truncation)[1] == said[:8]
    assert fitting(said[:9], "", [], 1000, truncation)[1] == said[5:9]
    for item in said[:5]:
        item.forgotten = True
    assert fitting(said, "", [], 1000, truncation)[1] == said[5:]
    assert fitting(said, "", [], 8, truncation)[1] == said[9:]


def test_a_conversation_forgets_its_oldest_items_in_the_end(monkeypatch):
    monkeypatch.setattr(conversation, "MAX_ITEMS", 2)
    talk = Conversation()
    assert [talk.add(typed(item_id, "x")) for item_id in "abc"] == [None, "a", "b"]
    assert [item.id for item in talk] == ["b", "c"]


def test_an_item_goes_behind_the_one_it_names():
    talk = Conversation()
    talk.add(typed("a", "x"))
    talk.add(typed("b", "x"))
    assert talk.add(typed("c", "x"), "a") == "a"
    assert [item.id for item in talk] == ["a", "c", "b"]
    with pytest.raises(InvalidRequest):
        talk.add(typed("d", "x"), "nobody")


def test_every_answered_call_is_followed_by_its_answer():
    calls = [{"type": "function_call", "call_id": c, "name": "book", "arguments": "{}"} for c in ("one", "two")]
    outputs = [{"type": "function_call_output", "call_id": c, "output": c} for c in ("two", "one")]
    items = [new_item(raw, f"item_{index}", no_audio) for index, raw in enumerate([*calls, *outputs])]
    assert [(m["role"], m.get("tool_call_id")) for m in messages_of("", items)] == [
        ("assistant", None),
        ("tool", "one"),
        ("assistant", None),
        ("tool", "two"),
    ]


def test_an_answer_to_a_call_nobody_made_is_left_out():
    stray = new_item({"type": "function_call_output", "call_id": "x", "output": "y"}, "item_1", no_audio)
    assert messages_of("", [stray]) == []


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x" * 140_000}]},
        {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_audio"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": 7}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "audio": "AAAA"}]},
        {"type": "message", "role": "user", "content": ["x"]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": None}]},
        {"type": "function_call", "call_id": "x", "name": "y"},
        {"type": "function_call_output", "call_id": 7, "output": "y"},
        {"id": "x" * 200, "type": "function_call_output", "call_id": "7", "output": "y"},
        {"type": "mcp_list_tools"},
        {},
    ],
)
def test_an_item_that_cannot_be_read_is_refused(raw):
    with pytest.raises(InvalidRequest):
        new_item(raw, "item_1", no_audio)
