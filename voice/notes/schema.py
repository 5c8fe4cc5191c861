"""What a note may say: the schema that the model is asked to keep to, and our own check that it did.

The schema is ours alone. Whatever a caller says, an answer with another part, a value that is too long, a turn that is
not there or a date that cannot be is no note.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from voice.models import NoteReason
from voice.notes.material import Material, Said, plain_text

OUTCOMES = ("task_completed", "callback_requested", "answered", "given_up", "no_conversation")
SENTIMENTS = ("positive", "neutral", "negative")

ANSWER_CHARS_MAX = 40_000
SUMMARY_CHARS_MAX = 2_000
ACTION_CHARS_MAX = 300
ACTIONS_MAX = 10
VALUE_CHARS_MAX = 300
FIELDS_MAX = 40
# A follow-up the day before the call, for another time zone's sake, or further away than this is a mistake.
_FOLLOW_UP_WITHIN = timedelta(days=2 * 366)
# Shorter values, such as "no", are found in turns that do not say them.
_VALUE_CHARS_FOUND = 3

Json = dict[str, Any]


class BadAnswer(Exception):
    """The model's answer is no note; `reason` is a NoteReason."""

    def __init__(self, reason: NoteReason) -> None:
        super().__init__(reason)
        self.reason = reason


def schema_for(fields: Mapping[str, str]) -> Json:
    """Return the strict schema of a note; `fields` are the names that the agent collects, with their descriptions."""
    properties: Json = {
        "summary": _described("string", "Two to four sentences for the staff: who called, what for, what came of it."),
        "outcome": {"type": "string", "enum": list(OUTCOMES)},
        "sentiment": {"type": "string", "enum": list(SENTIMENTS), "description": "The caller's, over the whole call."},
        "action_items": {
            "type": "array",
            "description": "What the staff have to do because of this call; empty when there is nothing.",
            "items": _object(
                {
                    "text": _described("string", "One thing to do."),
                    "turn": _described(["integer", "null"], "The number of the turn that it follows from."),
                }
            ),
        },
        "follow_up_date": _described(["string", "null"], "YYYY-MM-DD, only if a day to get back was agreed upon."),
    }
    if fields:
        properties["fields"] = _object(
            {name: _described(["string", "null"], description or name) for name, description in fields.items()}
        )
        properties["field_turns"] = _object(
            {name: _described(["integer", "null"], "The number of the turn that it was said in.") for name in fields}
        )
    return _object(properties)


def read_answer(text: str, *, fields: Mapping[str, str], material: Material, on: date) -> Json:
    """Return a note's content from the model's answer about a call on that day. Raises BadAnswer.

    {"summary", "outcome", "sentiment", "action_items": [{"text", "turn"}], "follow_up_date", "fields": [{"name",
    "value", "turn", "collected"}]}. What a finished task collected is a fact, whatever the model makes of it.
    """
    answer = _parsed(text)
    _check_shape(answer, schema_for(fields))
    known = {said.turn for said in material.turns}
    for number in [*(item["turn"] for item in answer["action_items"]), *answer.get("field_turns", {}).values()]:
        if number is not None and number not in known:
            raise BadAnswer(NoteReason.BAD_TURN)
    actions = [{"text": plain_text(item["text"]), "turn": item["turn"]} for item in answer["action_items"]]
    summary = plain_text(answer["summary"])
    if not summary:
        raise BadAnswer(NoteReason.WRONG_SHAPE)
    return {
        "summary": summary,
        "outcome": answer["outcome"],
        "sentiment": answer["sentiment"],
        "action_items": [item for item in actions if item["text"]],
        "follow_up_date": _follow_up(answer["follow_up_date"], on),
        "fields": _fields(answer.get("fields", {}), answer.get("field_turns", {}), material),
    }


def content_of_fields(material: Material) -> Json:
    """Return the content of a note that no model wrote: what the assistant collected, and nothing else."""
    return {
        "summary": "",
        "outcome": "task_completed",
        "sentiment": None,
        "action_items": [],
        "follow_up_date": None,
        "fields": _fields({}, {}, material),
    }


def _fields(said: Mapping[str, str | None], turns: Mapping[str, int | None], material: Material) -> list[Json]:
    values: dict[str, str] = {name: plain_text(value) for name, value in said.items() if value}
    collected = {name: plain_text(value)[:VALUE_CHARS_MAX] for name, value in material.collected.items()}
    found = []
    for name, value in {**values, **collected}.items():
        if not value:
            continue
        # The model's turn is believed where the model says the same as what was collected.
        turn = turns.get(name) if values.get(name, "").casefold() == value.casefold() else None
        found.append(
            {
                "name": name,
                "value": value,
                "turn": _turn_saying(value, material.turns) if turn is None else turn,
                "collected": name in collected,
            }
        )
    return found[:FIELDS_MAX]


def _turn_saying(value: str, turns: Sequence[Said]) -> int | None:
    """Return the caller's last turn that holds the value, else the assistant's; None when it was put otherwise."""
    if len(value) < _VALUE_CHARS_FOUND:
        return None
    for speaker in ("caller", "agent"):
        for said in reversed(turns):
            if said.speaker == speaker and value.casefold() in plain_text(said.text).casefold():
                return said.turn
    return None


def _parsed(text: str) -> Any:
    if len(text) > ANSWER_CHARS_MAX:
        raise BadAnswer(NoteReason.CUT_SHORT)
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadAnswer(NoteReason.NOT_JSON) from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _check_shape(answer: Any, asked: Json) -> None:
    try:
        Draft202012Validator(_bounded(asked)).validate(answer)
    except ValidationError:
        raise BadAnswer(NoteReason.WRONG_SHAPE) from None


def _bounded(asked: Json) -> Json:
    """Return the schema with our own bounds, some of which providers do not take in a strict schema."""
    properties = dict(asked["properties"])
    properties["summary"] = properties["summary"] | {"maxLength": SUMMARY_CHARS_MAX}
    items = properties["action_items"]["items"]
    text = items["properties"]["text"] | {"maxLength": ACTION_CHARS_MAX}
    properties["action_items"] = properties["action_items"] | {
        "maxItems": ACTIONS_MAX,
        "items": items | {"properties": items["properties"] | {"text": text}},
    }
    if "fields" in properties:
        named = {
            name: value | {"maxLength": VALUE_CHARS_MAX} for name, value in properties["fields"]["properties"].items()
        }
        properties["fields"] = properties["fields"] | {"properties": named}
    return asked | {"properties": properties}


def _follow_up(text: str | None, on: date) -> str | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadAnswer(NoteReason.BAD_DATE) from None
    if not on - timedelta(days=1) <= day <= on + _FOLLOW_UP_WITHIN:
        raise BadAnswer(NoteReason.BAD_DATE)
    return day.isoformat()


def _object(properties: Json) -> Json:
    """Strict, as providers want it: every property required, and no other allowed."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _described(kind: str | list[str], description: str) -> Json:
    return {"type": kind, "description": description}
