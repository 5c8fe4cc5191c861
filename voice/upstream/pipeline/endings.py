"""Judge by the words so far whether a caller who is silent has finished.

Silence alone cannot tell: people stop for half a second in the middle of a telephone number, and are done at once after
"yes, please". The rules know English only and lean towards waiting: a caller who is cut off has to say it all again.
"""

import re
from enum import StrEnum


class Ending(StrEnum):
    """DONE: nothing more is to be expected. OPEN: the rest is missing. UNSURE: the words do not tell."""

    DONE = "done"
    UNSURE = "unsure"
    OPEN = "open"


# How a transcript begins says nothing about its end.
_READ_CHARS = 300
# As many digits as a telephone number has: with fewer, the next group may come after a breath.
_WHOLE_NUMBER_DIGITS = 10
# A question shorter than this is mostly the beginning of one ("Do you have?").
_QUESTION_MIN_WORDS = 4

_DIGITS = "zero|oh|one|two|three|four|five|six|seven|eight|nine"
_COUNTED = (
    "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|"
    "seventy|eighty|ninety|hundred|thousand|double|triple"
)
_NUMBER = re.compile(rf"(?:[\d-]*\d-?|(?:(?:{_DIGITS}|{_COUNTED})-?)+)", re.IGNORECASE)
_DIGIT = re.compile(rf"\d|\b(?:{_DIGITS})\b", re.IGNORECASE)
# "N-G-U-Y", "N", "a.": letters that are being spelled, or an "a.m." cut in half. "I" and "a" are open anyway.
_SPELLED = re.compile(r"[A-Za-z](?:-[A-Za-z])*\.*")
_MERIDIEM = re.compile(r"[ap]\.m\.?", re.IGNORECASE)
_OPEN_WORD = re.compile(
    "a|an|the|my|your|our|their|his|its|and|or|but|so|because|if|when|while|then|than|as|also|plus|i|he|she|they|we|"
    "to|for|of|on|in|at|by|with|from|about|around|until|till|between|near|under|dot|number|that's|it's|i'm|i'd|we'd|"
    "like|need|want|um|uh|er|erm|hmm|mm|well|actually|maybe|let's|name|called|address|code|spelled|any|some|be"
)
# "My name is" wants a name; "yes, it is" wants nothing.
_OPEN_VERB = re.compile("is|are|was|were|am|have|has|had|do|does|did|can|could|will|would|should|might")
_PRONOUN = re.compile("i|you|he|she|it|we|they|that|this|there")
_MAIL_ADDRESS = re.compile(r"\be-?mail\b|\bat [\w ]+ dot\b", re.IGNORECASE)
_DOMAIN = re.compile(r"(?:\bdot\s+|\.)(?:com|org|net|edu|gov|io|co|in|uk|us|info|me)\b\W*$", re.IGNORECASE)
# After "42 Maple Street" the town may follow.
_STREET = re.compile("street|st|avenue|ave|road|rd|lane|drive|court|boulevard|way|place|square|terrace|highway")
_CLOSING = re.compile(
    r"(?:\bplease|\bthank you(?: very much| so much)?|\bthanks(?: a lot)?|\b(?:good-?)?bye|\bthat'?s? (?:is )?"
    r"(?:all|everything|it|right|correct|fine|great|perfect|not right|wrong)|\bworks for me|\bsounds good|"
    r"\bsay (?:that|it) again|\brepeat that)[.!?]+$",
    re.IGNORECASE,
)


def ending_of(words: str) -> Ending:
    """Return how a transcript of what was said so far ends."""
    words = words.strip()[-_READ_CHARS:]
    if not words:
        return Ending.UNSURE
    if _CLOSING.search(words) and " " in words:
        return Ending.DONE
    if _is_open(words):
        return Ending.OPEN
    # A single word is as often the beginning of something: "Yeah. That's correct."
    is_question = words.endswith("?") and len(words.split()) >= _QUESTION_MIN_WORDS
    return Ending.DONE if is_question else Ending.UNSURE


def _is_open(words: str) -> bool:
    if words.endswith((",", "-", "…", "...", ":", ";")):
        return True
    *before, last = words.rstrip("?!").split() or [""]
    if _MERIDIEM.fullmatch(last):
        return False
    bare = _bare(last)
    if _OPEN_WORD.fullmatch(bare):
        return True
    if _SPELLED.fullmatch(last):
        # "Apartment three B" is an address, and "N" the beginning of a name.
        return not (before and len(bare) == 1 and _NUMBER.fullmatch(_bare(before[-1])))
    if _OPEN_VERB.fullmatch(bare):
        return not before or not _PRONOUN.fullmatch(_bare(before[-1]))
    if _NUMBER.fullmatch(bare):
        return _digits_at_the_end(words) < _WHOLE_NUMBER_DIGITS
    if _STREET.fullmatch(bare):
        return any(_NUMBER.fullmatch(_bare(word)) for word in before)
    return bool(_MAIL_ADDRESS.search(words)) and not _DOMAIN.search(words)


def _digits_at_the_end(words: str) -> int:
    """Count the digits, written or spoken, of the run of numbers that ends a transcript."""
    run = []
    for word in reversed(words.split()):
        if not _NUMBER.fullmatch(_bare(word)):
            break
        run.append(word)
    return len(_DIGIT.findall(" ".join(run)))


def _bare(word: str) -> str:
    return word.strip(".,!?\"'").lower()
