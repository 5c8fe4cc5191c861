"""Numbers as people say them: digit by digit, in pairs, as ordinals."""

import re

from local_models.receptionist.normalise import listed

_UNITS = listed("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen")
_UNITS += listed("seventeen eighteen nineteen")
_TENS = listed("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINAL_UNITS = listed(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
)

VALUES = {word: value for value, word in enumerate(_UNITS)} | {
    word: 20 + 10 * index for index, word in enumerate(_TENS)
}
ORDINALS = {word: index + 1 for index, word in enumerate(_ORDINAL_UNITS)} | {"thirtieth": 30}
ORDINALS |= {f"twenty {word}": 20 + index + 1 for index, word in enumerate(_ORDINAL_UNITS[:9])}
ORDINALS |= {"thirty first": 31}

NUMBER_WORD = "(?:" + "|".join(sorted([*VALUES, "hundred", "thousand"], key=len, reverse=True)) + ")"
ORDINAL_WORD = "(?:" + "|".join(sorted((o.replace(" ", "[ -]") for o in ORDINALS), key=len, reverse=True)) + ")"

_DIGIT_LIKE = {"oh": "0", "o": "0"}
# What a recogniser writes for digits when it expects prose.
HOMOPHONES = {
    "for": "4",
    "fore": "4",
    "to": "2",
    "too": "2",
    "ate": "8",
    "won": "1",
    "tree": "3",
    "sex": "6",
    "nein": "9",
}


def digits(text: str, *, homophones: bool = False) -> str:
    """Return the digits of a number read aloud: "double five", "eight hundred", "fifty five", "oh"."""
    found = ""
    repeat = 1
    tens_open = False
    for token in re.findall(r"\d+|[a-z]+", text.lower()):
        part = _token_digits(token, homophones)
        if token in ("double", "triple", "treble"):
            repeat = 2 if token == "double" else 3
            continue
        if token == "hundred" and found:
            found, part = found + "00", ""
        elif tens_open and len(part) == 1 and part != "0" and not token.isdigit():
            found, part = found[:-1] + part, ""
        found += part * repeat
        tens_open = token in _TENS
        repeat = 1
    return found


def house_number(text: str) -> str:
    """Return a house number: "forty two" 42, "twelve thirty" 1230, "seven hundred fifteen" 715, "one oh five" 105."""
    tokens = re.findall(r"\d+|[a-z]+", text.lower())
    if "hundred" in tokens or "thousand" in tokens:
        value = cardinal(text)
        return str(value) if value is not None else ""
    return digits(" ".join(tokens))


def cardinal(text: str) -> int | None:
    """Return the value of one number in words or digits, or None."""
    total = current = 0
    seen = False
    for token in re.findall(r"\d+|[a-z]+", text.lower()):
        value = int(token) if token.isdigit() and len(token) < 10 else VALUES.get(token)
        if value is not None:
            current, seen = current + value, True
        elif token == "hundred" and seen:
            current *= 100
        elif token == "thousand" and seen:
            total, current = total + current * 1000, 0
        elif token != "and":
            return None
    return total + current if seen else None


def count(text: str) -> int | None:
    """Return the first whole number in a sentence ("a table for four", "just me", "a couple")."""
    match = re.search(rf"\b(?:\d+|{NUMBER_WORD}(?:[ -](?:and )?{NUMBER_WORD})*)\b", text.lower())
    if match:
        return cardinal(match.group().replace("-", " "))
    if re.search(r"\bjust (?:me|myself)\b|\bonly me\b|\balone\b", text.lower()):
        return 1
    return 2 if re.search(r"\b(?:a couple|both of us|a pair)\b", text.lower()) else None


def ordinal(text: str) -> int | None:
    """Return the value of "third", "twenty-first", "3rd" or "3"."""
    text = text.lower().replace("-", " ").strip()
    if match := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)?", text):
        return int(match.group(1))
    return ORDINALS.get(text)


def _token_digits(token: str, homophones: bool) -> str:
    if token.isdigit():
        return token
    if token in VALUES:
        return str(VALUES[token])
    if token in _DIGIT_LIKE:
        return _DIGIT_LIKE[token]
    return HOMOPHONES.get(token, "") if homophones else ""
