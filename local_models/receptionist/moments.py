"""Days and times of day as people say them."""

import re
from dataclasses import dataclass, field
from datetime import date, time, timedelta

from local_models.receptionist import numbers
from local_models.receptionist.normalise import listed, lower

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = listed("january february march april may june july august september october november december")
_MONTH_SHORT = {month[:3]: index + 1 for index, month in enumerate(MONTHS)} | {"sept": 9}
_DAY_SHORT = {
    "mon": 0,
    "tue": 1,
    "tues": 1,
    "wed": 2,
    "weds": 2,
    "thu": 3,
    "thur": 3,
    "thurs": 3,
    "fri": 4,
    "sat": 5,
    "sun": 6,
}

_WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_MONTH = "(?:" + "|".join(MONTHS) + r"|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
_DAY = rf"(?:{numbers.ORDINAL_WORD}|\d{{1,2}}(?:st|nd|rd|th)?)"
_YEAR = r"(?:,?\s+(?P<year>20\d\d))?"
_SMALL = r"(?:\d{1,2}|a|an|one|two|three|four|five|six|seven|eight|nine|ten|a couple of)"
_SPOKEN_DAY = (
    rf"(?:{numbers.ORDINAL_WORD}|\d{{1,2}}(?:st|nd|rd|th)?|{numbers.NUMBER_WORD}(?:[ "
    rf"-]{numbers.NUMBER_WORD})?)"
)

_PAST = re.compile(
    rf"\byesterday\b|\blast (?:night|week|month|year|{_WEEKDAY})\b|\b(?:since|ago)\b(?: {_WEEKDAY}| "
    rf"yesterday)?"
)
_NEGATED = re.compile(
    r"\b(?:not|isn't|instead of|rather than|other than|except|but not|can't do|can't make)(?: on| at| "
    r"for| the| it)*\s*$"
)
_LEFT = re.compile(r"\bfrom(?: the)?\s*$")

_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?P<iso>20\d\d-\d\d?-\d\d?)\b",
        rf"\b(?P<month>{_MONTH})\s*(?:the\s+)?(?P<day>{_SPOKEN_DAY})\b(?!\s*(?:am|pm|o'clock|:))" + _YEAR,
        rf"\b(?:the\s+)?(?P<day>{_DAY})\s+(?:day\s+)?(?:of\s+)?(?P<month>{_MONTH})\b" + _YEAR,
        r"\b(?P<first>\d{1,2})/(?P<second>\d{1,2})(?:/(?P<year>(?:20)?\d\d))?\b",
        rf"\b(?:{_WEEKDAY}),?\s+the\s+(?P<monthday>{_DAY})\b",
        rf"\b(?:in\s+)?(?P<count>{_SMALL})\s+(?P<unit>day|week|month)s?\s+from\s+(?P<anchor>now|today|"
        rf"tomorrow|{_WEEKDAY})\b",
        rf"\bin\s+(?P<count>{_SMALL})\s+(?P<unit>day|week|month)s?(?:'\s?time)?\b",
        r"\b(?P<word>(?:the\s+)?day\s+after\s+tomorrow|tomorrow|today|tonight)\b",
        r"\b(?P<word>this)\s+(?:morning|afternoon|evening)\b",
        rf"\b(?P<which>this|next|coming|following)?\s*\b(?P<weekday>{_WEEKDAY})s?(?P<week>\s+(?:next\s+week|week))?\b",
        r"\b(?P<which>this|next|on)?\s*\b(?P<short>(?:mon|tues?|weds?|thu(?:rs?)?|fri|sat|sun))\b(?=[\s,.]|$)",
        rf"\b(?:on|for|until|make it|about|to)\s+the\s+(?P<monthday>{_DAY})\b",
        r"\bthe\s+(?P<monthday>\d{1,2}(?:st|nd|rd|th))\b",
    )
)
_ASKED_MONTHDAY = re.compile(
    rf"^(?:\W|it's|the|on|maybe|probably|how about)*(?P<monthday>{numbers.ORDINAL_WORD}|\d{{1,2}}(?:st|"
    rf"nd|rd|th))\b"
)
_VAGUE_DAY = re.compile(
    r"\b(?:next week|this week|later this week|(?:this |next |the )?weekend|next month|end of (?:the|"
    r"this) week|any ?day|"
    r"whenever|any ?time|as soon as possible|asap|soon|earliest)\b"
)

_HOUR_WORDS = listed("one two three four five six seven eight nine ten eleven twelve")
_HOUR = "(?:" + "|".join(_HOUR_WORDS) + r"|1[0-2]|0?[1-9])"
_HEARD_HOUR = rf"(?:{_HOUR}|for|fore|to|too|ate|won|tree)"
_MINUTE_WORDS = (
    r"(?:oh[ -](?:one|two|three|four|five|six|seven|eight|nine)|(?:twenty|thirty|forty|fifty)(?:[ "
    r"-](?:one|two|three|four|five|six|seven|eight|nine))?|ten|eleven|twelve|thirteen|fourteen|"
    r"fifteen|sixteen|seventeen|eighteen|nineteen)"
)
_PART = r"(?:in the |at |this )?(?P<part>morning|afternoon|evening|night)"
_AFTER = rf"(?:\s*(?:o'?\s?clock|sharp))?(?:\s*,?\s*(?:(?P<meridiem>am|pm)\b|{_PART}))?"
_NOT_TIME = (
    r"(?!\s*(?:people|persons?|guests?|adults?|kids|children|of us|days?|weeks?|months?|years?|"
    r"minutes?|hours?|dollars?|percent|"
    r"bedrooms?|rooms?|nights?|times?|(?:st|nd|rd|th)\b|[-/:.]?\d|[a-z]*\s+(?:street|avenue|road|lane|drive|court)))"
)
_TIMES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?P<noon>noon|midday|midnight)\b",
        r"\b(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?!\d)" + _AFTER,
        r"\b(?P<hour>\d{1,2})[. ](?P<minute>[0-5]\d)\s*(?P<meridiem>am|pm)\b",
        r"\b(?P<hour>1[0-2]|[1-9])(?P<minute>[0-5]\d)\s*(?P<meridiem>am|pm)\b",
        rf"\b(?P<offset>quarter|half|twenty[ -]five|twenty|ten|five|{_SMALL})(?:\s+minutes?)?\s+"
        rf"(?P<side>past|passed|pass|after|to|two|till|before|of)\s+(?P<hour>{_HEARD_HOUR}|noon)\b" + _AFTER,
        rf"\bquarter(?P<side>)\s+(?P<offset>for)\s+(?P<hour>{_HOUR})\b" + _AFTER,
        rf"\b(?P<offset>half)\s+(?P<hour>{'|'.join(_HOUR_WORDS)})\b" + _AFTER,
        rf"\b(?P<hour>{'|'.join(_HOUR_WORDS)})[ -](?P<minute>{_MINUTE_WORDS})\b(?!\s+(?:hundred|thousand)|"
        rf"[- ]\w+ (?:street|avenue|road))" + _AFTER,
        rf"\b(?P<hour>{_HOUR})\s*(?P<meridiem>am|pm)\b",
        rf"\b(?P<hour>{_HOUR})(?:\s*o'?\s?clock|,?\s+(?=(?:in the |at |this )(?:morning|afternoon|evening|"
        rf"night)))" + _AFTER,
        rf"\b(?:at|around|about|by|after|before|until|between|make (?:it|that)|make it at|say|maybe|like|"
        rf"(?:change|move|switch|push)\s+(?:it|that|the time)\s+to|how about|what about)"
        rf"\s+(?:about |around |like )?(?P<hour>{_HOUR})\b(?![' ]?(?:clock))" + _NOT_TIME + _AFTER,
        r"\b(?:at|around|by)\s+(?P<hour>for|fore|too|ate|won)\b(?=\s*(?:o'?clock|am|pm|in the|please|then|"
        r"thanks|[.,?!]|$))" + _AFTER,
    )
)
_ASKED_HOUR = re.compile(
    rf"^(?:\W|it's|its|is|the|maybe|probably|um|say|or|let's say|yes|yeah|sure|okay|ok|no|how about|actually)*"
    rf"(?P<hour>{_HEARD_HOUR})(?:[ :.](?P<minute>[0-5]\d)|\s+(?P<words>{_MINUTE_WORDS}))?(?:\W|please|"
    rf"is|would|be|fine|good|best|then|thanks|thank|you|works|great|will|do|sharp)*$"
)
_PARTS = re.compile(
    r"\b(?:early |late )?(morning|afternoon|evening|tonight|lunch ?time|after work)\b|(?<!\bi )\b(am|"
    r"pm)\b(?! i\b)|\bat night\b"
)
_HEARD_HOURS = {"for": 4, "fore": 4, "to": 2, "too": 2, "ate": 8, "won": 1, "tree": 3, "noon": 12}


@dataclass(frozen=True)
class Clock:
    """A time of day. `half` is a 12-hour time of which we do not know whether it is before or after noon."""

    hour: int
    minute: int
    half: bool = False

    def settled(self, part: str | None) -> "Clock":
        """Apply "morning", "afternoon", "evening", "am" or "pm" to a half-known time."""
        if not self.half or part is None:
            return self
        late = part in ("pm", "afternoon", "evening", "night")
        hour = self.hour % 12 + (12 if late and not (part == "night" and self.hour == 12) else 0)
        return Clock(hour, self.minute)

    def as_time(self) -> time:
        return time(self.hour, self.minute)


@dataclass
class Moment:
    """What was heard about when. `vague` names a day that could be several; `choices` are days to pick from."""

    days: list[date] = field(default_factory=list)
    clock: Clock | None = None
    part: str | None = None
    vague: str | None = None
    choices: list[date] = field(default_factory=list)
    clocks: list[Clock] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)


def find(text: str, today: date, *, day_asked: bool = False, time_asked: bool = False) -> Moment:
    """Find days and times in a sentence. When one was asked for, a bare "the third" or "nine" counts too."""
    heard = lower(text)
    moment = Moment()
    heard = _drop_past(heard, moment)
    heard = _find_days(heard, today, moment, day_asked)
    heard = _find_clocks(heard, moment, time_asked)
    _find_part(heard, moment)
    if not moment.days and (vague := _VAGUE_DAY.search(heard)):
        moment.vague = vague.group()
    return moment


def say_day(day: date) -> str:
    return f"{WEEKDAYS[day.weekday()].capitalize()}, {MONTHS[day.month - 1].capitalize()} {day.day}"


def say_clock(clock: Clock) -> str:
    """Write a time as it is read aloud: "4:15 pm", "9 am", "noon"."""
    if clock.half:
        return f"{clock.hour}:{clock.minute:02}" if clock.minute else str(clock.hour)
    if clock.minute == 0 and clock.hour in (0, 12):
        return "noon" if clock.hour == 12 else "midnight"
    hour = (clock.hour - 1) % 12 + 1
    minutes = f":{clock.minute:02}" if clock.minute else ""
    return f"{hour}{minutes} {'am' if clock.hour < 12 else 'pm'}"


def parse_spoken_day(text: str, today: date) -> date | None:
    """Return the one day a text names, or None."""
    days = find(text, today, day_asked=True).days
    return days[-1] if days else None


def _drop_past(heard: str, moment: Moment) -> str:
    for match in _PAST.finditer(heard):
        moment.spans.append(match.span())
        heard = _erase(heard, match.span())
    return heard


def _find_days(heard: str, today: date, moment: Moment, asked: bool) -> str:
    found: list[tuple[int, int, date]] = []
    said = heard
    for pattern in (*_DATES, _ASKED_MONTHDAY) if asked else _DATES:
        for match in list(pattern.finditer(heard)):
            day = _day(match.groupdict(), today)
            if day is None or (
                match.groupdict().get("short") in ("sun", "sat") and not match.groupdict().get("which") and not asked
            ):
                continue
            found.append((*match.span(), day))
            heard = _erase(heard, match.span())
    _keep_wanted(said, sorted(found), moment)
    moment.spans += [(start, end) for start, end, _ in found]
    return heard


def _keep_wanted(heard: str, found: list[tuple[int, int, date]], moment: Moment) -> None:
    """Drop days the caller rejects ("not Tuesday", "from Tuesday to Wednesday" when moving), and merge repeats."""
    wanted = []
    for index, (start, _, day) in enumerate(found):
        before = heard[:start].rstrip(" ,")
        moved_away = (
            _LEFT.search(before) and index + 1 < len(found) and re.search(r"\b(?:change|move|switch|push)", heard)
        )
        if _NEGATED.search(before + " ") or moved_away:
            continue
        wanted.append((start, day))
    days = list(dict.fromkeys(day for _, day in wanted))
    between = heard[wanted[0][0] : wanted[-1][0]] if wanted else ""
    if len(days) == 2 and re.fullmatch(rf"{_WEEKDAY},?\s*(?:the\s+)?", between):
        days = [_explicit(found, days)]
    if len(days) > 1 and re.search(r"\bor\b", between):
        moment.choices = days
    else:
        moment.days = days


def _explicit(found: list[tuple[int, int, date]], days: list[date]) -> date:
    """Of a weekday and a date said together, the longer wording is the date."""
    return max((item for item in found if item[2] in days), key=lambda item: item[1] - item[0])[2]


def _day(parts: dict[str, str | None], today: date) -> date | None:
    try:
        if iso := parts.get("iso"):
            year, month, day = (int(part) for part in iso.split("-"))
            return date(year, month, day)
        if named := parts.get("month"):
            return _month_day(_MONTH_SHORT[named[:3]], _day_number(parts["day"] or ""), parts.get("year"), today)
        if parts.get("first"):
            return _slashed(int(parts["first"] or 0), int(parts["second"] or 0), parts.get("year"), today)
        if monthday := parts.get("monthday"):
            return _next_monthday(numbers.ordinal(monthday), today)
    except (ValueError, KeyError):
        return None
    if unit := parts.get("unit"):
        return _ahead(parts["count"] or "a", unit, _anchor(parts.get("anchor"), today))
    if word := parts.get("word"):
        return today + timedelta(days=2 if "after" in word else 1 if word == "tomorrow" else 0)
    return _weekday(parts, today)


def _weekday(parts: dict[str, str | None], today: date) -> date | None:
    short = parts.get("short")
    name = parts.get("weekday")
    index = _DAY_SHORT[short] if short else WEEKDAYS.index(name) if name else None
    if index is None:
        return None
    ahead = (index - today.weekday()) % 7 or 7
    in_this_week = today.weekday() + ahead < 7
    if parts.get("week") or (parts.get("which") in ("next", "following") and in_this_week):
        ahead += 7 if in_this_week or "next" not in (parts.get("week") or "next") else 0
    return today + timedelta(days=ahead)


def _day_number(text: str) -> int:
    day = numbers.ordinal(text)
    if day is None:
        day = numbers.cardinal(text.replace("-", " "))
    if day is None:
        raise ValueError(text)
    return day


def _month_day(month: int, day: int, year: str | None, today: date) -> date:
    if year:
        return date(int(year), month, day)
    found = date(today.year, month, day)
    return found if found >= today else date(today.year + 1, month, day)


def _slashed(first: int, second: int, year: str | None, today: date) -> date:
    month, day = (second, first) if first > 12 else (first, second)
    full_year = None if year is None else year if len(year) == 4 else f"20{year}"
    return _month_day(month, day, full_year, today)


def _next_monthday(day: int | None, today: date) -> date | None:
    if day is None or not 1 <= day <= 31:
        return None
    year, month = today.year, today.month
    for _ in range(13):
        try:
            found = date(year, month, day)
        except ValueError:
            found = None
        if found and found >= today:
            return found
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return None


def _anchor(name: str | None, today: date) -> date:
    if name in (None, "now", "today"):
        return today
    if name == "tomorrow":
        return today + timedelta(days=1)
    return _weekday({"weekday": name}, today) or today


def _ahead(count: str, unit: str, start: date) -> date:
    amount = 2 if "couple" in count else numbers.cardinal(count) or 1
    days = amount * {"day": 1, "week": 7, "month": 30}[unit]
    return start + timedelta(days=days)


def _find_clocks(heard: str, moment: Moment, asked: bool) -> str:
    found: list[tuple[int, Clock]] = []
    patterns = (*_TIMES, _ASKED_HOUR) if asked else _TIMES
    part = _part_of(heard)
    said = heard
    for pattern in patterns:
        for match in list(pattern.finditer(heard)):
            clock = _clock(match.groupdict(), part)
            if clock is None:
                continue
            moment.spans.append(match.span())
            if not _NEGATED.search(said[: match.start()].rstrip(" ,") + " "):
                found.append((match.start(), clock))
            heard = _erase(heard, match.span())
    moment.clocks = list(dict.fromkeys(clock for _, clock in sorted(found, key=lambda item: item[0])))
    if moment.clocks:
        moment.clock = moment.clocks[-1]
    if len(moment.clocks) > 1 and re.search(r"\bbetween\b|\bfrom\b", said):
        moment.clock = moment.clocks[0]
    return heard


def _clock(parts: dict[str, str | None], part: str | None) -> Clock | None:
    if noon := parts.get("noon"):
        return Clock(0 if noon == "midnight" else 12, 0)
    hour_text = parts.get("hour") or ""
    hour = _HEARD_HOURS.get(hour_text) or numbers.cardinal(hour_text)
    minute = _minute(parts)
    if hour is None or minute is None or hour > 23:
        return None
    if parts.get("offset"):
        hour, minute = _offset(hour, parts)
    marker = parts.get("meridiem") or parts.get("part") or part
    if hour > 12 or hour == 0 or hour_text.startswith("0"):
        return Clock(hour, minute)
    return Clock(hour, minute, half=True).settled(marker)


def _minute(parts: dict[str, str | None]) -> int | None:
    text = parts.get("minute") or parts.get("words")
    if not text:
        return 0
    if text.isdigit():
        return int(text)
    return numbers.cardinal(text.replace("oh", "").replace("-", " "))


def _offset(hour: int, parts: dict[str, str | None]) -> tuple[int, int]:
    word = parts["offset"] or ""
    named = {"quarter": 15, "half": 30, "for": 15, "a": 1, "an": 1}
    amount = named.get(word) or numbers.cardinal(word.replace("-", " ")) or 0
    side = parts.get("side")
    if word == "for" or side in ("to", "two", "till", "before", "of"):
        return (hour - 2) % 12 + 1, 60 - amount
    return hour, amount


def _part_of(heard: str) -> str | None:
    match = _PARTS.search(heard)
    if match is None:
        return None
    word = match.group(1) or match.group(2) or "night"
    if word.startswith("lunch"):
        return "afternoon"
    return {"tonight": "evening", "after work": "evening"}.get(word, word)


def _find_part(heard: str, moment: Moment) -> None:
    moment.part = _part_of(heard)
    moment.spans += [match.span() for match in _PARTS.finditer(heard)]


def _erase(heard: str, span: tuple[int, int]) -> str:
    return heard[: span[0]] + " " * (span[1] - span[0]) + heard[span[1] :]
