"""Who a note is about, as far as a CRM can find somebody by it."""

import re
from dataclasses import dataclass

from voice.notes.reading import NoteText

_EMAIL = re.compile(r"[^@\s<>\"',;]{1,64}@[^@\s<>\"',;]{1,190}\.[A-Za-z]{2,24}")
_PHONE_DIGITS_MIN, _PHONE_DIGITS_MAX = 6, 15
_LOCAL_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Contact:
    """Each is "" when it was not said. `phone` is digits, with a + in front where that was said."""

    first_name: str
    last_name: str
    email: str
    phone: str
    address: str

    @property
    def is_known(self) -> bool:
        """Whether a CRM can be asked for this person without meaning any other."""
        return bool(self.email or self.phone or (self.first_name and self.address))

    @property
    def phone_forms(self) -> list[str]:
        """The ways in which the number may have been typed in before."""
        digits = self.phone.removeprefix("+")
        return list(dict.fromkeys([self.phone, digits, f"+{digits}"])) if digits else []

    @property
    def local_phone(self) -> str:
        """The number without a country's code."""
        return self.phone.removeprefix("+")[-_LOCAL_DIGITS:]


def contact_of(text: NoteText) -> Contact:
    """Read the person out of a note's fields, by what the fields are called."""
    first_name, _, last_name = _name(text).partition(" ")
    return Contact(
        first_name=first_name,
        last_name=last_name.strip(),
        email=_email(text.value_of("email", "e_mail", "mail")),
        phone=_phone(text.value_of("phone", "mobile", "contact_number", "callback_number")),
        address=_address(text),
    )


def _name(text: NoteText) -> str:
    by_name = {field.name.lower(): field.value for field in text.fields}
    for known in ("full_name", "name", "caller_name", "customer_name"):
        if by_name.get(known):
            return by_name[known]
    return " ".join(filter(None, [text.value_of("first_name"), text.value_of("last_name", "surname")]))


def _address(text: NoteText) -> str:
    # An e-mail address is none to send a plumber to.
    postal = (
        f.value for f in text.fields if re.search("address|street", f.name.lower()) and "mail" not in f.name.lower()
    )
    return next(postal, "")


def _email(value: str) -> str:
    found = _EMAIL.search(value)
    return found.group().lower() if found else ""


def _phone(value: str) -> str:
    digits = re.sub(r"[^0-9]", "", value)
    if not _PHONE_DIGITS_MIN <= len(digits) <= _PHONE_DIGITS_MAX:
        return ""
    return ("+" if value.strip().startswith("+") else "") + digits
