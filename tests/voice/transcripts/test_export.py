import json
import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from voice.transcripts.export import FORMATS, without_numbers
from voice.transcripts.reading import Collected, TranscriptView, TurnView

NASTY = 'He said: <script>alert("x")</script> --> 00:00:01.000\n\n2\n00:00:09,000 --> 00:00:10,000 & more'


def view(*texts, **fields):
    turns = tuple(
        TurnView(index, "agent" if index % 2 == 0 else "caller", text, index * 2000, index * 2000 + 1500, None, False)
        for index, text in enumerate(texts)
    )
    at = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    return TranscriptView(**{"session_id": UUID(int=7), "agent_name": "Reception", "started_at": at,
                             "is_redacted": False, "turns": turns, **fields})  # fmt: skip


def written(name, transcript, collected=()):
    return FORMATS[name].write(transcript, list(collected))


def test_json_holds_everything_that_is_kept():
    collected = Collected("book_appointment", {"name": "Ada"}, datetime(2026, 11, 22, tzinfo=UTC))
    content = json.loads(written("json", view("Hello", "Grüß Gott"), [collected]))
    assert [(turn["speaker"], turn["text"], turn["started_ms"]) for turn in content["turns"]] == [
        ("agent", "Hello", 0),
        ("caller", "Grüß Gott", 2000),
    ]
    assert content["collected"][0]["fields"] == {"name": "Ada"}


def test_the_text_file_names_who_says_what_and_when():
    assert "[0:02] Caller: Hi there" in written("txt", view("Hello", "Hi\nthere"))


def test_subtitles_have_numbers_times_and_speakers():
    assert written("srt", view("Hello", "Hi")) == (
        "1\n00:00:00,000 --> 00:00:01,500\nReception: Hello\n\n2\n00:00:02,000 --> 00:00:03,500\nCaller: Hi\n"
    )
    assert written("vtt", view("Hello")) == "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n<v Reception>Hello\n"


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_words_that_look_like_times_begin_no_subtitle_of_their_own(name):
    text = written(name, view(NASTY, "Hi"))
    assert len(re.findall(r"-->", text)) == 2
    assert len(text.strip().split("\n\n")) == (2 if name == "srt" else 3)


def test_vtt_has_no_markup_but_its_own():
    text = written("vtt", view(NASTY, agent_name="<b>Evil>\nname"))
    assert re.findall(r"<[^>]*>", text) == ["<v &lt;b&gt;Evil&gt; name>"]


@pytest.mark.parametrize("name", ["srt", "vtt"])
def test_every_subtitle_ends_after_it_begins_and_none_begins_before_the_one_before(name):
    turns = (
        TurnView(0, "agent", "late", 7_201_000, 7_200_000, None, False),
        TurnView(1, "caller", "typed", 3000, 3000, None, False),
    )
    times = re.findall(r"(\d+):(\d+):(\d+)[.,](\d+)", written(name, view(turns=turns)))
    in_ms = [((int(h) * 60 + int(m)) * 60 + int(s)) * 1000 + int(ms) for h, m, s, ms in times]
    assert in_ms == [3000, 4000, 7_201_000, 7_202_000]


def test_an_export_can_leave_out_numbers():
    transcript = without_numbers(view("Ring 555 0142 88"))
    assert transcript.turns[0].text == "Ring [phone number]" and transcript.is_redacted
