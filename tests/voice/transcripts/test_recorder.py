from dataclasses import dataclass

from voice.transcripts import recorder as recorder_module
from voice.transcripts.recorder import Recorder


@dataclass
class Timed:
    item_id: str


def said(recorder, *item_ids):
    return [turn.text for turn in recorder.turns([Timed(item_id) for item_id in item_ids])]


def test_an_answer_is_put_together_from_its_pieces():
    recorder = Recorder()
    recorder.agent_delta("a1", "Hello, ")
    recorder.agent_delta("a1", "how are you?")
    assert said(recorder, "a1") == ["Hello, how are you?"]


def test_the_whole_answer_replaces_its_pieces():
    recorder = Recorder()
    recorder.agent_delta("a1", "Helo")
    recorder.agent_final("a1", "Hello.")
    assert said(recorder, "a1") == ["Hello."]


def test_an_interrupted_answer_is_cut_at_a_word_where_it_was_heard():
    recorder = Recorder()
    recorder.agent_final("a1", "one two three four")
    recorder.interrupted("a1")
    recorder.heard("a1", 1100, 2000)
    assert said(recorder, "a1") == ["one two"]


def test_what_the_model_writes_on_after_an_interruption_was_not_heard():
    recorder = Recorder()
    recorder.agent_delta("a1", "one two")
    recorder.interrupted("a1")
    recorder.agent_delta("a1", " three four")
    recorder.agent_final("a1", "one two three four")
    recorder.heard("a1", 1000, 1000)
    assert said(recorder, "a1") == ["one two"]


def test_an_answer_of_which_nothing_was_heard_is_no_turn():
    recorder = Recorder()
    recorder.agent_delta("a1", "one two")
    recorder.heard("a1", 0, 2000)
    recorder.caller_final("u1", "Stop.")
    assert [(turn.index, turn.text) for turn in recorder.turns([Timed("a1"), Timed("u1")])] == [(1, "Stop.")]


def test_a_turn_without_words_is_left_out_and_the_others_keep_their_place():
    recorder = Recorder()
    recorder.caller_final("u1", "  ")
    recorder.caller_final("u2", "Hello?")
    assert [(turn.index, turn.text) for turn in recorder.turns([Timed("u1"), Timed("u2")])] == [(1, "Hello?")]


def test_a_call_without_end_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(recorder_module, "CHARS_MAX", 10)
    recorder = Recorder()
    recorder.agent_delta("a1", "12345678")
    recorder.agent_delta("a1", "90abc")
    recorder.caller_final("u1", "more")
    assert said(recorder, "a1", "u1") == ["1234567890"]
