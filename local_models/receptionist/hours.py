"""Opening hours written as people write them: "Monday to Friday 9am-5pm, Saturday 10 to 2, closed Sunday"."""

import re

from local_models.receptionist.moments import WEEKDAYS
from local_models.receptionist.normalise import lower

_NAME = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?s?"
_DAYS = re.compile(
    rf"\b(?:(?P<all>every ?day|daily|seven days a week|7 days a week|all week)|(?P<weekdays>weekdays?)|"
    rf"(?P<weekends>weekends?)|"
    rf"(?P<named>{_NAME}(?:\s*(?:to|-|through|thru|until|till|,|and|&|/)\s*{_NAME})*))\b"
)
_RANGE = re.compile(rf"({_NAME})\s*(?:to|-|through|thru|until|till)\s*({_NAME})")
_HAS_TIME = re.compile(r"\d|noon|midnight|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b")
_CLOSED = re.compile(r"\bclosed?\b")


def parse(text: str) -> dict[int, str]:
    """Return what is said of each weekday (0 is Monday): "9am-5pm" or "closed". Days not mentioned are missing."""
    heard = lower(text)
    groups = list(_DAYS.finditer(heard))
    found: dict[int, str] = {}
    for index, group in enumerate(groups):
        before = heard[groups[index - 1].end() if index else 0 : group.start()]
        end = groups[index + 1].start() if index + 1 < len(groups) else len(heard)
        said = _said(before, heard[group.end() : end], text[group.end() : end], last=index + 1 == len(groups))
        if said:
            found |= dict.fromkeys(_weekdays(group), said)
    return found


def _said(before: str, after: str, written: str, *, last: bool) -> str | None:
    """Decide what a group of days is given: times that follow it, or "closed", or times in front of it."""
    if re.search(r"\bclosed\s*(?:on|all day|:)?\s*$", before):
        return "closed"
    first = re.split(r"[;.](?!\d)|,(?=\s*closed)|\band (?=closed)", after)[0]
    if _HAS_TIME.search(first):
        return _times(written[: len(first)])
    if _CLOSED.search(first):
        return "closed"
    if _HAS_TIME.search(before) and (last or not _HAS_TIME.search(after)):
        return _times(before)
    return None


def _times(text: str) -> str:
    text = re.sub(r"^[\s:,(]*(?:from|between|it's|we're open|open|are|is)?\s*", "", text)
    text = re.sub(r"[\s,;:(]*(?:\b(?:and|on|from|closed|but|we're|we are)\b[\s,]*)*$", "", text)
    text = re.sub(r"(?<=\d)\s*(?:-|–)\s*(?=\d)|(?<=[apm])\s*(?:-|–)\s*(?=\d)", " to ", text)
    return text.strip()


def _weekdays(group: re.Match[str]) -> list[int]:
    if group.group("all"):
        return list(range(7))
    if group.group("weekdays"):
        return list(range(5))
    if group.group("weekends"):
        return [5, 6]
    named = group.group("named")
    days = [_index(match.group()) for match in re.finditer(_NAME, named)]
    for match in _RANGE.finditer(named):
        start, end = _index(match.group(1)), _index(match.group(2))
        days += [(start + step) % 7 for step in range((end - start) % 7 + 1)]
    return sorted(set(days))


def _index(name: str) -> int:
    return next(index for index, weekday in enumerate(WEEKDAYS) if weekday.startswith(name[:3]))
