import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.upstream.pipeline.clauses import CLAUSE_MAX_CHARS, ClauseCutter


def cut(*deltas):
    cutter = ClauseCutter()
    return [clause for delta in deltas for clause in cutter.feed(delta)] + cutter.flush()


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab .,;!?\n—", max_size=80), max_size=12))
def test_the_clauses_are_the_text_and_none_is_long(deltas):
    clauses = cut(*deltas)
    assert "".join(clauses) == "".join(deltas)
    assert all(0 < len(clause) <= CLAUSE_MAX_CHARS + max(map(len, deltas)) for clause in clauses)


def test_sentences_are_spoken_one_by_one():
    assert cut("Hello there. How can I help? ") == ["Hello there. ", "How can I help? "]


def test_a_sentence_is_complete_only_when_something_follows_it():
    cutter = ClauseCutter()
    assert cutter.feed("It costs 3.") == []
    assert cutter.feed("50 euros. And") == ["It costs 3.50 euros. "]


def test_the_first_clause_is_short_and_later_ones_are_not():
    text = "Thanks for that, Maria, and now I need your address, please, so that we can find you, if you like. "
    clauses = cut(text)
    assert clauses[0] == "Thanks for that, "
    assert clauses[1] == "Maria, and now I need your address, please, so that we can find you, "


@pytest.mark.parametrize(
    "text", ["I will ask Dr. Jones about it. ", "We open at 9 a.m. on Monday. ", "Is it J. Smith? "]
)
def test_an_abbreviation_ends_no_sentence(text):
    assert cut(text) == [text]


def test_text_without_a_pause_is_cut_between_words():
    clauses = cut("word " * 100)
    assert all(len(clause) <= CLAUSE_MAX_CHARS and clause.endswith(" ") for clause in clauses)


def test_a_word_without_end_is_cut_too():
    assert [len(clause) for clause in cut("a" * 500)] == [220, 220, 60]
