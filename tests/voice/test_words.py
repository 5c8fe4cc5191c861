"""Every language says all that English says, with the same gaps to fill."""

import re
from pathlib import Path

import pytest

from voice.metering import receipt
from voice.words import languages, with_texts, words_of

ENGLISH = words_of("en")
OTHERS = sorted(set(languages()) - {"en"})


def flat(words, prefix=""):
    """Return every text by its path, lists by their place."""
    found = {}
    items = words.items() if hasattr(words, "items") else enumerate(words)
    for name, value in items:
        path = f"{prefix}.{name}"
        found.update({path: value} if isinstance(value, str) else flat(value, path))
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_the_same_texts_as_english(language):
    assert set(flat(words_of(language))) == set(flat(ENGLISH))


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_keeps_the_placeholders(language):
    english = flat(ENGLISH)
    for path, text in flat(words_of(language)).items():
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", english[path])), path


@pytest.mark.parametrize("language", sorted(languages()))
def test_no_text_is_empty_and_a_file_is_named_after_its_language(language):
    words = words_of(language)
    assert words["language"] == language and words["direction"] in {"ltr", "rtl"}
    assert all(flat(words).values())


def test_hindi_is_there_from_the_first_day():
    assert words_of("hi-IN")["states"]["listening"] == "सुन रहा है"


@pytest.mark.parametrize("language", ["xx", "", "../en", "EN", "en-GB"])
def test_a_language_without_words_reads_english(language):
    assert words_of(language)["language"] == "en"


def test_every_line_of_a_receipt_has_words():
    labels = {label for _, _, label, _ in receipt._LABELS} | {receipt._NOT_COLLECTED}
    assert labels == set(ENGLISH["receipt"])


def test_every_reason_a_browser_is_told_has_words():
    protocol = Path("docs/widget-protocol.md").read_text(encoding="utf-8")
    listed = protocol.partition("`reason` of `session.ended`:")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(ENGLISH["end_reasons"])


def test_an_owners_words_take_the_place_of_ours_and_of_nothing_else():
    texts = {"buttons.talk": "Ask us", "buttons.nonsense": "x", "language": "de", "units.credits": "x"}
    words = with_texts(ENGLISH, texts)
    assert words["buttons"]["talk"] == "Ask us"
    assert {**words, "buttons": ENGLISH["buttons"]} == ENGLISH
    assert ENGLISH["buttons"]["talk"] == "Talk"
