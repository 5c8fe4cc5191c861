"""What a tool needs to know: each property of its JSON Schema becomes a slot of a kind we can ask for and recognise."""

import re
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from difflib import get_close_matches
from typing import Any

from local_models.receptionist import contact, numbers
from local_models.receptionist.messages import Json, Tool
from local_models.receptionist.moments import Clock, say_clock, say_day
from local_models.receptionist.normalise import plain

_DEPTH_MAX = 3
_PEOPLE = {"people", "guests", "party", "persons", "count", "quantity", "size", "adults", "seats"}
_WISHES = {
    "service",
    "reason",
    "issue",
    "problem",
    "purpose",
    "job",
    "treatment",
    "request",
    "topic",
    "symptom",
    "symptoms",
    "need",
    "work",
    "task",
    "procedure",
    "concern",
    "subject",
    "type",
    "about",
}
_PERSON_WORDS = {
    "name",
    "full",
    "first",
    "last",
    "customer",
    "caller",
    "client",
    "patient",
    "guest",
    "contact",
    "person",
    "user",
    "your",
    "visitor",
    "attendee",
    "surname",
}
_ISO_WANTED = re.compile(r"iso|yyyy|\d{4}-\d\d|hh:mm|24[- ]hour|rfc ?3339", re.IGNORECASE)


@dataclass(frozen=True)
class Slot:
    """One thing to find out. `path` is where it goes in the tool's arguments; optional ones are never asked for."""

    path: tuple[str, ...]
    kind: str
    required: bool
    schema: Json
    nullable: bool = False

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def label(self) -> str:
        """The slot's name as a person would say it."""
        plain_labels = {"name": "name", "phone": "phone number", "email": "e-mail address", "address": "address"}
        return plain_labels.get(self.kind) or " ".join(_tokens(self.path[-1]))

    @property
    def choices(self) -> list[str]:
        return [value for value in self.schema.get("enum", []) if isinstance(value, str)]


@dataclass(frozen=True)
class Appointment:
    """A day and a time, either of which may still be missing."""

    day: date | None = None
    clock: Clock | None = None
    part: str | None = None

    @property
    def complete(self) -> bool:
        return self.day is not None and self.clock is not None and not self.clock.half


def read_slots(tool: Tool) -> list[Slot]:
    """Turn a tool's parameters into slots, required ones in the order of the properties."""
    return _slots(tool.parameters, (), required=True)


def show(slot: Slot, value: Any) -> str:
    """Write a value as it should be said."""
    if isinstance(value, Appointment):
        day = say_day(value.day) if value.day else ""
        time = (" at " if day else "") + say_clock(value.clock) if value.clock else ""
        return day + time
    if isinstance(value, date):
        return say_day(value)
    if isinstance(value, Clock):
        return say_clock(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if slot.kind == "phone":
        return contact.format_phone(value)
    return str(value).replace("_", " ") if slot.kind == "choice" else str(value)


def argument(slot: Slot, value: Any, zone: tzinfo | None) -> Any:
    """Write a value as the tool's schema wants it."""
    described = f"{slot.schema.get('format', '')} {slot.schema.get('description', '')} {slot.schema.get('pattern', '')}"
    iso = slot.schema.get("format") in ("date", "time", "date-time") or bool(_ISO_WANTED.search(described))
    if isinstance(value, Appointment):
        return _appointment_argument(slot, value, iso, zone)
    if isinstance(value, date):
        return value.isoformat() if iso else f"{say_day(value)}, {value.year}"
    if isinstance(value, Clock):
        return value.as_time().strftime("%H:%M") if iso else say_clock(value)
    if slot.kind == "list":
        return [value]
    return contact.format_phone(value) if slot.kind == "phone" else value


def choose(slot: Slot, text: str, *, asked: bool) -> str | None:
    """Return the one of the slot's choices that was said. When asked, a near miss counts."""
    heard = plain(text)
    said = {choice: plain(choice.replace("_", " ")) for choice in slot.choices}
    whole = [choice for choice, words in said.items() if re.search(rf"\b{re.escape(words)}s?\b", heard)]
    if whole:
        return max(whole, key=len)
    if not asked:
        return None
    partial = [
        choice
        for choice, words in said.items()
        if set(words.split()) & {word for word in heard.split() if len(word) > 2}
    ]
    if len(partial) == 1:
        return partial[0]
    close = get_close_matches(heard, list(said.values()), n=1, cutoff=0.6)
    return next((choice for choice, words in said.items() if close and words == close[0]), None)


def _slots(schema: Json, path: tuple[str, ...], required: bool) -> list[Slot]:
    properties = schema.get("properties")
    if not isinstance(properties, dict) or len(path) > _DEPTH_MAX:
        return []
    needed = schema.get("required")
    needed = needed if isinstance(needed, list) else []
    has_day = any(isinstance(prop, dict) and _is_day(name, prop) for name, prop in properties.items())
    slots: list[Slot] = []
    for name, prop in properties.items():
        if not isinstance(prop, dict):
            continue
        types = prop.get("type")
        nullable = isinstance(types, list) and "null" in types
        wanted = required and name in needed and not nullable
        if isinstance(prop.get("properties"), dict):
            slots += _slots(prop, (*path, name), wanted)
        else:
            slots.append(Slot((*path, name), _kind(name, prop, has_day), wanted, prop, nullable))
    return slots


def _kind(name: str, prop: Json, has_day: bool) -> str:
    if "const" in prop:
        return "fixed"
    types = prop.get("type")
    type_name = (
        next((kind for kind in types if kind != "null"), "string") if isinstance(types, list) and types else types
    )
    if prop.get("enum") and all(isinstance(value, str | None) for value in prop["enum"]):
        return "choice"
    if type_name in ("boolean", "integer", "number", "array"):
        return {"boolean": "boolean", "array": "list"}.get(type_name, "number")
    return _string_kind(
        _tokens(name), str(prop.get("description") or "").lower(), str(prop.get("format") or ""), has_day
    )


def _string_kind(tokens: list[str], description: str, form: str, has_day: bool) -> str:
    known = set(tokens)
    if form == "email" or known & {"email", "mail"}:
        return "email"
    if known & {"phone", "telephone", "mobile", "cell", "tel", "callback"} or (
        "contact" in known and "number" in known
    ):
        return "phone"
    if known & {"zip", "zipcode", "postcode", "postal"}:
        return "postcode"
    if known & {"address", "street"} or ("location" in known and "address" in description):
        return "address"
    if known & {"birth", "dob", "birthday", "birthdate"}:
        return "birthday"
    if form == "date-time" or known & {"datetime", "when", "slot"} or {"date", "time"} <= known:
        return "datetime"
    if form == "date" or known & {"date", "day"}:
        return "datetime" if re.search(r"\bdate and time\b|\bday and time\b", description) else "date"
    if form == "time" or known & {"time", "hour"}:
        return "time" if has_day else "datetime"
    return _word_kind(known, description)


def _word_kind(known: set[str], description: str) -> str:
    if "name" in known and known <= _PERSON_WORDS | {"the"}:
        return "name"
    if known & {"name", "customer", "caller", "patient"} and re.search(
        r"\b(?:full name|(?:caller|customer|client|patient|guest)(?:'s)? name|name of the (?:caller|"
        r"customer|person|patient|guest))\b",
        description,
    ):
        return "name"
    if known & _WISHES:
        return "wish"
    if "number" in known and re.search(r"\b(?:phone|telephone|call)\b", description):
        return "phone"
    return "count" if known & _PEOPLE else "text"


def _is_day(name: str, prop: Json) -> bool:
    known = set(_tokens(name))
    return (
        (prop.get("format") == "date" or bool(known & {"date", "day"}))
        and "time" not in known
        and not known & {"birth"}
    )


def _tokens(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z]+|\d+", spaced.lower().replace("_", " "))


def _appointment_argument(slot: Slot, value: Appointment, iso: bool, zone: tzinfo | None) -> str:
    assert value.day is not None and value.clock is not None
    if not iso:
        return f"{say_day(value.day)}, {value.day.year} at {say_clock(value.clock)}"
    moment = datetime.combine(value.day, value.clock.as_time(), zone)
    return moment.isoformat()


def read_number(text: str, schema: Json) -> int | float | None:
    """Return the number in an answer, as the schema's type."""
    types = schema.get("type")
    whole = types == "integer" or (isinstance(types, list) and "integer" in types)
    if match := re.search(r"-?\d+(?:\.\d+)?", text.replace(",", "")):
        return int(float(match.group())) if whole else float(match.group())
    return numbers.count(text)
