"""Answer questions from the facts of the instructions, and only from them."""

import math
import re
from collections import Counter
from datetime import date

from local_models.receptionist import hours, moments
from local_models.receptionist.instructions import Brief, Fact
from local_models.receptionist.moments import WEEKDAYS
from local_models.receptionist.normalise import listed, plain

# At least this much of what was asked must be found in a fact before it is given as the answer.
COVERAGE_MIN = 0.42
TOPIC_WEIGHT = 2.0
ANSWERS_MAX = 3

_TOPICS = {
    "hours": "open opens opening opened close closes closed closing hours hour",
    "price": "cost costs price prices pricing charge charges fee fees expensive cheap rate rates much",
    "place": "where located location address directions find situated",
    "parking": "park parking parked",
    "payment": "pay payment payments cash credit debit visa mastercard",
    "contact": "email website telephone",
    "insurance": "insurance insured insurer",
    "cancel": "cancellation cancel cancelling refund",
    "warranty": "guarantee warranty guaranteed",
    "duration": "long last lasts takes duration minutes",
    "delivery": "deliver delivery delivered ship shipping",
}
_TOPIC_OF = {word: f"#{topic}" for topic, known in _TOPICS.items() for word in known.split()}
_STOP = set(
    listed(
        "a an the and or but if of in on at to for from with by about as is are was were be been am do "
        "does did have has had having can could "
        "would will should may might must i i'm i'd i'll you your you're my me we our us it its it's "
        "that this these those there here they them "
        "he she his her what what's when when's where's who who's whose how how's why which any some "
        "just so then than too also please thanks thank "
        "hi hello hey yes yeah no not okay ok well um uh tell know ask asking wondering wonder want "
        "wanted like need get got give offer going "
        "go come let see say said really actually sorry question information more one ones time times "
        "day days today tomorrow now still again "
        "sort kind type lot guys folks someone anyone able available availability out up down off over "
        "into wanna gonna curious quick first "
        "before after maybe possible does doing done make take use much many"
    )
) | set(WEEKDAYS)
_PRICE = re.compile(
    r"[$€£₹]\s?\d|\b\d+(?:\.\d\d)?\s?(?:dollars|euros|pounds|rupees|cents|usd|eur|inr)\b|\bper hour\b", re.IGNORECASE
)
_CLOCKS = re.compile(
    r"\b\d{1,2}(?::\d\d)?\s?(?:am|pm)\b|\b\d{1,2}\s?(?:-|to)\s?\d{1,2}\b|\bclosed\b|\bopen\b", re.IGNORECASE
)
_STREET = re.compile(
    r"\b\d+\s+[A-Z][\w']+(?:\s[A-Z][\w']+)*\s(?:Street|St|Avenue|Ave|Road|Rd|Lane|Drive|Court|Square|"
    r"Place|Way|Boulevard)\b"
)
_HOURS_ASKED = re.compile(r"\b(?:open|opens|opening|close|closes|closing|closed|hours)\b")


def answer(question: str, brief: Brief, today: date) -> str | None:
    """Return the answer to a question, or None when the facts do not hold it."""
    if said := _hours(question, brief, today):
        return said
    asked = _stems(question)
    if not asked or not brief.facts:
        return None
    stems = [_fact_stems(fact) for fact in brief.facts]
    rarity = _rarity(stems)
    scores = [_coverage(asked, known, rarity) for known in stems]
    best = max(scores)
    if best < COVERAGE_MIN:
        return None
    return " ".join(_best(brief.facts, scores, best, only_topics=all(stem.startswith("#") for stem in asked)))


def _hours(question: str, brief: Brief, today: date) -> str | None:
    """Answer for one weekday when that is what was asked ("Are you open on Saturday?")."""
    if not _HOURS_ASKED.search(plain(question)):
        return None
    days = moments.find(question, today).days
    now_asked = re.search(r"\b(?:now|right now)\b", plain(question))
    day = days[0] if days else today if now_asked else None
    for fact in brief.facts:
        known = hours.parse(fact.text) if _is_hours(fact) else {}
        if day is not None and day.weekday() in known:
            return _say_hours(day.weekday(), known[day.weekday()])
    return None


def _say_hours(weekday: int, said: str) -> str:
    name = WEEKDAYS[weekday].capitalize()
    if said == "closed":
        return f"We're closed on {name}."
    joined = f"from {said}" if re.search(r"\b(?:to|until)\b", said) else said
    return f"On {name} we're open {joined}."


def _is_hours(fact: Fact) -> bool:
    return bool(_CLOCKS.search(fact.text)) and bool(re.search(r"day|daily|week|mon|open", fact.text.lower()))


def _best(facts: list[Fact], scores: list[float], best: float, *, only_topics: bool) -> list[str]:
    """Give the best fact; where only a topic was asked for ("how much is it?"), every fact about it, up to three."""
    chosen = [fact.text for fact, score in zip(facts, scores, strict=True) if score >= best - 1e-9]
    return chosen[: ANSWERS_MAX if only_topics else 1]


def _coverage(asked: set[str], known: set[str], rarity: dict[str, float]) -> float:
    unseen = max(rarity.values(), default=1.0)
    weights = {stem: _weight(stem, rarity.get(stem, unseen)) for stem in asked}
    # The part of the question that is answered, and a little for facts that are about nothing else.
    focus = 0.02 * len(asked & known) / (1 + len(known))
    return sum(weight for stem, weight in weights.items() if stem in known) / sum(weights.values()) + focus * bool(
        asked & known
    )


def _weight(stem: str, rarity: float) -> float:
    return TOPIC_WEIGHT if stem.startswith("#") else rarity


def _rarity(stems: list[set[str]]) -> dict[str, float]:
    counts = Counter(stem for known in stems for stem in known)
    return {stem: 1.0 + math.log(1 + len(stems) / count) / 4 for stem, count in counts.items()}


def _fact_stems(fact: Fact) -> set[str]:
    stems = _stems(f"{fact.about} {fact.text}")
    # A price or a time of opening in a fact about something else must not make it the answer to every question.
    if _PRICE.search(fact.text):
        stems.add("#price")
    if _is_hours(fact):
        stems.add("#hours")
    if _STREET.search(fact.text) or re.match(r"(?:we're|we are) (?:located )?(?:at|in|on)\b", fact.text.lower()):
        stems.add("#place")
    return stems


def _stems(text: str) -> set[str]:
    said = plain(text)
    found = {stem for word in said.split() if (stem := _stem(word))}
    if re.search(r"\bhow (?:much|expensive)\b", said):
        found.add("#price")
    if re.search(r"\bhow long\b", said):
        found.add("#duration")
    if re.search(r"\bwhere\b", said):
        found.add("#place")
    return found


def _stem(word: str) -> str | None:
    if word in ("where", "much", "long") or (word in _STOP and word not in _TOPIC_OF):
        return None
    if word in _TOPIC_OF:
        return _TOPIC_OF[word]
    if len(word) < 3 and not word.isdigit():
        return None
    word = word.removesuffix("'s")
    for suffix in ("ings", "ing", "ies", "ed", "es", "s", "ly", "e", "y"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word
