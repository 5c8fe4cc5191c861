"""Read an agent's instructions: its greeting, its business, the facts it may tell, and step by step guides.

Understood lines, in any order, mixed with ordinary prose:
    Greeting: Hello, this is Bright Smile Dental. How can I help?
    Today is Sunday, 22 November 2026.
    Q: Do you take walk-ins?  /  A: Only for emergencies.
    Opening hours: Monday to Friday 9am-5pm, Saturday 10am-2pm, closed Sunday
    - A cleaning costs $90.
    If asked about parking, say that it is free behind the building.
    If the internet is slow:
    1. Unplug the router for ten seconds.
    2. Plug it in again and wait for the green light.
Sentences that tell the assistant how to behave are not facts and are never said aloud.
"""

import re
from dataclasses import dataclass, field
from datetime import date

from local_models.receptionist.moments import parse_spoken_day
from local_models.receptionist.normalise import listed

FACTS_MAX = 400
FACT_MAX_CHARS = 600


@dataclass(frozen=True)
class Fact:
    """Something that may be told. `about` is a label or question it answers, and is not said aloud."""

    text: str
    about: str = ""


@dataclass
class Guide:
    """Steps to go through one by one, under a heading that says what they are for."""

    heading: str
    steps: list[str]


@dataclass
class Brief:
    """What the instructions say, sorted."""

    greeting: str | None = None
    business: str | None = None
    today: date | None = None
    facts: list[Fact] = field(default_factory=list)
    guides: list[Guide] = field(default_factory=list)


_LABEL = re.compile(r"^(?P<label>[A-Za-z][\w &'/()-]{1,40}?)\s*:\s+(?P<value>\S.*)$")
_GREETING = re.compile(
    r"^(?:greeting|opening line|first message|welcome message|start (?:the call )?with|greet (?:the "
    r")?callers? with)\s*:\s*(.+)$",
    re.IGNORECASE,
)
_TODAY = re.compile(r"\b(?:today(?:'s date)?|current date|the date)(?: is|:)\s*(?P<day>[^.\n;]+)", re.IGNORECASE)
_STEP = re.compile(r"^(?:step\s*)?(\d{1,2})\s*[.):]\s+(?P<step>\S.*)$", re.IGNORECASE)
_BULLET = re.compile(r"^\s*[-*•]\s+")
_QUESTION = re.compile(r"^(?:q|question)\s*\d*\s*[:.)]\s*(.+)$", re.IGNORECASE)
_ANSWER = re.compile(r"^(?:a|answer)\s*\d*\s*[:.)]\s*(.+)$", re.IGNORECASE)
_BUSINESS_LABELS = {
    "business",
    "business name",
    "company",
    "company name",
    "organisation",
    "organization",
    "practice",
    "shop",
    "restaurant",
    "name of the business",
}
_BEHAVIOUR_LABELS = set(
    listed(
        "role tone style rules rule goal goals task tasks language voice instructions personality "
        "persona note notes important objective guidelines "
        "you your job system output format never always do don't context background identity steps flow "
        "process today faq facts example examples"
    )
)
_BUSINESS = re.compile(
    r"\b(?:receptionist|assistant|agent|voice|desk|host|front desk|helper|concierge|operator|line|"
    r"work|working|answer(?:ing)?(?: the)? (?:phone|calls)|speaking|calls?)\b[\w ,]{0,30}?\b(?:for|at|"
    r"of|with)\s+"
    r"(?P<name>(?:the |an? )?[A-Z][\w&'’-]*(?:\s+(?:[A-Z&][\w&'’-]*|and|of|the|for|de|la)(?=\s|[.,;]|$))*)"
)
_DIRECTIVE = re.compile(
    r"^(?:you(?:'re| are| will| must| should| can| may| have to| help| answer| only| work| speak| "
    r"never| always|r (?:job|task|role|goal|name|tone))|always|never|do not|don't|be |ask|keep|speak|"
    r"use |answer|respond|confirm|collect|greet|help|make sure|remember|avoid|only |say|"
    r"start|end |before|after |introduce|offer|please|read|write|act |book |take |get |stay|try |"
    r"repeat|let |tell|reply|once |then |first|next|finally|if (?:the |a |an )?(?:caller|customer|"
    r"user|patient|guest|visitor|client|person|they|someone|asked|you|it is|unsure|in doubt)|"
    r"when (?:the |a |an )?(?:caller|customer|user|they|someone|asked|you|everything|all)|call the|"
    r"gather|verify|check |wait|listen|apologi[sz]e|thank|summari[sz]e|focus|refuse|decline|politely|"
    r"under no|ignore|pretend|assume|no matter|for (?:bookings|appointments),? (?:ask|collect)|the "
    r"(?:assistant|agent) |the (?:following|facts)|here (?:are|is)|below )",
    re.IGNORECASE,
)
_TOLD_WHEN_ASKED = re.compile(
    r"^(?:if|when) (?:you(?:'re| are) asked|asked|(?:the |a )?(?:caller|customer|user|patient|guest|"
    r"client|someone|they)s? asks?)\s+(?:about|for|whether|if|how|what|when|where|why|"
    r"who)?\s*(?P<about>[^,:]+)[,:]\s*(?:please |then )?"
    r"(?:say|tell (?:them|the caller|the customer|him or her)|answer|reply|respond|explain|let them "
    r"know)(?: with)?(?: that)?[:\s]+(?P<text>.+)$",
    re.IGNORECASE,
)


def read(instructions: str) -> Brief:
    """Sort the instructions into a brief. Anything unknown becomes a fact if it is a statement, else is left out."""
    brief = Brief()
    if match := _BUSINESS.search(instructions):
        brief.business = match.group("name").strip(" .,")
    if match := _TODAY.search(instructions):
        brief.today = (
            parse_spoken_day(match.group("day"), date(1970, 1, 1)) if re.search(r"\d{4}", match.group("day")) else None
        )
    question: str | None = None
    heading = ""
    for line in instructions.splitlines():
        line = _BULLET.sub("", line.strip()).strip().lstrip("#").strip().replace("**", "")
        if not line:
            continue
        if match := _QUESTION.match(line):
            question, line = _same_line_answer(match.group(1))
            if not line:
                continue
        if question is not None and (match := _ANSWER.match(line)):
            brief.facts.append(Fact(_bounded(match.group(1)), question))
            question = None
        elif match := _STEP.match(line):
            _add_step(brief, heading, int(match.group(1)), match.group("step"))
        else:
            heading = line.rstrip(":") if line.endswith(":") else heading
            _read_line(line, brief)
    brief.facts = brief.facts[:FACTS_MAX]
    return brief


def _same_line_answer(text: str) -> tuple[str, str]:
    """Split "Do you ...? A: Yes." into the question and the rest of the line."""
    parts = re.split(r"\s+(?=(?:A|Answer)\s*:\s)", text, maxsplit=1)
    return parts[0].strip(), parts[1] if len(parts) > 1 else ""


def _add_step(brief: Brief, heading: str, number: int, step: str) -> None:
    # A numbered list of what to ask or say is about the assistant, not something to walk a caller through.
    if re.match(
        r"(?:ask|greet|collect|confirm|say|tell|read|thank|offer|book|get (?:the|their)|take (?:the|"
        r"their)|call (?:the )?\w+_|end|find out|gather|verify|introduce|listen|use the)\b",
        step,
        re.IGNORECASE,
    ):
        return
    if number == 1 or not brief.guides:
        brief.guides.append(Guide(heading, []))
    brief.guides[-1].steps.append(_sentence(_bounded(step)))


def _read_line(line: str, brief: Brief) -> None:
    if match := _GREETING.match(line):
        brief.greeting = _bounded(match.group(1).strip("\"' “”"))
        return
    label = _LABEL.match(line)
    if label and not re.match(r"(?:if|when)\b", line, re.IGNORECASE):
        _read_label(label.group("label").strip(), label.group("value").strip(), brief)
        return
    for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z\d\"“])", line):
        if fact := _fact(sentence):
            brief.facts.append(fact)


def _read_label(label: str, value: str, brief: Brief) -> None:
    known = label.lower()
    if known in _BUSINESS_LABELS:
        brief.business = value.strip(" .\"'")
    elif known == "faq" or known == "facts":
        _read_line(value, brief)
    elif not set(known.split()) & _BEHAVIOUR_LABELS:
        brief.facts.append(Fact(_say_label(label, value), label))


def _say_label(label: str, value: str) -> str:
    known = label.lower()
    value = _bounded(value)
    if re.search(r"\bhours\b|\bopen\b", known):
        return _sentence(f"Our opening hours are {value}")
    if re.fullmatch(r"(?:our )?(?:address|location)", known):
        return _sentence(f"We're at {value}")
    if re.search(r"\b(?:prices?|costs?|fees?|rates?)\b", known) or len(value.split()) > 6:
        return _sentence(f"{label}: {value}" if len(value.split()) <= 6 else value)
    return _sentence(f"{label}: {value}")


def _fact(sentence: str) -> Fact | None:
    sentence = sentence.strip()
    if match := _TOLD_WHEN_ASKED.match(sentence):
        return Fact(_sentence(_bounded(match.group("text").strip("\"' “”"))), match.group("about"))
    if (
        len(sentence.split()) < 3
        or sentence.endswith((":", "?"))
        or _DIRECTIVE.match(sentence)
        or _TODAY.match(sentence)
    ):
        return None
    return Fact(_sentence(_bounded(sentence)))


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def _bounded(text: str) -> str:
    return " ".join(text.split())[:FACT_MAX_CHARS]
