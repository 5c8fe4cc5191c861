"""The form being filled for one task: what is known, what is unclear, what to ask next."""

import re
from dataclasses import dataclass, field, replace
from datetime import date, tzinfo
from difflib import SequenceMatcher
from typing import Any

from local_models.receptionist import addresses, moments, names, numbers, phrases, slots, spelling, wishes
from local_models.receptionist.contact import PHONE_MAX_DIGITS, PHONE_MIN_DIGITS
from local_models.receptionist.intents import yes_no
from local_models.receptionist.listening import Heard
from local_models.receptionist.messages import Json
from local_models.receptionist.moments import Clock, say_day
from local_models.receptionist.normalise import lower, plain, title
from local_models.receptionist.slots import Appointment, Slot
from local_models.receptionist.tasks import Task

_DAY_KINDS = ("date", "datetime")
_CLOCK_KINDS = ("time", "datetime")
_PEOPLE = re.compile(
    r"\b(?:(?:party|table|group|room|reservation|booking) (?:of|for) (?P<of>\w+(?:[ -]\w+)?)|"
    r"(?P<n>\w+) (?:people|persons?|guests?|adults?|of us|pax)\b|(?P<me>just (?:me|myself)))"
)
_X_NOT_Y = re.compile(
    r"(?:^|\b(?:it's|its|is|that's|said|meant|no,?|actually,?)\s+)(?P<right>[\w' "
    r"-]{1,40}?),?\s+not\s+(?P<wrong>[\w' -]{1,40}?)[.!]?$"
)
_NOT_Y_X = re.compile(
    r"\bnot\s+(?P<wrong>[\w' -]{1,40}?)\s*[,.;]\s*(?:but\s+|it's\s+|its\s+)?(?P<right>[\w' "
    r"-]{1,40}?)[.!]?$"
)
_CONTRAST_LEAD = re.compile(r"^(?:\W|\b(?:no|it's|its|is|that's|actually|i said|i meant)\b)+")
_BIRTH_YEAR = re.compile(
    rf"\b(?:(?P<digits>(?:19|20)\d\d)|(?:nineteen|twenty) (?:oh )?{numbers.NUMBER_WORD}(?:[ "
    rf"-]{numbers.NUMBER_WORD})?|two thousand(?: and)?(?: {numbers.NUMBER_WORD})?)\b"
)
_TEXT_LEAD = re.compile(r"^(?:\W|\b(?:yes|yeah|sure|ok|okay|well|so|it's|it is|that's|please|just)\b)+", re.IGNORECASE)
ALIKE = 0.45
PHONE_USUAL_DIGITS = 10


@dataclass(frozen=True)
class Change:
    """A slot that got a value. `correction` when it had another one before."""

    slot: Slot
    shown: str
    correction: bool


@dataclass
class Form:
    """Values by slot name. An Appointment may be half filled; everything else is whole."""

    task: Task
    values: dict[str, Any] = field(default_factory=dict)
    digits_so_far: str = ""
    unclear: set[str] = field(default_factory=set)
    choices: list[date] = field(default_factory=list)
    part: str | None = None
    accepted_without_number: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for slot in self.task.slots:
            if slot.kind == "fixed":
                self.values[slot.name] = slot.schema["const"]

    def known(self, slot: Slot) -> bool:
        """Whether the slot needs no more questions."""
        if slot.name not in self.values or slot.name in self.unclear:
            return False
        value = self.values[slot.name]
        if isinstance(value, Appointment):
            return value.complete
        if isinstance(value, Clock):
            return not value.half
        if slot.kind == "address" and slot.required and slot.name not in self.accepted_without_number:
            return addresses.has_number(value)
        return True

    def missing(self) -> Slot | None:
        """Return the slot to ask for next: one that was half understood first, else the first that is required."""
        half = [slot for slot in self.task.slots if slot.name in self.values and not self.known(slot)]
        wanted = [slot for slot in self.task.slots if slot.required and not self.known(slot)]
        return next(iter([*half, *wanted]), None)

    def ask(self, slot: Slot, tries: int) -> str:
        """Ask for a slot, or for the part of it that is missing or unclear."""
        value = self.values.get(slot.name)
        if slot.kind in ("date", "datetime") and self.choices:
            return f"Which would you prefer, {phrases.join([say_day(day) for day in self.choices], 'or')}?"
        if slot.name in self.unclear:
            return phrases.spell_name(str(value))
        if isinstance(value, Appointment):
            return phrases.question_about_when(value)
        if isinstance(value, Clock) and value.half:
            return phrases.question_about_when(Appointment(clock=value))
        if slot.kind == "phone" and self.digits_so_far:
            return phrases.rest_of_number(self.digits_so_far)
        if slot.kind == "address" and value:
            return f"And what's the house number, for {value}?"
        return phrases.question(slot, tries)

    def forget(self, slot: Slot) -> None:
        """Forget a slot that the caller says is wrong."""
        self.values.pop(slot.name, None)
        self.unclear.discard(slot.name)
        if slot.kind == "phone":
            self.digits_so_far = ""

    def read_back(self) -> str:
        return phrases.read_back([(slot, self.shown(slot)) for slot in self._filled() if slot.kind != "fixed"])

    def shown(self, slot: Slot) -> str:
        return slots.show(slot, self.values[slot.name])

    def arguments(self, zone: tzinfo | None) -> Json:
        """Return the tool's arguments. Unknown slots are null where the schema allows it, and absent otherwise."""
        arguments: Json = {}
        for slot in self.task.slots:
            target = arguments
            for key in slot.path[:-1]:
                target = target.setdefault(key, {})
            if self.known(slot):
                target[slot.path[-1]] = slots.argument(slot, self.values[slot.name], zone)
            elif slot.nullable:
                target[slot.path[-1]] = None
        return arguments

    def fill(self, heard: Heard, asked: Slot | None, *, correcting: bool) -> list[Change]:
        """Take everything out of a turn that stands on its own. Returns what changed."""
        before = dict(self.values)
        unclear_before = set(self.unclear)
        self._fill_name(heard, asked, correcting)
        self._fill_phone(heard, asked)
        self._set_first(("email",), heard.email, asked)
        self._set_first(("postcode",), heard.postcode, asked)
        self._fill_address(heard, asked)
        if asked is None or asked.kind != "birthday":
            self._fill_moment(heard, asked, correcting)
        self._fill_words(heard, asked, correcting)
        if correcting and self.values == before:
            self._apply_contrast(heard.text)
        changed = [slot for slot in self.task.slots if self.values.get(slot.name) != before.get(slot.name)]
        # A value that is still half known is asked about, not repeated.
        changed = [slot for slot in changed if self.known(slot) or slot.kind in ("name", "address", "datetime")]
        changed += [
            slot for slot in self.task.slots if slot.name in unclear_before - self.unclear and slot not in changed
        ]
        return [Change(slot, self.shown(slot), slot.name in before) for slot in changed if slot.name in self.values]

    def answer(self, heard: Heard, asked: Slot, today: date) -> list[Change]:
        """Take a whole turn as the answer to the slot that was asked for. Returns nothing when it cannot be one."""
        value = self._read_answer(heard, asked, today)
        if value is None:
            return []
        correction = asked.name in self.values
        self.values[asked.name] = value
        self.unclear.discard(asked.name)
        if asked.kind == "name" and (name := names.read_answer(heard.rest)) and name.unclear:
            self.unclear.add(asked.name)
        return [Change(asked, self.shown(asked), correction)]

    def mentioned(self, text: str) -> Slot | None:
        """Return the slot whose label is in the text ("the time is wrong")."""
        said = plain(text)
        for slot in self.task.slots:
            tokens = {
                "phone": "phone|number|telephone",
                "email": "e mail|email",
                "wish": "service|reason",
                "datetime": "time|day|date|appointment",
            }
            words = tokens.get(slot.kind) or slot.label
            if re.search(rf"\b(?:{words}|{re.escape(slot.label)})\b", said):
                return slot
        return None

    def _filled(self) -> list[Slot]:
        return [slot for slot in self.task.slots if slot.name in self.values]

    def _pick(self, kinds: tuple[str, ...], asked: Slot | None) -> Slot | None:
        """Choose among slots of a kind: the one asked for, else the first that is empty, else the last."""
        fitting = [slot for slot in self.task.slots if slot.kind in kinds]
        if asked in fitting:
            return asked
        empty = [slot for slot in fitting if not self.known(slot)]
        return next(iter(empty), fitting[-1] if fitting else None)

    def _set_first(self, kinds: tuple[str, ...], value: Any, asked: Slot | None) -> None:
        if value is not None and (slot := self._pick(kinds, asked)):
            self.values[slot.name] = value

    def _fill_name(self, heard: Heard, asked: Slot | None, correcting: bool) -> None:
        fitting = [slot for slot in self.task.slots if slot.kind == "name"]
        if not fitting:
            return
        name_asked = asked in fitting
        first = fitting[0]
        parts = {_name_part(slot): slot for slot in fitting}
        if heard.name and (heard.name.announced or name_asked or correcting or first.name not in self.values):
            self._set_name(heard.name, parts, first)
        if heard.spelled and (name_asked or heard.name or not self._spells_street(heard.spelled)):
            self._spell_name(heard, asked if name_asked else None, parts, first)
        elif (name_asked or correcting) and first.name in self.values:
            self.values[first.name] = names.without_letter(self.values[first.name], heard.text)

    def _set_name(self, name: names.Name, parts: dict[str | None, Slot], first: Slot) -> None:
        if "first" in parts and "last" in parts:
            given, _, family = name.text.partition(" ")
            if name.part == "last":
                self.values[parts["last"].name] = name.text
            else:
                self.values[parts["first"].name] = given
                if family:
                    self.values[parts["last"].name] = family
            return
        self.values[first.name] = names.merge(self.values.get(first.name, ""), name)
        self.unclear.discard(first.name)
        if name.unclear:
            self.unclear.add(first.name)

    def _spell_name(self, heard: Heard, asked: Slot | None, parts: dict[str | None, Slot], first: Slot) -> None:
        part = heard.name.part if heard.name else _named_part(heard.text)
        slot = asked or (parts.get(part) if part in parts else None) or first
        if _name_part(slot):
            self.values[slot.name] = spelling.apply("", heard.spelled, None)
        else:
            self.values[slot.name] = spelling.apply(self.values.get(slot.name, ""), heard.spelled, part)
        self.unclear.discard(slot.name)

    def _spells_street(self, spelled: list[str]) -> bool:
        """Put a spelled word into the address when it sounds like a word of it and not like the name."""
        slot = next((slot for slot in self._filled() if slot.kind == "address"), None)
        if slot is None or len(spelled) != 1:
            return False
        known = self.values[slot.name].split()
        scores = [SequenceMatcher(None, word.lower(), spelled[0].lower()).ratio() for word in known]
        named = [word for other in self._filled() if other.kind == "name" for word in self.values[other.name].split()]
        like_name = max(
            (SequenceMatcher(None, word.lower(), spelled[0].lower()).ratio() for word in named), default=0.0
        )
        if max(scores) < max(ALIKE, like_name):
            return False
        known[scores.index(max(scores))] = spelled[0].capitalize()
        self.values[slot.name] = " ".join(known)
        return True

    def _fill_phone(self, heard: Heard, asked: Slot | None) -> None:
        slot = self._pick(("phone",), asked)
        if slot is None or heard.phone is None:
            return
        digits = heard.phone.digits
        # "Four one five" and then seven more digits are one number of ten.
        if not heard.phone.complete or len(self.digits_so_far + digits) == PHONE_USUAL_DIGITS:
            digits = self.digits_so_far + digits
        if PHONE_MIN_DIGITS <= len(digits.lstrip("+")) <= PHONE_MAX_DIGITS:
            self.values[slot.name] = digits
            self.digits_so_far = ""
        else:
            self.digits_so_far = digits if len(digits) < PHONE_MIN_DIGITS else ""

    def _fill_address(self, heard: Heard, asked: Slot | None) -> None:
        slot = self._pick(("address",), asked)
        if slot is None or heard.address is None:
            return
        self.values[slot.name] = heard.address

    def _fill_moment(self, heard: Heard, asked: Slot | None, correcting: bool) -> None:
        moment = heard.moment
        self.choices = moment.choices or ([] if moment.days else self.choices)
        for day in moment.days:
            if slot := self._pick(_DAY_KINDS, asked):
                self._put(slot, day=day)
        if moment.clock and (slot := self._pick(_CLOCK_KINDS, asked)):
            self._put(slot, clock=moment.clock)
        elif moment.part and (slot := self._pick(_CLOCK_KINDS, asked)):
            self._put_part(slot, moment.part, moved=bool(moment.days) or correcting)

    def _put(self, slot: Slot, *, day: date | None = None, clock: Clock | None = None) -> None:
        known = self.values.get(slot.name)
        part = known.part if isinstance(known, Appointment) else self.part
        if clock and clock.half:
            clock = clock.settled(part) if part else usual(clock)
        if slot.kind == "datetime":
            known = known if isinstance(known, Appointment) else Appointment(part=self.part)
            self.values[slot.name] = replace(known, day=day or known.day, clock=clock or known.clock)
        else:
            self.values[slot.name] = day or clock

    def _put_part(self, slot: Slot, part: str, *, moved: bool) -> None:
        """Apply "in the afternoon": it settles a half-known time, and drops one it contradicts."""
        known = self.values.get(slot.name)
        clock = known.clock if isinstance(known, Appointment) else known
        self.part = part
        if isinstance(clock, Clock) and clock.half:
            clock = clock.settled(part)
        elif isinstance(clock, Clock) and not _within(clock, part):
            # Moved to an evening, nine in the morning no longer stands; in a passing remark it does.
            clock = None if moved else clock
        if isinstance(known, Appointment) or (slot.kind == "datetime" and known is None):
            known = known or Appointment()
            self.values[slot.name] = replace(known, clock=clock, part=part)
        elif clock is None:
            self.values.pop(slot.name, None)
        else:
            self.values[slot.name] = clock

    def _fill_words(self, heard: Heard, asked: Slot | None, correcting: bool) -> None:
        for slot in self.task.slots:
            empty = slot.name not in self.values
            if slot.kind == "wish" and heard.wish and (asked == slot or empty):
                self.values[slot.name] = heard.wish
            elif slot.kind == "choice" and (empty or correcting or asked == slot):
                choice = slots.choose(slot, heard.text, asked=asked == slot)
                self.values.update({slot.name: choice} if choice else {})
            elif slot.kind in ("count", "number") and (match := _PEOPLE.search(lower(heard.text))):
                self._fill_people(slot, match)

    def _fill_people(self, slot: Slot, match: re.Match[str]) -> None:
        tokens = set(re.findall(r"[a-z]+", f"{slot.name} {slot.schema.get('description', '')}".lower()))
        if not tokens & {"people", "guests", "party", "persons", "adults", "seats", "diners", "size"}:
            return
        number = 1 if match.group("me") else numbers.count(match.group("of") or match.group("n"))
        if number is not None:
            self.values[slot.name] = number if slot.kind == "number" else str(number)

    def _apply_contrast(self, text: str) -> None:
        """Apply "Sara, not Sarah" and "not forty two, forty four" to whichever value has the wrong part in it."""
        match = _X_NOT_Y.search(lower(text)) or _NOT_Y_X.search(lower(text))
        if match is None:
            return
        wrong, right = (_as_written(_CONTRAST_LEAD.sub("", match.group(side))) for side in ("wrong", "right"))
        for slot in self._filled():
            value = self.values[slot.name]
            if isinstance(value, str) and re.search(rf"\b{re.escape(wrong)}\b", value, re.IGNORECASE):
                new = title(right) if slot.kind in ("name", "address") else right
                self.values[slot.name] = re.sub(rf"\b{re.escape(wrong)}\b", new, value, count=1, flags=re.IGNORECASE)
                return

    def _read_answer(self, heard: Heard, asked: Slot, today: date) -> Any:
        readers = {
            "name": self._read_name,
            "address": self._read_address,
            "wish": lambda heard, asked: wishes.read_answer(heard.rest),
            "choice": lambda heard, asked: slots.choose(asked, heard.text, asked=True),
            "count": lambda heard, asked: None if (n := numbers.count(heard.text)) is None else str(n),
            "number": lambda heard, asked: slots.read_number(heard.text, asked.schema),
            "boolean": lambda heard, asked: yes_no(heard.text),
            "postcode": lambda heard, asked: (found := addresses.find_postcode(heard.text, asked=True)) and found[0],
            "birthday": lambda heard, asked: _birthday(heard.text, today),
            "text": _read_text,
            "list": _read_text,
        }
        reader = readers.get(asked.kind)
        return reader(heard, asked) if reader else None

    def _read_name(self, heard: Heard, asked: Slot) -> str | None:
        name = names.read_answer(heard.rest)
        if name is None:
            return None
        if part := _name_part(asked):
            words = name.text.split()
            return words[0] if part == "first" else words[-1]
        return name.text

    def _read_address(self, heard: Heard, asked: Slot) -> str | None:
        known = self.values.get(asked.name)
        if known and not addresses.has_number(known):
            if re.search(r"\b(?:no number|doesn't have|there's no|there isn't|none|no)\b", plain(heard.text)):
                self.accepted_without_number.add(asked.name)
                return str(known)
            if number := re.match(r"\d+", numbers.house_number(heard.text)):
                return f"{number.group()} {known}"
        found = addresses.read_answer(heard.rest if re.search(r"\w{3}", heard.rest) else heard.text)
        if found and known and plain(found) == plain(known):
            self.accepted_without_number.add(asked.name)
        return found


def usual(clock: Clock) -> Clock:
    """Decide what "at four" means where nothing says otherwise: business hours. Seven stays open."""
    if not clock.half or clock.hour == 7:
        return clock
    return clock.settled("am" if 8 <= clock.hour <= 11 else "pm")


def _within(clock: Clock, part: str) -> bool:
    ranges = {
        "morning": (0, 12),
        "am": (0, 12),
        "afternoon": (12, 18),
        "evening": (16, 24),
        "night": (18, 24),
        "pm": (12, 24),
    }
    start, end = ranges[part]
    return start <= clock.hour < end


def _name_part(slot: Slot) -> str | None:
    words = set(slot.label.split()) | set(re.findall(r"[a-z]+", slot.path[-1].lower()))
    if words & {"first", "given"}:
        return "first"
    return "last" if words & {"last", "family", "surname"} else None


def _named_part(text: str) -> str | None:
    match = re.search(r"\b(first|last|family|sur|given) ?name\b", plain(text))
    if match is None:
        return None
    return "first" if match.group(1) in ("first", "given") else "last"


def _as_written(words: str) -> str:
    words = words.strip()
    return (
        numbers.house_number(words)
        if re.fullmatch(rf"{numbers.NUMBER_WORD}(?:[ -]{numbers.NUMBER_WORD})*", words)
        else words
    )


def _read_text(heard: Heard, asked: Slot) -> str | None:
    text = _TEXT_LEAD.sub("", heard.text).strip(" .,")
    return text[: wishes.WISH_MAX_CHARS] if re.search(r"\w{2}|\d", text) else None


def _birthday(text: str, today: date) -> date | None:
    """Read a day in the past; without its year it is not one."""
    heard = lower(text)
    match = _BIRTH_YEAR.search(heard)
    if match is None:
        return None
    year = int(match.group("digits") or _spoken_year(match.group()))
    rest = heard[: match.start()] + " " + heard[match.end() :]
    days = moments.find(rest, today, day_asked=True).days
    try:
        return days[-1].replace(year=year) if days and year <= today.year else None
    except ValueError:
        return None


def _spoken_year(words: str) -> int:
    if words.startswith("two thousand"):
        return 2000 + (numbers.cardinal(words.removeprefix("two thousand").replace("and", "") or "zero") or 0)
    century, _, rest = words.partition(" ")
    return {"nineteen": 1900, "twenty": 2000}[century] + (
        numbers.cardinal(rest.replace("oh ", "").replace("-", " ")) or 0
    )
