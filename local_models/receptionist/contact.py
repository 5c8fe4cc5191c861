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

_AT = re.compile(r"\s*@\s*|\s(?:at|at sign)\s")
_DOMAIN = re.compile(r"[a-z0-9-]{1,63}(?:(?:\s*\.\s*|\s+dot\s+)[a-z0-9-]{1,63}){1,4}")
_LOCAL_TOKEN = re.compile(r"[a-z0-9][a-z0-9._%+-]*")
LOCAL_MAX_CHARS = 64
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
    heard = lower(text)
    for at in _AT.finditer(heard):
        domain = _DOMAIN.match(heard, at.end())
        start = _local_start(heard, at.start())
        if domain is None or start is None:
            continue
        host = _joined(domain.group())
        if re.search(r"\.[a-z]{2,}$", host):
            return f"{_unspelled(_joined(heard[start : at.start()]))}@{host}", (start, domain.end())
    return None


def _local_start(heard: str, end: int) -> int | None:
    """Walk back over the words in front of the "at" that belong to the address: joined by marks, or single letters."""
    first = max(0, end - LOCAL_MAX_CHARS)
    tokens = [(match.group(), first + match.start()) for match in re.finditer(r"\S+", heard[first:end])]
    start: int | None = None
    joined = True
    for index in range(len(tokens) - 1, -1, -1):
        token, position = tokens[index]
        if token in _SPOKEN_MARKS:
            joined = True
            continue
        spelled = len(token) == 1 and index + 1 < len(tokens) and len(tokens[index + 1][0]) == 1
        if not (joined or spelled) or not _LOCAL_TOKEN.fullmatch(token):
            break
        start, joined = position, False
    return start


def _joined(text: str) -> str:
    return "".join(_SPOKEN_MARKS.get(word, word) for word in text.split())


def _unspelled(local: str) -> str:
    """Return "john" for "j-o-h-n"."""
    return local.replace("-", "") if re.fullmatch(r"[a-z0-9](?:-[a-z0-9])+", local) else local
