"""Which schemas are taken for a tool's arguments, and which arguments fit them."""

import json

import pytest

from voice.tools.schema import BadArguments, BadSchema, check_schema, read_arguments

ORDER = {
    "type": "object",
    "properties": {"number": {"type": "string", "maxLength": 10}, "full": {"type": "boolean"}},
    "required": ["number"],
    "additionalProperties": False,
}


def nested(levels):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize("schema", [ORDER, {"type": "object"}, nested(5)])
def test_the_schema_of_an_object_is_taken(schema):
    check_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        [],
        None,
        "object",
        {},
        {"type": "string"},
        {"type": "object", "properties": 7},
        {"type": "object", "required": "number"},
        {"type": "object", "properties": {"a": {"type": "text"}}},
        {"type": "object", "properties": {"a": {"$ref": "https://inside/schema"}}},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "$defs": {}},
        {"type": "object", "$id": "https://example.com/"},
        {"type": "object", "description": "x" * 9000},
        nested(20),
    ],
)
def test_any_other_schema_is_refused(schema):
    with pytest.raises(BadSchema):
        check_schema(schema)


def test_arguments_that_fit_are_read():
    assert read_arguments(ORDER, '{"number": "A17", "full": true}') == {"number": "A17", "full": True}


def test_no_arguments_are_an_empty_object():
    assert read_arguments({"type": "object"}, "") == {}


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "null",
        "number=A17",
        '{"number": 17}',
        '{"number": "A17", "admin": true}',
        '{"number": "A1234567890"}',
        '{"number": "A17", "full": "yes"}',
        "[" * 100_000,
        json.dumps({"number": "A" * 10_000}),
    ],
)
def test_arguments_that_do_not_fit_are_refused(text):
    with pytest.raises(BadArguments):
        read_arguments(ORDER, text)


def test_the_model_is_told_where_it_went_wrong():
    with pytest.raises(BadArguments) as refused:
        read_arguments(ORDER, '{"number": 17}')
    assert "$.number" in refused.value.sentence and "string" in refused.value.sentence


def test_what_the_model_is_told_is_bounded():
    with pytest.raises(BadArguments) as refused:
        read_arguments(ORDER, json.dumps({"number": ["x" * 5000]}))
    assert len(refused.value.sentence) <= 300


def test_a_pattern_that_never_ends_holds_nobody_up():
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    check_schema(schema)
    assert read_arguments(schema, json.dumps({"a": "a" * 60 + "!"})) == {"a": "a" * 60 + "!"}
