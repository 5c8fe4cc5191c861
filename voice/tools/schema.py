"""The JSON schemas of tools' arguments: which ones are taken, and whether what a model made up fits."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.validators import extend

MOST_SCHEMA_BYTES = 8_192
MOST_ARGUMENTS_BYTES = 8_192
_DEEPEST = 12
_LONGEST_PROBLEM = 300

# They make a check run for ever, or fetch something. Models' own rules for schemas know none of them.
_NOT_TAKEN = {"$ref", "$dynamicRef", "$recursiveRef", "$id", "$anchor", "$dynamicAnchor", "$defs", "definitions"}

# Patterns are told to the model but not checked here: a customer's regular expression could hold up everybody's calls.
_Validator = extend(Draft202012Validator, {"pattern": None, "patternProperties": None})


class BadSchema(Exception):
    """It cannot be the schema of a tool's arguments; `sentence` says why, for the person who wrote it."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class BadArguments(Exception):
    """What the model made up does not fit; `sentence` says where, for the model."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence[:_LONGEST_PROBLEM]


def check_schema(schema: Any) -> None:
    """Raise BadSchema unless it is a schema of an object, small, and without references."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise BadSchema('It must be an object with "type": "object".')
    if len(json.dumps(schema)) > MOST_SCHEMA_BYTES:
        raise BadSchema(f"It may have {MOST_SCHEMA_BYTES:,} bytes.")
    for depth, key in _keys(schema):
        if depth > _DEEPEST:
            raise BadSchema("It is nested too deeply.")
        if key in _NOT_TAKEN:
            raise BadSchema(f'It may not contain "{key}".')
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise BadSchema(f"It is no JSON schema: {error.message[:_LONGEST_PROBLEM]}") from None


def read_arguments(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the arguments a model wrote, checked; raise BadArguments."""
    if len(text) > MOST_ARGUMENTS_BYTES:
        raise BadArguments("The arguments are too long.")
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise BadArguments("The arguments are not JSON.") from None
    if not isinstance(arguments, dict):
        raise BadArguments("The arguments are not a JSON object.")
    if problem := best_match(_Validator(schema).iter_errors(arguments)):
        raise BadArguments(f"The arguments do not fit, at {problem.json_path}: {problem.message}")
    return arguments


def _keys(node: Any, depth: int = 0) -> Iterator[tuple[int, str]]:
    if depth > _DEEPEST + 1:
        return
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    if isinstance(node, dict):
        yield from ((depth, key) for key in node)
    for child in children:
        yield from _keys(child, depth + 1)
