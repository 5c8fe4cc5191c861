"""Transcripts are tidied: digits, letters, inventions."""

import numpy as np
import pytest

from local_models.speech_to_text import CUT_AT_SECONDS, RATE, cut, has_speech, tidy
from tests.local_models.conftest import speech_like


@pytest.mark.parametrize(
    ("heard", "tidied"),
    [
        ("My number is 415, 555, 0134.", "My number is 415-555-0134."),
        ("four one five five five five zero one three four", "415-555-0134"),
        ("It's 4 1 5 5 5 5 0 1 3 4, thanks.", "It's 415-555-0134, thanks."),
        ("spelled N-g-u-y-e-n.", "spelled N-G-U-Y-E-N."),
        ("S A R A", "S-A-R-A"),
        ("An appointment for Friday at nine a M..", "An appointment for Friday at nine a.m."),
        ("Around two P. M.", "Around two p.m."),
        ("I am here at nine.", "I am here at nine."),
        ("Five, five.", "Five, five."),
        ("Thirty three four six ninety two.", "Thirty three four six ninety two."),
        ("At 10 or 11 on the 12", "At 10 or 11 on the 12"),
        ("Do you have anything around 2 p", "Do you have anything around 2 p.m."),
        ("You", ""),
        ("you.", ""),
        ("♪ ♪", ""),
        ("[MUSIC]", ""),
        ("Thank you for watching.", ""),
        ("Thank you.", "Thank you."),
        ("I see. I see. I see. I see. I see.", "I see."),
        ("  No,   thank you. ", "No, thank you."),
    ],
)
def test_transcripts_are_tidied(heard, tidied):
    assert tidy(heard) == tidied


def test_short_audio_is_one_piece():
    assert cut(np.zeros(RATE * 15, np.float32)) == [(0, RATE * 15)]


def test_long_audio_is_cut_where_it_is_quiet():
    samples = np.ones(RATE * 40, np.float32)
    samples[RATE * 12 : RATE * 12 + 800] = 0
    pieces = cut(samples)
    assert pieces[0][1] // RATE == 12
    assert pieces[-1][1] == RATE * 40
    assert all(end - start <= CUT_AT_SECONDS * RATE for start, end in pieces)
    assert [end for _, end in pieces[:-1]] == [start for start, _ in pieces[1:]]


def test_rise_and_fall_is_speech_and_steady_sound_is_not():
    assert has_speech((speech_like(1) / 32768).astype(np.float32))
    assert not has_speech(np.zeros(RATE, np.float32))
    assert not has_speech((0.3 * np.sin(np.arange(RATE) / 5)).astype(np.float32))
