"""Understand one turn on its own: every fact in it that does not need the question it answers."""

from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from local_models.receptionist import addresses, contact, moments, names, spelling, wishes
from local_models.receptionist.contact import Phone
from local_models.receptionist.moments import Moment
from local_models.receptionist.names import Name
from local_models.receptionist.normalise import blank, clean

Span = tuple[int, int]
Found = TypeVar("Found")


@dataclass(frozen=True)
class Heard:
    """What was found in a turn. `rest` is the text with everything but the wish blanked out."""

    text: str
    name: Name | None
    spelled: list[str]
    phone: Phone | None
    email: str | None
    address: str | None
    postcode: str | None
    moment: Moment
    wish: str | None
    rest: str

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it that could mean anything."""
        return not any(char.isalnum() for char in self.text)


def listen(raw: str, today: date, asked: str | None = None) -> Heard:
    """Find names, numbers, places, times and wishes. `asked` is the kind of slot the caller was last asked for."""
    text = clean(raw)
    rest = text
    email, rest = _take(rest, contact.find_email(rest))
    spelled, rest = _take(rest, spelling.find(rest, asked=asked in ("name", "spelling")) if not email else None)
    postcode, rest = _take(rest, addresses.find_postcode(rest))
    # A name first, since "my name is April" must not become a date; a number before it when one was asked for.
    name = names.find(rest)
    rest = blank(rest, [name.span]) if name else rest
    address, rest = _take(rest, addresses.find(rest, asked=asked == "address"))
    phone = contact.find_phone(rest, asked=asked == "phone")
    rest = blank(rest, [phone.span]) if phone else rest
    day_asked = asked in ("date", "datetime", "birthday")
    moment = moments.find(rest, today, day_asked=day_asked, time_asked=asked in ("time", "datetime"))
    rest = blank(rest, moment.spans)
    wish, _ = _take(rest, wishes.find(rest))
    return Heard(text, name, spelled or [], phone, email, address, postcode, moment, wish, rest)


def _take(text: str, found: tuple[Found, Span] | None) -> tuple[Found | None, str]:
    if found is None:
        return None, text
    value, span = found
    return value, blank(text, [span])
