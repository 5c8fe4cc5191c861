"""What a browser is sent again after a break: everything it missed, in order, and nothing else."""

import json

from voice.gateway import unheard as unheard_module
from voice.gateway.unheard import Unheard
from voice.gateway.widget_protocol import serialise
from voice.realtime_events import AudioDelta


def piece(item_id="i1", size=100):
    return AudioDelta(item_id, bytes(size))


def begin(item_id="i1"):
    return serialise("audio.begin", item_id=item_id)


def caption(text):
    return serialise("caption.delta", speaker="agent", item_id="i1", text=text)


def an_answer(pieces=3):
    """One that is begun, spoken in pieces of 100 bytes with a caption after each, and ended: 2 + pieces messages."""
    unheard = Unheard()
    unheard.add_message(begin())
    for number in range(pieces):
        unheard.add_audio(piece())
        unheard.add_message(caption(str(number)))
    unheard.add_message(serialise("audio.end", item_id="i1"))
    return unheard


def kinds(missed):
    return [json.loads(each)["type"] if isinstance(each, str) else len(each.pcm) for each in missed]


def test_a_browser_that_received_everything_is_sent_nothing_again():
    assert an_answer().missed(300, 5) == []


def test_a_browser_that_received_nothing_is_sent_everything_again():
    expected = ["audio.begin", 100, "caption.delta", 100, "caption.delta", 100, "caption.delta", "audio.end"]
    assert kinds(an_answer().missed(0, 0)) == expected


def test_an_item_that_came_in_part_is_announced_again_for_the_rest():
    assert kinds(an_answer().missed(200, 3)) == ["audio.begin", 100, "caption.delta", "audio.end"]


def test_what_was_reported_as_received_is_not_kept():
    unheard = an_answer()
    assert unheard.owes_audio
    assert unheard.received(300) == 300
    assert not unheard.owes_audio
    assert kinds(unheard.missed(300, 0)) == ["caption.delta", "audio.end"]


def test_a_browser_that_counts_no_messages_gets_those_after_the_first_audio_it_missed():
    assert kinds(an_answer().missed(100, None)) == [
        "audio.begin", 100, "caption.delta", 100, "caption.delta", "audio.end",
    ]  # fmt: skip


def test_a_browser_that_counts_no_messages_gets_those_said_after_the_break():
    unheard = an_answer()
    unheard.broke()
    unheard.add_message(caption("later"))
    assert unheard.missed(300, None) == [caption("later")]


def test_a_second_break_in_the_middle_of_catching_up_loses_nothing():
    unheard = an_answer()
    assert kinds(unheard.missed(100, 2)) == ["audio.begin", 100, "caption.delta", 100, "caption.delta", "audio.end"]
    # The announcement and one more piece came: one message more, a hundred bytes more.
    assert kinds(unheard.missed(200, 3)) == ["caption.delta", "audio.begin", 100, "caption.delta", "audio.end"]


def test_an_interrupted_item_is_not_sent_again_and_counts_as_received():
    unheard = an_answer()
    unheard.add_message(serialise("audio.clear", item_id="i1"))
    unheard.add_message(begin("i2"))
    unheard.add_audio(piece("i2"))
    assert kinds(unheard.missed(100, 5)) == ["audio.clear", "audio.begin", 100]
    # The browser counts the 100 bytes of before and these; 200 were never sent again.
    assert unheard.received(200) == 400


def test_counts_beyond_what_was_sent_mean_all_of_it():
    unheard = an_answer()
    assert unheard.received(10**15) == 300
    assert unheard.missed(10**15, 10**15) == []
    unheard.add_message(caption("next"))
    assert unheard.missed(300, 5) == [caption("next")]


def test_counts_below_what_was_received_bring_nothing_back():
    unheard = an_answer()
    unheard.received(300)
    assert kinds(unheard.missed(0, 0)) == ["caption.delta", "audio.end"]


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(unheard_module, "_AUDIO_BYTES_MAX", 1000)
    monkeypatch.setattr(unheard_module, "_TEXT_CHARS_MAX", 1000)
    unheard = an_answer(pieces=100)
    missed = unheard.missed(0, 0)
    assert sum(len(each.pcm) for each in missed if not isinstance(each, str)) == 1000
    assert sum(len(each) for each in missed if isinstance(each, str)) <= 1000 + len(begin())
    assert unheard.received(1000) == 10_000
