"""Street addresses, recognised by their shape: a number, some words, a kind of street."""

import re

from local_models.receptionist import numbers
from local_models.receptionist.moments import WEEKDAYS
from local_models.receptionist.normalise import listed, lower

_KINDS = listed(
    "street st avenue ave road rd lane ln drive dr court ct boulevard blvd way place pl terrace "
    "circle crescent close square sq "
    "highway hwy parkway pkwy trail alley row grove gardens garden hill mews walk plaza park view "
    "heights loop quay wharf path "
    "marg nagar colony layout cross circus green parade rise crossing ridge point bend run"
)
_KIND = "(?:" + "|".join(sorted(_KINDS, key=len, reverse=True)) + ")"
_NUMBER = (
    rf"(?:\d+[a-z]?(?:[-/]\d+[a-z]?)?|{numbers.NUMBER_WORD}(?:[ -](?:and |oh "
    rf")?{numbers.NUMBER_WORD}){{0,6}}(?: [a-d](?= ))?)"
)
_BETWEEN = (
    r"(?!(?:on|at|in|and|the|my|for|am|pm|o'clock|is|people|of|or|to|past|minutes|hours|dollars|i|"
    r"it's|please|from)\b)[^\W_][\w'.-]*"
)
_UNIT = (
    r"(?:,?\s*(?:and\s+)?(?:apartment|apt\.?|unit|suite|flat|floor|room|number|"
    r"#)\s*(?:number\s+)?(?:[\w-]+(?:\s[a-h]\b)?))"
)
_COMPASS = r"(?:,?\s+(?:north|south|east|west|northeast|northwest|southeast|southwest|n|s|e|w)\b)"
_ADDRESS = re.compile(
    rf"(?:\b(?:flat|apartment|unit|"
    rf"apt)\s+\w+,?\s+)?\b{_NUMBER},?\s+(?:{_BETWEEN}\s+){{0,5}}?{_BETWEEN}\s+{_KIND}\b\.?{_COMPASS}?{_UNIT}?"
    rf"|\b{_NUMBER}\s+(?:\d+(?:st|nd|rd|th)|{numbers.ORDINAL_WORD})\s+{_KIND}\b\.?{_COMPASS}?{_UNIT}?"
)
_CUE = re.compile(
    r"\b(?:i live (?:at|on|in)|we live (?:at|on|in)|(?:my|the|our|home|street) address(?: is|'s| "
    r"should be|:)?|address(?: is| to|:)|(?:house|place|home|apartment|job|property) is (?:at|on)|"
    r"(?:we're|i'm|it's) (?:located )?at|located at|come (?:out )?to|deliver(?:ed)? to)\s+(?:number\s+)?"
)
_STOP_WORDS = set(
    listed(
        "and on at my for please i i'm i'd tomorrow today the it it's phone number call you can thanks "
        "thank but with name we our is "
        "would need want have not no yes because so that near by apartment apt unit suite around from if"
    )
) | set(WEEKDAYS)
_LEADS = re.compile(
    r"^(?:\W|\b(?:yes|yeah|sure|ok|okay|so|well|no|actually|sorry|please|it's|its|it is|that's|that "
    r"is|i live at|i live on|i live in|we live at|my address is|the address is|"
    r"address is|the house is at|the house is on|the place is|we're at|we are at|i'm at|i am at|it's "
    r"at|at|on|in|to|number|come to|my house is at|make it|make that|change it to|it should be|i "
    r"said)\b)+",
    re.IGNORECASE,
)
_TAILS = re.compile(
    r"(?:\W|\b(?:please|thanks|thank you|okay|ok|if that's okay|that's it|that's my address|is my "
    r"address|is the address)\b)+$",
    re.IGNORECASE,
)
_POSTCODE = re.compile(
    r"\b(?:zip(?: code)?|post ?code|postal code)(?: is|'s|:)?\s+((?:[\d\s,-]|\b(?:zero|oh|one|two|"
    r"three|four|five|six|seven|eight|nine)\b|\b[a-z]\b|[a-z]\d\w*)+)",
    re.IGNORECASE,
)


def find(text: str, *, asked: bool = False) -> tuple[str, tuple[int, int]] | None:
    """Find an address by its shape, or after words that announce one. Returns it tidied, and where it was.

    When one was asked for, the words right behind the street are its town even without a comma.
    """
    heard = lower(text)
    matches = list(_ADDRESS.finditer(heard))
    if matches:
        # The last one wins, so that "12 Oak Street, sorry, 14 Oak Street" is number 14.
        end = matches[-1].end() + _town_length(heard[matches[-1].end() :])
        end += _unmarked_town_length(heard[end:]) if asked else 0
        start = matches[-1].start() - (_house_name_length(heard[: matches[-1].start()]) if asked else 0)
        return tidy(text[start:end]), (start, end)
    if (cue := _CUE.search(heard)) and (length := _announced_length(heard[cue.end() :])):
        return tidy(text[cue.end() : cue.end() + length]), (cue.start(), cue.end() + length)
    return None


def read_answer(text: str) -> str | None:
    """Take a whole answer to "what is the address?" as one, if it has any substance."""
    candidate = _TAILS.sub("", _LEADS.sub("", text.replace("|", " ").strip()))
    known = re.findall(r"[\w']+", candidate.lower())
    if not 1 <= len(known) <= 20 or not any(len(word) > 2 for word in known):
        return None
    return tidy(candidate)


def has_number(address: str) -> bool:
    return bool(re.search(r"\d", address))


def find_postcode(text: str, *, asked: bool = False) -> tuple[str, tuple[int, int]] | None:
    """Find a postal code: digits after "zip code", or a bare code when one was asked for."""
    if match := _POSTCODE.search(text):
        return _code(match.group(1)), match.span()
    if asked and 3 <= len(code := _code(text)) <= 10 and re.search(r"\d", code):
        return code, (0, len(text))
    return None


def tidy(address: str) -> str:
    """Write an address one way: "nine elm court, denver" becomes "9 Elm Court, Denver"."""
    address = " ".join(address.split()).strip(" .,;:!?")
    match = re.match(rf"(?:{_NUMBER})(?=,?\s)", lower(address))
    if match and not match.group()[0].isdigit():
        number = numbers.house_number(match.group())
        letter = re.search(r" ([a-d])$", match.group())
        address = number + (letter.group(1).upper() if letter else "") + address[match.end() :]
    address = re.sub(r"^(\d+) ([a-dA-D]) (?=\w+ \w+)", lambda match: f"{match[1]}{match[2].upper()} ", address)
    address = re.sub(r"^(\d+\w*),\s*", r"\1 ", address)
    address = re.sub(rf"(?i)\b(apartment|apt|unit|suite|flat|floor)\s+({numbers.NUMBER_WORD})\b", _unit_digits, address)
    address = re.sub(
        r"(?i)\b(apartment|apt|unit|suite|flat)\s+(\d+)\s*-?\s*([a-h])\b",
        lambda m: f"{m[1]} {m[2]}{m[3].upper()}",
        address,
    )
    return " ".join(_capital(word) for word in address.split())


def _unit_digits(match: re.Match[str]) -> str:
    return f"{match.group(1)} {numbers.house_number(match.group(2))}"


def _capital(word: str) -> str:
    if word in ("of", "and", "the", "de", "la", "apartment", "apt", "unit", "suite", "flat", "floor"):
        return word
    return word[:1].upper() + word[1:] if word == word.lower() else word


def _town_length(rest: str) -> int:
    """Measure ", Springfield, Colorado 80202" or " in Springfield" after a street."""
    length = 0
    if match := re.match(r"\s+in((?:\s+[^\W\d_]+){1,3})(?=[\s,.!|]*$|[,.!|])|\s+in\s+([^\W\d_]+)", rest):
        known = match.group(1) or match.group(2)
        length = 0 if set(known.split()) & (_STOP_WORDS | {"morning", "afternoon", "evening"}) else match.end()
    while match := re.match(r"(,\s*|\s+(?=\d{5}\b))([\w' .-]{2,40}?)(?=[,;.!?|]|$|\s+\d{5}\b)", rest[length:]):
        known = match.group(2).split()
        if not known or len(known) > 4 or set(known) & _STOP_WORDS or (known[0].isdigit() and len(known[0]) != 5):
            break
        length += match.end()
    return length


def _house_name_length(before: str) -> int:
    """Measure "Rose Cottage, " in front of a street."""
    match = re.search(r"(?:^|it's |at )((?:[^\W\d_][\w']*\s){0,2}[^\W\d_][\w']*,\s*)$", before)
    if match is None or set(re.findall(r"[\w']+", match.group(1))) & (
        _STOP_WORDS | {"no", "yes", "yeah", "sorry", "actually", "sure"}
    ):
        return 0
    return len(match.group(1))


def _unmarked_town_length(rest: str) -> int:
    match = re.match(r"(?:\s+[^\W\d_]{3,}){1,3}(?=[\s,.!]*$)", rest)
    return match.end() if match and not set(match.group().split()) & _STOP_WORDS else 0


def _announced_length(rest: str) -> int:
    """Measure what follows "my address is" up to where something else begins."""
    length = 0
    for match in re.finditer(r"[\w'-]+|[,;.!?|]\s*", rest):
        word = match.group()
        if word[0] in ".;!?|" or (
            word in _STOP_WORDS and word not in ("the", "apartment", "apt", "unit", "suite", "number") and length
        ):
            break
        if word[0] != ",":
            length = match.end()
    known = rest[:length].split()
    return (
        length
        if known and len(known) <= 14 and (re.search(rf"\d|^{_NUMBER}\b", rest[:length]) or len(known) >= 2)
        else 0
    )


def _code(text: str) -> str:
    if re.search(r"[a-z]\d|\d[a-z]", text, re.IGNORECASE):
        return re.sub(r"[^\w]", "", text).upper()
    return numbers.digits(text)
