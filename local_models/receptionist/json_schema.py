"""Fill a JSON Schema with what a source knows, and with honest empty values for what it does not."""

import re
from typing import Any, Protocol

from local_models.receptionist.messages import Json

MISSING = object()
DEPTH_MAX = 12

_EMPTY_STRINGS = {
    "email": "unknown@example.invalid",
    "uri": "https://example.invalid",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "ipv4": "0.0.0.0",
    "ipv6": "::",
    "hostname": "example.invalid",
    "duration": "PT0S",
    "time": "00:00:00Z",
}
_NEUTRAL = (
    "other",
    "unknown",
    "unclear",
    "none",
    "neutral",
    "n/a",
    "na",
    "not_applicable",
    "unspecified",
    "medium",
    "normal",
)


class Source(Protocol):
    """Knows values by the words of a property's name."""

    today: str
    now: str

    def value(self, words: list[str], wanted: str) -> Any:
        """Return a value of the JSON type `wanted`, or MISSING. For arrays a list of strings or records."""

    def choices(self, words: list[str]) -> list[str]:
        """Return words that describe the property's value, best first, to choose among an enum's."""


class Filler:
    """Builds one value for a schema."""

    def __init__(self, root: Json) -> None:
        self._root = root

    def fill(self, schema: Any, words: list[str], source: Source, depth: int = 0) -> Any:
        """Return a value that is valid against the schema."""
        schema = self._resolve(schema)
        if depth > DEPTH_MAX:
            return None
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return _choose(schema["enum"], source.choices(words))
        if options := schema.get("anyOf") or schema.get("oneOf"):
            return self._any_of(options, words, source, depth)
        types = _types(schema)
        for kind in (kind for kind in types if kind != "null"):
            value = self._typed(kind, schema, words, source, depth, nullable="null" in types)
            return None if value is MISSING else value
        return None

    def _typed(self, kind: str, schema: Json, words: list[str], source: Source, depth: int, *, nullable: bool) -> Any:
        """Return a value of the type; MISSING when nothing is known and null may be said."""
        if kind == "object":
            return self._object(schema, words, source, depth)
        known = source.value(words, kind)
        if kind == "array":
            if known is MISSING and nullable:
                return MISSING
            return self._array(schema, words, [] if known is MISSING else known, source, depth)
        if known is MISSING and nullable:
            return MISSING
        if kind == "string":
            return _string(schema, "" if known is MISSING else str(known), source)
        if kind == "boolean":
            return False if known is MISSING else bool(known)
        return _number(schema, 0 if known is MISSING else known, whole=kind == "integer")

    def _object(self, schema: Json, words: list[str], source: Source, depth: int) -> Any:
        properties = schema.get("properties")
        inner = source.value(words, "object") if depth else MISSING
        if not isinstance(properties, dict) or not properties:
            loose = schema.get("additionalProperties", True)
            return dict(inner.items()) if loose is True and isinstance(inner, Record) else {}
        known = (
            inner if isinstance(inner, Record) and set(inner.fields) & {_key(name) for name in properties} else source
        )
        return {name: self.fill(prop, split_words(name), known, depth + 1) for name, prop in properties.items()}

    def _array(self, schema: Json, words: list[str], known: list[Any], source: Source, depth: int) -> list[Any]:
        items = self._resolve(schema.get("items") or {"type": "string"})
        at_most = schema.get("maxItems")
        values = [self._item(items, words, item, source, depth) for item in known][
            : at_most if isinstance(at_most, int) else None
        ]
        at_least = schema.get("minItems")
        while isinstance(at_least, int) and len(values) < min(at_least, 100):
            values.append(self.fill(items, words, source, depth + 1))
        if schema.get("uniqueItems"):
            values = [value for index, value in enumerate(values) if value not in values[:index]]
        return values

    def _item(self, items: Json, words: list[str], item: Any, source: Source, depth: int) -> Any:
        if isinstance(item, Record):
            return self.fill(items, item.words, item, depth + 1)
        return self.fill(items, words, Record({"text": item}, source.today, source.now, words), depth + 1)

    def _any_of(self, options: list[Any], words: list[str], source: Source, depth: int) -> Any:
        resolved = [self._resolve(option) for option in options]
        nullable = any("null" in _types(option) or option.get("enum") == [None] for option in resolved)
        for option in resolved:
            kinds = [kind for kind in _types(option) if kind != "null"]
            if not kinds and "enum" not in option and "const" not in option:
                continue
            if nullable and kinds and kinds[0] != "object" and source.value(words, kinds[0]) is MISSING:
                continue
            return self.fill(option, words, source, depth + 1)
        return None if nullable else self.fill(resolved[0], words, source, depth + 1)

    def _resolve(self, schema: Any) -> Json:
        for _ in range(DEPTH_MAX):
            if not isinstance(schema, dict):
                return {"type": "string"}
            if not isinstance(schema.get("$ref"), str):
                break
            schema = self._lookup(schema["$ref"])
        if isinstance(schema, dict) and isinstance(schema.get("allOf"), list):
            merged: Json = {key: value for key, value in schema.items() if key != "allOf"}
            for part in schema["allOf"]:
                merged |= self._resolve(part)
            return merged
        return schema if isinstance(schema, dict) else {"type": "string"}

    def _lookup(self, reference: str) -> Any:
        target: Any = self._root
        for part in reference.removeprefix("#").strip("/").split("/"):
            target = (
                target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, dict) and part else target
            )
        return target


class Record:
    """A small source: one item of a list, by its own field names."""

    def __init__(self, fields: dict[str, Any], today: str, now: str, words: list[str]) -> None:
        self.fields = fields
        self.words = words
        self.today = today
        self.now = now

    def items(self) -> list[tuple[str, Any]]:
        return list(self.fields.items())

    def value(self, words: list[str], wanted: str) -> Any:
        for key, value in self.fields.items():
            if key == "_".join(words) or key in words or set(words) & set(_SAME_FIELD.get(key, ())):
                return value if _fits(value, wanted) else MISSING
        if wanted == "string" and words == self.words:
            return next(iter(self.fields.values()), MISSING)
        return MISSING

    def choices(self, words: list[str]) -> list[str]:
        value = self.value(words, "string")
        return [] if value is MISSING else [str(value)]


_SAME_FIELD = {
    "text": ("description", "action", "item", "task", "what", "title", "summary", "step", "content", "details", "name"),
    "owner": ("assignee", "who", "responsible", "assigned"),
    "due": ("deadline", "by", "date", "when"),
    "status": ("state",),
    "label": ("description", "what", "event", "type", "context", "meaning", "purpose"),
    "date": ("iso", "day", "value", "when", "datetime"),
    "key": ("name", "field", "label", "property", "slot"),
    "value": ("content", "answer", "text"),
}


def split_words(name: str) -> list[str]:
    """Return a property's name as lower-case words: nextSteps and next_steps are both ["next", "steps"]."""
    return re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower().replace("_", " "))


def _key(name: str) -> str:
    return "_".join(split_words(name))


def _fits(value: Any, wanted: str) -> bool:
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "boolean": (bool,),
        "integer": (int,),
        "number": (int, float),
        "array": (list,),
    }
    return isinstance(value, kinds.get(wanted, ()))


def _types(schema: Json) -> list[str]:
    types = schema.get("type")
    if isinstance(types, str):
        return [types]
    if isinstance(types, list):
        return [kind for kind in types if isinstance(kind, str)]
    return (
        ["object"]
        if "properties" in schema
        else ["array"]
        if "items" in schema
        else []
        if "anyOf" in schema or "oneOf" in schema
        else ["string"]
    )


def _choose(options: list[Any], described: list[str]) -> Any:
    """Choose the option that is described, else a neutral one, else null, else the last."""
    if not options:
        return None
    names = {option: re.sub(r"[\W_]+", "_", option.lower()) for option in options if isinstance(option, str)}
    for wanted in described:
        wanted = re.sub(r"[\W_]+", "_", wanted.lower())
        if found := next((option for option, name in names.items() if name == wanted), None):
            return found
        if found := next(
            (option for option, name in names.items() if wanted and re.search(rf"(?:^|_){re.escape(wanted)}", name)),
            None,
        ):
            return found
    if None in options:
        return None
    return next((option for option, name in names.items() if name in _NEUTRAL), options[-1])


def _string(schema: Json, text: str, source: Source) -> str:
    form = str(schema.get("format") or "")
    text = _formatted(form, text, source)
    at_least, at_most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(at_least, int) and len(text) < at_least:
        text = (text or "Not given").ljust(min(at_least, 10_000), ".")
    if isinstance(at_most, int):
        text = text[: max(0, at_most)]
    return text


def _formatted(form: str, text: str, source: Source) -> str:
    shapes = {
        "date": r"\d{4}-\d\d-\d\d",
        "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[+-]\d\d:\d\d|Z)",
        "email": r"[^@\s]+@[^@\s]+\.\w+",
        "time": r"\d\d:\d\d:\d\dZ",
    }
    if form in shapes and re.fullmatch(shapes[form], text):
        return text
    if form == "date":
        match = re.match(shapes["date"], text)
        return match.group() if match else source.today
    if form == "date-time":
        return source.now
    return _EMPTY_STRINGS.get(form, text)


def _number(schema: Json, value: Any, *, whole: bool) -> int | float:
    number = float(value)
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(schema.get("exclusiveMinimum"), int | float) and number <= schema["exclusiveMinimum"]:
        number = schema["exclusiveMinimum"] + 1
    number = max(number, low) if isinstance(low, int | float) else number
    number = min(number, high) if isinstance(high, int | float) else number
    return int(number) if whole or number == int(number) else number
