"""What is too long is cut in the middle, by an estimate that runs high, and counted."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.notes.material import Material, Said
from voice.notes.prompt import TURN_CHARS_MAX, cut, request_body, tokens_in


def turns(count, text="I would like a check-up on Tuesday, please."):
    return [Said(index, "caller" if index % 2 else "agent", text) for index in range(count)]


def test_what_fits_is_kept_whole():
    assert cut(turns(10), 1000) == (tuple(turns(10)), 0)


def test_the_middle_goes_first_and_beginning_and_end_stay():
    kept, left_out = cut(turns(100), 1000)
    numbers = [said.turn for said in kept]
    assert numbers[0] == 0
    assert numbers[-1] == 99
    assert left_out == 100 - len(kept) > 0
    beginning = [number for number in numbers if number < 50]
    assert beginning == list(range(len(beginning)))
    assert len(beginning) < len(numbers) / 2


def test_a_turn_without_end_is_shortened_and_counted():
    kept, left_out = cut([*turns(2), Said(2, "caller", "na " * 10_000)], 10_000)
    assert (len(kept), left_out) == (3, 1)
    assert len(kept[2].text) == TURN_CHARS_MAX


@given(st.lists(st.text(max_size=200), max_size=30), st.integers(0, 2000))
def test_a_cut_conversation_never_takes_more_than_it_may_and_keeps_its_order(texts, tokens_max):
    said = [Said(index, "caller", text) for index, text in enumerate(texts)]
    kept, left_out = cut(said, tokens_max)
    assert sum(tokens_in(each.text) for each in kept) <= tokens_max
    assert [each.turn for each in kept] == sorted(each.turn for each in kept)
    assert left_out == len(said) - len(kept)


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("abc", 1), ("abcd", 2), ("मंगल", 4), ("\ud800", 1)])
def test_three_bytes_are_counted_as_a_token(text, tokens):
    assert tokens_in(text) == tokens


def test_the_model_is_told_that_turns_are_missing():
    body = request_body("m", material=Material(), fields={}, agent_name="Maya", on=date(2026, 11, 22), left_out=7)
    assert "7 turns from the middle" in body["messages"][0]["content"]
