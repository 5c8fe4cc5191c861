"""Telephone numbers and e-mail addresses, spoken or typed."""

import re
from dataclasses import dataclass

from local_models.receptionist import numbers
from local_models.receptionist.normalise import lower

PHONE_MIN_DIGITS = 7
PHONE_MAX_DIGITS = 15
PARTIAL_MIN_DIGITS = 2

_SEPARATOR = r"[\s,.\-()/]*"
_WORDS = rf"(?:{numbers.NUMBER_WORD}|oh|o|double|triple|treble)"
_TOKEN = rf"(?:\d+|\b{_WORDS}\b)"
_RUN = re.compile(rf"(?P<plus>\+|\bplus\s+)?\(?{_TOKEN}(?:{_SEPARATOR}{_TOKEN})*")
_HEARD_TOKEN = rf"(?:\d+|\b(?:{_WORDS}|{'|'.join(numbers.HOMOPHONES)})\b)"
_HEARD_RUN = re.compile(rf"(?P<plus>\+|\bplus\s+)?\(?{_TOKEN}(?:{_SEPARATOR}{_HEARD_TOKEN})*")
_ISO_DAY = re.compile(r"\b20\d\d-\d\d?-\d\d?\b")

_LOCAL_PART = r"(?:[a-z0-9](?:\s*[ -]\s*[a-z0-9]\b){2,}|[a-z0-9][a-z0-9._%+-]*)"
_JOIN = r"(?:\s+(?:dot|period|underscore|dash|hyphen|minus|plus)\s+|\s*[._-]\s*)"
_DOMAIN = r"[a-z0-9-]+(?:(?:\s*\.\s*|\s+dot\s+)[a-z0-9-]+)*(?:\s*\.\s*|\s+dot\s+)[a-z]{2,}"
_EMAIL = re.compile(rf"\b(?P<local>{_LOCAL_PART}(?:{_JOIN}{_LOCAL_PART})*)\s*(?:@|\s(?:at|at sign)\s)\s*(?P<domain>{_DOMAIN})\b")
_SPOKEN_MARKS = {"dot": ".", "period": ".", "underscore": "_", "dash": "-", "hyphen": "-", "minus": "-", "plus": "+"}


@dataclass(frozen=True)
class Phone:
    """Digits that were heard, and whether they are enough for a number."""

    digits: str
    complete: bool
    span: tuple[int, int]


def find_phone(text: str, *, asked: bool = False) -> Phone | None:
    """Find a telephone number. When one was asked for, a part of one counts, and "for" may be four."""
    heard = _ISO_DAY.sub(lambda match: "x" * len(match.group()), lower(text))
    best: Phone | None = None
    for match in (_HEARD_RUN if asked else _RUN).finditer(heard):
        digits = numbers.digits(match.group(), homophones=asked)
        complete = PHONE_MIN_DIGITS <= len(digits) <= PHONE_MAX_DIGITS
        if not complete and not (asked and PARTIAL_MIN_DIGITS <= len(digits) < PHONE_MIN_DIGITS):
            continue
        # Of "four one five, no, five one five ..." the last complete one is meant.
        if best is None or complete or len(digits) > len(best.digits):
            plus = "+" if match.group("plus") else ""
            best = Phone(plus + digits, complete, match.span())
    return best


def format_phone(digits: str) -> str:
    """Write a number with ten digits, or eleven after a 1, in groups; others as they are."""
    bare = digits.lstrip("+")
    if len(bare) == 10 and not digits.startswith("+"):
        return f"{bare[:3]}-{bare[3:6]}-{bare[6:]}"
    if len(bare) == 11 and bare.startswith("1"):
        return f"+1-{bare[1:4]}-{bare[4:7]}-{bare[7:]}"
    if len(bare) == 7 and not digits.startswith("+"):
        return f"{bare[:3]}-{bare[3:]}"
    return digits


def find_email(text: str) -> tuple[str, tuple[int, int]] | None:
    """Find an e-mail address: "john dot smith at example dot com", "j-o-h-n at example.com"."""
    match = _EMAIL.search(lower(text))
    if match is None:
        return None
    return f"{_squeeze(match.group('local'), spelled=True)}@{_squeeze(match.group('domain'))}", match.span()


def _squeeze(text: str, *, spelled: bool = False) -> str:
    joined = " ".join(_SPOKEN_MARKS.get(word, word) for word in text.split())
    if spelled and re.fullmatch(r"[a-z0-9](?:[ -]+[a-z0-9])+", joined):
        joined = joined.replace("-", "")
    return joined.replace(" ", "")
