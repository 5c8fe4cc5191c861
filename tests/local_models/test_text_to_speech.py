"""Text is cut into clauses and written so that the voice reads it right."""

import pytest

from local_models.text_to_speech import CLAUSE_MAX_CHARS, sayable, split


def test_the_first_clause_is_short_so_that_it_is_heard_early():
    clauses = split(
        "Thanks, Sarah. Let me read that back: dental cleaning, Sarah Johnson, 42 Maple Street. Is that right?"
    )
    assert clauses[0] == "Thanks, Sarah."
    assert clauses[-1] == "Is that right?"


def test_nothing_is_lost_by_cutting():
    text = "Well, let me see: on Monday, or on Tuesday; whichever suits you. Is that right? Good!"
    assert " ".join(split(text)) == text


@pytest.mark.parametrize(
    "text", ["At 4 p.m. on Monday", "Dr. Lee is in", "It costs $3.50 an hour", "J. R. Smith called"]
)
def test_abbreviations_and_decimals_do_not_end_a_clause(text):
    assert split(text) == [text]


def test_a_text_without_punctuation_is_cut_between_words():
    clauses = split("word " * 300)
    assert all(len(clause) <= CLAUSE_MAX_CHARS + 60 for clause in clauses)
    assert " ".join(clauses).split() == ["word"] * 300


@pytest.mark.parametrize("text", ["", "...", "!?", " \n "])
def test_text_without_words_has_no_clauses(text):
    assert split(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Call 415-555-0134.", "Call 4 1 5, 5 5 5, 0 1 3 4."),
        ("Call +1-415-555-0134.", "Call plus 1, 4 1 5, 5 5 5, 0 1 3 4."),
        ("The code is 80202.", "The code is 8 0 2 0 2."),
        ("It is $12000 a year", "It is $12000 a year"),
        ("at 4:15 pm", "at 4:15 p.m."),
        ("from 10am to 2pm", "from 10 a.m. to 2 p.m."),
        ("john.smith@example.com", "john dot smith at example dot com"),
        ("N-G-U-Y-E-N", "N, G, U, Y, E, N"),
        ("**Bold** `code`", " Bold   code "),
        ("on November 25", "on November 25"),
    ],
)
def test_numbers_and_marks_are_written_as_they_are_said(text, said):
    assert sayable(text) == said
