"""Blot out card numbers, phone numbers and mail addresses in what was said, written in figures or spelt out."""

import re
from collections.abc import Iterable

CARD, PHONE, MAIL = "[card number]", "[phone number]", "[mail address]"

_CARD_DIGITS = range(13, 20)
_PHONE_DIGITS = range(7, 16)

_SPOKEN = {
    "zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4",
    "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
}  # fmt: skip
_TIMES = {"double": 2, "triple": 3}

_WRITTEN_MAIL = r"[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}"
_SPOKEN_MAIL = r"\b[\w.+-]{1,64}\s+at\s+[\w-]{1,63}(?:\s+dot\s+[\w-]{1,63}){1,4}\b"
_MAIL = re.compile(f"{_WRITTEN_MAIL}|{_SPOKEN_MAIL}", re.IGNORECASE)

_PIECE = re.compile(rf"\d+|\b(?:{'|'.join([*_SPOKEN, *_TIMES])})\b", re.IGNORECASE)
# What people, and those who write down what they say, put between the groups of one number. "1,000,000" is no phone.
_BETWEEN = re.compile(r"[\s().\-\u2010-\u2013]{0,4}|,\s")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}[.-]\d{1,2}[.-]\d{4}")


def redacted(text: str) -> str:
    """Return the text with what identifies a card, a telephone or a mailbox replaced by what it was."""
    text = _MAIL.sub(MAIL, text)
    for start, end, label in reversed(list(_numbers(text))):
        text = text[:start] + label + text[end:]
    return text


def is_card_number(digits: str) -> bool:
    """Say whether 13 to 19 digits pass the check (Luhn) that every card number passes."""
    if len(digits) not in _CARD_DIGITS:
        return False
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _numbers(text: str) -> Iterable[tuple[int, int, str]]:
    """Yield where a card or phone number begins and ends, and which of them it is."""
    for pieces in _runs(text):
        start, end = pieces[0].start(), pieces[-1].end()
        if _DATE.fullmatch(text[start:end]):
            continue
        if label := _label_of(_digits_of(pieces)):
            # A "+" or an opening bracket before it belongs to it.
            while start and text[start - 1] in "+(":
                start -= 1
            yield start, end, label


def _runs(text: str) -> Iterable[list[re.Match[str]]]:
    """Yield what reads as one number: pieces with nothing but separators between them."""
    run: list[re.Match[str]] = []
    for piece in _PIECE.finditer(text):
        if run and not _BETWEEN.fullmatch(text, run[-1].end(), piece.start()):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _digits_of(pieces: list[re.Match[str]]) -> str:
    digits, times = "", 1
    for piece in pieces:
        word = piece.group().lower()
        if word in _TIMES:
            times = _TIMES[word]
            continue
        # int: figures of other scripts are figures too.
        group = _SPOKEN.get(word) or "".join(str(int(figure)) for figure in word)
        digits, times = digits + group * times, 1
    return digits


def _label_of(digits: str) -> str:
    if is_card_number(digits):
        return CARD
    return PHONE if len(digits) in _PHONE_DIGITS else ""
