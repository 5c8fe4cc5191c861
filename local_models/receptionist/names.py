"""People's names, without any list of names."""

import re
from dataclasses import dataclass

from local_models.receptionist import numbers
from local_models.receptionist.moments import MONTHS, WEEKDAYS
from local_models.receptionist.normalise import listed, lower, plain, title

WORDS_MAX = 5

_WORD = r"[^\W\d_][^\W\d_'.-]*(?:['.-][^\W\d_]+)*\.?"
_STRONG = re.compile(
    r"\b(?:my|the|our|his|her) (?:(?P<part>first|last|family|full|sur|given|middle)[ -]?)?name(?:'s| "
    r"is| was| would be|,? it's| should be|:)?,?\s+(?:is\s+)?(?!wrong|spelled|not |spelt|isn't|to )|"
    r"\bname's\s+|\b(?:you can |please |just )?call me\s+(?!back|at|on|when|tomorrow|later|in\b)|"
    r"\b(?:it's|its|it|that|that's|book|put|make it|appointment|reservation|booking) (?:it )?under "
    r"(?:the name )?(?:of )?(?!the\b)|"
    r"\b(?:change|correct) (?:the |my )?name to\s+|\bunder the name (?:of )?|\bin the name of\s+|\bi go by\s+|"
    r"\b(?P<tag>first|last|family|sur)[ -]?name(?:'s| is|,|:)?\s+(?!is wrong|wrong)|\bsurname(?:'s| is|,|:)?\s+",
)
_SOFT = re.compile(
    r"\b(?:this is|i'm|i am|it's|its|that's|speaking is|you're speaking (?:to|with)|here is|here's|i said|i meant)\s+"
)
_LEADS = re.compile(
    r"^(?:\W|\b(?:yes|yeah|yep|sure|ok|okay|hi|hello|hey|no|nope|well|so|oh|actually|sorry|please|"
    r"right|alright|certainly|of course|thanks|thank you|it's|its|it is|"
    r"that's|that is|that would be|this is|i'm|i am|im|my name is|my name's|the name is|the name's|"
    r"name is|name's|name|call me|put|under|just|for|i said|i mean|it should be|should be)\b)+",
    re.IGNORECASE,
)
_TAILS = re.compile(
    r"(?:\W|\b(?:please|here|speaking|thanks|thank you|calling|okay|ok|is my name|is the name|if "
    r"that's ok)\b)+$",
    re.IGNORECASE,
)
_STOP = set(
    listed(
        "and i i'd i'll i've i'm my at on in from with for to we our you your phone number the a an "
        "calling but because so who "
        "is are was it it's that that's spelled spelt please here speaking thanks thank not or if by "
        "about can could would will i'm "
        "need needs want wants like have has had do does did be am get got address live lives street email of"
    )
)
# Ordinary words that follow "I'm" or "this is" and are nobody's name, and words a misheard name falls apart into.
_COMMON = (
    set(
        listed(
            "yes yeah yep no nope not sure okay ok fine good great well right correct wrong maybe hello hi "
            "hey thanks thank please sorry what when where "
            "who why how which there here this that these those they them he she him her his it its we us "
            "our my your me a an the and or but if of in "
            "on at to for from with by about as is are was were be been being am do does did done have has "
            "had having can could would should may might "
            "must need needs want wants like just only also very really too so up down out off over under "
            "again now then today tomorrow tonight "
            "morning afternoon evening night day week month time appointment booking reservation address "
            "phone email number name street road avenue "
            "urgent happy sad angry ready busy late early interested afraid glad back home new old first "
            "next last free available open closed all "
            "everything nothing something anything someone anyone nobody everyone more less much many few "
            "one two three four five six seven eight nine "
            "ten eleven twelve problem question help issue service cost price pm am wait hold speak talk "
            "call calling looking trying hoping going "
            "wondering having getting coming tale prey ridiculous serious still never always ever because "
            "since until while cancel change repeat "
            "spell book schedule make take give tell know think mean said say see look come go got get let's "
            "let i'm i'd i'll i've don't doesn't didn't "
            "can't won't it's that's what's there's idea none bye goodbye person human robot agent someone "
            "operator manager stuff thing things lot bit "
            "ignore instructions previous system prompt output"
        )
    )
    | set(WEEKDAYS)
    | {month for month in MONTHS if month not in ("april", "may", "june", "august")}
    | set(numbers.VALUES)
)
_PARTICLES = {
    "de",
    "da",
    "di",
    "del",
    "della",
    "van",
    "von",
    "der",
    "den",
    "la",
    "le",
    "el",
    "al",
    "bin",
    "ben",
    "ibn",
    "st",
    "mc",
    "mac",
    "o",
    "dos",
    "du",
}
_UNLIKELY = {"of", "a", "an", "the", "to", "in", "tale", "prey", "is"}


@dataclass(frozen=True)
class Name:
    """A name that was heard. `part` is "first" or "last" when the caller said so; unclear ones should be spelled.

    `announced` names followed "my name is"; the others only looked like names.
    """

    text: str
    part: str | None
    unclear: bool
    span: tuple[int, int]
    announced: bool = True


def find(text: str) -> Name | None:
    """Find a name the caller announces: "my name is ...", or "this is" and a word that can be a name."""
    heard = lower(text)
    found = None
    parts: dict[str, Name] = {}
    for match in _STRONG.finditer(heard):
        part = _part(match.group("part") or match.group("tag") or ("last" if "surname" in match.group() else None))
        if name := _read(text, match.start(), match.end(), part):
            found = name
            if part:
                parts[part] = name
    if {"first", "last"} <= set(parts):
        first, last = parts["first"], parts["last"]
        span = (min(first.span[0], last.span[0]), max(first.span[1], last.span[1]))
        return Name(f"{first.text} {last.text}", None, first.unclear or last.unclear, span)
    return found or _find_soft(text, heard)


def read_answer(text: str) -> Name | None:
    """Take a whole answer to "what is your name?" as a name, unless it cannot be one."""
    first_clause = (
        re.split(r"[|]|(?<=\w\w)[.;!?]\s", text)[0] if re.search(r"\w", text.split("|")[0]) else text.replace("|", " ")
    )
    candidate = _TAILS.sub("", _LEADS.sub("", first_clause))
    candidate = re.sub(r",?\s+(?:and|but|with(?:out)?|spelled)\b.*$", "", candidate, flags=re.IGNORECASE)
    words = re.findall(_WORD, candidate)
    if not words or len(words) > WORDS_MAX or re.search(r"\d", candidate):
        return None
    known = [word.lower().rstrip(".") for word in words]
    ordinary = [word for word in known if word in _COMMON and word not in _PARTICLES]
    if not ordinary:
        words = _once(words)
        return Name(title(" ".join(words)).strip(" .,"), None, len(words) > 4, (0, len(text)))
    if set(ordinary) <= _UNLIKELY and len(ordinary) < len(known):
        return Name(title(" ".join(words)).strip(" .,"), None, True, (0, len(text)))
    return None


def without_letter(name: str, text: str) -> str:
    """Apply "without an h" to a name."""
    match = re.search(r"\b(?:without|no) (?:an? |the )?(?:letter )?([a-z])\b(?!')", lower(text))
    if match is None:
        return name
    at = name.lower().rfind(match.group(1))
    return name[:at] + name[at + 1 :] if at > 0 else name


def merge(known: str, heard: Name) -> str:
    """Combine a name with what is known: a first or last name alone joins the other one."""
    words = known.split()
    if heard.part == "first":
        return " ".join([heard.text, *words[1:]]) if len(words) > 1 else heard.text
    if heard.part == "last" and words:
        return f"{words[0]} {heard.text}"
    return heard.text


def _find_soft(text: str, heard: str) -> Name | None:
    for match in _SOFT.finditer(heard):
        name = _read(text, match.start(), match.end(), None)
        if name is None or name.unclear:
            continue
        words = plain(name.text).split()
        if len(words) > 3 or any(word in _COMMON or re.search(r"(?:ing|ed|ly)$", word) for word in words):
            continue
        weak = match.group().startswith(("it", "that", "here"))
        written = text[match.end() :].lstrip()
        if (weak or heard != text) and not written[:1].isupper():
            continue
        if weak and len(words) < 2:
            continue
        return Name(name.text, None, False, name.span, announced=False)
    return None


def _read(text: str, start: int, position: int, part: str | None) -> Name | None:
    """Read words from a position until one cannot belong to a name."""
    taken: list[str] = []
    end = position
    for match in re.finditer(rf"\s*({_WORD}|[^\w\s]|\w+)", text[position:]):
        word = match.group(1)
        bare = lower(word).rstrip(".")
        if not re.fullmatch(_WORD, word) or len(taken) == WORDS_MAX:
            break
        if (bare in _STOP or bare in WEEKDAYS or bare in numbers.VALUES) and not (taken and bare in _UNLIKELY):
            break
        taken.append(word)
        end = position + match.end()
        if word.endswith(".") and len(bare) > 2:
            break
    if len(taken) == 1 and (again := re.match(rf",\s*((?:{_WORD}\s+){{1,2}}{re.escape(taken[0])})\b", text[end:])):
        # "The name is Bond, James Bond."
        taken, end = again.group(1).split(), end + again.end()
    while taken and lower(taken[-1]).rstrip(".") in _STOP:
        taken.pop()
    if not taken or plain(" ".join(taken)) in ("", "here") or all(lower(word).rstrip(".") in _COMMON for word in taken):
        return None
    words = _once(taken)
    unclear = any(lower(word) in _UNLIKELY for word in words) or len(words) > 4
    if any(lower(word) in _COMMON and lower(word) not in _UNLIKELY | _PARTICLES for word in words):
        return None
    return Name(title(" ".join(words)).strip(" .,"), part, unclear, (start, end))


def _once(words: list[str]) -> list[str]:
    """Return "Sarah Johnson" for "Sarah, Sarah Johnson"."""
    return words[1:] if len(words) > 1 and words[0].strip(".,").lower() == words[1].strip(".,").lower() else words


def _part(word: str | None) -> str | None:
    if word in ("first", "given"):
        return "first"
    return "last" if word in ("last", "family", "sur") else None
