"""Read Stripe's objects field by field: what is not what it should be is refused, never guessed."""

from typing import Any

import stripe

from billing.exceptions import ObjectRefused

Data = dict[str, Any]

MAX_ID_CHARS = 200


def data_of(thing: stripe.StripeObject) -> Data:
    """Return the object as plain data, without what the library adds."""
    return thing.to_dict()


def text(data: Data, name: str, *, most: int = MAX_ID_CHARS) -> str:
    """The field as one printable line of at most `most` characters; "" when it is absent or null."""
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ObjectRefused("malformed")
    return "".join(character if character.isprintable() else " " for character in value[:most])


def amount(data: Data, name: str) -> int:
    """The field as minor units, not negative; 0 when it is absent or null."""
    value = data.get(name)
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise ObjectRefused("malformed")
    return value


def part(data: Data, name: str) -> Data:
    """The field as an object; {} when it is absent, null or only an id that was not expanded."""
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def id_of(data: Data, name: str) -> str:
    """The id in a field that holds an id or, expanded, the object itself."""
    value = data.get(name)
    return text(value, "id") if isinstance(value, dict) else text(data, name)


def currency_of(data: Data) -> str:
    return text(data, "currency", most=3).upper()
