"""The schema is strict as providers want it, and whatever comes back is either a note of our shape or none."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.chat_server import valid_answer
from voice.models import NoteReason
from voice.notes.material import Material, Said
from voice.notes.schema import (
    ACTIONS_MAX,
    OUTCOMES,
    SENTIMENTS,
    SUMMARY_CHARS_MAX,
    VALUE_CHARS_MAX,
    BadAnswer,
    read_answer,
    schema_for,
)

ON = date(2026, 11, 22)
FIELDS = {"name": "the caller's full name"}
TURNS = (Said(0, "agent", "Your name?"), Said(1, "caller", "Dana Scully, Dana Scully of Elm Street"))
KEYS = {"summary", "outcome", "sentiment", "action_items", "follow_up_date", "fields"}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


def read(answer, material=None, fields=FIELDS):
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return read_answer(text, fields=fields, material=material or Material(TURNS), on=ON)


def objects_in(schema):
    if isinstance(schema, dict):
        yield from [schema] if schema.get("type") == "object" else []
        for value in schema.values():
            yield from objects_in(value)


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20), max_size=5))
def test_every_object_is_strict_whatever_an_agent_collects(fields):
    for each in objects_in(schema_for(fields)):
        if "properties" in each and isinstance(each.get("required"), list):
            assert each["required"] == list(each["properties"])
            assert each["additionalProperties"] is False


@given(st.text(max_size=200) | JSON.map(json.dumps))
def test_nothing_that_comes_back_is_anything_but_a_note_or_a_bad_answer(text):
    with pytest.raises(BadAnswer):
        read(text)


@given(st.sampled_from(sorted(valid_answer())), JSON)
def test_a_note_with_one_part_replaced_keeps_its_shape_or_is_none(part, value):
    try:
        content = read(valid_answer(**{part: value}))
    except BadAnswer:
        return
    assert set(content) == KEYS
    assert content["outcome"] in OUTCOMES
    assert content["sentiment"] in SENTIMENTS
    assert 0 < len(content["summary"]) <= SUMMARY_CHARS_MAX
    assert all(len(field["value"]) <= VALUE_CHARS_MAX for field in content["fields"])
    json.dumps(content)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"summary": "x" * (SUMMARY_CHARS_MAX + 1)}, NoteReason.WRONG_SHAPE),
        ({"summary": " \u200b "}, NoteReason.WRONG_SHAPE),
        ({"action_items": [{"text": "Do it.", "turn": 0}] * (ACTIONS_MAX + 1)}, NoteReason.WRONG_SHAPE),
        ({"action_items": [{"text": "Do it.", "turn": True}]}, NoteReason.WRONG_SHAPE),
        ({"fields": {"name": "x" * (VALUE_CHARS_MAX + 1)}}, NoteReason.WRONG_SHAPE),
        ({"fields": {}}, NoteReason.WRONG_SHAPE),
        ({"field_turns": {"name": 2}}, NoteReason.BAD_TURN),
        ({"field_turns": {"name": -1}}, NoteReason.BAD_TURN),
        ({"follow_up_date": "tomorrow"}, NoteReason.BAD_DATE),
        ({"follow_up_date": "2020-01-01"}, NoteReason.BAD_DATE),
    ],
)
def test_each_rule_has_its_reason(change, reason):
    with pytest.raises(BadAnswer) as bad:
        read(valid_answer(**change))
    assert bad.value.reason == reason


def test_an_agent_that_collects_nothing_has_a_note_without_fields():
    answer = valid_answer()
    del answer["fields"], answer["field_turns"]
    assert read(answer, fields={})["fields"] == []


def test_a_field_without_a_turn_gets_the_turn_that_says_it():
    content = read(valid_answer(field_turns={"name": None}))
    assert content["fields"] == [{"name": "name", "value": "Dana Scully", "turn": 1, "collected": False}]


def test_a_field_that_was_put_otherwise_has_no_turn():
    content = read(valid_answer(fields={"name": "Dr Dana K. Scully"}, field_turns={"name": None}))
    assert content["fields"][0]["turn"] is None


def test_a_turn_is_not_believed_of_a_value_that_is_not_the_collected_one():
    material = Material(TURNS, {"name": "Fox Mulder"})
    content = read(valid_answer(field_turns={"name": 1}), material)
    assert content["fields"] == [{"name": "name", "value": "Fox Mulder", "turn": None, "collected": True}]
