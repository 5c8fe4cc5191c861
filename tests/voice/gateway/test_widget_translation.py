"""GA events as a browser is told of them."""

import json

from voice.gateway.widget_translation import WidgetTranslation
from voice.realtime_events import AudioDelta, dump
from voice.transcripts.recorder import heard_text


def told(translation: WidgetTranslation, kind: str, **fields) -> list[dict]:
    return [json.loads(message) for message in translation.messages(dump({"type": kind, **fields}))]


def test_audio_is_announced_once_an_item():
    translation = WidgetTranslation()
    delta = AudioDelta("item_1", b"\0\0")
    announced = [json.loads(message)["type"] for message in translation.before_audio(delta)]
    assert announced == ["state.changed", "audio.begin"]
    assert translation.before_audio(delta) == []


def test_an_answer_that_falls_silent_is_not_said_to_be_spoken_until_it_goes_on():
    translation = WidgetTranslation()
    delta = AudioDelta("item_1", b"\0\0")
    translation.before_audio(delta)
    assert told(translation, "parley.paused") == [{"type": "state.changed", "state": "thinking"}]
    assert (translation.speaking, translation.sending) == (None, "item_1")
    assert [json.loads(each) for each in translation.before_audio(delta)] == [
        {"type": "state.changed", "state": "speaking"}
    ]
    assert translation.speaking == "item_1"


def test_an_answer_that_fell_silent_and_is_over_is_told_as_any_other():
    translation = WidgetTranslation()
    translation.before_audio(AudioDelta("item_1", b"\0\0"))
    told(translation, "parley.paused")
    ended = told(translation, "response.output_audio.done", item_id="item_1")
    ended += told(translation, "response.done", response={})
    assert ended == [{"type": "audio.end", "item_id": "item_1"}, {"type": "state.changed", "state": "listening"}]


def test_the_end_of_an_items_audio_is_told():
    translation = WidgetTranslation()
    translation.before_audio(AudioDelta("item_1", b"\0\0"))
    assert told(translation, "response.output_audio.done", item_id="item_1") == [
        {"type": "audio.end", "item_id": "item_1"}
    ]


def test_the_agents_words_come_as_deltas_and_then_whole():
    translation = WidgetTranslation()
    assert told(translation, "response.output_audio_transcript.delta", item_id="i", delta="Hel") == [
        {"type": "caption.delta", "speaker": "agent", "item_id": "i", "text": "Hel"}
    ]
    assert told(translation, "response.output_audio_transcript.done", item_id="i", transcript="Hello.") == [
        {"type": "caption.final", "speaker": "agent", "item_id": "i", "text": "Hello.", "interrupted": False}
    ]


def test_a_typed_turn_is_captioned_as_it_was_typed():
    item = {"id": "typed_1", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    assert told(WidgetTranslation(), "conversation.item.added", item=item) == [
        {"type": "caption.final", "speaker": "caller", "item_id": "typed_1", "text": "Hi", "interrupted": False}
    ]


def test_a_spoken_turn_is_captioned_when_it_has_been_transcribed():
    translation = WidgetTranslation()
    item = {"id": "item_1", "role": "user", "content": [{"type": "input_audio", "transcript": None}]}
    assert told(translation, "conversation.item.added", item=item) == []
    kind = "conversation.item.input_audio_transcription.completed"
    assert told(translation, kind, item_id="item_1", transcript=" Ten thirty. ")[0]["text"] == "Ten thirty."


def test_an_interrupted_answer_ends_with_the_words_that_were_heard():
    translation = WidgetTranslation()
    told(translation, "response.output_audio_transcript.delta", item_id="i", delta="one two three four")
    told(translation, "parley.interrupted", item_id="i")
    final = told(translation, "parley.truncated", item_id="i", heard_ms=500, sent_ms=1000)
    assert (final[0]["text"], final[0]["interrupted"]) == ("one two", True)


def test_an_interrupted_answer_is_not_made_whole_again_by_late_events():
    translation = WidgetTranslation()
    told(translation, "response.output_audio_transcript.delta", item_id="i", delta="one two")
    told(translation, "parley.interrupted", item_id="i")
    assert told(translation, "response.output_audio_transcript.done", item_id="i", transcript="one two three") == []


def test_a_state_is_told_once():
    translation = WidgetTranslation()
    assert told(translation, "input_audio_buffer.speech_stopped") == [{"type": "state.changed", "state": "thinking"}]
    assert told(translation, "response.created", response={"id": "r"}) == []


def test_events_that_mean_nothing_to_a_browser_are_not_told():
    assert told(WidgetTranslation(), "rate_limits.updated", rate_limits=[]) == []


def test_a_change_of_model_is_told():
    changed = {"model_served": "gpt-4.1", "reason": "It does not answer.", "voice": False}
    assert told(WidgetTranslation(), "parley.model_changed", **changed) == [{"type": "model.changed", **changed}]


def test_captions_kept_for_interruptions_are_bounded():
    translation = WidgetTranslation()
    for n in range(1000):
        told(translation, "response.output_audio_transcript.delta", item_id=f"i{n}", delta="x")
    assert len(translation._captions) <= 64


def test_what_was_heard_is_cut_at_a_word():
    assert heard_text("one two three", 600, 1000) == "one"
    assert heard_text("one two three", 1000, 1000) == "one two three"


def test_without_captions_nothing_spoken_is_told_in_writing():
    translation = WidgetTranslation(captions=False)
    assert told(translation, "response.output_audio_transcript.delta", item_id="i", delta="Hel") == []
    assert told(translation, "response.output_audio_transcript.done", item_id="i", transcript="Hello.") == []
    kind = "conversation.item.input_audio_transcription.completed"
    assert told(translation, kind, item_id="u", transcript="Hi") == []
    assert told(translation, "parley.truncated", item_id="i", heard_ms=1, sent_ms=2) == []


def test_without_captions_what_is_typed_is_still_told():
    translation = WidgetTranslation(captions=False)
    item = {"id": "typed_1", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    assert [message["text"] for message in told(translation, "conversation.item.added", item=item)] == ["Hi"]
    answer = told(translation, "response.output_text.done", item_id="i", text="Hello")
    assert [message["text"] for message in answer] == ["Hello"]


def test_nobody_is_said_to_listen_while_a_tool_works_on_the_answer():
    translation = WidgetTranslation()
    assert told(translation, "parley.working") == [{"type": "state.changed", "state": "working"}]
    assert told(translation, "response.done", response={}) == []
    told(translation, "response.created", response={})
    assert told(translation, "response.done", response={}) == [{"type": "state.changed", "state": "listening"}]
