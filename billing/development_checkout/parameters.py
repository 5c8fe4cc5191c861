"""Reads Stripe's nested form encoding (`line_items[0][price_data][currency]=usd`): bounded, typed, and whole."""

import re
from typing import Any, Self, TypeVar
from urllib.parse import parse_qsl, urlsplit

from billing.development_checkout.errors import ApiError, Json

_MOST_FIELDS = 500
_MOST_DEPTH = 6
_LONGEST_VALUE = 5000
_MOST_ITEMS = 100
MOST_AMOUNT = 99_999_999
# Metadata's bounds are Stripe's own.
_MOST_METADATA, _LONGEST_METADATA_KEY, _LONGEST_METADATA_VALUE = 50, 40, 500
_KEY = re.compile(r"([A-Za-z0-9_]{1,64})((?:\[[^\[\]]{0,64}\])*)")
_COUNTRY = re.compile(r"[A-Z]{2}")
T = TypeVar("T")


def read_form(encoded: str) -> Json:
    """Return the tree that a form or a query string spells. Raises ApiError when it is malformed or too large."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise ApiError(f"The parameters cannot be read, or are more than {_MOST_FIELDS}.") from None
    tree: Json = {}
    for key, value in pairs:
        _plant(tree, _path_of(key), value[: _LONGEST_VALUE + 1], key)
    return {name: _with_lists(value) for name, value in tree.items()}


def _path_of(key: str) -> list[str]:
    match = _KEY.fullmatch(key)
    if match is None:
        raise ApiError(f"Invalid parameter name: {key[:80]}", code="parameter_unknown", param=key[:80])
    path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
    if len(path) > _MOST_DEPTH:
        raise ApiError(f"Too deeply nested: {key[:80]}", param=key[:80])
    return path


def _plant(tree: Json, path: list[str], value: str, key: str) -> None:
    if len(value) > _LONGEST_VALUE:
        raise ApiError(f"Invalid string: at most {_LONGEST_VALUE} characters.", param=key[:80])
    for name in path[:-1]:
        tree = tree.setdefault(name or str(len(tree)), {})
        if not isinstance(tree, dict):
            raise ApiError(f"Both a value and a hash: {key[:80]}", param=key[:80])
    last = path[-1] or str(len(tree))
    if last in tree:
        raise ApiError(f"Given twice: {key[:80]}", param=key[:80])
    tree[last] = value


def _with_lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    children = {name: _with_lists(child) for name, child in node.items()}
    if children and all(name.isdecimal() for name in children):
        return [children[name] for name in sorted(children, key=int)]
    return children


class Parameters:
    """A request's parameters. What no reader asked for is refused: to ignore it silently would be a lie."""

    def __init__(self, tree: Json, at: str = "") -> None:
        self._tree = tree
        self._at = at
        self._read: set[str] = set()
        self._parts: list[Self] = []

    def has(self, name: str) -> bool:
        return name in self._tree

    def is_text(self, name: str) -> bool:
        return isinstance(self._tree.get(name), str)

    def text(self, name: str, *, most: int = 500) -> str | None:
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > most:
            raise self._invalid(name, f"Invalid string: at most {most} characters")
        return value

    def required_text(self, name: str, *, most: int = 500) -> str:
        return self._required(name, self.text(name, most=most))

    def integer(self, name: str, *, least: int = 0, most: int = MOST_AMOUNT) -> int | None:
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, str) or not re.fullmatch(r"-?[0-9]{1,15}", value):
            raise self._invalid(name, "Invalid integer", code="parameter_invalid_integer")
        if not least <= int(value) <= most:
            raise self._invalid(
                name, f"This value must lie between {least} and {most}", code="parameter_invalid_integer"
            )
        return int(value)

    def required_integer(self, name: str, *, least: int = 0, most: int = MOST_AMOUNT) -> int:
        return self._required(name, self.integer(name, least=least, most=most))

    def flag(self, name: str) -> bool | None:
        value = self._take(name)
        if value is not None and value not in ("true", "false"):
            raise self._invalid(name, "Invalid boolean")
        return None if value is None else value == "true"

    def choice(self, name: str, *allowed: str) -> str | None:
        value: str | None = self._take(name)
        if value is not None and value not in allowed:
            raise self._invalid(name, f"Invalid {name}: must be one of {', '.join(allowed)}")
        return value

    def currency(self, name: str = "currency") -> str:
        value = self.required_text(name, most=3).lower()
        if not re.fullmatch(r"[a-z]{3}", value):
            raise self._invalid(name, "Invalid currency")
        return value

    def address_of_page(self, name: str) -> str | None:
        value = self.text(name, most=2048)
        if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise self._invalid(name, "Not a valid URL", code="url_invalid")
        return value

    def metadata(self, name: str = "metadata") -> dict[str, str]:
        value = self._take(name)
        if value is None:
            return {}
        if not isinstance(value, dict) or len(value) > _MOST_METADATA:
            raise self._invalid(name, f"Invalid metadata: at most {_MOST_METADATA} keys")
        for key, text in value.items():
            if not isinstance(text, str) or len(text) > _LONGEST_METADATA_VALUE or len(key) > _LONGEST_METADATA_KEY:
                raise self._invalid(name, "Metadata keys have at most 40 characters, values at most 500")
        return value

    def texts(self, name: str) -> list[str]:
        value = self._take(name) or []
        if not isinstance(value, list) or len(value) > _MOST_ITEMS or not all(isinstance(item, str) for item in value):
            raise self._invalid(name, "Invalid array")
        return value

    def part(self, name: str) -> Self | None:
        value = self._take(name)
        return None if value is None else self._child(name, value)

    def parts(self, name: str) -> list[Self]:
        value = self._take(name) or []
        if not isinstance(value, list) or len(value) > _MOST_ITEMS:
            raise self._invalid(name, f"Invalid array: at most {_MOST_ITEMS} items")
        return [self._child(f"{name}[{index}]", item) for index, item in enumerate(value)]

    def address(self, name: str = "address") -> Json | None:
        part = self.part(name)
        if part is None:
            return None
        fields = ("city", "country", "line1", "line2", "postal_code", "state")
        address: Json = {field: part.text(field, most=200) for field in fields}
        if address["country"] and not _COUNTRY.fullmatch(address["country"]):
            raise part._invalid("country", "Invalid country: two capital letters")
        return address

    def without_effect(self, *names: str) -> None:
        """Take parameters that Stripe knows and that change nothing here (how a page looks, which language it has)."""
        self._read.update(names)

    def refuse_others(self) -> None:
        """Raise ApiError for what nobody asked for, here and in every part."""
        for name in self._tree.keys() - self._read:
            message = f"Received unknown parameter: {self._full(name)} (or the development checkout cannot do it)"
            raise ApiError(message, code="parameter_unknown", param=self._full(name))
        for part in self._parts:
            part.refuse_others()

    def _take(self, name: str) -> Any:
        self._read.add(name)
        value = self._tree.get(name)
        return None if value == "" else value

    def _child(self, name: str, value: Any) -> Self:
        if not isinstance(value, dict):
            raise self._invalid(name, "Invalid hash")
        child = type(self)(value, self._full(name))
        self._parts.append(child)
        return child

    def _full(self, name: str) -> str:
        first, bracket, rest = name.partition("[")
        return f"{self._at}[{first}]{bracket}{rest}" if self._at else name

    def _required(self, name: str, value: T | None) -> T:
        if value is None:
            full = self._full(name)
            raise ApiError(f"Missing required param: {full}.", code="parameter_missing", param=full)
        return value

    def _invalid(self, name: str, message: str, *, code: str | None = None) -> ApiError:
        return ApiError(f"{message}: {self._full(name)}", code=code, param=self._full(name))
